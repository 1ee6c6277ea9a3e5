"""The folders are the flow: who may import whom."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "synthfilter"
STAGES = sorted(
    folder.name
    for folder in PACKAGE.iterdir()
    if (folder / "__init__.py").exists() and folder.name != "core"
)
# What a stage may import besides core and itself.
BESIDES = {"outputs": {"inputs"}}
PURE = ("core.text", "core.hashing", "core.books", "outputs.shard_plan")
PURE_FOLDERS = ("decisions", "detection")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(module: str) -> Iterator[str]:
    """Full names of what a module imports, at the top or inside functions."""
    here = ["synthfilter", *module.split(".")]
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: -node.level]) if node.level else ""
            start = ".".join(part for part in (base, node.module) if part)
            yield from (f"{start}.{alias.name}" for alias in node.names)


def ours(module: str) -> set[str]:
    """First names below the package of what a module imports of it."""
    return {
        name.split(".")[1]
        for name in imports(module)
        if name.startswith("synthfilter.")
    }


def folder_of(module: str) -> str:
    return module.split(".")[0] if "." in module else ""


def test_the_stages_are_those_of_the_flow() -> None:
    assert {"inputs", "detection", "decisions", "outputs"} <= set(STAGES)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_folder_may(module: str) -> None:
    folder = folder_of(module)
    if folder == "core":
        assert ours(module) <= {"core"}
    elif folder in STAGES:
        assert ours(module) <= {"core", folder, *BESIDES.get(folder, ())}


@pytest.mark.parametrize("module", [name for name in MODULES if name != "__main__"])
def test_nobody_imports_the_command_line(module: str) -> None:
    assert "cli" not in ours(module)


def is_pure(module: str) -> bool:
    return module in PURE or folder_of(module) in PURE_FOLDERS


@pytest.mark.parametrize("module", [*filter(is_pure, MODULES)])
def test_pure_logic_knows_no_beam(module: str) -> None:
    assert not [name for name in imports(module) if name.startswith("apache_beam")]


@pytest.mark.parametrize("module", [*filter(is_pure, MODULES)])
def test_pure_logic_has_batches_from_core_only_to_decide(module: str) -> None:
    uses = any(name.startswith("synthfilter.core.batches") for name in imports(module))
    assert not uses or module in ("decisions.decide", "decisions.texts")


def test_the_pure_modules_are_there() -> None:
    assert set(PURE) <= set(MODULES)


def test_no_module_is_called_after_what_it_is_not() -> None:
    vague = {"utils", "util", "common", "helpers", "misc"}
    assert not vague & {part for module in MODULES for part in module.split(".")}
