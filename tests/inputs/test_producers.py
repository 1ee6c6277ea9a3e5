import pytest

from synthfilter.core.schema import Says
from synthfilter.inputs.producers import (
    Producer,
    find_producer,
    is_users,
    result_texts,
    says_generator,
)


@pytest.mark.parametrize(
    ("columns", "text", "generator", "found"),
    [
        # distilabel
        ("instruction generation model_name distilabel_metadata", "generation", True,
         Producer("model_name", True, None)),
        ("instruction generation model_name distilabel_metadata", "instruction", True,
         None),
        ("text generation model_name", "text", True, None),
        ("text model_name distilabel_metadata", "text", True,
         Producer("model_name", True, None)),
        ("text labels model_name distilabel_metadata", "text", True, None),
        ("text distilabel_metadata", "text", False, None),
        # WildChat, as it is and one message a row
        ("conversation_hash model timestamp conversation text", "text", True,
         Producer("model", True, None)),
        ("model conversation text role", "text", True,
         Producer("model", True, "role")),
        # RAID
        ("id adv_source_id source_id model attack title prompt generation",
         "generation", True, Producer("model", True, None)),
        ("id adv_source_id model prompt generation", "prompt", True, None),
        # any other
        ("text model", "text", True, Producer("model", False, None)),
        ("text model_name", "text", True, Producer("model_name", False, None)),
        ("text response model", "text", True, None),
        ("response model", "response", True, Producer("model", False, None)),
        ("text", "text", False, None),
        ("", None, False, None),
    ],
)  # fmt: skip
def test_a_producer_is_known_by_its_columns(
    columns: str, text: str | None, generator: bool, found: Producer | None
) -> None:
    names = tuple(columns.split())
    mapped = next((n for n in ("model_name", "model") if n in names), None)
    assert find_producer(names, text, mapped if generator else None) == found


def test_a_generator_counts_under_any_name_that_is_no_products() -> None:
    found = find_producer(("text", "made_by", "output"), "text", "made_by")
    assert found == Producer("made_by", True, None)
    assert find_producer(("prompt", "generator"), "prompt", "generator") is None


MODELS = """
chatgpt gpt2 gpt3 gpt4 gpt-3.5-turbo gpt-4o-2024-05-13 gpt-neo-125m gpt-j-6b
text-davinci-003 claude-3-opus-20240229 claude-instant-1.2 llama-chat
meta-llama/Llama-3.1-8B-Instruct Llama-2-7b-chat-hf CodeLlama-7b mistral mistral-chat
mistralai/Mixtral-8x7B-Instruct-v0.1 Qwen/Qwen2.5-72B Qwen3-8B google/gemma-2-9b-it
gemini-1.5-pro models/gemini-2.0-flash deepseek-chat vicuna-13b-v1.5 zephyr-7b-beta
chatglm3-6b mpt-7b mpt-chat cohere cohere-chat command-r-plus flan-t5-xxl phi-2
falcon-7b-instruct opt-1.3b bloom-7b1 bloomz-560m yi-34b tiiuae/falcon-40b o1-mini
HuggingFaceTB/SmolLM2-1.7B-Instruct allenai/OLMo-7B nvidia/Nemotron-4-340B
some-lab/new-thing-13b
""".split()


@pytest.mark.parametrize("name", MODELS)
def test_names_of_language_models_are_known(name: str) -> None:
    expected = Says.NOTHING if name == "bloom-7b1" else Says.SYNTHETIC
    assert says_generator(name, False) is expected
    assert says_generator(name, True) is Says.SYNTHETIC


PRODUCTS = [
    *("Corolla", "Falcon XR6", "Ford Falcon 351", "Galaxy S23", "iPhone 15 Pro"),
    *("Claude Monet print", "Gemma dress", "Granite worktop", "Opt 3", "Phi"),
    *("Model T", "ThinkPad X1", "WH-1000XM4", "Bloom vase", "Solar 100W", "Yi Home"),
    *("Command hook", "Orca 2 kayak", "Alpaca scarf", "Llama toy", "Zephyr bike"),
    *("Grok the book", "Palm tree", "B767/300", "a/b testing", "1", "", "v2"),
]


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_have_models_too(name: str) -> None:
    assert says_generator(name, False) is Says.NOTHING


@pytest.mark.parametrize("certain", [True, False])
@pytest.mark.parametrize("name", ["human", "Human", " humans ", "human-written"])
def test_a_human_generator_says_human(name: str, certain: bool) -> None:
    assert says_generator(name, certain) is Says.HUMAN


@pytest.mark.parametrize(
    "name", ["", " ", "None", "null", "unknown", "N/A", "WordPress 6.1", "Hugo 0.110"]
)
def test_no_generator_and_that_of_a_web_site_say_nothing(name: str) -> None:
    assert says_generator(name, True) is Says.NOTHING


def test_an_endless_name_is_read_at_once() -> None:
    assert says_generator("-" * 10_000_000 + "gpt-4", False) is Says.NOTHING


def test_users_and_results_are_told() -> None:
    assert is_users(" User ") and not is_users("assistant") and not is_users("editor")
    results = [{"text": "a"}, {"error": "x"}, {"text": 5}, "b", None]
    assert result_texts(results) == ["a"]
    assert result_texts({"text": "a"}) == result_texts(None) == []
