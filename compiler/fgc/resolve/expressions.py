"""Expressions to values, with the meaning that Jinja2's sandbox gives them."""

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol, assert_never

from jinja2.exceptions import SecurityError, TemplateRuntimeError, UndefinedError
from jinja2.runtime import Context, Undefined
from jinja2.utils import missing

from fgc.diagnostics import Diagnostic, did_you_mean
from fgc.resolve.bounds import MAX_INTEGER_BITS, MAX_VALUE_SIZE, Budget
from fgc.resolve.environment import PlacedUndefined, jinja_environment
from fgc.resolve.errors import Broken, BrokenValue, EvaluationError
from fgc.resolve.mapped import MappedText, filtered, join
from fgc.resolve.scope import Scope, absent
from fgc.syntax import ast
from fgc.text import Origin, Span

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


_WIDENING = ("center", "indent")  # filters whose arguments say how long the result is


class Placed(Protocol):
    """A callable of the language itself (a macro, `super`, `loop`): it wants to know where it is called."""

    def _call_at(self, span: Span, args: list[Any], kwargs: dict[str, Any]) -> Any: ...


class Evaluator:
    """Evaluates expressions of one configuration."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._environment = jinja_environment()
        self._context = Context(self._environment, {}, None, {})

    def value(self, expr: ast.Expr, scope: Scope) -> Any:
        """The value of an expression, which may be undefined. Raises EvaluationError or BrokenValue."""
        try:
            return self._value(expr, scope)
        except (EvaluationError, BrokenValue):
            raise
        except RecursionError:
            raise EvaluationError(Diagnostic("FGC208", "this expression is nested too deeply", expr.span)) from None

    def defined(self, expr: ast.Expr, scope: Scope) -> Any:
        """The value of an expression; an undefined one is an error."""
        value = self.value(expr, scope)
        self.require(value, expr.span)
        return value

    def truth(self, expr: ast.Expr, scope: Scope) -> bool:
        return bool(self.defined(expr, scope))

    def require(self, value: Any, span: Span) -> None:
        """Raise EvaluationError, at the undefined name, if a value is undefined."""
        if isinstance(value, Undefined):
            raise EvaluationError(undefined_finding(value, span))

    # ---- one method for each kind of expression

    def _value(self, expr: ast.Expr, scope: Scope) -> Any:
        match expr:
            case ast.Invalid():
                raise BrokenValue
            case ast.Const():
                return expr.value
            case ast.Name():
                return self._name(expr, scope)
            case ast.GetAttr():
                return self._getattr(expr, scope)
            case ast.GetItem():
                return self._getitem(expr, scope)
            case ast.CallExpr():
                return self._call(expr, scope)
            case ast.FilterExpr():
                return self.apply(expr.filter, self._value(expr.base, scope), expr.span, scope)
            case ast.TestExpr():
                return self._test(expr, scope)
            case ast.TupleExpr():
                return tuple(self._value(item, scope) for item in expr.items)
            case ast.ListExpr():
                return [self._value(item, scope) for item in expr.items]
            case ast.DictExpr():
                return {self._value(key, scope): self._value(item, scope) for key, item in expr.items}
            case ast.Slice():
                bounds = (expr.start, expr.stop, expr.step)
                return slice(*(None if bound is None else self.defined(bound, scope) for bound in bounds))
            case ast.Unary():
                return self._unary(expr, scope)
            case ast.Binary():
                return self._binary(expr, scope)
            case ast.Compare():
                return self._compare(expr, scope)
            case ast.Concat():
                return join((self.defined(item, scope) for item in expr.items), Origin(expr.span))
            case ast.Conditional():
                return self._conditional(expr, scope)
            case _:
                assert_never(expr)

    def _name(self, expr: ast.Name, scope: Scope) -> Any:
        value = scope.get(expr.name)
        if value is absent:
            return PlacedUndefined(name=expr.name, place=expr.span, visible_names=scope.visible())
        if isinstance(value, Broken):
            raise BrokenValue
        return value

    def _getattr(self, expr: ast.GetAttr, scope: Scope) -> Any:
        base = self.defined(expr.base, scope)
        value = self._guard(expr.name_span, lambda: self._environment.getattr(base, expr.name))
        return self._attribute(value, expr.name_span, base, expr.name)

    def _getitem(self, expr: ast.GetItem, scope: Scope) -> Any:
        base = self.defined(expr.base, scope)
        index = self.defined(expr.index, scope)
        value = self._guard(expr.index.span, lambda: self._environment.getitem(base, index))
        return self._attribute(value, expr.index.span, base, str(index))

    def _attribute(self, value: Any, span: Span, base: Any, name: str) -> Any:
        if isinstance(value, Broken):
            raise BrokenValue
        if not isinstance(value, PlacedUndefined) or value.place is not None:
            return value
        if value.hint is not None:
            message = f"the sandbox forbids `{name}`: templates reach no Python internals"
            raise EvaluationError(Diagnostic("FGC207", message, span))
        return PlacedUndefined(obj=base, name=name, place=span, visible_names=attribute_names(base))

    def _call(self, expr: ast.CallExpr, scope: Scope) -> Any:
        return self.call(expr, scope, {})

    def call(self, expr: ast.CallExpr, scope: Scope, extra: dict[str, Any]) -> Any:
        """The result of a call with further keywords."""
        callee = self.defined(expr.callee, scope)
        self._budget.step(expr.span)
        args, kwargs = self.arguments(expr.arguments, scope)
        kwargs |= extra
        if hasattr(callee, "_call_at"):
            return self._guard(expr.span, lambda: callee._call_at(expr.span, args, kwargs), args)
        if not callable(callee):
            message = f"`{expr.callee.span.text}` is {_article(callee)} and cannot be called"
            raise EvaluationError(Diagnostic("FGC206", message, expr.callee.span))
        if not self._environment.is_safe_callable(callee):
            message = f"the sandbox forbids calling `{expr.callee.span.text}`"
            raise EvaluationError(Diagnostic("FGC207", message, expr.callee.span))
        result = self._guard(expr.span, lambda: self._context.call(callee, *args, **kwargs), args)
        self._check_size(result, expr.span)
        if type(result) is str and isinstance(expr.callee, ast.GetAttr):
            owner = getattr(callee, "__self__", None)
            if isinstance(owner, MappedText):
                name = "trim" if expr.callee.name == "strip" else expr.callee.name
                return filtered(name, owner, result, Origin(expr.span))
        return result

    def arguments(self, arguments: ast.Arguments, scope: Scope) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments of a call, a filter or a test."""
        args = [self._value(item, scope) for item in arguments.positional]
        if arguments.star is not None:
            args += self.defined(arguments.star, scope)
        kwargs: dict[str, Any] = {}
        for name, item in arguments.keywords:
            if name in kwargs:
                raise EvaluationError(Diagnostic("FGC206", f"argument `{name}` is given twice", item.span))
            kwargs[name] = self._value(item, scope)
        if arguments.double_star is not None:
            kwargs |= self.defined(arguments.double_star, scope)
        return args, kwargs

    def apply(self, filter: ast.Filter, value: Any, span: Span, scope: Scope) -> Any:
        """The result of a filter, with the origins of its input as far as they can be told."""
        if filter.name not in self._environment.filters:
            help = did_you_mean(filter.name, self._environment.filters)
            raise EvaluationError(Diagnostic("FGC111", f"unknown filter `{filter.name}`", filter.name_span, help=help))
        args, kwargs = self.arguments(filter.arguments, scope)
        self._budget.step(span)
        if filter.name in _WIDENING:
            self._check_width([*args, *kwargs.values()], filter.span)
        result = self._guard(
            filter.name_span,
            lambda: self._environment.call_filter(filter.name, value, args, kwargs, context=self._context),
            [value, *args],
        )
        self._check_size(result, span)
        if isinstance(value, MappedText) and isinstance(result, str) and not isinstance(result, MappedText):
            return filtered(filter.name, value, result, Origin(span))
        return result

    def _test(self, expr: ast.TestExpr, scope: Scope) -> bool:
        test = expr.test
        if test.name not in self._environment.tests:
            help = did_you_mean(test.name, self._environment.tests)
            raise EvaluationError(Diagnostic("FGC111", f"unknown test `{test.name}`", test.name_span, help=help))
        value = self._value(expr.base, scope)
        args, kwargs = self.arguments(test.arguments, scope)
        result = self._guard(
            test.name_span,
            lambda: self._environment.call_test(test.name, value, args, kwargs, context=self._context),
            [value, *args],
        )
        return bool(result) is not expr.is_negated

    def _unary(self, expr: ast.Unary, scope: Scope) -> Any:
        if expr.operator == "not":
            return not self.truth(expr.operand, scope)
        operand = self.defined(expr.operand, scope)
        apply = operator.neg if expr.operator == "-" else operator.pos
        return self._guard(expr.span, lambda: apply(operand))

    def _binary(self, expr: ast.Binary, scope: Scope) -> Any:
        left = self.defined(expr.left, scope)
        if expr.operator == "and":
            return self._value(expr.right, scope) if left else left
        if expr.operator == "or":
            return left if left else self._value(expr.right, scope)
        right = self.defined(expr.right, scope)
        self._check_operands(expr, left, right)
        if expr.operator == "+" and isinstance(left, str) and isinstance(right, str):
            return join((left, right), Origin(expr.span))
        return self._guard(expr.span, partial(_BINARY[expr.operator], left, right))

    def _compare(self, expr: ast.Compare, scope: Scope) -> Any:
        left = self.defined(expr.first, scope)
        result: Any = True
        for name, operand in expr.rest:
            right = self.defined(operand, scope)
            result = self._guard(expr.span, partial(_COMPARE[name], left, right))
            if not result:
                return result
            left = right
        return result

    def _conditional(self, expr: ast.Conditional, scope: Scope) -> Any:
        if self.truth(expr.condition, scope):
            return self._value(expr.then, scope)
        if expr.otherwise is not None:
            return self._value(expr.otherwise, scope)
        return PlacedUndefined(hint="the condition is false and there is no `else`", place=expr.span)

    # ---- guards

    def _guard(self, span: Span, compute: Callable[[], Any], operands: list[Any] | None = None) -> Any:
        """Run foreign code; what it raises becomes a finding at `span`, or at the operand that is undefined."""
        try:
            return compute()
        except (EvaluationError, BrokenValue):
            raise
        except UndefinedError as error:
            undefined = next((o for o in operands or [] if isinstance(o, PlacedUndefined) and o.place), None)
            if undefined is None:
                raise EvaluationError(Diagnostic("FGC203", str(error), span)) from None
            raise EvaluationError(undefined_finding(undefined, span)) from None
        except SecurityError as error:
            raise EvaluationError(Diagnostic("FGC207", f"the sandbox forbids this: {error}", span)) from None
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, MemoryError) as error:
            raise EvaluationError(Diagnostic("FGC206", f"this fails: {_describe(error)}", span)) from None
        except (TemplateRuntimeError, RecursionError, NotImplementedError) as error:
            raise EvaluationError(Diagnostic("FGC206", f"this fails: {_describe(error)}", span)) from None

    def _check_operands(self, expr: ast.Binary, left: Any, right: Any) -> None:
        size = 0
        if expr.operator == "*":
            for sequence, count in ((left, right), (right, left)):
                if isinstance(sequence, (str, list, tuple)) and isinstance(count, int):
                    size = len(sequence) * max(count, 0)
            if isinstance(left, int) and isinstance(right, int):
                size = MAX_VALUE_SIZE * (left.bit_length() + right.bit_length() > MAX_INTEGER_BITS) * 2
        elif expr.operator == "**" and isinstance(left, int) and isinstance(right, int):
            size = MAX_VALUE_SIZE * (left.bit_length() * max(right, 0) > MAX_INTEGER_BITS) * 2
        elif expr.operator == "%" and isinstance(left, str) and any(char.isdigit() for char in left):
            self._check_width([int(run) for run in _digit_runs(left)], expr.span)
        if size > MAX_VALUE_SIZE:
            raise EvaluationError(Diagnostic("FGC208", "the result of this expression is too large", expr.span))

    def _check_width(self, args: list[Any], span: Span) -> None:
        if any(isinstance(arg, int) and arg > MAX_VALUE_SIZE for arg in args):
            raise EvaluationError(Diagnostic("FGC208", "the result of this expression is too large", span))

    def _check_size(self, value: Any, span: Span) -> None:
        if isinstance(value, (str, list, tuple, dict)) and len(value) > MAX_VALUE_SIZE:
            raise EvaluationError(Diagnostic("FGC208", "the result of this expression is too large", span))


