"""Describes the name or value under the pointer, as Markdown."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from fgc.ide.chain import drawing
from fgc.ide.editor import Editor
from fgc.ide.marks import Mark, MarkKind, mark_near
from fgc.ide.navigation import definitions, file_of, mark_under, overridden, overriding, template_of
from fgc.ide.python_names import answer_of, describe
from fgc.ide.values import printed_at, value_at
from fgc.ide.words import STATEMENTS, TAG_TEXTS, filter_text, global_texts, test_text
from fgc.patterns import regex
from fgc.signatures import Verdict
from fgc.text import Source, Span
from fgc.workspace.files import display_path

_WORD = regex(r"^\s*(?:--|<<|>>)\s+(?P<word>[a-z]+)\b|\{%[-+]?\s*(?P<inner>[a-z]+)\b|(?<![^\s\[{,])!(?P<tag>[a-z]+)\b")
_MAX_NAMED = 5
_MAX_CONTEXTS = 3


class Hover(Struct, frozen=True):
    """Markdown, and the place that it is about."""

    markdown: str
    span: Span


def hover(editor: Editor, path: str, offset: int) -> Hover | None:
    """Returns what is known of a place; None if that is nothing."""
    mark = mark_under(editor, path, offset) or mark_near(editor.families.marks(path), offset)
    found = [] if mark is None else [(part, mark.span) for part in _of_mark(editor, path, mark)]
    found += [*_of_values(editor, path, offset), *_of_word(editor.source(path), offset)]
    return Hover("\n\n".join(part for part, _ in found), found[0][1]) if found else None


def _of_word(source: Source, offset: int) -> Iterator[tuple[str, Span]]:
    """Yields what the keyword of a statement or the kind of a tag at a place does."""
    number = source.position(offset).line
    start = source.line_starts[number - 1]
    for match in _WORD.finditer(source.line(number)):
        group = "tag" if match["tag"] else "word" if match["word"] else "inner"
        text = TAG_TEXTS.get(match[group]) if match["tag"] else STATEMENTS.get(match[group])
        if text is not None and match.start() <= offset - start <= match.end():
            sigil = "!" if match["tag"] else ""
            yield f"`{sigil}{match[group]}`: {text}", Span(source, start + match.start(group), start + match.end(group))


def _of_mark(editor: Editor, path: str, mark: Mark) -> Iterator[str]:
    match mark.kind:
        case MarkKind.CALLABLE:
            found = describe(editor, path, mark)
            answer = None if found is not None else answer_of(editor, path, mark.name, mark.span)
            if answer is not None and answer.verdict is Verdict.NOT_INSTALLED:
                yield f"`{answer.wrong}` is not installed in this Python, so nothing is known about `{mark.name}`"
            if found is not None:
                yield f"```python\n{found.text}\n```"
                yield from filter(None, [found.summary])
                if found.place is not None:
                    yield f"{display_path(Path(found.place.path))}:{found.place.line}"
        case MarkKind.BLOCK | MarkKind.SUPER:
            yield from _of_block(editor, path, mark)
        case MarkKind.TEMPLATE:
            yield from _of_template(editor, path, mark)
        case MarkKind.FILTER:
            yield from filter(None, [filter_text(mark.name)])
        case MarkKind.TEST:
            yield from filter(None, [test_text(mark.name)])
        case MarkKind.OBJECT:
            yield f"`{mark.name}`: the name of the object in the generated program"
        case _:
            places = definitions(editor, path, mark.span.start)
            if places:
                yield f"`{mark.name}` is set {_named(places)}"
            elif mark.kind is MarkKind.VARIABLE and mark.name in global_texts():
                yield global_texts()[mark.name]
            elif mark.kind is MarkKind.VARIABLE:
                yield f"`{mark.name}`: no template sets it; it comes from an option, or has its default"


def _of_block(editor: Editor, path: str, mark: Mark) -> Iterator[str]:
    above = [found.span for found in overridden(editor, path, mark)]
    if mark.kind is MarkKind.SUPER:
        yield f"`super()` prints the block `{mark.name}` {_named(above)}" if above else "this has no parent"
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
        children = [link.span for link in drawing(editor, template)]
        if children:
            yield f"drawn on {_named(children)}"


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
