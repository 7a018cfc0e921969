"""Operators to values: arithmetic, comparisons, `~`, and the choice of a conditional.

What is computed with variables from outside stays open if the program can compute it too (`operations`). The values of
such operands are asked for on the way, so each need that was noted is dropped again where the result stays open.
"""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

from jinja2.runtime import Undefined

from fgc.resolve.bounds import MAX_VALUE_SIZE, Budget
from fgc.resolve.errors import BrokenValue, EvaluationError
from fgc.resolve.evaluation import Expressions
from fgc.resolve.failures import wrong_operands
from fgc.resolve.foreign import guarded, too_large
from fgc.resolve.guards import operator_is_too_large
from fgc.resolve.mapped import MappedText, join
from fgc.resolve.needs import Given, Needs
from fgc.resolve.operations import chosen, computed, is_harmless
from fgc.resolve.scope import Scope
from fgc.resolve.variables import EnvironmentText, either
from fgc.syntax import ast
from fgc.text import Origin

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda item, container: item in container,
    "not in": lambda item, container: item not in container,
}


class Operators:
    """Computes what operators make of their operands."""

    def __init__(self, expressions: Expressions, needs: Needs, budget: Budget) -> None:
        self._expressions = expressions
        self._needs = needs
        self._budget = budget

    def concat(self, expr: ast.Concat, scope: Scope) -> str:
        """The text of `a ~ b`."""
        origin = Origin(expr.span)
        parts = []
        for item in expr.items:
            value = self._expressions.defined(item, scope)
            self._expressions.writable(value, item.span)
            parts.append(self._needs.printable(value, origin))
        if sum(len(part) for part in parts if isinstance(part, str)) > MAX_VALUE_SIZE:
            raise EvaluationError(too_large(expr.span))
        text: str = guarded(expr.span, lambda: join(parts, origin))
        self._expressions.check_size(text, expr.span)
        self._budget.step(expr.span, len(text.pieces) // 4 if isinstance(text, MappedText) else 0)
        return text

    def unary(self, expr: ast.Unary, scope: Scope) -> Any:
        """The value of `not a`, `-a` or `+a`."""
        given = self._expressions.defined(expr.operand, scope)
        counted = len(self._needs.found)
        if expr.operator == "not":
            is_false = not guarded(expr.operand.span, lambda: bool(self._needs.truth(given, expr.operand.span)))
            still_open = computed("not", (given,), is_false)
            del self._needs.found[counted if still_open is not None else len(self._needs.found) :]
            return is_false if still_open is None else still_open
        operand = self._needs.now(given, expr.operand.span, f"`{expr.operator}` computes with it")
        apply = operator.neg if expr.operator == "-" else operator.pos
        result = guarded(expr.span, lambda: apply(operand))
        still_open = computed(expr.operator, (given,), result)
        if still_open is None:
            return result
        del self._needs.found[counted:]
        return still_open

    def binary(self, expr: ast.Binary, scope: Scope) -> Any:
        """The value of arithmetic, or of `a and b` or `a or b`."""
        left = self._expressions.defined(expr.left, scope)
        if expr.operator == "or" and isinstance(left, EnvironmentText):
            return self._variable_or(left, expr.right, scope)
        if expr.operator in ("and", "or"):
            left = self._needs.truth(left, expr.left.span)
            is_decided = bool(left) is (expr.operator == "or")
            return left if is_decided else self._expressions.open(expr.right, scope)
        right = self._expressions.defined(expr.right, scope)
        given = (left, right)
        counted = len(self._needs.found)
        result = self._calculated(expr, left, right)
        still_open = computed(expr.operator, given, result)
        if still_open is None:
            return result
        del self._needs.found[counted:]
        return still_open

    def _calculated(self, expr: ast.Binary, left: Any, right: Any) -> Any:
        if expr.operator != "+" or not (isinstance(left, str) and isinstance(right, str)):
            reason = f"`{expr.operator}` computes with it"
            left, right = (
                self._needs.now(left, expr.span, reason),
                self._needs.now(right, expr.span, reason),
            )
        if operator_is_too_large(expr.operator, left, right):
            raise EvaluationError(too_large(expr.span))
        self._expressions.weigh([left, right], expr.span)
        if expr.operator == "+" and isinstance(left, str) and isinstance(right, str):
            return join((left, right), Origin(expr.span))
        is_format = expr.operator == "%" and isinstance(left, str)  # then Python's own words are better
        if is_format:
            self._expressions.writable(right, expr.right.span)
        complain = None if is_format else partial(wrong_operands, expr, left, right)
        return guarded(expr.span, partial(_BINARY[expr.operator], left, right), None, complain)

    def _variable_or(self, left: EnvironmentText, right: ast.Expr, scope: Scope) -> Any:
        """`getenv(name) or right`: both may be needed where the program runs, unless `right` refuses."""
        try:
            second = self._needs.plain(self._expressions.open(right, scope), right.span, "it stands for a variable")
            return guarded(right.span, lambda: either(left, second))
        except EvaluationError:
            if not left.value:
                raise
            return left

    def compare(self, expr: ast.Compare, scope: Scope) -> Any:
        """The value of a chain of comparisons; that of one may stay open."""
        left, place = self._expressions.defined(expr.first, scope), expr.first.span
        result: Any = True
        for name, operand in expr.rest:
            other = self._expressions.defined(operand, scope)
            counted = len(self._needs.found)
            first = self._needs.now(left, place, "it is compared")
            second = self._needs.now(other, operand.span, "it is compared")
            self._expressions.weigh([first, second], expr.span)
            result = guarded(expr.span, partial(_COMPARE[name], first, second))
            still_open = computed(name, (left, other), result) if len(expr.rest) == 1 else None
            if still_open is not None:
                del self._needs.found[counted:]
                return still_open
            if not result:
                return result
            left, place = second, operand.span
        return result

    def conditional(self, expr: ast.Conditional, scope: Scope) -> Any:
        """The value of `a if b else c`."""
        condition = self._expressions.defined(expr.condition, scope)
        if isinstance(condition, Given) and (either := self._either(expr, condition, scope)) is not None:
            return either
        condition = self._needs.truth(condition, expr.condition.span)
        if guarded(expr.condition.span, lambda: bool(condition)):
            return self._expressions.open(expr.then, scope)
        if expr.otherwise is not None:
            return self._expressions.open(expr.otherwise, scope)
        return Undefined("the condition is false and there is no `else`")  # prints as nothing, as in Jinja2

    def _either(self, expr: ast.Conditional, condition: Given, scope: Scope) -> Any:
        """One of two scalars, by a condition that is open; None if what is chosen has to be known now."""
        if expr.otherwise is None or not (is_harmless(expr.then) and is_harmless(expr.otherwise)):
            return None
        counted = len(self._needs.found)
        try:
            then, otherwise = (
                self._expressions.defined(expr.then, scope),
                self._expressions.defined(expr.otherwise, scope),
            )
        except (EvaluationError, BrokenValue):
            then = otherwise = ()  # only the branch that is taken may complain
        either = chosen(then, condition, otherwise)
        if either is None:
            del self._needs.found[counted:]
        return either
