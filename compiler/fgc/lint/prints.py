"""Finds printed values that YAML reads back as other values, by comparing them with the nodes of the document.

A text may be printed as YAML on purpose. It is compared only where the author's quotes, or its place as a value, show
that a text was meant.
"""

import math
from bisect import bisect_right
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView

from fgc.diagnostics import Diagnostic, Edit, Severity
from fgc.ir import Graph
from fgc.lint.rules import rule
from fgc.patterns import regex
from fgc.text import Document, Segment, Span
from fgc.yaml import (
    AliasNode,
    Composition,
    MappingNode,
    Node,
    Place,
    ScalarNode,
    SequenceNode,
    UnsupportedScalar,
    scalar_type,
    scalar_value,
)

_COMMENT = regex(r"(?:(?<=\s)|\A)#")
_POSTFIX = regex(r"[\w.]+(?:\([^()]*\))?|'[^']*'|\"[^\"]*\"|\[[^\[\]]*\]|\([^()]*\)")
_KINDS = {"null": "null", "bool": "a boolean", "int": "an integer", "float": "a number", "str": "a text"}
_VALUES = {bool: "a boolean", int: "an integer", float: "a number", str: "a text", type(None): "none"}
_SHOWN = 40  # characters of a printed text


def values_printed(document: Document) -> set[Span]:
    """Returns the prints whose value is not a text, which `changed_print` alone reports."""
    printed = ((segment.piece.printed, segment.piece.origin.span) for segment in document.printed)
    return {span for value, span in printed if value is not None and not isinstance(value.value, str)}


