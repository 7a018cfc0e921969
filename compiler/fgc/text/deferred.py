"""Expressions that have a value only where the program runs: the clock, the host, folders, options of its command line.

A template may print them, and join them with other text. They travel through the compiler unevaluated and become
expressions of the generated program.
"""

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct

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

    `is_quoted`: the text was made by `toyaml`, so that YAML reads any value back as it is.
    """

    name: str
    value: bool | int | float | str | None
    is_quoted: bool = False


_MAX_PARTS = 1_000  # the longest known has 12
_MAX_DEPTH = 100
TEXT = "text"  # the operation that joins its operands, as they are printed


class DeferredConstant(Struct, frozen=True):
    """A value that an operation computes with, as it is written in the template."""

    value: bool | int | float | str | None


class DeferredOperation(Struct, frozen=True):
    """A computation with variables from outside; `value` is the result for the values that they have.

    `operator` is one of Python's, with two operands or one; `if` has three, as in `1 if x > 2 else 3`; TEXT joins
    any number.
    """

    operator: str
    operands: "tuple[FromOutside | DeferredConstant, ...]"
    value: bool | int | float | str | None


FromOutside: TypeAlias = DeferredArgument | DeferredOperation
DeferredExpression: TypeAlias = DeferredName | DeferredFolder | DeferredCall | FromOutside
DeferredPart: TypeAlias = DeferredExpression | DeferredConstant | str  # what a call is given


def arguments_in(expression: "DeferredPart") -> Iterator[DeferredArgument]:
    """Yields every variable from outside that an expression mentions."""
    if isinstance(expression, DeferredArgument):
        yield expression
    elif isinstance(expression, DeferredOperation):
        for operand in expression.operands:
            yield from arguments_in(operand)
    elif isinstance(expression, DeferredCall):
        for argument in expression.arguments:
            yield from arguments_in(argument)


def results_in(expression: "FromOutside | DeferredConstant") -> "Iterator[FromOutside | DeferredConstant]":
    """Yields the possible results of an expression: both branches of a choice, else itself."""
    if isinstance(expression, DeferredOperation) and expression.operator == "if":
        yield from results_in(expression.operands[0])
        yield from results_in(expression.operands[2])
    else:
        yield expression


class Need(Struct, frozen=True):
    """What could have stayed open until the program runs, and had to be known when it was compiled: where and why."""

    expression: DeferredExpression
    value: str
    span: Span
    reason: str


def is_of_environment(expression: "DeferredPart") -> bool:
    """Returns True if a variable of the environment is in it: its value may be a secret, and is written nowhere."""
    if not isinstance(expression, DeferredCall):
        return False
    return expression.function == "getenv" or any(map(is_of_environment, expression.arguments))


def is_too_long(expression: "DeferredPart") -> bool:
    """Returns True for an expression that is deeper or longer than any program should have, shared parts counted."""
    size, depth = _extent(expression, {})
    return size > _MAX_PARTS or depth > _MAX_DEPTH


def _extent(expression: "DeferredPart", known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """How many parts an expression has and how deep it is. Its own parts are of bounded depth."""
    if id(expression) not in known:
        inner = getattr(expression, "arguments", None) or getattr(expression, "operands", None) or ()
        extents = [_extent(part, known) for part in inner]
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
    return f"({first} {operation.operator} {rest[0]})" if rest else f"{operation.operator}{first}"
