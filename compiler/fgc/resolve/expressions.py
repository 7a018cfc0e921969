"""Evaluates expressions as Jinja2's sandbox does.

This module handles names, attributes, calls and displays; `operators` and `filters` handle the others.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any, assert_never

from jinja2.runtime import Context, StrictUndefined, Undefined
from jinja2.utils import Namespace

from fgc.diagnostics import Diagnostic
from fgc.resolve.bounds import MAX_VALUE_SIZE, Budget
from fgc.resolve.environment import Moment, PlacedUndefined, Versions, jinja_environment, lipsum, placement_of
from fgc.resolve.errors import Broken, BrokenValue, EvaluationError
from fgc.resolve.failures import attribute_names, described, undefined_finding, wrong_arguments
from fgc.resolve.filters import Filters
from fgc.resolve.foreign import guarded, too_large
from fgc.resolve.guards import call_is_too_large
from fgc.resolve.macros import BlockReference, Macro, TemplateModule, lacks_names
from fgc.resolve.mapped import MappedText, filtered
from fgc.resolve.needs import Given, Needs
from fgc.resolve.operators import Operators
from fgc.resolve.poison import Lost
from fgc.resolve.scope import Scope, absent
from fgc.resolve.written import takes_text_of, unwritten
from fgc.syntax import ast
from fgc.text import OF_SEVERAL_NUMBERS, DeferredCall, Need, Origin, Span


class Evaluator:
    """Evaluates expressions of one configuration."""

    def __init__(self, budget: Budget, lost: Lost) -> None:
        self._budget = budget
        self._lost = lost
        self.needs = Needs()
        self.filters = Filters(self, self.needs, budget)
        self._operators = Operators(self, self.needs, budget)
        self._environment = jinja_environment()
        self._context = Context(self._environment, {}, None, {})

    def value(self, expr: ast.Expr, scope: Scope) -> Any:
        """Returns the value of an expression, perhaps undefined or open. Raises EvaluationError or BrokenValue."""
        try:
            return self.open(expr, scope)
        except (EvaluationError, BrokenValue):
            raise
        except RecursionError:
            raise EvaluationError(Diagnostic("FGC208", "this expression is nested too deeply", expr.span)) from None

    def defined(self, expr: ast.Expr, scope: Scope) -> Any:
        """The value of an expression; an undefined one is an error."""
        value = self.value(expr, scope)
        if issubclass(type(value), StrictUndefined):
            raise EvaluationError(undefined_finding(value, expr.span))
        return value

    def needed(self, expr: ast.Expr, scope: Scope, reason: str) -> Any:
        """Returns the value of an expression, which must be defined, and notes a need for what is open in it."""
        return self.needs.now(self.defined(expr, scope), expr.span, reason)

    def truth(self, expr: ast.Expr, scope: Scope) -> bool:
        value = self.needs.truth(self.defined(expr, scope), expr.span)
        return bool(guarded(expr.span, lambda: bool(value)))

    def require(self, value: Any, span: Span) -> None:
        """Raise EvaluationError, at the undefined name, if a value is undefined."""
        if issubclass(type(value), StrictUndefined):  # `isinstance` is slow for a namespace
            raise EvaluationError(undefined_finding(value, span))

    def writable(self, value: Any, span: Span) -> None:
        """Raise EvaluationError if a value that becomes a text at `span` has no written form."""
        self._budget.weigh(value, span)
        finding = guarded(span, lambda: unwritten(value, span))
        if finding is not None:
            raise EvaluationError(finding)

    # ---- one method for each kind of expression

    def _item(self, expr: ast.Expr, scope: Scope) -> Any:
        return self.needs.plain(self.open(expr, scope), expr.span, "it is put into a list or mapping")

    def open(self, expr: ast.Expr, scope: Scope) -> Any:
        """The value of a part of an expression. `value`, for a whole one, tells where it is nested too deeply."""
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
            case ast.FilterExpr(base=ast.ListExpr(items=items)) if expr.filter.name in OF_SEVERAL_NUMBERS:
                return self.filters.of_several(expr.filter, items, expr.span, scope)
            case ast.FilterExpr():
                value = self.open(expr.base, scope)
                if takes_text_of(expr.filter, value):
                    self.writable(value, expr.base.span)
                return self.filters.apply(expr.filter, value, expr.span, scope)
            case ast.TestExpr():
                return self.filters.test(expr, scope)
            case ast.TupleExpr():
                return tuple(self._item(item, scope) for item in expr.items)
            case ast.ListExpr():
                return [self._item(item, scope) for item in expr.items]
            case ast.DictExpr():
                return self._dict(expr, scope)
            case ast.Slice():
                bounds = (expr.start, expr.stop, expr.step)
                return slice(*(None if b is None else self.needed(b, scope, "a slice uses it") for b in bounds))
            case ast.Unary():
                return self._operators.unary(expr, scope)
            case ast.Binary():
                return self._operators.binary(expr, scope)
            case ast.Compare():
                return self._operators.compare(expr, scope)
            case ast.Concat():
                return self._operators.concat(expr, scope)
            case ast.Conditional():
                return self._operators.conditional(expr, scope)
            case _:
                assert_never(expr)

    def _dict(self, expr: ast.DictExpr, scope: Scope) -> dict[Any, Any]:
        pairs = [(self._item(key, scope), self._item(item, scope)) for key, item in expr.items]
        self.weigh([key for key, _ in pairs], expr.span)  # they are hashed
        result: dict[Any, Any] = guarded(expr.span, lambda: dict(pairs))
        return result

    def _name(self, expr: ast.Name, scope: Scope) -> Any:
        value = scope.get(expr.name)
        if value is absent:
            return PlacedUndefined(name=expr.name, place=expr.span, visible_names=scope.visible())
        if isinstance(value, Broken):
            raise BrokenValue
        return value

    def _getattr(self, expr: ast.GetAttr, scope: Scope) -> Any:
        base = self.defined(expr.base, scope)
        if type(base) is Namespace and (value := _in_namespace(base, expr.name)) is not None:
            return self._attribute(value, expr.name_span, base, expr.name)
        if isinstance(base, Moment) and expr.name not in Moment.OPEN_METHODS:
            base = self.needs.now(base, expr.span, f"`{expr.name}` is a part of it")
        value = guarded(expr.name_span, lambda: self._environment.getattr(base, expr.name))
        self._note_missing(base, expr.name, value, expr.span)
        return self._attribute(value, expr.name_span, base, expr.name)

    def _getitem(self, expr: ast.GetItem, scope: Scope) -> Any:
        base = self.defined(expr.base, scope)
        index = self.needed(expr.index, scope, "it is an index")
        base = self.needs.now(base, expr.span, "it is cut") if isinstance(base, (str, Given)) else base
        self._budget.weigh(index, expr.index.span)
        value = guarded(expr.index.span, lambda: self._environment.getitem(base, index))
        self._budget.weigh(value, expr.span)
        self._note_missing(base, str(index), value, expr.span)
        return self._attribute(value, expr.index.span, base, str(index))

    def _note_missing(self, base: Any, name: str, value: Any, span: Span) -> None:
        """Notes a dependency on this machine if a missing package was looked up."""
        if isinstance(base, Versions) and isinstance(value, Undefined):
            self.needs.found.append(Need(DeferredCall("version", (name,)), "", span, "it is not installed here"))

    def _attribute(self, value: Any, span: Span, base: Any, name: str) -> Any:
        if isinstance(value, Broken):
            raise BrokenValue
        if not isinstance(value, PlacedUndefined):
            return value
        known = placement_of(value)
        if known.place is not None:
            return value
        if known.hint is not None and "is unsafe" in known.hint:
            help = "templates reach no Python internals"
            raise EvaluationError(Diagnostic("FGC207", f"the sandbox forbids `{name}`", span, help=help))
        if known.hint is not None:  # `loop.previtem` of the first item
            return PlacedUndefined(known.hint, obj=base, name=name, place=span)
        is_lost = isinstance(base, Namespace) and self._lost.holds(name)
        is_lost = is_lost or (isinstance(base, TemplateModule) and lacks_names(base))
        return PlacedUndefined(obj=base, name=name, place=span, visible_names=attribute_names(base), is_lost=is_lost)

    def _call(self, expr: ast.CallExpr, scope: Scope) -> Any:
        return self.call(expr, scope, {})

    def call(self, expr: ast.CallExpr, scope: Scope, extra: dict[str, Any]) -> Any:
        """The result of a call with further keywords."""
        callee = self.defined(expr.callee, scope)
        self._budget.step(expr.span)
        args, kwargs = self.arguments(expr.arguments, scope)
        kwargs |= extra
        if isinstance(callee, (Macro, BlockReference)):
            return guarded(expr.span, lambda: callee._call_at(expr.span, args, kwargs), args)
        self._check_callable(callee, expr)
        shown = expr.callee.name if isinstance(expr.callee, ast.GetAttr) else expr.callee.span.text
        args = [self.needs.argument(callee, arg, expr.span, shown) for arg in args]
        kwargs = {name: self.needs.argument(callee, arg, expr.span, shown) for name, arg in kwargs.items()}
        owner = getattr(callee, "__self__", None)
        self.weigh([owner, *args, *kwargs.values()], expr.span)
        if call_is_too_large(callee, args, kwargs):
            raise EvaluationError(too_large(expr.span))
        given = (len(args), kwargs)
        what = f"`{expr.callee.span.text}`"
        complain = partial(wrong_arguments, what, callee, 0, expr.arguments, given)
        result = guarded(expr.span, lambda: self._context.call(callee, *args, **kwargs), args, complain)
        self.check_size(result, expr.span)
        self._budget.weigh(owner, expr.span)  # a list may have grown
        if callee is lipsum:
            self.needs.drawn("lipsum", result, expr.span)
        return self._mapped_result(expr, callee, result, args)

    def _check_callable(self, callee: Any, expr: ast.CallExpr) -> None:
        if not callable(callee):
            message = f"`{expr.callee.span.text}` is {described(callee)} and cannot be called"
            raise EvaluationError(Diagnostic("FGC206", message, expr.callee.span))
        if not self._environment.is_safe_callable(callee):
            message = f"the sandbox forbids calling `{expr.callee.span.text}`"
            raise EvaluationError(Diagnostic("FGC207", message, expr.callee.span))

    def _mapped_result(self, expr: ast.CallExpr, callee: Any, result: Any, args: list[Any]) -> Any:
        """The result of a method of a mapped text keeps the origins of its lines."""
        owner = getattr(callee, "__self__", None)
        if not isinstance(owner, MappedText) or not isinstance(expr.callee, ast.GetAttr):
            return result
        name = expr.callee.name
        if name != "strip" or args:
            owner = self.needs.filtered(name, owner, expr.span, "")
        if type(result) is not str:
            self.needs.now(owner, expr.span, f"`{name}` looks at it")
            return result
        after = filtered("trim" if name == "strip" else name, owner, result, Origin(expr.span))
        self.needs.lost(owner, after, expr.span, f"`{name}` changes it")
        return after

    def arguments(self, arguments: ast.Arguments, scope: Scope) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments of a call, a filter or a test."""
        args = [self.open(item, scope) for item in arguments.positional]
        if arguments.star is not None:
            star = self.defined(arguments.star, scope)
            args += guarded(arguments.star.span, lambda: list(star))
        kwargs: dict[str, Any] = {}
        for keyword in arguments.keywords:
            if keyword.name in kwargs:
                message = f"argument `{keyword.name}` is given twice"
                raise EvaluationError(Diagnostic("FGC206", message, keyword.span, help="drop one of them"))
            kwargs[keyword.name] = self.open(keyword.value, scope)
        if arguments.double_star is not None:
            double_star = self.defined(arguments.double_star, scope)
            kwargs |= guarded(arguments.double_star.span, lambda: _named(double_star))
        return args, kwargs

    def weigh(self, values: Iterable[Any], span: Span) -> None:
        """Count an operation on values. Raises Fatal past the bound."""
        for value in values:
            self._budget.weigh(value, span)

    def check_size(self, value: Any, span: Span) -> None:
        """Raise EvaluationError if the result of an operation is too large."""
        if isinstance(value, (str, list, tuple, dict)) and len(value) > MAX_VALUE_SIZE:
            raise EvaluationError(too_large(span))
        self._budget.weigh(value, span)


def _in_namespace(namespace: Namespace, name: str) -> Any:
    """Returns an attribute of a namespace without the sandbox's checks; None if these are needed."""
    return None if name.startswith("_") else getattr(namespace, name, None)


def _named(value: Any) -> dict[str, Any]:
    """Returns the keywords of `**value`. Raises TypeError if it is not a mapping with string keys."""
    named = dict(value)
    if not all(isinstance(name, str) for name in named):
        raise TypeError("keywords must be texts")
    return named
