"""Expressions that have a value only where the program runs: the clock, the host, folders, options of its command line.

A template may print them, and join them with other text. They travel through the compiler unevaluated and become
expressions of the generated program.
"""

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
    arguments: "tuple[DeferredExpression | str, ...]"


class DeferredArgument(Struct, frozen=True):
    """A template variable that was given from outside, or its default: `value` as long as nobody gives another one.

    `is_quoted`: the text was made by `toyaml`, so that YAML reads any value back as it is.
    """

    name: str
    value: bool | int | float | str | None
    is_quoted: bool = False


DeferredExpression: TypeAlias = DeferredName | DeferredFolder | DeferredCall | DeferredArgument


class Need(Struct, frozen=True):
    """What could have stayed open until the program runs, and had to be known when it was compiled: where and why."""

    expression: DeferredExpression
    value: str
    span: Span
    reason: str


def expression_text(expression: DeferredExpression | str) -> str:
    """An expression as a template would write it: `joinpath(project_dir, 'runs')`."""
    if isinstance(expression, str):
        return repr(expression)
    if isinstance(expression, DeferredName | DeferredArgument):
        return expression.name
    if isinstance(expression, DeferredFolder):
        return f"normpath(joinpath(project_dir, {expression.path!r}))"
    if expression.function == "concat":
        return " ~ ".join(map(expression_text, expression.arguments))
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
