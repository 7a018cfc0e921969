"""Expressions to values, with the meaning that Jinja2's sandbox gives them."""

import operator
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, assert_never

from jinja2.runtime import Context, StrictUndefined, Undefined
from jinja2.utils import Namespace

from fgc.diagnostics import Diagnostic
from fgc.resolve.bounds import MAX_VALUE_SIZE, Budget
from fgc.resolve.environment import Moment, PlacedUndefined, Versions, jinja_environment, lipsum, placement_of
from fgc.resolve.errors import Broken, BrokenValue, EvaluationError
from fgc.resolve.failures import (
    attribute_names,
    described,
    undefined_finding,
    unknown_filter,
    unknown_in_arguments,
    wrong_arguments,
    wrong_operands,
)
from fgc.resolve.foreign import argument_complaint, guarded, too_large
from fgc.resolve.guards import call_is_too_large, filter_is_too_large, operator_is_too_large
from fgc.resolve.macros import BlockReference, Macro, TemplateModule, lacks_names
from fgc.resolve.mapped import MappedText, filtered, join
from fgc.resolve.needs import Given, Needs, quoted
from fgc.resolve.operations import chosen, computed, is_harmless
from fgc.resolve.poison import Lost
from fgc.resolve.scope import Scope, absent
from fgc.resolve.variables import EnvironmentText, either
from fgc.resolve.written import takes_text_of, unwritten
from fgc.syntax import ast
from fgc.text import DeferredCall, Need, Origin, Span

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


