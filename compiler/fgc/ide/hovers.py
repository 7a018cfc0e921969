"""Describes the name or value under the pointer, as Markdown."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from fgc.ide.editor import Editor
from fgc.ide.marks import Mark, MarkKind
from fgc.ide.navigation import definitions, file_of, mark_under, overridden, overriding, template_of
from fgc.ide.python_names import describe
from fgc.ide.values import printed_at, value_at
from fgc.text import Span
from fgc.workspace.files import display_path

_MAX_NAMED = 5
_MAX_CONTEXTS = 3


class Hover(Struct, frozen=True):
    """Markdown, and the place that it is about."""

    markdown: str
    span: Span


def hover(editor: Editor, path: str, offset: int) -> Hover | None:
    """Returns what is known of a place; None if that is nothing."""
    mark = mark_under(editor, path, offset)
    parts = [] if mark is None else [*_of_mark(editor, path, mark)]
    span = None if mark is None else mark.span
    for part, place in _of_values(editor, path, offset):
        parts.append(part)
        span = span or place
    return Hover("\n\n".join(parts), span) if parts and span is not None else None


def _of_mark(editor: Editor, path: str, mark: Mark) -> Iterator[str]:
    match mark.kind:
        case MarkKind.CALLABLE:
            found = describe(editor, path, mark)
            if found is not None:
                yield f"```python\n{found.text}\n```"
                yield from filter(None, [found.summary])
                if found.place is not None:
                    yield f"{display_path(Path(found.place.path))}:{found.place.line}"
        case MarkKind.BLOCK | MarkKind.SUPER:
            yield from _of_block(editor, path, mark)
        case MarkKind.TEMPLATE:
            yield from _of_template(editor, path, mark)
        case MarkKind.FILTER | MarkKind.TEST | MarkKind.OBJECT:
            pass
        case _:
            places = definitions(editor, path, mark.span.start)
            if places:
                yield f"`{mark.name}` is set {_named(places)}"


def _of_block(editor: Editor, path: str, mark: Mark) -> Iterator[str]:
    above = [found.span for found in overridden(editor, path, mark)]
    if mark.kind is MarkKind.SUPER:
        yield f"`super()` prints the block `{mark.name}` {_named(above)}" if above else "there is nothing above this"
        return
    below = [found.span for found in overriding(editor, path, mark)]
    yield f"block `{mark.name}`" + (f" overrides the one {_named(above)}" if above else "")
    if below:
        yield f"overridden {_named(below)}"


def _of_template(editor: Editor, path: str, mark: Mark) -> Iterator[str]:
    for template in template_of(editor, path, mark):
        yield f"`{mark.name}`: {display_path(Path(template.path))}"
        closure = editor.families.closure(template.path)
        parents = [parent.part or display_path(Path(parent.path)) for parent in closure.ancestors(template)]
        if parents:
            yield f"extends {', '.join(f'`{parent}`' for parent in parents)}"


def _of_values(editor: Editor, path: str, offset: int) -> Iterator[tuple[str, Span]]:
    """Yields what stands at a place in each configuration that draws on the file; equal values once."""
    shown: dict[str, tuple[list[str], Span]] = {}
    for config in editor.contexts(path)[:_MAX_CONTEXTS] or [path]:
        selected = editor.selected(config)
        if selected is None:
            continue
        printed = printed_at(selected, path, offset)
        if printed is not None:
            shown.setdefault(f"`{_one_line(printed[1])}`", ([], printed[0]))[0].append(config)
        value = value_at(selected, path, offset)
        if value is not None:
            shown.setdefault(f"`{value.path}` = {_one_line(value.text)}", ([], value.span))[0].append(config)
    for text, (configs, span) in shown.items():
        is_own = configs == [path]
        where = "" if is_own else f" in {', '.join(display_path(Path(config)) for config in configs)}"
        yield f"{text}{where}", span


def _one_line(text: str) -> str:
    return text.replace("\n", " ⏎ ").replace("`", "'").strip() or "empty"


def _named(places: Iterable[Span]) -> str:
    found = [f"in {display_path(Path(file_of(span)))}:{span.first.line}" for span in places]
    more = len(found) - _MAX_NAMED
    return ", ".join(found[:_MAX_NAMED]) + (f" and {more} more places" if more > 0 else "")
