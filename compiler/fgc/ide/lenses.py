"""Lines that an editor shows between and behind the author's: who overrides what, and what a print becomes."""

import re
from collections.abc import Iterator

from msgspec import Struct

from fgc.ide.editor import Editor
from fgc.ide.marks import MarkKind
from fgc.ide.navigation import overridden, overriding
from fgc.ide.outline import place_text
from fgc.ide.values import prints
from fgc.text import Span

_MAX_HINT = 40
_BRACES = re.compile(r"\s*[-+]?\}\}")


class Lens(Struct, frozen=True):
    """A line above a place. `places` are those that it leads to; `command` is what it starts instead."""

    title: str
    span: Span
    places: tuple[Span, ...] = ()
    command: str | None = None


class Hint(Struct, frozen=True):
    """A word behind a place."""

    label: str
    offset: int


def lenses(editor: Editor, path: str) -> Iterator[Lens]:
    """Yields what stands above the blocks of a file, and above a configuration what can be done with it."""
    if path in editor.families.configurations():
        top = Span(editor.source(path), 0, 0)
        for title, command in (("build", "build"), ("train --dry-run", "train"), ("resolved text", "pp")):
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
    """Yields what the prints in a range become, in the first configuration that draws on the file."""
    selected = editor.context(path)
    if selected is None:
        return
    for span, texts in sorted(prints(selected, path).items(), key=lambda item: item[0].start):
        text = texts[0].strip()
        is_short = "\n" not in text and 0 < len(text) <= _MAX_HINT
        behind = _BRACES.match(span.source.text, span.end)
        if start <= span.start <= end and is_short and behind is not None and len(set(texts)) == 1:
            yield Hint(f"= {text}", behind.end())
