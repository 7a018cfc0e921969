"""Watching a configuration while it is resolved changes nothing in it."""

import json
from pathlib import Path

import pytest
from fgc.diagnostics import Outcome
from fgc.explain.instrument import instrument
from fgc.explain.trace import RECORD, Trace
from fgc.resolve import Facts, resolve
from fgc.syntax import ast, parse
from fgc.text import Source

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests/conformance/cases"


class Loader:
    """The templates of a case, watched or as they are."""

    def __init__(self, folders: list[Path], trace: Trace | None) -> None:
        self._folders = folders
        self._trace = trace
        self.searchpath = [str(folder) for folder in folders]

    def load(self, name: str) -> Outcome[ast.ParsedFile | None]:
        path = next((folder / name for folder in self._folders if (folder / name).is_file()), None)
        return Outcome(None if path is None else self.parse(path, name))

    def parse(self, path: Path, name: str) -> ast.ParsedFile:
        text = path.read_bytes().decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
        file = parse(Source(name, text)).value
        return file if self._trace is None else instrument(file, self._trace)

    def exists(self, name: str) -> bool:
        return any((folder / name).is_file() for folder in self._folders)

    def names(self) -> list[str]:
        return []

    def mentioning(self, word: str) -> list[ast.ParsedFile]:
        return []


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir() if (path / "main.yaml").exists()))
def test_a_watched_case_has_the_same_document_from_the_same_places(case: str) -> None:
    folder = CASES / case
    spec = json.loads((folder / "case.json").read_text()) if (folder / "case.json").exists() else {}
    given = json.loads((folder / "vars.json").read_text()) if (folder / "vars.json").exists() else {}
    folders = [folder / item for item in spec.get("searchpath", ["."])]
    root = spec.get("root", "main.yaml")
    path = next(item / root for item in folders if (item / root).exists())
    seen = []
    for trace in (None, Trace()):
        loader = Loader(folders, trace)
        variables = given if trace is None else {**given, RECORD: trace.record}
        outcome = resolve(loader.parse(path, root), loader, variables, Facts())
        places = [(str(segment.piece.origin.span), segment.piece.text) for segment in outcome.value.segments]
        seen.append((outcome.value.text, places, [(found.code, str(found.span)) for found in outcome.diagnostics]))
    assert seen[1] == seen[0]
