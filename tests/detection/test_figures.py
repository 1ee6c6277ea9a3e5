import numpy as np

from synthfilter.detection.figures import name_profiles


def objects(*values):
    return np.array([*values, None], object)[:-1]


def test_a_profile_is_named_by_source_domain_and_the_kind_of_machine_text():
    found = name_profiles(
        objects("s", "s", "s", None),
        objects("news", "news", None, None),
        objects("gpt", "gpt", "gpt", None),
        np.array([False, True, True, False]),
    )
    assert found.tolist() == ["s / news", "s / news / gpt", "s / gpt", "(no source)"]


def test_of_many_names_the_smaller_ones_are_one():
    sources = objects(*"aaabbcd", *"cd")
    nothing = np.full(9, None, object)
    synthetic = np.array([False] * 7 + [True] * 2)
    found = name_profiles(sources, nothing, nothing, synthetic, most=2)
    assert found[:7].tolist() == [*"aaabb", "(2 others)", "(2 others)"]
    assert found[7:].tolist() == ["c", "d"]
