"""Scalars with text that is known only where the program runs: which stay open, and which must be known now.

A scalar stays open if it is a text: its open pieces become expressions. A variable from outside stays open if it is
all of a scalar that YAML reads as the variable's value, or a part of one that is a text whatever it is; a variable of
the environment also if it is all of a number or a boolean. Keys, tags and other numbers of the machine are needed now.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import yaml
from msgspec.structs import replace

from fgc.patterns import regex
from fgc.syntax import CALL_TAGS
from fgc.text import (
    OF_PATHS,
    TEXT,
    DeferredArgument,
    DeferredCall,
    DeferredConstant,
    DeferredExpression,
    DeferredOperation,
    DeferredOption,
    DeferredPart,
    Document,
    Form,
    FromOutside,
    Need,
    Segment,
    arguments_in,
    as_quoted,
    has_options,
    inner_parts,
    is_of_environment,
    need,
    need_of_option,
    results_in,
    text_with_values,
)
from fgc.yaml.forms import LOADER, MARK, PLACE, joined, shortened
from fgc.yaml.nodes import ScalarNode
from fgc.yaml.scalars import UnsupportedScalar, scalar_type, scalar_value

_NAMES_FILE = regex(r"\.py:")
Parts: TypeAlias = tuple[str | DeferredExpression, ...]
_PROBES = ("0", "1.5", "-3", "true", "null", "2024-01-01", "a", "")  # what a variable from outside may be
_PLAIN = regex(r"[A-Za-z_./][\w./+-]*")  # a text that YAML reads as itself, with no quotes around it
_JOINS: dict[str, Callable[..., str]] = {TEXT: lambda *texts: "".join(texts), **OF_PATHS}  # they make a text of texts
_CALLS = tuple(f"!{kind}" for kind in CALL_TAGS if kind != "meta")  # their scalar is an argument of the program


class OpenValues:
    """Fills scalars of one document, and collects what is needed now."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._seen: set[int] = set()
        self._needs: list[Need] = []

    def fill(
        self,
        node: ScalarNode,
        segments: list[Segment],
        place: tuple[int, int],
        tag_around: str,
        *,
        is_key: bool,
        is_item: bool,
    ) -> None:
        """Set the `parts` or the `argument` of a node; `segments` are what is open of its text at `place`.

        `is_item`: it stands in brackets.
        """
        start, end = place
        node.forms = tuple(_forms(self._document.text[start:end], segments, start, is_item=is_item))
        self._seen.update(segment.start for segment in segments)
        outside = [segment for segment in segments if isinstance(segment.piece.deferred, FromOutside)]
        whole = segments[0].piece.deferred if (segments[0].start, segments[0].end) == (start, end) else None
        if isinstance(whole, FromOutside) and (node.is_plain or isinstance(whole.value, str)):
            reason = _why_closed(node, whole, is_key, tag_around)
            node.argument = _as_read(node, whole) if reason is None else None
            self._need(outside if reason else [], reason or "")
            return
        if isinstance(whole, DeferredOption):
            parts: Parts | None = (whole,)
        else:
            parts = _parts(node.value, segments, self._document.text[start:end], start)
        if not node.is_plain and parts is not None:
            parts = tuple(part if isinstance(part, str) else as_quoted(part) for part in parts)
        reason = _why_no_text(node, parts, segments, is_key, tag_around)
        if len(outside) == len(segments):
            if reason is None and parts is not None:
                node.argument = _text(node.value, parts)
            else:
                self._need(outside, reason or "it is written with escapes")
            return
        self._fill_places(node, segments, outside, parts, is_key, reason)

    def _fill_places(
        self,
        node: ScalarNode,
        segments: list[Segment],
        outside: list[Segment],
        parts: Parts | None,
        is_key: bool,
        reason_of_options: str | None,
    ) -> None:
        """A text with run-time expressions; `reason_of_options` says why no option can be in it."""
        if reason_of_options is not None:
            self._need_options(segments, reason_of_options)
            parts = None if parts is None else tuple(map(text_with_values, parts))
        places = [segment for segment in segments if segment not in outside]
        kind = _kind(node)
        is_typed = kind in ("int", "float", "bool") and parts is not None and _is_variable(parts)
        if is_key or (kind != "str" and not is_typed):
            reason = "it is in a key" if is_key else f"YAML reads `{node.value}` as {_TYPES.get(kind, kind)}"
            self._need(places, reason)
            self._need_options(outside, reason)
            return
        if parts is None:
            self._need(places, "it is written with escapes")
            return
        node.parts = parts

    def tag(self, text: str, start: int, end: int) -> None:
        """Leave out what a tag needs to name a file: a build copies the file, and keeps no path to it."""
        if _NAMES_FILE.search(text):
            segments = self._document.deferred_in(start, end)
            self._seen.update(s.start for s in segments if not isinstance(s.piece.deferred, FromOutside))

    def finish(self, *, is_whole: bool) -> list[Need]:
        """Returns the needs; open text outside of all scalars stands in tags, or between values.

        `is_whole`: all of the document was read.
        """
        rest = [segment for segment in self._document.deferred if is_whole and segment.start not in self._seen]
        outside = [segment for segment in rest if not self._is_comment(segment)]
        self._need([segment for segment in outside if segment.piece.text], "it is not in a value")
        self._need([segment for segment in outside if not segment.piece.text], "it is empty, which YAML reads as null")
        return self._needs

    def _need(self, segments: list[Segment], reason: str) -> None:
        for segment in segments:
            piece = segment.piece
            if piece.deferred is not None:
                self._needs.append(need(piece.deferred, piece.text, piece.origin.span, reason))

    def _need_options(self, segments: list[Segment], reason: str) -> None:
        """Note the options in expressions; what else is in them stays open."""
        for piece in (segment.piece for segment in segments):
            for item in arguments_in(piece.deferred) if piece.deferred is not None else ():
                self._needs.append(need_of_option(item.name, piece.origin.span, reason))

    def _is_comment(self, segment: Segment) -> bool:
        text = self._document.text
        before = text[text.rfind("\n", 0, segment.start) + 1 : segment.start]
        return before.lstrip().startswith("#") or " #" in before


