"""The evaluator of expressions, as seen by those who know one kind of them."""

from collections.abc import Iterable
from typing import Any, Protocol

from fgc.resolve.scope import Scope
from fgc.syntax import ast
from fgc.text import Span


class Expressions(Protocol):
    """Evaluates expressions of one configuration."""

    def open(self, expr: ast.Expr, scope: Scope) -> Any:
        """The value of an expression: perhaps undefined, or open."""

    def defined(self, expr: ast.Expr, scope: Scope) -> Any:
        """The value of an expression; an undefined one is an error."""

    def arguments(self, arguments: ast.Arguments, scope: Scope) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments of a call, a filter or a test."""

    def writable(self, value: Any, span: Span) -> None:
        """Raise EvaluationError if a value that becomes a text at `span` has no written form."""

    def weigh(self, values: Iterable[Any], span: Span) -> None:
        """Count an operation on values. Raises Fatal past the bound."""

    def check_size(self, value: Any, span: Span) -> None:
        """Raise EvaluationError if the result of an operation is too large."""
