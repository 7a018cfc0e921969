"""The site of the documentation: every page is on it, and its generated pages say what the code says."""

import tomllib
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs/site"


@pytest.fixture(scope="module")
def stage() -> ModuleType:
    return loaded("stage")


def loaded(name: str) -> ModuleType:
    spec = spec_from_file_location(name, SITE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _pages(nav: Any) -> Iterator[str]:
    for entry in nav:
        for value in [entry] if isinstance(entry, str) else entry.values():
            yield from [value] if isinstance(value, str) else _pages(value)


def test_every_page_is_in_the_navigation() -> None:
    nav = tomllib.loads((SITE / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    shown = set(_pages(nav))
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").glob("[gr]*/*.md")}
    assert written <= shown


def test_the_library_page_tells_blocks_options_and_parents(stage: ModuleType) -> None:
    text = "\n".join(stage._library())
    section = text.split("\n## optimizers/adamw.yaml\n")[1].split("\n## ")[0]
    assert "torch's own" in section and "```yaml\n  [optimizer]" in section and "- blocks: `optimizer`" in section
    assert "- extends `'callbacks/base_callbacks.yaml'`" in text


def test_the_python_page_tells_what_public_names_take(stage: ModuleType) -> None:
    text = "\n".join(stage._python())
    assert 'project_dir: str | Path = ".",' in text
    assert "### cosine_with_warmup" in text and "### TrainingArguments" in text


def test_every_finding_has_a_row(stage: ModuleType) -> None:
    pages = dict(stage._findings())
    assert "| [FGC204](FGC204.md) | block overrides nothing |" in pages["index.md"]
    assert pages["FGC204.md"].startswith("# FGC204: block overrides nothing")


def test_the_picture_shows_what_the_commands_print() -> None:
    picture = loaded("picture")
    assert picture.picture() == picture.PICTURE.read_text(encoding="utf-8")
