"""Tracks values that can stay open until the generated program runs, and reports where a template needs them now.

A value is *open* if the generated program can compute it: the name of the host, the time, an environment variable, or
a template variable that the user gives (`-D steps=100`), which becomes an option of the program. Rendering knows two
things about it: its value now, and the expression that the program would evaluate.

    host: {{ hostname }}            host=socket.gethostname()          open: the text is only printed
    run:  {{ hostname }}-1          run=f"{socket.gethostname()}-1"    open: joining keeps both parts
    HOST: {{ hostname | upper }}    HOST="VM"                          pinned: `upper` changes the text (FGC216)
    -- if hostname == "vm"          one branch is chosen               pinned: a comparison needs the text

Texts are open in some of their pieces (`Piece.deferred` in a `MappedText`); numbers, booleans and None are wrapped
(`Given`). The evaluator passes every operand through the method of `Needs` for its use: `printable`, `tested`,
`truth`, `filtered`, `argument`, and `now` for everything else. Each returns the operand unchanged if that use keeps it
open. Otherwise it returns today's value and adds a `Need`, which says which expression was pinned, where, and why.

Invariant: an open value reaches ordinary Python code only after a method here has closed it or noted the need.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from jinja2.runtime import Undefined
from jinja2.utils import Namespace, missing
from msgspec import Struct
from msgspec.structs import replace

from fgc.resolve.environment import Moment, PlacedUndefined, Versions, placement_of, to_yaml
from fgc.resolve.macros import BlockReference, Macro
from fgc.resolve.mapped import NOWHERE, MappedText, expression_of
from fgc.resolve.variables import EnvironmentText, from_environment
from fgc.text import (
    DeferredArgument,
    DeferredCall,
    DeferredExpression,
    DeferredName,
    DeferredOption,
    FromOutside,
    Need,
    Origin,
    Piece,
    Span,
    arguments_in,
    as_quoted,
    environment_name,
    is_of_environment,
    is_secret,
    is_too_long,
    need,
    need_of_option,
    text_with_values,
)

_CLOSED = frozenset({str, int, float, bool, type(None)})  # nearly all values: nothing in them is open
_MAX_ITEMS = 1_000  # of a container that is searched for open values
_KINDS = frozenset(
    {"string", "mapping", "callable", "sequence", "iterable", "none", "number", "integer", "float", "escaped"}
)
_KEEPING = frozenset({"trim", "string", "safe", "indent", "toyaml", "default", "d"})  # filters that change no value
_STORING = frozenset({"append", "extend", "insert", "update", "setdefault"})
_MAY_BE_EMPTY = frozenset({"basename", "dirname", "relpath", "splitext", "concat", "getenv", "or"})


class Given(Struct, frozen=True, eq=False):
    """A number, a boolean or None given to a template variable from outside, or computed from one."""

    value: bool | int | float | None
    expression: FromOutside


class Needs:
    """Collects the uses that need the value of something open."""

    def __init__(self) -> None:
        self.found: list[Need] = []
        self.defaults: dict[str, list[object]] = {}  # `default(...)` values of variables that the user did not give

    def now(self, value: Any, span: Span, reason: str) -> Any:
        """Returns the plain value, and notes a need for everything that is open in it."""
        if type(value) in _CLOSED:
            return value
        for expression, text in open_in(value):
            self.found.append(need(expression, text, span, reason))
        if isinstance(value, Given):
            return value.value
        return value.closed() if isinstance(value, MappedText) and value.is_deferred else value

    def plain(self, value: Any, span: Span, reason: str) -> Any:
        """Returns a value for code that accepts texts but not `Given`; texts stay open."""
        return self.now(value, span, reason) if isinstance(value, Given) else value

    def without_options(self, value: Any, span: Span, reason: str) -> Any:
        """Returns a value for a function that keeps run-time texts open but needs the variables that were given."""
        if not isinstance(value, MappedText):
            return self.plain(value, span, reason)
        mentioned = [item for piece in value.pieces if piece.deferred for item in arguments_in(piece.deferred)]
        self.found += [need_of_option(item.name, span, reason) for item in mentioned]
        return MappedText(map(_piece_without_options, value.pieces)) if mentioned else value

    def printable(self, value: Any, origin: Origin) -> Any:
        """Returns a value as printed: open values stay open; those inside lists and mappings are needed."""
        if isinstance(value, str):
            return value
        if isinstance(value, Given):
            return given_text(value, origin)
        return (
            value.isoformat(" ")
            if isinstance(value, Moment)
            else self.now(value, origin.span, "a list or mapping is printed as a whole")
        )

    def lost(self, before: MappedText, after: str, span: Span, reason: str) -> None:
        """Notes the open parts of a text that are missing from the filtered text."""
        if not before.is_deferred:
            return
        kept = Counter(_open_parts(after) if isinstance(after, MappedText) else ())
        for piece in before.pieces:
            if piece.deferred is None:
                continue
            if kept[piece.deferred] > 0:
                kept[piece.deferred] -= 1
            else:
                self.found.append(need(piece.deferred, piece.text, span, reason))

    def drawn(self, name: str, value: Any, span: Span) -> None:
        """Notes a value that differs at every compilation, such as a random number."""
        self.found.append(Need(DeferredCall(name, ()), str(value)[:40], span, "it is drawn at random"))

    def whether_given(self, value: Any, span: Span) -> None:
        """Notes that the result depends on whether a variable was given at all."""
        if isinstance(value, PlacedUndefined) and (known := placement_of(value)).owner is missing:
            self.found.append(need_of_option(known.name, span, "a test asks if it is set"))

    def default_for(self, value: Any, default: Any, span: Span) -> Any:
        """Returns the result of the filter `default`: for a variable that was not given, its default, still open."""
        if isinstance(value, PlacedUndefined) and not isinstance(default, Undefined):
            known = placement_of(value)
            if known.owner is missing and known.finding is None:
                self.defaults.setdefault(known.name, []).append(
                    default.value if isinstance(default, Given) else default
                )
                made = given(known.name, default)
                if (reason := _why_fixed(known.name, made)) is not None:
                    self.found.append(need_of_option(known.name, span, reason))
                return made
        return default

    def tested(self, test: str, value: Any, span: Span) -> Any:
        """Returns the operand of a test. Tests for a kind (`is string`) keep it open, others need its value."""
        if test in ("defined", "undefined"):
            self.whether_given(value, span)
            is_open_text = isinstance(value, MappedText) and not _is_given(value)
            return value if is_open_text else self.now(value, span, "a test asks if it is set")
        if test in _KINDS and not isinstance(value, (Given, EnvironmentText)) and not _is_given(value):
            return value
        return self.now(value, span, f"the test `{test}` looks at it")

    def truth(self, value: Any, span: Span) -> Any:
        """Returns the operand of a condition. Texts that are never empty are true, so they stay open."""
        reason = "a condition depends on it"
        if isinstance(value, MappedText):
            if any(piece.text if piece.deferred is None else _is_never_empty(piece.deferred) for piece in value.pieces):
                return value
            options = [piece.deferred for piece in value.pieces if isinstance(piece.deferred, DeferredOption)]
            if any(_is_never_empty(option.default) for option in options):
                self.found += [need_of_option(option.name, span, reason) for option in options]
                return value
        return self.now(value, span, reason)

    def filtered(self, name: str, value: Any, span: Span, what: str = "the filter ") -> Any:
        """Returns the operand of a filter or a method. In a text of many lines, the unchanged lines stay open."""
        reason = f"{what}`{name}` changes it"
        if name == "toyaml" and not isinstance(value, str):
            return self.now(
                value, span, reason if isinstance(value, Given) else "a list or mapping is printed as a whole"
            )
        if name in _KEEPING or (isinstance(value, MappedText) and "\n" in value):
            return self.plain(value, span, reason)
        return self.now(value, span, reason)

    def argument(self, callee: Any, value: Any, span: Span, shown: str) -> Any:
        """Returns an argument of a call. Macros, namespaces and lists store it unchanged, so it stays open."""
        reason = f"`{shown}` takes it"
        if isinstance(callee, (Macro, BlockReference)) or callee is Namespace:
            return value
        if getattr(callee, "defers", False):
            is_known = getattr(callee, "takes_known", False)
            return (self.without_options if is_known else self.plain)(value, span, reason)
        name = getattr(callee, "__name__", "")
        if callee is dict or (name in _STORING and isinstance(getattr(callee, "__self__", None), (list, dict))):
            return self.plain(value, span, "it is put into a list or mapping")
        return self.now(value, span, reason)


def _why_fixed(name: str, made: Any) -> str | None:
    """Returns why a variable with this default cannot become an option of the program; None if it can."""
    found = next((expression for expression, _ in open_in(made)), None)
    if isinstance(found, DeferredArgument | DeferredOption) and found.name == name:
        return None
    if found is not None:
        return "its default is known only when the program runs"
    return "it is a secret, and none by default" if made == "" else "its default is a list or a mapping"


def given(name: str, value: Any) -> Any:
    """Returns the open value of a variable from outside; anything but a scalar is returned unchanged."""
    if isinstance(value, Given) or (isinstance(value, MappedText) and value.is_deferred):
        return _with_open_default(name, value)
    if not isinstance(value, (bool, int, float, str, type(None))):
        return value
    if isinstance(value, str) and is_secret(name):
        return from_environment(environment_name(name), value) if value else value
    if isinstance(value, str):
        return MappedText([Piece(value, NOWHERE, False, DeferredArgument(name, str.__str__(value)))])
    return Given(value, DeferredArgument(name, value))


def _with_open_default(name: str, default: Given | MappedText) -> Given | MappedText:
    """Returns an open variable with an open default, or the default if it is long, secret, or from the environment."""
    expression = default.expression if isinstance(default, Given) else expression_of(default)
    assert not isinstance(expression, str), "something in it is open"
    if is_secret(name) or is_of_environment(expression) or is_too_long(DeferredOption(name, expression)):
        return default
    if isinstance(default, Given):
        return Given(default.value, DeferredArgument(name, default.value, default=default.expression))
    text = str.__str__(default)
    if isinstance(expression, FromOutside):
        return MappedText([Piece(text, NOWHERE, False, DeferredArgument(name, text, default=expression))])
    return MappedText([Piece(text, NOWHERE, False, DeferredOption(name, expression))])


def given_text(value: Given, origin: Origin) -> MappedText:
    """Returns what printing a given value adds to the document."""
    return MappedText([Piece(text_of(value.value), origin, False, value.expression)])


def quoted(value: Any, write: Callable[[str], str]) -> str | None:
    """Returns the result of `toyaml` for a value that can stay open, None for any other value.

    `write` adapts the YAML text to the place where it is printed.
    """
    if isinstance(value, EnvironmentText) and isinstance(value.value, (bool, int, float)):
        return value  # a number from a default is written as it is
    if isinstance(value, Given):
        return MappedText([Piece(write(to_yaml(value.value)), NOWHERE, False, as_quoted(value.expression))])
    if isinstance(value, MappedText) and len(value.pieces) == 1:
        expression = value.pieces[0].deferred
        if isinstance(expression, DeferredArgument | DeferredOption):
            return MappedText([Piece(write(to_yaml(str(value))), NOWHERE, False, as_quoted(expression))])
    return None


def from_outside(value: Any) -> FromOutside | None:
    """Returns the expression over variables from outside that makes up the whole value, or None."""
    if isinstance(value, Given):
        return value.expression
    if isinstance(value, MappedText) and len(value.pieces) == 1:
        deferred = value.pieces[0].deferred
        return deferred if isinstance(deferred, FromOutside) else None
    return None


def open_in(value: Any) -> Iterator[tuple[DeferredExpression, str]]:
    """Yields each open expression in a value, also inside containers, with its text now."""
    stack = [value]
    for _ in range(_MAX_ITEMS):
        if not stack:
            return
        item = stack.pop()
        match item:
            case Given():
                yield item.expression, text_of(item.value)
            case MappedText():
                yield from ((piece.deferred, piece.text) for piece in item.pieces if piece.deferred is not None)
            case Moment():
                yield DeferredCall(item.function, ()), datetime.__str__(item)
            case Versions():
                yield DeferredCall("versions", ()), repr(item)
            case dict():
                stack += [*item.keys(), *item.values()]
            case list() | tuple():
                stack += item
            case _:
                pass


def text_of(value: bool | int | float | None) -> str:
    """Returns a number in a form that YAML 1.1 reads as that number (`1.0e-05`, because `1e-05` is a string)."""
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    text = str(value)
    return text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text


def _open_parts(text: MappedText) -> list[DeferredExpression]:
    """The expressions in a text, in order."""
    return [piece.deferred for piece in text.pieces if piece.deferred is not None]


def _is_given(value: Any) -> bool:
    return isinstance(value, MappedText) and any(isinstance(p.deferred, FromOutside) for p in value.pieces)


def _piece_without_options(piece: Piece) -> Piece:
    """Returns a piece with the variables from outside replaced by their values."""
    expression = text_with_values(piece.deferred) if piece.deferred is not None else None
    if expression is None or isinstance(expression, str):
        return Piece(piece.text, piece.origin, piece.is_literal and piece.deferred is None)
    return replace(piece, deferred=expression)


def _is_never_empty(expression: DeferredExpression) -> bool:
    match expression:
        case DeferredName():
            return True
        case DeferredCall(function):
            return function not in _MAY_BE_EMPTY
        case _:
            return False