@rule
def changed_print(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC314: a tuple or `1e-05` that becomes a text, a text that `#`, `: ` or an escape changes."""
    segments = [segment for segment in composition.document.printed if segment.piece.printed is not None]
    if not segments:
        return
    layout = _Layout(composition)
    said: set[Span] = set()
    for segment in segments:
        found = _change(segment, layout)
        if found is not None and found.span not in said:
            said.add(found.span)
            yield found


class _Layout:
    """The positions of nodes in a document."""

    def __init__(self, composition: Composition) -> None:
        self.text = composition.document.text
        places = composition.places
        self._scalars = sorted((p for p in places if isinstance(p.node, ScalarNode)), key=lambda p: (p.start, p.end))
        self._starts = [place.start for place in self._scalars]
        self._flow = {(place.start, place.end): place for place in places if place.style == "flow"}
        self._mappings = {p.start: p for p in places if p.style == "block" and isinstance(p.node, MappingNode)}

    def exact(self, start: int, end: int) -> Place | None:
        """The node that stands exactly there."""
        scalar = self.scalar_at(start)
        if scalar is not None and (scalar.start, scalar.end) == (start, end):
            return scalar
        return self._flow.get((start, end))

    def scalar_at(self, offset: int) -> Place | None:
        """The scalar that a character belongs to."""
        index = bisect_right(self._starts, offset) - 1
        return self._scalars[index] if index >= 0 and offset < self._scalars[index].end else None

    def is_null(self, offset: int) -> bool:
        """Returns True if a value without any character stands there."""
        index = bisect_right(self._starts, offset) - 1
        return index >= 0 and self._scalars[index].start == self._scalars[index].end == offset

    def touches(self, start: int, end: int) -> bool:
        """Returns True if any scalar has characters in a range."""
        index = bisect_right(self._starts, start)
        return self.scalar_at(start) is not None or (index < len(self._starts) and self._starts[index] < end)

    def mapping_at(self, offset: int) -> Place | None:
        """The mapping without braces that begins there."""
        return self._mappings.get(offset)

    def before(self, offset: int) -> tuple[int, str]:
        """Returns the start of the line of an offset, and the text of the line before the offset."""
        start = self.text.rfind("\n", 0, offset) + 1
        return start, self.text[start:offset]

    def comment_in(self, start: int, end: int) -> int | None:
        """Returns the offset at which a comment begins in a range, or None."""
        for match in _COMMENT.finditer(self.text, start, end):
            if self.scalar_at(match.start()) is None:
                return match.start()
        return None


def _change(segment: Segment, layout: _Layout) -> Diagnostic | None:
    printed = segment.piece.printed
    text = segment.piece.text
    start = segment.start + len(text) - len(text.lstrip())
    end = segment.end - (len(text) - len(text.rstrip()))
    if printed is None:
        return None
    if start >= end:
        return _emptied(segment, layout) if printed.value == "" else None
    line, before = layout.before(start)
    if layout.comment_in(line, start) is not None:
        return None
    place = layout.exact(start, end)
    if not isinstance(printed.value, str):
        return _changed_value(segment, printed.value, place, layout.touches(start, end), layout.scalar_at(start))
    if place is not None and place.style in ("flow", "quoted"):
        return None  # a text that is written in YAML's own way
    return (
        _cut(segment, start, end, before, layout)
        or _mapping(segment, start, end, before, layout)
        or _escaped(segment, start, end, layout)
    )


# ---- values


def _changed_value(
    segment: Segment, value: object, place: Place | None, is_read: bool, around: Place | None
) -> Diagnostic | None:
    if place is None:
        is_part = around is not None and around.start <= segment.start and segment.end <= around.end
        difference = (value, "several values") if is_read and not is_part else None
    elif place.node.tag is not None and (place.node.tag.text == "!" or place.node.tag.text.startswith("tag:")):
        difference = None  # the author says what it is
    else:
        difference = _difference(value, place.node)
    if difference is None:
        return None
    changed, reading = difference
    shown = _shown(segment)
    part = "" if changed is value else f" that holds {_kind(changed)}"
    text = str(changed) if not isinstance(changed, str) else repr(changed)
    message = f"{shown} is {_kind(value)}{part}, and YAML reads its text `{_short(text)}` as {reading}"
    return _finding(segment, message, "list" if isinstance(value, (range, KeysView, ValuesView)) else "toyaml", value)


def _difference(value: object, node: Node) -> tuple[object, str] | None:
    """Returns the first part of a value that differs in a node, and what YAML reads in its place."""
    if isinstance(node, ScalarNode):
        return None if _is_scalar(value, node) else (value, _reading(node))
    if isinstance(value, Mapping) and isinstance(node, MappingNode) and len(value) == len(node.pairs):
        parts = [part for pair in value.items() for part in pair]
        nodes = [part for pair in node.pairs for part in pair]
    elif isinstance(value, list) and isinstance(node, SequenceNode) and len(value) == len(node.items):
        parts, nodes = value, node.items
    else:
        return value, _reading(node)
    return next((d for d in map(_difference, parts, nodes) if d is not None), None)


def _is_scalar(value: object, node: ScalarNode) -> bool:
    try:
        read = scalar_value(node.value, scalar_type(node.value, node.is_plain))
    except (UnsupportedScalar, ValueError):
        return False
    if isinstance(value, float) and math.isnan(value):
        return isinstance(read, float) and math.isnan(read)
    kinds = (bool, int, float, str)
    same_kind = value is None or any(isinstance(value, k) and isinstance(read, k) for k in kinds)
    return same_kind and type(read) in (bool, int, float, str, type(None)) and read == value


def _reading(node: Node) -> str:
    match node:
        case ScalarNode():
            kind = scalar_type(node.value, node.is_plain)
            return "another text" if kind == "str" and not node.is_plain else _KINDS.get(kind, f"a {kind}")
        case SequenceNode():
            return "a list"
        case MappingNode():
            return "a mapping"
        case AliasNode():
            return "an alias"


def _kind(value: object) -> str:
    if isinstance(value, (KeysView, ValuesView, ItemsView)):
        return "a view of a mapping"
    if isinstance(value, Mapping):
        return "a mapping"
    known = next((words for kind, words in _VALUES.items() if isinstance(value, kind)), None)
    return known or f"a {type(value).__name__.lower().lstrip('_')}"


# ---- texts


def _emptied(segment: Segment, layout: _Layout) -> Diagnostic | None:
    """Returns a finding for an empty text as a whole value, which YAML reads as null."""
    line, before = layout.before(segment.start)
    rest = layout.text[segment.end :].partition("\n")[0]
    if rest.strip() or not layout.is_null(line + len(before.rstrip())):
        return None
    message = f"{_shown(segment)} is an empty text, which YAML reads as null"
    return _finding(segment, message, "toyaml", "")


def _cut(segment: Segment, start: int, end: int, before: str, layout: _Layout) -> Diagnostic | None:
    """Returns a finding for a text whose rest becomes a comment; on its own line, a comment may be meant."""
    line_end = layout.text.find("\n", start, end)
    at = layout.comment_in(start, end if line_end < 0 else line_end)
    if at is None or not before.strip():
        return None
    message = f"the `#` in what {_shown(segment)} prints begins a comment: `{_short(layout.text[at:end])}` is lost"
    return _finding(segment, message, "toyaml", layout.text[start:end], is_whole=_stands_for_value(before))


def _mapping(segment: Segment, start: int, end: int, before: str, layout: _Layout) -> Diagnostic | None:
    """Returns a finding for a text that `: ` turns into a mapping; on its own line, pairs may be meant."""
    key = layout.scalar_at(start)
    if key is None or not key.end < end or layout.text[key.end : key.end + 1] != ":":
        return None
    mapping = layout.mapping_at(key.start)
    if mapping is None or (key.start == start and not before.strip()) or layout.text[end : mapping.end].strip():
        return None
    message = f"the `: ` in what {_shown(segment)} prints makes the text a mapping"
    return _finding(segment, message, "toyaml", layout.text[start:end], is_whole=_stands_for_value(before))


def _escaped(segment: Segment, start: int, end: int, layout: _Layout) -> Diagnostic | None:
    """Returns a finding for a text in the author's quotes that an escape changes."""
    place = layout.scalar_at(start)
    if place is None or place.style != "quoted" or not (place.start < start and end < place.end):
        return None
    assert isinstance(place.node, ScalarNode), "only scalars stand in quotes"
    text = layout.text[start:end]
    if _squeezed(text) in _squeezed(place.node.value):
        return _folded(segment, text, place.node.value)
    quote = layout.text[place.start]
    escape = "\\" if quote == '"' else "''"
    message = (
        f"`{escape}` in what {_shown(segment)} prints is read as an escape, because the print is between `{quote}`"
    )
    help = f"print it as YAML, without the quotes: `{{{{ {_filtered(segment.piece.origin.span.text, 'toyaml')} }}}}`"
    return Diagnostic.at(segment.piece.origin, "FGC314", message, severity=Severity.WARNING, help=help)


def _folded(segment: Segment, text: str, value: str) -> Diagnostic | None:
    if "\n" not in text or "\n" in value:
        return None
    message = f"what {_shown(segment)} prints has several lines, and in quotes YAML joins them to one"
    help = f"print it as YAML, without the quotes: `{{{{ {_filtered(segment.piece.origin.span.text, 'toyaml')} }}}}`"
    return Diagnostic.at(segment.piece.origin, "FGC314", message, severity=Severity.WARNING, help=help)


def _squeezed(text: str) -> str:
    """A text without white space, which folding changes."""
    return "".join(text.split())


def _stands_for_value(before: str) -> bool:
    return before.rstrip().endswith((":", "-", ",", "["))


# ---- words


def _shown(segment: Segment) -> str:
    return f"`{_short(segment.piece.origin.span.text)}`"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _finding(segment: Segment, message: str, filter: str, value: object, *, is_whole: bool = True) -> Diagnostic:
    span = segment.piece.origin.span
    better = _filtered(span.text, filter)
    help, fix = f"print it as YAML: `{better}`", None
    if isinstance(value, ItemsView):
        help = "print a mapping, or a list of texts and numbers"
    elif is_whole and _holds_as_yaml(value):
        fix = Edit(span, better)
    elif not is_whole:
        help = "put quotes around the whole value"
    return Diagnostic.at(segment.piece.origin, "FGC314", message, severity=Severity.WARNING, help=help, fix=fix)


def _filtered(expression: str, filter: str) -> str:
    expression = expression.strip()
    base = expression if _POSTFIX.fullmatch(expression) else f"({expression})"
    return f"{base} | {filter}"


def _holds_as_yaml(value: object) -> bool:
    return isinstance(value, (str, float, type(None), list, tuple, Mapping, range, KeysView, ValuesView))
