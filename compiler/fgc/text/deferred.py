"""Expressions that have a value only where the program runs: the clock, the host, folders, options of its command line.

A template may print them, and join them with other text. They travel through the compiler unevaluated and become
expressions of the generated program.
"""

import os.path
from collections.abc import Callable, Container, Iterator, Mapping
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from fgc.text.source import Span


class DeferredName(Struct, frozen=True):
    """A value of the run-time environment, such as `project_dir` or `hostname`."""

    name: str


class DeferredFolder(Struct, frozen=True):
    """A folder by its path from the one in which the program starts, such as `../other_project`."""

    path: str


class DeferredCall(Struct, frozen=True):
    """A function over deferred values, such as `filetime()` or `joinpath(project_dir, "runs")`."""

    function: str
    arguments: "tuple[DeferredPart, ...]"


class DeferredArgument(Struct, frozen=True):
    """A template variable that was given from outside, or its default: `value` as long as nobody gives another one.

    `is_quoted`: the text was made by `toyaml`, so that YAML reads any value back as it is. `default`: other variables
    from outside make the default.
    """

    name: str
    value: bool | int | float | str | None
    is_quoted: bool = False
    default: "FromOutside | None" = None


class DeferredOption(Struct, frozen=True):
    """A text that a template variable has if it is given from outside, with a default known where the program runs."""

    name: str
    default: "DeferredExpression"
    is_quoted: bool = False


_MAX_PARTS = 1_000  # the longest known has 12
_MAX_DEPTH = 100
TEXT = "text"  # the operation that joins its operands, as they are printed
ARITHMETIC = frozenset({"+", "-", "*", "/", "//", "%", "**"})
OF_ONE_NUMBER = frozenset({"int", "float", "abs"})  # filters that are Python's functions
OF_SEVERAL_NUMBERS = frozenset({"max", "min"})
OF_PATHS: Mapping[str, Callable[..., str]] = {
    "joinpath": os.path.join,
    "normpath": os.path.normpath,
    "abspath": os.path.abspath,
    "relpath": os.path.relpath,
    "dirname": os.path.dirname,
    "basename": os.path.basename,
}
"""Functions that make a path of texts, by their names in a template."""


class DeferredConstant(Struct, frozen=True):
    """A value that an operation computes with, as it is written in the template."""

    value: bool | int | float | str | None


class DeferredOperation(Struct, frozen=True):
    """A computation with variables from outside; `value` is the result for the values that they have.

    `operator` is one of Python's, with two operands or one; `if` has three, as in `1 if x > 2 else 3`; TEXT joins
    any number. A name is that of a function, as in `DeferredCall`.
    """

    operator: str
    operands: "tuple[FromOutside | DeferredConstant, ...]"
    value: bool | int | float | str | None

    @property
    def is_function(self) -> bool:
        """Returns True if the operator is the name of a function."""
        return self.operator.isidentifier() and self.operator not in ("if", "not", TEXT)


FromOutside: TypeAlias = DeferredArgument | DeferredOperation
DeferredExpression: TypeAlias = DeferredName | DeferredFolder | DeferredCall | DeferredOption | FromOutside
DeferredPart: TypeAlias = DeferredExpression | DeferredConstant | str  # what a call is given


def arguments_in(expression: "DeferredPart") -> "Iterator[DeferredArgument | DeferredOption]":
    """Yields every variable from outside that an expression mentions, those in defaults of others too."""
    if isinstance(expression, DeferredArgument | DeferredOption):
        yield expression
    for part in inner_parts(expression):
        yield from arguments_in(part)


def has_options(expression: "DeferredPart") -> bool:
    """Returns True if an expression mentions a variable from outside."""
    return any(True for _ in arguments_in(expression))


def results_in(expression: "DeferredPart") -> "Iterator[DeferredPart]":
    """Yields the possible results of an expression: both branches of a choice, a variable and its default."""
    if isinstance(expression, DeferredOperation) and expression.operator == "if":
        yield from results_in(expression.operands[0])
        yield from results_in(expression.operands[2])
        return
    yield expression
    if isinstance(expression, DeferredArgument | DeferredOption) and expression.default is not None:
        yield from results_in(expression.default)


def with_values(part: "DeferredPart", still_open: Container[str] = ()) -> "DeferredPart":
    """Returns an expression in which the variables from outside have their values, but for those that stay open."""
    match part:
        case DeferredArgument(name=name, default=default):
            if name not in still_open:
                return DeferredConstant(part.value) if default is None else with_values(default, still_open)
            inner = None if default is None else with_values(default, still_open)
            return replace(part, default=inner if isinstance(inner, FromOutside) else None)
        case DeferredOption(name=name, default=default):
            inner = with_values(default, still_open)
            return replace(part, default=inner) if name in still_open else inner
        case DeferredOperation(operator=operator, operands=operands, value=value):
            parts = tuple(with_values(operand, still_open) for operand in operands)
            if operator == "if" and isinstance(parts[1], DeferredConstant):
                return parts[0] if parts[1].value else parts[2]
            is_open = any(isinstance(operand, FromOutside) for operand in parts)
            return replace(part, operands=parts) if is_open else DeferredConstant(value)
        case DeferredCall(arguments=arguments):
            return replace(part, arguments=tuple(_plain(with_values(item, still_open), item) for item in arguments))
        case _:
            return part


def text_with_values(part: "DeferredPart", still_open: Container[str] = ()) -> "str | DeferredExpression":
    """Returns a part of a text `with_values`: a text if nothing in it is open any more."""
    known = with_values(part, still_open)
    return str(known.value) if isinstance(known, DeferredConstant) else known


