import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthfilter.core.errors import UserError
from synthfilter.core.schema import Origin
from synthfilter.inputs.blocks import list_inputs


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder: str) -> list[str]:
    return [file.path for file in list_inputs({Origin.HUMAN: [folder]})]


def texts(count: int) -> datasets.Dataset:
    return datasets.Dataset.from_dict({"text": [f"Text {n}." for n in range(count)]})


def test_a_saved_dataset_is_its_data_files() -> None:
    texts(10).save_to_disk("saved", num_shards=2)
    Path("saved/cache-0123.arrow").write_bytes(b"left there by map")
    assert names("saved") == [
        "saved/data-00000-of-00002.arrow",
        "saved/data-00001-of-00002.arrow",
    ]
    Path("saved/data-00001-of-00002.arrow").unlink()
    with pytest.raises(
        UserError, match=r"names 'data-00001-of-00002\.arrow', which is not"
    ):
        names("saved")


def test_a_saved_dictionary_is_all_of_its_splits() -> None:
    datasets.DatasetDict({"train": texts(3), "test": texts(2)}).save_to_disk("saved")
    assert names("saved") == [
        "saved/test/data-00000-of-00001.arrow",
        "saved/train/data-00000-of-00001.arrow",
    ]
    assert names("saved/train") == ["saved/train/data-00000-of-00001.arrow"]


def test_a_folder_as_on_the_hub_is_its_parquet_files() -> None:
    Path("hub/data").mkdir(parents=True)
    table = pa.table({"text": ["a"]})
    pq.write_table(table, "hub/data/train-00000-of-00001.parquet")
    for name in ("README.md", ".gitattributes", "dataset_infos.json"):
        Path("hub", name).write_text("{}")
    assert names("hub") == ["hub/data/train-00000-of-00001.parquet"]


def test_such_a_name_alone_is_somebodys_data() -> None:
    Path("own").mkdir()
    Path("own/state.json").write_text(json.dumps({"text": "a"}))
    assert names("own") == ["own/state.json"]


def test_odd_names_are_files_like_others() -> None:
    Path("odd").mkdir()
    odd = ["a b.CSV", "é.tsv", "[x].jsonl", "a,b;c.arrow", "x.csv.gz"]
    for name in odd:
        Path("odd", name).write_bytes(b"")
    assert names("odd") == sorted(f"odd/{name}" for name in odd)
