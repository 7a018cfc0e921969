"""The examples of docs/reference/language.md: no findings, and the document that the page shows."""

import re
from pathlib import Path

import pytest

from tests.corpus.case import compile_texts, show

PAGE = (Path(__file__).parents[3] / "docs/reference/language.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```\n\n```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("source", "document"), EXAMPLES)
def test_an_example_becomes_what_stands_behind_it(source: str, document: str) -> None:
    compilation = compile_texts({"main.yaml": source})
    assert [show(finding) for finding in compilation.diagnostics] == []
    assert compilation.document.text.rstrip("\n") == document.rstrip("\n")


def test_every_example_is_tested() -> None:
    assert len(EXAMPLES) == len(re.findall(r"^```yaml$", PAGE, re.MULTILINE)) >= 12