def as_quoted(expression: "DeferredExpression") -> "DeferredExpression":
    """Returns an expression whose results YAML reads as they are."""
    match expression:
        case DeferredArgument(default=default) | DeferredOption(default=default):
            inner = None if default is None else as_quoted(default)
            return replace(expression, is_quoted=True, default=inner)
        case DeferredOperation(operator="if", operands=(then, test, other)):
            quoted = (item if isinstance(item, DeferredConstant) else as_quoted(item) for item in (then, other))
            return replace(expression, operands=(next(quoted), test, next(quoted)))
        case _:
            return expression


def _plain(part: "DeferredPart", before: "DeferredPart") -> "DeferredPart":
    """Returns the text of what had been open in a call: only texts and paths are."""
    return str(part.value) if isinstance(part, DeferredConstant) and part != before else part


def as_call(operation: DeferredOperation) -> DeferredCall:
    """Returns the call of a function that an operation is."""
    parts = operation.operands
    return DeferredCall(
        operation.operator,
        tuple(
            part.value if isinstance(part, DeferredConstant) and isinstance(part.value, str) else part for part in parts
        ),
    )


def inner_parts(expression: "DeferredPart") -> "tuple[DeferredPart, ...]":
    """The parts of an expression."""
    match expression:
        case DeferredCall(arguments=parts) | DeferredOperation(operands=parts):
            return parts
        case DeferredArgument(default=default) | DeferredOption(default=default) if default is not None:
            return (default,)
        case _:
            return ()


class Form(Struct, frozen=True):
    """The written text around a variable from outside, with `{}` in its place; in brackets if it is an item there."""

    variable: str
    text: str


class Need(Struct, frozen=True):
    """Says what could have stayed open until the program runs, and had to be known at the build: where and why."""

    expression: DeferredExpression
    value: str
    span: Span
    reason: str


def is_of_environment(expression: "DeferredPart") -> bool:
    """Returns True if a variable of the environment is in it: its value may be a secret, and is written nowhere."""
    is_call = isinstance(expression, DeferredCall) and expression.function == "getenv"
    return is_call or any(map(is_of_environment, inner_parts(expression)))


def is_too_long(expression: "DeferredPart") -> bool:
    """Returns True for an expression that is deeper or longer than any program should have, shared parts counted."""
    size, depth = _extent(expression, {})
    return size > _MAX_PARTS or depth > _MAX_DEPTH


def _extent(expression: "DeferredPart", known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Returns how many parts an expression has and how deep it is. Its own parts are of bounded depth."""
    if id(expression) not in known:
        extents = [_extent(part, known) for part in inner_parts(expression)]
        size, depth = sum(size for size, _ in extents), max((depth for _, depth in extents), default=0)
        known[id(expression)] = 1 + size, 1 + depth
    return known[id(expression)]


def variables_required(expression: "DeferredPart") -> tuple[str, ...]:
    """The variables of the environment of which one must be set; empty if something stands in for them."""
    match expression:
        case DeferredCall("getenv", (str() as name,)):
            return (str(name),)
        case DeferredCall("getenv", (str() as name, default)):
            others = variables_required(default)
            return (str(name), *others) if others else ()
        case DeferredCall("or", (first, second)):
            others = variables_required(second)
            return (*_variables(first), *others) if others else ()
        case _:
            return ()


def _variables(expression: "DeferredPart") -> Iterator[str]:
    if isinstance(expression, DeferredCall):
        if expression.function == "getenv":
            yield str(expression.arguments[0])
        for argument in expression.arguments:
            yield from _variables(argument)


def need(expression: DeferredExpression, value: str, span: Span, reason: str) -> Need:
    """Returns the need of a value now, without the value of a variable of the environment."""
    return Need(expression, "" if is_of_environment(expression) else value, span, reason)


def need_of_option(name: str, span: Span, reason: str) -> Need:
    """Returns the need of a variable from outside, whatever its value is."""
    return Need(DeferredArgument(name, None), "", span, reason)


def expression_text(expression: "DeferredPart") -> str:
    """An expression as a template would write it: `joinpath(project_dir, 'runs')`."""
    if isinstance(expression, DeferredConstant):
        return repr(expression.value)
    if isinstance(expression, DeferredOperation):
        return _operation_text(expression)
    if isinstance(expression, str):
        return repr(expression)
    if isinstance(expression, DeferredName | DeferredArgument):
        return expression.name
    if isinstance(expression, DeferredOption):
        return f"({expression.name} | default({expression_text(expression.default)}))"
    if isinstance(expression, DeferredFolder):
        return f"normpath(joinpath(project_dir, {expression.path!r}))"
    if expression.function == "concat":
        return " ~ ".join(map(expression_text, expression.arguments))
    if expression.function == "or":
        return " or ".join(map(expression_text, expression.arguments))
    if expression.function == "uname":
        part = str(expression.arguments[0])
        return f"uname.{'sysname' if part == 'system' else part}"
    if expression.function == "version":
        return f"versions.{expression.arguments[0]}"
    if expression.function == "splitext":
        path, place = expression.arguments
        return f"splitext({expression_text(path)})[{place}]"
    if expression.function == "strftime":
        moment, layout = expression.arguments
        return f"{moment}().strftime({layout!r})"
    return f"{expression.function}({', '.join(map(expression_text, expression.arguments))})"


def _operation_text(operation: DeferredOperation) -> str:
    first, *rest = map(expression_text, operation.operands)
    if operation.operator == TEXT:
        return " ~ ".join((first, *rest))
    if operation.operator == "if":
        return f"({first} if {rest[0]} else {rest[1]})"
    if operation.is_function:
        return expression_text(as_call(operation))
    return f"({first} {operation.operator} {rest[0]})" if rest else f"{operation.operator}{first}"
