"""Every template that the project has, and templates made at random: same meaning, same document, a fixed point."""

import json
from pathlib import Path

import pytest
from fgc.diagnostics import Outcome, has_errors
from fgc.format import format_source, meaning_of
from fgc.resolve import Facts, resolve
from fgc.syntax import ast, parse
from fgc.text import Source
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests/conformance/cases"
TEMPLATES = [
    path
    for folder in (ROOT / "stdlib", ROOT / "examples", CASES)
    for path in sorted(folder.rglob("*"))
    if path.suffix in (".yaml", ".jinja") and not path.name.startswith("expected")
]


def read(path: Path) -> Source:
    text = path.read_bytes().decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return Source(path.name, text)


def has_syntax_errors(source: Source) -> bool:
    return has_errors(parse(source).diagnostics)


class FolderLoader:
    """Templates of some folders, formatted or as they are."""

    def __init__(self, folders: list[Path], is_formatting: bool) -> None:
        self._folders = folders
        self._is_formatting = is_formatting
        self.searchpath = [str(folder) for folder in folders]

    def load(self, name: str) -> Outcome[ast.ParsedFile | None]:
        path = next((folder / name for folder in self._folders if (folder / name).is_file()), None)
        return Outcome(None) if path is None else Outcome(self.parse(path, name))

    def parse(self, path: Path, name: str) -> ast.ParsedFile:
        source = read(path)
        text = format_source(source).value if self._is_formatting else source.text
        return parse(Source(name, text)).value

    def exists(self, name: str) -> bool:
        return any((folder / name).is_file() for folder in self._folders)

    def names(self) -> list[str]:
        return []

    def mentioning(self, word: str) -> list[ast.ParsedFile]:
        return []


def documents(root: Path, name: str, folders: list[Path], variables: dict[str, object]) -> tuple[str, str]:
    """The document of a template, of it as it is and with all of its templates formatted."""
    texts = []
    for is_formatting in (False, True):
        loader = FolderLoader(folders, is_formatting)
        texts.append(resolve(loader.parse(root, name), loader, variables, Facts()).value.text)
    return texts[0], texts[1]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_formatted_template_means_the_same_and_stays_formatted(path: Path) -> None:
    source = read(path)
    once = format_source(source).value
    if has_syntax_errors(source):
        assert once == source.text
        return
    formatted = Source(source.name, once)
    assert not has_syntax_errors(formatted)
    assert meaning_of(parse(formatted).value) == meaning_of(parse(source).value)
    assert format_source(formatted).value == once


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir() if (path / "main.yaml").exists()))
def test_a_formatted_case_has_the_same_document(case: str) -> None:
    folder = CASES / case
    spec = json.loads((folder / "case.json").read_text()) if (folder / "case.json").exists() else {}
    variables = json.loads((folder / "vars.json").read_text()) if (folder / "vars.json").exists() else {}
    folders = [folder / item for item in spec.get("searchpath", ["."])]
    root = spec.get("root", "main.yaml")
    path = next(item / root for item in folders if (item / root).exists())
    before, after = documents(path, root, folders, variables)
    assert after == before


def test_the_library_and_the_examples_are_formatted() -> None:
    for folder in ("stdlib", "examples"):
        for path in sorted((ROOT / folder).rglob("*.yaml")):
            source = read(path)
            assert format_source(source).value == source.text, f"run `fgc fmt {path.relative_to(ROOT)}`"


_LINES = st.sampled_from(
    [
        *(
            "",
            "  ",
            "a: 1",
            "    b: 2  ",
            "- x",
            "##c",
            "  ## c  ",
            "a: 1 ## c",
            "#---- part.x ----",
            "|",
            "{# c",
            "#}",
        ),
        *("[a]", "  [b]", "[c!] ", "-- extends 'p'", "--  if a", "    -- if b  ## c", "-- else", "  -- endif"),
        *("-- set x=1", "-- set x", "-- endset", "-- for i in[1,2]:", "-- endfor", "-- block q", "  -- endblock"),
        *("== super( )", "   => x", "<< set y=1", ">> set z=1", "{{a}}", "  k: {{-a|default( 1 )-}}", "{%if a%}"),
        *("{%- endif -%}", "{% raw %}", "{% endraw %}", "{{ (", ") }}", "x: {{ 'a ## b' }}"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_LINES, max_size=12), st.sampled_from(["", "\n"]))
def test_any_text_is_formatted_to_a_fixed_point_with_the_same_document(lines: list[str], end: str) -> None:
    source = Source("t.yaml", "\n".join(lines) + end)
    outcome = format_source(source)
    assert all(found.code != "FGC090" for found in outcome.diagnostics)
    if outcome.diagnostics:
        assert outcome.value == source.text
        return
    assert format_source(Source("t.yaml", outcome.value)).value == outcome.value
    loader = FolderLoader([], False)
    before, after = (
        resolve(parse(Source("t.yaml", text)).value, loader, {"a": 1, "b": 0}, Facts()).value.text
        for text in (source.text, outcome.value)
    )
    assert after == before
