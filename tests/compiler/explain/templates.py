"""Templates in memory, and what `explain` says of them."""

from collections.abc import Mapping

from fgc.diagnostics import Outcome
from fgc.explain import Explanation, UnknownPath, explain
from fgc.resolve import Facts
from fgc.syntax import ast, parse
from fgc.text import Source, Span


class MemoryLoader:
    """Templates by name."""

    searchpath = ("memory",)

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def load(self, name: str) -> Outcome[ast.ParsedFile | None]:
        return Outcome(parse(Source(name, self._files[name])).value if name in self._files else None)

    def exists(self, name: str) -> bool:
        return name in self._files

    def names(self) -> list[str]:
        return list(self._files)

    def mentioning(self, word: str) -> list[ast.ParsedFile]:
        return []


def look_up(
    path: str, main: str, given: Mapping[str, object] | None = None, **others: str
) -> Explanation | UnknownPath:
    """Explain a path of `main`; other templates are named by keyword."""
    files = {f"{name}.yaml": text for name, text in others.items()}
    entry = parse(Source("main.yaml", main)).value
    return explain(entry, MemoryLoader(files), given or {}, Facts(), path=path)


def explained(path: str, main: str, given: Mapping[str, object] | None = None, **others: str) -> Explanation:
    """The explanation of a path that exists."""
    found = look_up(path, main, given, **others)
    assert isinstance(found, Explanation), str(found)
    return found


def place(span: Span) -> str:
    """`main.yaml:2 'text'`: the line and the text of a span."""
    return f"{span.source.name}:{span.first.line} {span.text!r}"