class Evaluator:
    """Evaluates expressions of one configuration."""

    def __init__(self, budget: Budget, lost: Lost) -> None:
        self._budget = budget
        self._lost = lost
        self.needs = Needs()
        self._environment = jinja_environment()
        self._context = Context(self._environment, {}, None, {})

    def value(self, expr: ast.Expr, scope: Scope) -> Any:
        """The value of an expression: perhaps undefined, or open (`needs`). Raises EvaluationError or BrokenValue."""
        try:
            return self._open(expr, scope)
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
        """The value of an expression, defined and known now."""
        return self.needs.now(self.defined(expr, scope), expr.span, reason)

    def truth(self, expr: ast.Expr, scope: Scope) -> bool:
        value = self.needs.truth(self.defined(expr, scope), expr.span)
        return bool(guarded(expr.span, lambda: bool(value)))

    def require(self, value: Any, span: Span) -> None:
        """Raise EvaluationError, at the undefined name, if a value is undefined."""
        if issubclass(type(value), StrictUndefined):  # a namespace takes long to say its `__class__`
            raise EvaluationError(undefined_finding(value, span))

    def writable(self, value: Any, span: Span) -> None:
        """Raise EvaluationError if a value that becomes a text at `span` has no written form."""
        self._budget.weigh(value, span)
        finding = guarded(span, lambda: unwritten(value, span))
        if finding is not None:
            raise EvaluationError(finding)

    # ---- one method for each kind of expression

    def _value(self, expr: ast.Expr, scope: Scope) -> Any:
        """A value as other code takes it: a text may be open, nothing else."""
        return self.needs.plain(self._open(expr, scope), expr.span, "an expression computes with it")

    def _item(self, expr: ast.Expr, scope: Scope) -> Any:
        return self.needs.plain(self._open(expr, scope), expr.span, "it is put into a list or mapping")

    def _open(self, expr: ast.Expr, scope: Scope) -> Any:
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
                value = self._open(expr.base, scope)
                if takes_text_of(expr.filter, value):
                    self.writable(value, expr.base.span)
                return self.apply(expr.filter, value, expr.span, scope)
            case ast.TestExpr():
                return self._test(expr, scope)
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
                return self._unary(expr, scope)
            case ast.Binary():
                return self._binary(expr, scope)
            case ast.Compare():
                return self._compare(expr, scope)
            case ast.Concat():
                return self._concat(expr, scope)
            case ast.Conditional():
                return self._conditional(expr, scope)
            case _:
                assert_never(expr)

    def _dict(self, expr: ast.DictExpr, scope: Scope) -> dict[Any, Any]:
        pairs = [(self._item(key, scope), self._item(item, scope)) for key, item in expr.items]
        self._weigh([key for key, _ in pairs], expr.span)  # they are hashed
        result: dict[Any, Any] = guarded(expr.span, lambda: dict(pairs))
        return result

    def _concat(self, expr: ast.Concat, scope: Scope) -> str:
        origin = Origin(expr.span)
        parts = []
        for item in expr.items:
            value = self.defined(item, scope)
            self.writable(value, item.span)
            parts.append(self.needs.printable(value, origin))
        if sum(len(part) for part in parts if isinstance(part, str)) > MAX_VALUE_SIZE:
            raise EvaluationError(too_large(expr.span))
        text: str = guarded(expr.span, lambda: join(parts, origin))
        self._check_size(text, expr.span)
        self._budget.step(expr.span, len(text.pieces) // 4 if isinstance(text, MappedText) else 0)
        return text

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
        """That a package is not installed here is true of this machine."""
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
        self._weigh([owner, *args, *kwargs.values()], expr.span)
        if call_is_too_large(callee, args, kwargs):
            raise EvaluationError(too_large(expr.span))
        given = (len(args), kwargs)
        what = f"`{expr.callee.span.text}`"
        complain = partial(wrong_arguments, what, callee, 0, expr.arguments, given)
        result = guarded(expr.span, lambda: self._context.call(callee, *args, **kwargs), args, complain)
        self._check_size(result, expr.span)
        self._budget.weigh(owner, expr.span)  # a list that has grown
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
        args = [self._open(item, scope) for item in arguments.positional]
        if arguments.star is not None:
            star = self.defined(arguments.star, scope)
            args += guarded(arguments.star.span, lambda: list(star))
        kwargs: dict[str, Any] = {}
        for keyword in arguments.keywords:
            if keyword.name in kwargs:
                message = f"argument `{keyword.name}` is given twice"
                raise EvaluationError(Diagnostic("FGC206", message, keyword.span, help="drop one of them"))
            kwargs[keyword.name] = self._open(keyword.value, scope)
        if arguments.double_star is not None:
            double_star = self.defined(arguments.double_star, scope)
            kwargs |= guarded(arguments.double_star.span, lambda: _named(double_star))
        return args, kwargs

    def apply(self, filter: ast.Filter, value: Any, span: Span, scope: Scope) -> Any:
        """The result of a filter, with the origins of its input as far as they can be told."""
        function: Callable[..., Any] | None = self._environment.filters.get(filter.name)
        if function is None:
            raise EvaluationError(unknown_filter("filter", filter, self._environment.filters))
        args, kwargs = self.arguments(filter.arguments, scope)
        if (unknown := unknown_in_arguments(filter, args, self._environment)) is not None:
            raise EvaluationError(unknown)
        if filter.name in ("default", "d"):
            return self._default(filter, value, args, kwargs, span)
        reason = f"the filter `{filter.name}` takes it"
        args = [self.needs.now(arg, span, reason) for arg in args]
        kwargs = {name: self.needs.now(arg, span, reason) for name, arg in kwargs.items()}
        if filter.name == "toyaml" and (text := quoted(value)) is not None:
            return text
        value = self.needs.filtered(filter.name, value, span)
        self._budget.step(span)
        self._weigh([value, *args, *kwargs.values()], span)
        if filter_is_too_large(filter.name, value, args, kwargs):
            raise EvaluationError(too_large(filter.span))
        result = guarded(
            filter.name_span,
            lambda: self._environment.call_filter(filter.name, value, args, kwargs, context=self._context),
            [value, *args],
            partial(argument_complaint, f"filter `{filter.name}`", function, filter, (len(args), kwargs)),
        )
        self._check_size(result, span)
        return self._mapped(filter, value, result, span)

    def _mapped(self, filter: ast.Filter, value: Any, result: Any, span: Span) -> Any:
        """The result of a filter, with the origins of its input, and open where that changes nothing."""
        if filter.name == "random":
            self.needs.drawn("random", result, span)
        if isinstance(value, MappedText) and not isinstance(result, MappedText):
            reason = f"the filter `{filter.name}` changes it"
            if isinstance(result, str):
                result = filtered(filter.name, value, result, Origin(span))
            self.needs.lost(value, result, span, reason)
        return result

    def _default(self, filter: ast.Filter, value: Any, args: list[Any], kwargs: dict[str, Any], span: Span) -> Any:
        """A value, or the default for an undefined one; a variable from outside stays open."""
        takes_false = bool(args[1:] and args[1]) or bool(kwargs.get("boolean"))
        if takes_false and isinstance(value, EnvironmentText) and args:
            return either(value, self.needs.plain(args[0], span, "it is the default of a variable"))
        if takes_false:
            self.needs.whether_given(value, span)
            value = self.needs.now(value, span, "`default` looks whether it is false")
        elif not isinstance(value, Undefined):
            return value
        if args:
            args[0] = self.needs.plain(args[0], span, f"it is the default of `{_shown(value)}`")
        complain = self._environment.filters["default"]
        result = guarded(
            filter.name_span,
            lambda: self._environment.call_filter(filter.name, value, args, kwargs, context=self._context),
            [value, *args],
            partial(argument_complaint, f"filter `{filter.name}`", complain, filter, (len(args), kwargs)),
        )
        return result if takes_false else self.needs.default_for(value, result, span)

    def _test(self, expr: ast.TestExpr, scope: Scope) -> bool:
        test = expr.test
        function: Any = self._environment.tests.get(test.name)
        if function is None:
            raise EvaluationError(unknown_filter("test", test, self._environment.tests))
        value = self.needs.tested(test.name, self._open(expr.base, scope), expr.span)
        args, kwargs = self.arguments(test.arguments, scope)
        args = [self.needs.now(arg, expr.span, f"the test `{test.name}` looks at it") for arg in args]
        self._weigh([value, *args, *kwargs.values()], expr.span)
        result = guarded(
            test.name_span,
            lambda: self._environment.call_test(test.name, value, args, kwargs, context=self._context),
            [value, *args],
            partial(argument_complaint, f"test `{test.name}`", function, test, (len(args), kwargs)),
        )
        return bool(result) is not expr.is_negated

    def _unary(self, expr: ast.Unary, scope: Scope) -> Any:
        if expr.operator == "not":
            return not self.truth(expr.operand, scope)
        counted = len(self.needs.found)
        given = self.defined(expr.operand, scope)
        operand = self.needs.now(given, expr.operand.span, f"`{expr.operator}` computes with it")
        apply = operator.neg if expr.operator == "-" else operator.pos
        result = guarded(expr.span, lambda: apply(operand))
        still_open = computed(expr.operator, (given,), result)
        if still_open is None:
            return result
        del self.needs.found[counted:]
        return still_open

    def _binary(self, expr: ast.Binary, scope: Scope) -> Any:
        left = self.defined(expr.left, scope)
        if expr.operator == "or" and isinstance(left, EnvironmentText):
            return self._variable_or(left, expr.right, scope)
        if expr.operator in ("and", "or"):
            left = self.needs.truth(left, expr.left.span)
            is_decided = bool(left) is (expr.operator == "or")
            return left if is_decided else self._open(expr.right, scope)
        right = self.defined(expr.right, scope)
        given = (left, right)
        counted = len(self.needs.found)
        result = self._calculated(expr, left, right)
        still_open = computed(expr.operator, given, result)
        if still_open is None:
            return result
        del self.needs.found[counted:]
        return still_open

    def _calculated(self, expr: ast.Binary, left: Any, right: Any) -> Any:
        if expr.operator != "+" or not (isinstance(left, str) and isinstance(right, str)):
            reason = f"`{expr.operator}` computes with it"
            left, right = self.needs.now(left, expr.span, reason), self.needs.now(right, expr.span, reason)
        if operator_is_too_large(expr.operator, left, right):
            raise EvaluationError(too_large(expr.span))
        self._weigh([left, right], expr.span)
        if expr.operator == "+" and isinstance(left, str) and isinstance(right, str):
            return join((left, right), Origin(expr.span))
        is_format = expr.operator == "%" and isinstance(left, str)  # then Python's own words are better
        if is_format:
            self.writable(right, expr.right.span)
        complain = None if is_format else partial(wrong_operands, expr, left, right)
        return guarded(expr.span, partial(_BINARY[expr.operator], left, right), None, complain)

    def _variable_or(self, left: EnvironmentText, right: ast.Expr, scope: Scope) -> Any:
        """`getenv(name) or right`: both may be needed where the program runs, unless `right` refuses."""
        try:
            second = self.needs.plain(self._open(right, scope), right.span, "it stands for a variable")
            return guarded(right.span, lambda: either(left, second))
        except EvaluationError:
            if not left.value:
                raise
            return left

    def _compare(self, expr: ast.Compare, scope: Scope) -> Any:
        counted = len(self.needs.found)
        first = self.defined(expr.first, scope)
        left = self.needs.now(first, expr.first.span, "it is compared")
        result: Any = True
        for name, operand in expr.rest:
            other = self.defined(operand, scope)
            right = self.needs.now(other, operand.span, "it is compared")
            self._weigh([left, right], expr.span)
            result = guarded(expr.span, partial(_COMPARE[name], left, right))
            still_open = computed(name, (first, other), result) if len(expr.rest) == 1 else None
            if still_open is not None:
                del self.needs.found[counted:]
                return still_open
            if not result:
                return result
            left = right
        return result

    def _conditional(self, expr: ast.Conditional, scope: Scope) -> Any:
        condition = self.defined(expr.condition, scope)
        if isinstance(condition, Given) and (either := self._either(expr, condition, scope)) is not None:
            return either
        condition = self.needs.truth(condition, expr.condition.span)
        if guarded(expr.condition.span, lambda: bool(condition)):
            return self._open(expr.then, scope)
        if expr.otherwise is not None:
            return self._open(expr.otherwise, scope)
        return Undefined("the condition is false and there is no `else`")  # prints as nothing, as in Jinja2

    def _either(self, expr: ast.Conditional, condition: Given, scope: Scope) -> Any:
        """One of two scalars, by a condition that is open; None if what is chosen has to be known now."""
        if expr.otherwise is None or not (is_harmless(expr.then) and is_harmless(expr.otherwise)):
            return None
        counted = len(self.needs.found)
        try:
            then, otherwise = self.defined(expr.then, scope), self.defined(expr.otherwise, scope)
        except (EvaluationError, BrokenValue):
            then = otherwise = ()  # only the branch that is taken may complain
        either = chosen(then, condition, otherwise)
        if either is None:
            del self.needs.found[counted:]
        return either

    def _weigh(self, values: Iterable[Any], span: Span) -> None:
        for value in values:
            self._budget.weigh(value, span)

    def _check_size(self, value: Any, span: Span) -> None:
        if isinstance(value, (str, list, tuple, dict)) and len(value) > MAX_VALUE_SIZE:
            raise EvaluationError(too_large(span))
        self._budget.weigh(value, span)


def _in_namespace(namespace: Namespace, name: str) -> Any:
    """What a namespace has under a name, the short way; None if the sandbox has to be asked."""
    return None if name.startswith("_") else getattr(namespace, name, None)


def _shown(value: Any) -> str:
    return placement_of(value).name if isinstance(value, PlacedUndefined) else "a value"


def _named(value: Any) -> dict[str, Any]:
    """What `**value` gives. Raises TypeError if it is no mapping of names."""
    named = dict(value)
    if not all(isinstance(name, str) for name in named):
        raise TypeError("keywords must be texts")
    return named
