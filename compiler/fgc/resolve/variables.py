"""Variables of the environment: read where the program starts, and written nowhere before."""

from collections.abc import Callable
from typing import Any

from jinja2.runtime import Undefined

from fgc.resolve.facts import Facts
from fgc.resolve.mapped import NOWHERE, MappedText, expression_of
from fgc.text import DeferredCall, DeferredConstant, DeferredPart, Piece, is_too_long

Value = bool | int | float | str | None
_ABSENT: Any = object()  # a default of none is one


class EnvironmentText(MappedText):
    """The text of a variable, which stays open; whoever needs its value gets `value`, which may be the default."""

    __slots__ = ("value",)
    value: Value

    def closed(self) -> Any:
        return self.value


def either(first: EnvironmentText, second: Any) -> Any:
    """`getenv(name) or second`, still open if the second is a scalar."""
    if isinstance(second, EnvironmentText):
        value = first.value or second.value
    elif isinstance(second, Value):
        value = first.value or second
    else:
        return first if first.value else second
    return _open(value, DeferredCall("or", (expression_of(first), _expression(second))))


def reader(facts: Facts) -> Callable[..., EnvironmentText]:
    """Returns `getenv(name, default)`."""

    def getenv(name: str, default: Value = _ABSENT) -> EnvironmentText:
        has_default = default is not _ABSENT
        default = default if has_default else None
        for argument in (name, default):
            if isinstance(argument, Undefined):
                argument._fail_with_undefined_error()
        if not isinstance(name, str):
            raise TypeError(f"the name of a variable must be a text, not {type(name).__name__}")
        if not isinstance(default, Value):
            raise TypeError(f"the default of `{name}` must be a text, a number, a boolean or none")
        facts.variables.add(str(name))
        value = facts.environment.get(name, default)
        arguments = (str(name), _expression(default)) if has_default else (str(name),)
        return _open(value, DeferredCall("getenv", arguments))

    getenv.defers = getenv.takes_known = True  # type: ignore[attr-defined]  # what the evaluator asks before it calls
    return getenv


def _expression(value: Value) -> DeferredPart:
    return DeferredConstant(None) if value is None else expression_of(value)


def from_environment(name: str, value: str) -> EnvironmentText:
    """A value that the program reads from a variable of the environment."""
    return _open(value, DeferredCall("getenv", (name,)))


def _open(value: Value, expression: DeferredCall) -> EnvironmentText:
    if is_too_long(expression):
        raise ValueError("the expression that the program would need for it is too long")
    text = EnvironmentText([Piece(str(value), NOWHERE, False, expression)])
    text.value = str(value) if isinstance(value, str) else value
    return text
