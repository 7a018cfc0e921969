"""Strings that remember where each character was written, also after they were filtered, sliced or joined."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any

from msgspec.structs import replace

from fgc.patterns import regex
from fgc.text import (
    TEXT,
    DeferredCall,
    DeferredConstant,
    DeferredExpression,
    DeferredOperation,
    DeferredPart,
    FromOutside,
    Origin,
    Piece,
    Source,
    Span,
    as_call,
    is_too_long,
)

NOWHERE = Origin(Span(Source("<environment>", ""), 0, 0))  # of globals, until a place prints them


_TEXT, _DEFERRED, _IS_BROKEN = map(attrgetter, ("text", "deferred", "is_broken"))


class MappedText(str):
    """A string made of pieces. It is an ordinary string to every filter, test and function."""

    __slots__ = ("pieces",)
    pieces: tuple[Piece, ...]

    def __new__(cls, pieces: Iterable[Piece]) -> "MappedText":
        kept = [piece for piece in pieces if piece.text or not piece.is_blank or piece.printed is not None]
        text = super().__new__(cls, "".join(map(_TEXT, kept)))
        text.pieces = tuple(kept)
        return text

    def slice(self, start: int, end: int) -> "MappedText":
        """Returns the characters from `start` to `end`, with their origins."""
        taken: list[Piece] = []
        offset = 0
        for piece in self.pieces:
            if offset > end:
                break
            after = offset + len(piece.text)
            if start <= offset and (after <= end or offset == after):
                taken.append(piece)
            elif start < after and offset < end and start < end:
                taken.append(piece.part(max(start - offset, 0), min(end, after) - offset))
            offset = after
        return MappedText(taken)

    @property
    def is_deferred(self) -> bool:
        return any(map(_DEFERRED, self.pieces))

    def closed(self) -> Any:
        """Returns the same text with nothing open in it."""
        return MappedText(
            Piece(piece.text, piece.origin, piece.is_literal, is_broken=piece.is_broken) for piece in self.pieces
        )

    @property
    def is_broken(self) -> bool:
        """Returns True if some of the text is missing because of a mistake."""
        return any(map(_IS_BROKEN, self.pieces))


class SafeText(MappedText):
    """A text that is escaped already: `escape` leaves it alone, as it does Jinja2's `Markup`."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def pieces_of(value: Any, origin: Origin) -> tuple[Piece, ...]:
    """Returns the pieces that printing a value adds: its own, or one of its text, with `origin` as the place."""
    if isinstance(value, MappedText):
        for piece in value.pieces:
            if piece.origin is NOWHERE:
                return tuple([replace(p, origin=origin) if p.origin is NOWHERE else p for p in value.pieces])
        return value.pieces
    return (Piece(str(value), origin, False),)


def join(values: Iterable[Any], origin: Origin) -> str:
    """Concatenate values; the result is mapped if one of them is."""
    parts = list(values)
    if any(isinstance(part, MappedText) for part in parts):
        return MappedText(piece for part in parts for piece in pieces_of(part, origin))
    return "".join(str(part) for part in parts)


_LOWER_LINE = regex(r"(?<=.)\n(?=[^\s#])")  # not a leading line end, and not before a comment


def outdented(pieces: Sequence[Piece], before: Sequence[Piece], span: Span) -> Sequence[Piece]:
    """Returns pieces with the first one in column 0 marked, if a print indented by `before` has several lines."""
    text = "".join(map(_TEXT, pieces))
    if "\n" not in text or not _begins_line(before):
        return pieces
    found = _LOWER_LINE.search(text)
    if found is None:
        return pieces
    marked = list(pieces)
    at = found.end()
    for number, piece in enumerate(pieces):
        if at < len(piece.text):
            marked[number] = replace(piece, outdented=span)
            break
        at -= len(piece.text)
    return marked


def _begins_line(pieces: Sequence[Piece]) -> bool:
    """Returns True if the last line of a text, which goes on, has anything in it: white space, a key, a comment."""
    last = next((piece.text for piece in reversed(pieces) if piece.text), "\n")
    return not last.endswith("\n")


def deferred_text(text: str, expression: DeferredExpression, origin: Origin) -> MappedText:
    """A text that is computed anew where the program runs. Raises ValueError if that takes too long an expression."""
    if is_too_long(expression):
        raise ValueError("the expression that the program would need for it is too long")
    return MappedText([Piece(text, origin, False, expression)])


def expression_of(value: Any) -> DeferredExpression | str:
    """The run-time expression of an argument: itself if nothing in it is deferred."""
    if not isinstance(value, MappedText) or not value.is_deferred:
        return str(value)
    parts = tuple(piece.deferred or piece.text for piece in value.pieces)
    if len(parts) == 1:
        return parts[0]
    return _operation(TEXT, parts, value) or DeferredCall("concat", parts)


