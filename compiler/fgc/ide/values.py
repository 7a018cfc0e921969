"""A place in a template to what stands there in a configuration: the path of a value, and the value."""

from collections.abc import Iterator

from msgspec import Struct

from fgc.explain.values import value_text
from fgc.ide.editor import is_same_file
from fgc.text import Span
from fgc.workspace.selection import Selected
from fgc.yaml import AliasNode, MappingNode, Node, ScalarNode, SequenceNode

_MAX_TEXT = 400
_MAX_DEPTH = 40


class ValueAt(Struct, frozen=True):
    """A value of a configuration. `path` is as `fgc explain` takes it; `span` the key, or the value without one."""

    path: str
    text: str
    span: Span


def value_at(selected: Selected, path: str, offset: int) -> ValueAt | None:
    """Returns the value whose key or text stands at a place of a template; the shortest one."""
    root = selected.compilation.composition.root
    found = [] if root is None else [value for value in _values(root, "", 0) if _covers(value.span, path, offset)]
    return min(found, key=lambda value: value.span.end - value.span.start, default=None)


def printed_at(selected: Selected, path: str, offset: int) -> tuple[Span, str] | None:
    """Returns the print around a place and the text that it becomes; of several texts, in a loop, the first."""
    for span, texts in prints(selected, path).items():
        if span.start <= offset <= span.end:
            return span, _joined(texts)
    return None


def prints(selected: Selected, path: str) -> dict[Span, list[str]]:
    """Returns what the prints of a template become in a configuration."""
    found: dict[Span, list[str]] = {}
    for segment in selected.compilation.document.segments:
        piece = segment.piece
        if not piece.is_literal and is_same_file(piece.origin.span.source, path):
            found.setdefault(piece.origin.span, []).append(piece.text)
    return found


def _joined(texts: list[str]) -> str:
    first = texts[0] if len(texts[0]) <= _MAX_TEXT else texts[0][:_MAX_TEXT] + "..."
    more = len(set(texts)) - 1
    return f"{first} (and {more} more)" if more else first


def _values(node: Node, path: str, depth: int) -> Iterator[ValueAt]:
    """Yields the values in a node, each at its key and at its own text."""
    if depth > _MAX_DEPTH or isinstance(node, AliasNode):
        return
    match node:
        case MappingNode(pairs=pairs):
            for key, value in pairs:
                if isinstance(key, ScalarNode):
                    inner = f"{path}.{key.value}" if path else key.value
                    yield ValueAt(inner, value_text(value), key.origin.span)
                    yield from _leaf(value, inner)
                    yield from _values(value, inner, depth + 1)
        case SequenceNode(items=items):
            for place, item in enumerate(items):
                inner = f"{path}[{place}]"
                yield from _leaf(item, inner)
                yield from _values(item, inner, depth + 1)
        case _:
            pass


def _leaf(node: Node, path: str) -> Iterator[ValueAt]:
    if isinstance(node, ScalarNode | AliasNode):
        yield ValueAt(path, value_text(node), node.origin.span)


def _covers(span: Span, path: str, offset: int) -> bool:
    return span.start <= offset <= span.end and is_same_file(span.source, path)
