"""Every case of the corpus: the document, the graph and the findings are what its file says."""

from pathlib import Path

import pytest

from tests.corpus.case import read_case, results, rewritten

FOLDER = Path(__file__).parent
CASES = sorted(FOLDER.glob("*/*.md"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: str(path.relative_to(FOLDER).with_suffix("")))
def test_case(path: Path, request: pytest.FixtureRequest) -> None:
    case = read_case(path)
    if request.config.getoption("--update-corpus"):
        path.write_text(rewritten(case), encoding="utf-8")
        return
    actual = results(case)
    for kind, expected in case.expected.items():
        assert actual[kind] == expected, f"{kind} of {path.name}; `pytest --update-corpus` rewrites it"


def test_a_case_begins_with_its_title() -> None:
    for path in CASES:
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith("# ") and first.endswith("."), f"{path}: the first line is a title sentence"
