"""Names, configurations, credentials and pages that mean harm, by rows of faults."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthfilter.cli import main
from synthfilter.core.errors import UserError
from synthfilter.core.secrets import one_line, redact
from synthfilter.core.text import count_words, normalise
from synthfilter.detection.marks import find_marks
from synthfilter.outputs.manifest import claim_output, read_manifest

REPOSITORY = Path(__file__).resolve().parents[2]
OURS = ("synthfilter", "pipelines", "models", "examples", "benchmarks")
PASSWORD, KEY_ID, SIGNATURE = "hunter2", "AKIAQWERTYUIOPASDFGH", "c2lnbmF0dXJl"
SECRETS = (PASSWORD, KEY_ID, SIGNATURE)
SCRIPT = "</script><script>document.title = 'gone'</script>"
IMAGE = '"><img src=https://example.org/x.png onerror=alert(1)>'


def text_of(number: int) -> str:
    return f"The harbour of town {number} was quiet, and no letter {number} had come."


def error_of(arguments: list[str], capsys: pytest.CaptureFixture) -> str:
    """Runs a command that must fail for its options; returns the one line it says."""
    try:
        code = main(arguments)
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


# Row 41: names.


@pytest.fixture(scope="module")
def finished(shared_workshop) -> Path:
    """The folder of a small build; what a test changes, it changes in a copy."""
    shared_workshop.write("small/h", [text_of(i) for i in range(3)])
    shared_workshop.build("small-out", human=str(shared_workshop.path / "small"))
    return shared_workshop.path / "small-out"


AWAY = (
    "../../etc/passwd",
    "data/../../outside.parquet",
    "/etc/passwd",
    "data//etc/passwd",
    "data/a\nb.parquet",
    "data/..",
    "data/.hidden.parquet",
    "data/\u202ex.parquet",
    "file:///etc/passwd",
    "data\\..\\x.parquet",
    "",
)


def test_row_41_a_manifest_cannot_name_a_file_outside_its_folders(
    finished: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    manifest = read_manifest(str(out))
    place = out / "manifest.json"
    for path in AWAY:
        manifest["shards"][0]["path"] = path
        place.write_bytes(orjson.dumps(manifest))
        for command in (["verify"], ["inspect"], ["review", "export"]):
            said = error_of([*command, str(out)], capsys)
            assert "path is expected to be data/NAME" in said


def test_row_41_a_link_out_of_a_build_is_not_followed(
    finished: Path, tmp_path: Path, capsys
) -> None:
    shutil.copytree(finished, tmp_path / "out")
    (shard,) = (tmp_path / "out/data").iterdir()
    outside = shard.rename(tmp_path / "outside.parquet")
    shard.symlink_to(outside)
    out = str(tmp_path / "out")
    for command in (["verify", out], ["diff", out, out], ["explain", out, "h-0"]):
        said = error_of(command, capsys)
        assert "is a link that leads out of its folder; copy the build" in said
    # A link within the folder leads nowhere else, and a whole folder may be elsewhere.
    shard.unlink()
    shard.symlink_to(outside.rename(shard.with_name(".real.parquet")).name)
    read_manifest(out)
    (tmp_path / "out/data").rename(tmp_path / "disk")
    (tmp_path / "out/data").symlink_to(tmp_path / "disk")
    read_manifest(out)


def test_row_41_a_build_tidies_no_folder_that_a_link_leads_to(tmp_path: Path) -> None:
    precious = tmp_path / "precious/kept.txt"
    precious.parent.mkdir()
    precious.write_text("of somebody else")
    out = tmp_path / "out"
    claim_output(str(out))
    (out / "data").symlink_to(precious.parent)
    with pytest.raises(UserError, match="is a link to another folder"):
        claim_output(str(out))
    assert precious.exists()


def test_row_41_names_of_inputs_lead_nowhere(workshop, capfd) -> None:
    names = ["a\nb", "-rf", "c;d $(e) 'f'", "g..g", "h\x1b[31m", "%2e%2e%2fi"]
    for number, name in enumerate(names):
        workshop.write(f"human/{name}", [text_of(number), text_of(number)])
    before = {p for p in workshop.path.rglob("*") if p.is_file()}
    made = workshop.build(code=0, cache=str(workshop.path / "cache"))
    assert made["books"]["kept"] == len(names)
    written = {p for p in workshop.path.rglob("*") if p.is_file()} - before
    places = {p.relative_to(workshop.path).parts[0] for p in written}
    assert places == {"out", "cache"}
    plain = re.compile(r"[\w.-]+", re.ASCII)
    assert all(
        plain.fullmatch(part)
        for path in written
        for part in path.relative_to(workshop.path).parts
    )
    # What is wrong with such a file is told in one line, without its escape codes.
    bad = workshop.path / "human/h\x1b[31m.parquet"
    pq.write_table(pa.table({"body": [1]}), bad)
    workshop.build("other", code=2, human=str(bad))
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert said[:-1].isprintable()


# Row 42: configurations and pickle.


@pytest.mark.parametrize(
    "config",
    [
        'human: !!python/object/apply:os.system ["touch owned"]',
        "human: !!python/name:os.system",
        "!!python/object/new:pathlib.Path [owned]",
        "human: !!python/module:antigravity",
    ],
)
def test_row_42_a_configuration_makes_no_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, config: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("build.yaml").write_text(config)
    said = error_of(["build", "build.yaml", "--output", "out"], capsys)
    assert "build.yaml: not readable as YAML: could not determine a construc" in said
    assert sorted(os.listdir()) == ["build.yaml"]


def test_row_42_aliases_of_aliases_are_not_spelt_out(tmp_path: Path, capsys) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 12):
        again = ", ".join([f"*a{n - 1}"] * 9)
        lines.append(f"a{n}: &a{n} [{again}]")
    for first in ("", "human:\n  "):
        indented = "\n".join(first.replace("human:\n", "") + line for line in lines)
        config = tmp_path / "build.yaml"
        config.write_text(first.partition("\n")[0] + "\n" + indented)
        began = time.process_time()
        error_of(["build", str(config), "--output", str(tmp_path / "o")], capsys)
        assert time.process_time() - began < 5


def test_row_42_nothing_of_ours_unpickles_or_evaluates() -> None:
    risky = re.compile(
        r"^\s*(?:import|from)\s+(?:pickle|cPickle|dill|cloudpickle|marshal|shelve|joblib)"
        r"\b|\byaml\.(?:load|unsafe_load|full_load|load_all)\(|\bLoader\b"
        r"|(?<![\w.])(?:eval|exec)\(|\.(?:read|to)_pickle\(|allow_pickle\s*=\s*True"
        r"|\btorch\.load\(|\bos\.system\(|shell\s*=\s*True",
        re.M,
    )
    files = [p for name in OURS for p in (REPOSITORY / name).rglob("*.py")]
    assert len(files) > 100
    found = {
        f"{path.relative_to(REPOSITORY)}: {match.group().strip()}"
        for path in files
        for match in risky.finditer(path.read_text(encoding="utf-8"))
    }
    assert found == set()


# Row 43: what documents say on pages.


@pytest.fixture(scope="module")
def hostile_pages(shared_workshop) -> Path:
    """A folder with the pages of a real build of documents that want to be scripts."""
    texts = [f"{text_of(i)} {SCRIPT} {IMAGE}" for i in range(12)]
    columns = {
        "id": [f"{SCRIPT}{i}" for i in range(12)],
        "source": [f"{IMAGE}{i % 3}" for i in range(12)],
    }
    shared_workshop.write("human/h", [*texts, texts[0]][:12], **columns)
    shared_workshop.write("synthetic/s", texts, **columns)
    shared_workshop.build(rejected_text=True)
    out = shared_workshop.path / "out"
    given = [str(out), "--format", "html", "--focus", "random", "--n", "6"]
    assert main(["review", "export", *given]) == 0
    return out


def test_row_43_no_document_becomes_markup(hostile_pages: Path) -> None:
    for page in (hostile_pages / "report.html", hostile_pages / "review/random.html"):
        html = page.read_text(encoding="utf-8")
        assert "Content-Security-Policy" in html
        # Each page has at most one script, its own, and the policy names its hash.
        assert html.count("<script") <= 2
        assert "document.title = 'gone'</script>" not in html
        assert "<img" not in html


def test_row_43_pages_of_a_build_run_nothing_in_a_browser(
    hostile_pages: Path, browser
) -> None:
    wrong: list[str] = []
    context = browser.new_context()
    context.add_init_script(
        "window.refused = []; document.addEventListener("
        "'securitypolicyviolation', e => window.refused.push(e.blockedURI))"
    )
    for event in ("weberror", "console", "dialog"):
        context.on(event, lambda said: wrong.append(str(said)))
    context.on("request", lambda asked: wrong.append(asked.url))
    places = [hostile_pages / name for name in ("report.html", "review/random.html")]
    for place in places:
        page = context.new_page()
        page.goto(place.as_uri())
        assert page.title() != "gone"
        assert page.locator("img[src^=http]").count() == 0
        wrong += page.evaluate("window.refused")
    context.close()
    assert wrong == [place.as_uri() for place in places]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A headless Chromium; skips the test, with the reason, where there is none."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    named = os.environ.get("SYNTHFILTER_CHROMIUM")
    path = named or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no chromium on this machine; name one in SYNTHFILTER_CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


# Row 44: credentials.


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (
            f"cannot list 's3://{KEY_ID}:{PASSWORD}@bucket/x.jsonl'",
            "cannot list 's3://[hidden]@bucket/x.jsonl'",
        ),
        (f"s3://u:{PASSWORD}/{SIGNATURE}@bucket/x", "s3://[hidden]@bucket/x"),
        ("s3://host:9000/a@b/c", "s3://host:9000/a@b/c"),
        (
            f"https://b/k?X-Amz-Credential={KEY_ID}&X-Amz-Signature={SIGNATURE}#f",
            "https://b/k?X-Amz-Credential=[hidden]&X-Amz-Signature=[hidden]#f",
        ),
        (f"az://c/x?sv=1&sig={SIGNATURE}&se=2", "az://c/x?sv=1&sig=[hidden]&se=2"),
        (f"?access_token={SIGNATURE}", "?access_token=[hidden]"),
        (f"Authorization: Bearer {SIGNATURE}", "Authorization: Bearer [hidden]"),
        (f"aws_secret_access_key = {PASSWORD}", "aws_secret_access_key = [hidden]"),
        (f'{{"password": "{PASSWORD}"}}', '{"password": "[hidden]"}'),
        (f"denied to {KEY_ID}.", "denied to [hidden]."),
        ("hf_abcdefghijklmnopqrstuv", "[hidden]"),
        ("data/key=1/part.parquet", "data/key=1/part.parquet"),
        ("unexpected token: got 5", "unexpected token: got 5"),
    ],
)
def test_row_44_credentials_are_hidden_and_nothing_else(text: str, hidden: str) -> None:
    assert redact(text) == hidden
    assert redact(hidden) == hidden


def test_row_44_no_file_of_a_build_and_no_message_has_a_credential(
    workshop, capfd
) -> None:
    folder = workshop.path / f"s3:/u:{PASSWORD}@host?token={SIGNATURE}&k={KEY_ID}"
    folder.mkdir(parents=True)
    good = [orjson.dumps({"text": text_of(i)}).decode() for i in range(5)]
    name = f"x?sig={SIGNATURE}&{KEY_ID}.jsonl"
    (folder / name).write_text("\n".join([*good, "{broken"]))
    (folder / f"{KEY_ID}.parquet").write_bytes(b"no parquet")
    workshop.build(
        human=str(folder), cache=str(workshop.path / "cache"), max_dead_letters=2
    )
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("synthfilter: warning: broken: ")
    out = workshop.path / "out"
    rows = workshop.rows("dead_letter")
    assert len(rows) == 2
    told = [str(rows), str(workshop.rows()), said.err]
    told += [p.read_text() for p in out.iterdir() if p.is_file()]
    for secret in (SIGNATURE, KEY_ID):
        assert not [text for text in told if secret in text]
    assert "[hidden]" in told[0]


def test_row_44_errors_and_lineage_hide_what_opens_a_store(capsys) -> None:
    address = f"s3://{KEY_ID}:{PASSWORD}@bucket/x.jsonl?X-Amz-Signature={SIGNATURE}"
    for arguments in (
        ["build", "--human", f"/none/{SIGNATURE}?sig={SIGNATURE}", "--output", "o"],
        ["build", "--human", "h", "--output", "o", "--unit", f"?sig={SIGNATURE}"],
        ["build", "--humann", address],
        ["inspect", f"/none/?token={SIGNATURE}"],
    ):
        said = error_of(arguments, capsys)
        assert f"={SIGNATURE}" not in said
        assert PASSWORD not in said
    assert one_line(f"a\n\x1b[1mb {address}").isprintable()


# Row 45: texts that are slow to look at.


@pytest.mark.parametrize(
    "unit",
    [
        "://",
        "://a:",
        "?a_",
        "a-",
        "token=",
        "bearer ",
        "=",
        "&key",
        '"password": ',
        "@",
    ],
)
def test_row_45_redaction_takes_linear_time(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    began = time.process_time()
    redact(text)
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "\u0301",
        "<script ",
        "<meta name=",
        "-----BEGIN ",
        "\ufe0f",
        "\ufeff",
        "http://",
        "\u200b \u00a0",
        "((((",
    ],
)
def test_row_45_a_line_of_a_megabyte_takes_linear_time(unit: str) -> None:
    text = pa.array([unit * (1_000_000 // len(unit.encode()))], pa.large_string())
    began = time.process_time()
    normal = normalise(text)
    count_words(normal)
    find_marks(text)
    assert time.process_time() - began < 3


# Row 46: a source that is nearly gone.


def test_row_46_a_source_that_copies_nearly_wipe_out_stops_the_build(
    workshop, capsys
) -> None:
    texts = [text_of(i) for i in range(30)]
    workshop.write("human/first", texts, created=["2001-01-01"] * 30)
    workshop.write("human/second", [*texts[1:], text_of(99)])
    workshop.build(code=3, max_source_loss=0.9)
    assert (
        "documents: 'second.parquet' 29 of 30 (29 as copies)" in capsys.readouterr().err
    )
    assert not (workshop.path / "out/manifest.json").exists()


def test_row_46_a_source_that_filters_nearly_wipe_out_stops_the_build(
    workshop, capsys
) -> None:
    workshop.write("human/first", [text_of(i) for i in range(30)])
    workshop.write("human/blank", [text_of(99), *[" "] * 25])
    workshop.build(code=3, max_source_loss=0.9)
    assert (
        "documents: 'blank.parquet' 25 of 26 (0 as copies)" in capsys.readouterr().err
    )
