"""The page of every finding: its bad example shows that finding and no other, its good one none."""

import re
from pathlib import Path

import fgc.diagnostics
import pytest
from fgc.diagnostics import CODES

from tests.corpus.case import compile_texts, show

PAGES = sorted((Path(fgc.diagnostics.__file__).parent / "pages").glob("*.md"))
_EXAMPLE = re.compile(r"^```yaml (bad|good)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def found(text: str) -> list[str]:
    return [show(finding) for finding in compile_texts({"main.yaml": text}).diagnostics]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_is_about_its_code(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {path.stem}: {CODES[path.stem].title}\n")
    examples = dict(_EXAMPLE.findall(text))
    if examples:
        assert {line.split()[2] for line in found(examples["bad"])} == {path.stem}, found(examples["bad"])
        assert found(examples["good"]) == []


def test_every_finding_has_a_page() -> None:
    assert set(CODES) == {path.stem for path in PAGES}