def undefined_finding(value: Undefined, span: Span) -> Diagnostic:
    """What to say of an undefined value that is used."""
    if not isinstance(value, PlacedUndefined):
        return Diagnostic("FGC203", "this value is undefined", span)
    place = value.place or span
    if value.hint is not None:
        return Diagnostic("FGC203", value.hint, place)
    help = did_you_mean(value.missing_name, value.visible_names)
    if value.owner is missing:
        help = help or "give it a value with `set`, or a default: `{{ name | default(...) }}`"
        return Diagnostic("FGC203", f"`{value.missing_name}` is undefined", place, help=help)
    message = f"{_article(value.owner)} has no attribute `{value.missing_name}`"
    return Diagnostic("FGC203", message, place, help=help)


def attribute_names(value: Any) -> list[str]:
    """The names that a template may reach in a value."""
    if isinstance(value, Mapping):
        return [str(key) for key in value]
    attributes = getattr(value, "_Namespace__attrs", None)
    if attributes is not None:
        return list(attributes)
    return [name for name in dir(value) if not name.startswith("_")]


def _digit_runs(text: str) -> list[str]:
    return "".join(char if char.isdigit() else " " for char in text).split()


def _describe(error: Exception) -> str:
    text = str(error)
    if isinstance(error, KeyError):
        text = f"no key {text}"
    return text or type(error).__name__


def _article(value: Any) -> str:
    name = "namespace" if type(value).__name__ == "Namespace" else type(value).__name__
    name = {"MappedText": "text", "str": "text", "NoneType": "none"}.get(name, name)
    return name if name == "none" else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
