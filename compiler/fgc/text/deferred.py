"""Expressions that have a value only where the program runs: the clock, the host, folders.

A template may print them, and join them with other text. They travel through the compiler unevaluated and become
expressions of the generated program.
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class DeferredName:
    """A value of the run-time environment, such as `project_dir` or `hostname`."""

    name: str


@dataclass(frozen=True, slots=True)
class DeferredCall:
    """A function over deferred values, such as `filetime()` or `joinpath(project_dir, "runs")`."""

    function: str
    arguments: "tuple[DeferredExpression | str, ...]"


DeferredExpression: TypeAlias = DeferredName | DeferredCall


def expression_text(expression: DeferredExpression | str) -> str:
    """An expression as a template would write it: `joinpath(project_dir, 'runs')`."""
    if isinstance(expression, str):
        return repr(expression)
    if isinstance(expression, DeferredName):
        return expression.name
    if expression.function == "concat":
        return " ~ ".join(map(expression_text, expression.arguments))
    return f"{expression.function}({', '.join(map(expression_text, expression.arguments))})"
