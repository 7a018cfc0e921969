"""Plain English in everything that users read: documents, pages of findings, help of commands, messages.

The table names turns that are never needed, each with its plain form. Add a row when you meet another one.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPILER = ROOT / "compiler/fgc"

PLAIN = {
    r"without a word": "silently",
    r"draws? on": "uses",
    r"of (yours|ours|theirs)": "your own, our own, their own",
    r"otherwise than": "differently from",
    r"(is|are|be) told of": "knows, is reported",
    r"counts? for nothing": "is ignored",
    r"means? nothing": "is invalid, has no effect",
    r"leads? nowhere": "cannot be resolved, does not exist",
    r"goes? not": "does not go",
    r"in vain": "without success",
    r"at hand": "available",
    r"silences nothing": "has no effect",
    r"stands? (behind|in front of|there)": "follows, precedes, is there",
    r"(?<!there )(is|are) no (?!longer|more|less|better)\w+": "is not a",
}
_BANNED = [(re.compile(rf"\b{turn}\b", re.IGNORECASE), plain) for turn, plain in PLAIN.items()]
_ANY = re.compile("|".join(turn.pattern for turn, _ in _BANNED), re.IGNORECASE)
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)

DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "editors/README.md")),
    *sorted((ROOT / "docs/guide").glob("*.md")),
    *sorted((ROOT / "docs/reference").glob("*.md")),
    *sorted((COMPILER / "diagnostics/pages").glob("*.md")),
    *sorted(path for path in (ROOT / "examples").rglob("README.md") if "output_models" not in path.parts),
]


def _complaints(text: str) -> list[str]:
    """Returns the turns of the table that a text has outside code, each with its plain form."""
    prose = " ".join(_CODE.sub("`code`", text).split())
    if not _ANY.search(prose):
        return []
    return [f"`{found[0]}`: write {plain}" for turn, plain in _BANNED for found in turn.finditer(prose)]


def _messages(path: Path) -> Iterator[str]:
    """Yields the texts of a module that can be messages or help: its literals, and the docstring of a command."""
    source = path.read_text(encoding="utf-8")
    if not _ANY.search(" ".join(source.split())):
        return  # most modules: parsing all of them takes seconds
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    if path.parent.name == "commands":
        yield ast.get_docstring(tree) or ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_documents_have_none_of_the_turns() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in DOCUMENTS}
    found = {str(path.relative_to(ROOT)): _complaints(text) for path, text in texts.items()}
    assert {name: complaints for name, complaints in found.items() if complaints} == {}


def test_messages_and_help_have_none_of_the_turns() -> None:
    paths = sorted(COMPILER.rglob("*.py"))
    found = {str(path.relative_to(ROOT)): [c for text in _messages(path) for c in _complaints(text)] for path in paths}
    assert {name: complaints for name, complaints in found.items() if complaints} == {}


@pytest.mark.parametrize("text", ["`x` is no name", "It draws\non a template", "a word of yours"])
def test_a_turn_is_found(text: str) -> None:
    assert _complaints(text) != []


@pytest.mark.parametrize("text", ["there is no file", "it is no longer there", "write `a is no b`", "it is not a name"])
def test_plain_english_is_not_reported(text: str) -> None:
    assert _complaints(text) == []