_STANDARD = "tag:yaml.org,2002:"
_TYPES = {"int": "an integer", "float": "a number", "bool": "a boolean", "null": "null", "timestamp": "a date"}


def _why_no_text(
    node: ScalarNode, parts: Parts | None, segments: list[Segment], is_key: bool, tag_around: str
) -> str | None:
    """Returns why variables from outside in a text cannot stay open; None if it is a text whatever they are."""
    if not any(has_options(segment.piece.deferred) for segment in segments if segment.piece.deferred is not None):
        return None
    if is_key:
        return "it is a part of a key"
    if node.tag is not None and node.tag.text != "!" and not node.tag.text.startswith(_CALLS):
        return f"`{node.tag.text}` reads it"
    if tag_around.startswith("!var"):
        return "it belongs to a `!var`"
    if parts is None:
        return "it is written with escapes"
    if any(isinstance(part, FromOutside) and isinstance(part.value, float) for part in parts):
        return "it is a part of a text, in which a number such as 1e-05 is written as 1.0e-05"
    if node.is_plain and not isinstance(segments[0].piece.deferred if len(parts) == 1 else None, DeferredOption):
        known = [segment.piece.text for segment in segments]
        if any(scalar_type(_probed(parts, known, probe), True) != "str" for probe in _PROBES):
            return "it is a part of a text, and YAML may read that as something else: write it in quotes"
    return None


def _probed(parts: Parts, known: list[str], probe: str) -> str:
    """A text in which every variable from outside has the same value; `known` are the texts of what is open in it."""
    now = iter(known)
    return "".join(part if isinstance(part, str) else _probed_part(part, next(now), probe) for part in parts)


def _probed_part(part: DeferredPart, known: str, probe: str) -> str:
    match part:
        case DeferredArgument() | DeferredOption():
            return probe
        case DeferredOperation(operator=function, operands=operands) if function in _JOINS:
            return _JOINS[function](*(_probed_part(operand, str(operand.value), probe) for operand in operands))
        case DeferredOperation():
            return probe
        case _:
            return known


def _forms(written: str, segments: list[Segment], start: int, *, is_item: bool) -> Iterator[Form]:
    """Yields how the scalar is written around each variable from outside that it prints."""
    pieces = [segment.piece.deferred for segment in segments]
    arguments = [item for part in pieces if part is not None for item in arguments_in(part)]
    for name in dict.fromkeys(item.name for item in arguments):
        shown = ["x" if part is None else _placed(part, name) for part in pieces]
        for form in shortened(joined(_around_in(written, segments, start), shown), is_item=is_item):
            yield Form(name, form)


def _placed(part: DeferredPart, name: str) -> str:
    """Returns what an expression prints, with `{}` in the place of a variable and `x` in that of others."""
    match part:
        case str():
            return part
        case DeferredConstant(value=value):
            return str(value)
        case DeferredArgument(name=own, is_quoted=False) | DeferredOption(name=own, is_quoted=False) if own == name:
            return PLACE
        case DeferredOperation(operator="if", operands=(then, _, other)):
            return max((_placed(result, name) for result in (then, other)), key=lambda text: PLACE in text)
        case DeferredOperation(operator=function) | DeferredCall(function=function) if function in _JOINS:
            return _JOINS[function](*(_placed(inner, name) for inner in inner_parts(part)))
        case _:
            return "x"


def _text(value: str, parts: Parts) -> DeferredOperation:
    """A text that is joined from variables from outside and what stands around them."""
    operands = (DeferredConstant(part) if isinstance(part, str) else part for part in parts)
    known = tuple(part for part in operands if isinstance(part, DeferredConstant | FromOutside))
    return DeferredOperation(TEXT, known, value)


