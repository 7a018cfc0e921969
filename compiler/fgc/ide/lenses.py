"""Lines that an editor shows between and behind the author's: who overrides what, and what a print becomes."""

from collections.abc import Iterator

from msgspec import Struct

from fgc.ide.editor import Editor, is_same_file
from fgc.ide.marks import MarkKind
from fgc.ide.navigation import overridden, overriding
from fgc.ide.outline import place_text
from fgc.ide.values import prints
from fgc.ir import Call, SymbolKind
from fgc.patterns import regex
from fgc.text import Span
from fgc.workspace.selection import Selected

_COMMANDS = {"build": "build", "train --dry-run": "train", "resolved text": "pp", "explain a value": "explain"}
_MAX_HINT = 40
_BRACES = regex(r"\s*[-+]?\}\}")


class Lens(Struct, frozen=True):
    """A line above a place. `places` are those that it leads to; `command` is what it starts instead."""

    title: str
    span: Span
    places: tuple[Span, ...] = ()
    command: str | None = None


class Hint(Struct, frozen=True):
    """A word behind a place, or before it."""

    label: str
    offset: int
    is_before: bool = False


def lenses(editor: Editor, path: str) -> Iterator[Lens]:
    """Yields what stands above the blocks of a file, and above a configuration what can be done with it."""
    if path in editor.families.configurations():
        top = Span(editor.source(path), 0, 0)
        for title, command in _COMMANDS.items():
            yield Lens(title, top, command=command)
    for mark in editor.families.marks(path):
        if mark.kind is not MarkKind.BLOCK:
            continue
        above = tuple(found.span for found in overridden(editor, path, mark))
        below = tuple(found.span for found in overriding(editor, path, mark))
        if above:
            yield Lens(f"overrides {', '.join(map(place_text, above[:3]))}", mark.span, above)
        if below:
            yield Lens(f"{len(below)} override{'s' if len(below) > 1 else ''}", mark.span, below)


def hints(editor: Editor, path: str, start: int, end: int) -> Iterator[Hint]:
    """Yields words for a range: what its prints become in the first configuration that draws on the file, and which
    parameters its arguments by position are.
    """
    selected = editor.context(path)
    if selected is not None:
        found = [*_of_prints(selected, path), *_of_arguments(selected, path)]
        yield from sorted((hint for hint in found if start <= hint.offset <= end), key=lambda hint: hint.offset)


def _of_prints(selected: Selected, path: str) -> Iterator[Hint]:
    for span, texts in prints(selected, path).items():
        text = texts[0].strip()
        is_short = "\n" not in text and 0 < len(text) <= _MAX_HINT
        behind = _BRACES.match(span.source.text, span.end)
        if is_short and behind is not None and len(set(texts)) == 1:
            yield Hint(f"= {text}", behind.end())


def _of_arguments(selected: Selected, path: str) -> Iterator[Hint]:
    """Yields the names of parameters before arguments by position, of callables with one signature."""
    graph = selected.compilation.graph
    offsets: set[int] = set()
    for call in (node for node in graph.nodes.values() if isinstance(node, Call) and node.positional):
        places = [graph[argument].origin.span for argument in call.positional]
        if call.callee.kind is SymbolKind.COMPONENT or not any(is_same_file(span.source, path) for span in places):
            continue
        signatures = selected.python_files.look_up(call.callee).signatures
        names = [parameter.name for parameter in signatures[0].positional] if len(signatures) == 1 else []
        for name, span in zip(names, places, strict=False):
            if is_same_file(span.source, path) and span.start not in offsets:
                offsets.add(span.start)
                yield Hint(f"{name}:", span.start, is_before=True)