def _operation(name: str, parts: Iterable[DeferredPart], value: str) -> DeferredOperation | None:
    """Returns what a function makes of its arguments, if only variables from outside are open in them."""
    operands: list[FromOutside | DeferredConstant] = []
    for part in parts:
        if isinstance(part, str):
            operands.append(DeferredConstant(part))
        elif isinstance(part, DeferredConstant | FromOutside):
            operands.append(part)
        else:
            return None
    return DeferredOperation(name, tuple(operands), str.__str__(value))


def filtered(name: str, value: MappedText, result: str, origin: Origin) -> str:
    """The origins of a filter's result.

    A filter that cuts, indents or changes single lines leaves each line where it was written; what any other filter
    makes comes from the whole filter expression.
    """
    if hasattr(result, "__html__") and not isinstance(value, SafeText):
        text = filtered(name, value, str(result), origin)
        return SafeText(pieces_of(text, origin))
    if result == value:
        return value
    found = _filtered(name, value, result, origin)
    is_broken = value.is_broken and not (isinstance(found, MappedText) and found.is_broken)
    hole = MappedText([Piece("", origin, False, is_broken=True)])  # where in the text it was is not known any more
    return join((hole, found, hole), origin) if is_broken else found


def _filtered(name: str, value: MappedText, result: str, origin: Origin) -> str:
    if name == "trim":
        start = str(value).find(result)
        return value.slice(start, start + len(result))
    lines, old_lines = result.split("\n"), str(value).split("\n")
    if len(lines) != len(old_lines):
        return MappedText([Piece(result, origin, False)])
    pieces: list[Piece] = []
    for line, old, (mapped, end) in zip(lines, old_lines, _divided(value), strict=True):
        if line == old == old.strip():
            pieces += mapped
        else:
            pieces += [piece for piece in mapped if not piece.text]
            pieces += _line(line, old, MappedText(piece for piece in mapped if piece.text), origin)
        pieces += end
    return MappedText(pieces)


def _divided(value: MappedText) -> Iterator[tuple[list[Piece], list[Piece]]]:
    """The lines of a text: the pieces of each, and those of its line end."""
    line: list[Piece] = []
    for piece in value.pieces:
        start, end = 0, piece.text.find("\n")
        while end >= 0:
            if end > start:
                line.append(piece.part(start, end))
            yield line, [piece.part(end, end + 1)]
            line, start, end = [], end + 1, piece.text.find("\n", end + 1)
        if start < len(piece.text) or not piece.text:
            line.append(piece.part(start, len(piece.text)))
    yield line, []


def _line(line: str, old: str, mapped: MappedText, origin: Origin) -> list[Piece]:
    core = old.strip()
    at = line.find(core) if core else -1
    if at < 0:
        place = mapped.pieces[0].origin if mapped.pieces else origin
        return [Piece(line, place, False)] if line else []
    start = old.find(core)
    middle = mapped.slice(start, start + len(core)).pieces
    edge = middle[0].origin
    return [Piece(line[:at], edge, False), *middle, Piece(line[at + len(core) :], edge, False)]


def deferring(
    function: Callable[..., Any], name: str, depends: Callable[..., bool] | None = None
) -> Callable[..., Any]:
    """A function over texts that defers itself when an argument is deferred, or if it `depends` on where it runs.

    Of a pair of texts, each is deferred for itself.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        args = (*args, *kwargs.values())  # the path functions have no keyword that comes before a positional one
        result = function(*args)
        deferred = [arg for arg in args if isinstance(arg, MappedText) and arg.is_deferred]
        is_bound = depends is not None and depends(*args)
        if not deferred and not is_bound:
            return result
        origin = deferred[0].pieces[0].origin if deferred else NOWHERE
        arguments = _flat(name, [expression_of(arg) for arg in args])
        if isinstance(result, tuple):
            parts = enumerate(result)
            return tuple(_made(text, name, (*arguments, str(n)), origin, is_bound) for n, text in parts)
        return _made(result, name, arguments, origin, is_bound)

    call.__name__ = name
    call.defers = True  # type: ignore[attr-defined]  # what the evaluator asks before it takes the value of a text
    return call


def _made(text: str, name: str, arguments: tuple[DeferredPart, ...], origin: Origin, is_bound: bool) -> MappedText:
    """The result of a function, deferred; known here if only variables from outside are in it."""
    known = None if is_bound else _operation(name, arguments, text)
    return deferred_text(text, known or DeferredCall(name, arguments), origin)


def _flat(name: str, arguments: Sequence[DeferredPart]) -> tuple[DeferredPart, ...]:
    """Arguments of a join, with a join in the first place opened: the same path, in one call."""
    first = as_call(arguments[0]) if isinstance(arguments[0], DeferredOperation) else arguments[0]
    if name == "joinpath" and isinstance(first, DeferredCall) and first.function == "joinpath":
        return (*first.arguments, *arguments[1:])
    return tuple(arguments)