def _keeps_type(tag: str, argument: FromOutside) -> bool:
    """Returns True if a tag such as `!!float` reads each number that a variable may have as that number."""
    kinds = {f"{_STANDARD}int": int, f"{_STANDARD}float": float}
    return tag in kinds and all(type(getattr(result, "value", None)) is kinds[tag] for result in results_in(argument))


def _as_read(node: ScalarNode, argument: FromOutside) -> FromOutside:
    """A variable whose default is a text that YAML reads as a number, with that number; `!!float` of a computation."""
    if node.tag is not None and node.tag.text == f"{_STANDARD}float" and isinstance(argument, DeferredOperation):
        return DeferredOperation("float", (argument,), argument.value)  # it may give an integer for other values
    is_number = node.is_plain and node.tag is None and _kind(node) in ("int", "float", "bool")
    is_text = isinstance(argument, DeferredArgument) and argument.default is None and isinstance(argument.value, str)
    return replace(argument, value=scalar_value(node.value, _kind(node))) if is_number and is_text else argument


def _is_misread(node: ScalarNode, result: DeferredPart) -> bool:
    """Returns True if YAML reads a text that may come out as something else."""
    if isinstance(result, DeferredOperation) and result.operator in _JOINS:
        return node.is_plain and any(scalar_type(_probed_part(result, "", p), True) != "str" for p in _PROBES)
    if not isinstance(result, DeferredConstant) or not isinstance(result.value, str) or not node.is_plain:
        return False
    return scalar_type(result.value, True) != "str" or not _PLAIN.fullmatch(result.value)


def _why_closed(node: ScalarNode, argument: FromOutside, is_key: bool, tag_around: str) -> str | None:
    """Returns why a scalar that is a variable from outside cannot stay open; None if it can."""
    if is_key:
        return "it is a key"
    if node.tag is not None and not node.tag.text.startswith(_CALLS) and not _keeps_type(node.tag.text, argument):
        return f"`{node.tag.text.replace(_STANDARD, '!!')}` reads it"
    kind = _kind(node)
    try:
        value = scalar_value(node.value, kind)
    except (UnsupportedScalar, ValueError):
        return f"YAML reads it as {_TYPES.get(kind, kind)}"
    if _as_read(node, argument).value != value or type(value) is not type(_as_read(node, argument).value):
        return f"YAML reads it as {_TYPES.get(kind, 'another text')}"
    if any(_is_misread(node, result) for result in results_in(argument)):
        return "YAML may read one of the texts as something else: write it in quotes"
    if tag_around.startswith("!var"):
        return "it belongs to a `!var`"
    if value is None and tag_around.startswith("!dlist"):
        return "whether it is null decides the length of a list"
    return None


def _kind(node: ScalarNode) -> str:
    if node.tag is not None and node.tag.text == "!":
        return "str"
    return scalar_type(node.value, node.is_plain)


def _is_variable(parts: Parts) -> bool:
    """Returns True if a scalar is a variable of the environment, and nothing else."""
    return len(parts) == 1 and is_of_environment(parts[0])


def _offset_of(value: str, written: str) -> int | None:
    """Returns the offset at which a scalar's text begins, if it is written as it is read, perhaps in quotes."""
    if written == value:
        return 0
    return 1 if written[:1] in ("'", '"') and written[1:-1] == value else None


def _parts(
    value: str, segments: list[Segment], written: str, start: int
) -> tuple[str | DeferredExpression, ...] | None:
    """Returns a text cut at its open pieces; None if it does not hold them so. `start`: where `written` begins."""
    offset = _offset_of(value, written)
    around = _around_in(value, segments, start + offset) if offset is not None else _around(segments, written, start)
    open_texts = [segment.piece.text for segment in segments]
    if written[:1] in ("'", '"') and open_texts == [value]:
        around = ["", ""]  # `toyaml` writes quotes around it
    if around is None or joined(around, open_texts) != value:
        return None
    parts: list[str | DeferredExpression] = []
    for text, segment in zip(around, segments, strict=False):
        parts += [text, segment.piece.deferred] if text else [segment.piece.deferred]  # type: ignore[list-item]
    return (*parts, around[-1]) if around[-1] else tuple(parts)


def _around_in(value: str, segments: list[Segment], start: int) -> list[str]:
    """Returns the texts around the open pieces of a text that begins at `start`."""
    ends = [start, *(segment.end for segment in segments)]
    begins = [*(segment.start for segment in segments), start + len(value)]
    return [value[end - start : begin - start] for end, begin in zip(ends, begins, strict=True)]


def _around(segments: list[Segment], written: str, start: int) -> list[str] | None:
    """Returns the texts around the open pieces of a text with lines or escapes; None if YAML does not read them."""
    if MARK in written:
        return None
    marked = MARK.join(_around_in(written, segments, start))
    try:
        read = yaml.load(marked, Loader=LOADER)
    except yaml.YAMLError:
        return None
    pieces = read.split(MARK) if isinstance(read, str) else []
    return pieces if len(pieces) == len(segments) + 1 else None
