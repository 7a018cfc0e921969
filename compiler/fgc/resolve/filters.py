"""Applies filters and tests; a filtered text keeps the origins of its characters as far as possible."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from jinja2.runtime import Context, Undefined

from fgc.patterns import regex
from fgc.resolve.bounds import Budget
from fgc.resolve.environment import as_flow_item, jinja_environment
from fgc.resolve.errors import EvaluationError
from fgc.resolve.evaluation import Expressions
from fgc.resolve.failures import unknown_filter, unknown_in_arguments
from fgc.resolve.foreign import argument_complaint, guarded, too_large
from fgc.resolve.guards import filter_is_too_large
from fgc.resolve.mapped import MappedText, filtered
from fgc.resolve.needs import Given, Needs, quoted
from fgc.resolve.operations import applied, known
from fgc.resolve.scope import Scope
from fgc.resolve.variables import EnvironmentText, either
from fgc.syntax import ast
from fgc.text import OF_ONE_NUMBER, Origin, Span

_BEFORE_VALUE = regex(r"\s*(?:- +)*(?:[\w.-]+: +)?(?:[&!]\S+ +)*\{\{[-+]?[\s(]*")
_BEHIND_VALUE = regex(r"[\s)]*+[-+]?\}\}[ \t]*+(?:#.*+)?(?:\n\s*+[^\s\]}]|\s*+\Z)")


class Filters:
    """Applies filters and tests."""

    def __init__(self, expressions: Expressions, needs: Needs, budget: Budget) -> None:
        self._expressions = expressions
        self._needs = needs
        self._budget = budget
        self._environment = jinja_environment()
        self._context = Context(self._environment, {}, None, {})

    def apply(self, filter: ast.Filter, value: Any, span: Span, scope: Scope) -> Any:
        """Returns the result of a filter, with the origins of its input as far as possible."""
        function: Callable[..., Any] | None = self._environment.filters.get(filter.name)
        if function is None:
            raise EvaluationError(unknown_filter("filter", filter, self._environment.filters))
        args, kwargs = self._expressions.arguments(filter.arguments, scope)
        if (unknown := unknown_in_arguments(filter, args, self._environment)) is not None:
            raise EvaluationError(unknown)
        if filter.name in ("default", "d"):
            return self._default(filter, value, args, kwargs, span)
        if filter.name == "toyaml" and isinstance(value, Undefined) and len(args) == 1 and not kwargs:
            value, args = self._needs.default_for(value, args[0], span), []
        reason = f"the filter `{filter.name}` takes it"
        args = [self._needs.now(arg, span, reason) for arg in args]
        kwargs = {name: self._needs.now(arg, span, reason) for name, arg in kwargs.items()}
        write = as_flow_item if filter.name == "toyaml" and not _is_block_value(span) else str
        if filter.name == "toyaml" and (text := quoted(value, write)) is not None:
            return text
        if isinstance(value, Given) and (still_open := self._of_number(filter, value, span)) is not None:
            return still_open
        value = self._needs.filtered(filter.name, value, span)
        self._budget.step(span)
        self._expressions.weigh([value, *args, *kwargs.values()], span)
        if filter_is_too_large(filter.name, value, args, kwargs):
            raise EvaluationError(too_large(filter.span))
        result = guarded(
            filter.name_span,
            lambda: self._environment.call_filter(filter.name, value, args, kwargs, context=self._context),
            [value, *args],
            partial(argument_complaint, f"filter `{filter.name}`", function, filter, (len(args), kwargs)),
        )
        if filter.name == "toyaml":
            result = write(result)
        self._expressions.check_size(result, span)
        return self._mapped(filter, value, result, span)

    def of_several(self, filter: ast.Filter, items: Sequence[ast.Expr], span: Span, scope: Scope) -> Any:
        """Returns the result of a filter on a list such as `[a, b] | max`, which stays open for numbers."""
        values = [self._expressions.open(item, scope) for item in items]
        if any(isinstance(value, Given) for value in values) and not _has_arguments(filter.arguments):
            result = guarded(span, lambda: (max if filter.name == "max" else min)(map(known, values)))
            still_open = values[0] if len(values) == 1 else applied(filter.name, tuple(values), result)
            if still_open is not None:
                return still_open
        pairs = zip(values, items, strict=True)
        base = [self._needs.plain(value, item.span, "it is put into a list or mapping") for value, item in pairs]
        return self.apply(filter, base, span, scope)

    def _of_number(self, filter: ast.Filter, value: Given, span: Span) -> Any:
        """Returns the open result of a filter on a number from outside; None if its value is needed now."""
        if filter.name not in OF_ONE_NUMBER or _has_arguments(filter.arguments):
            return None
        call = partial(self._environment.call_filter, filter.name, value.value, context=self._context)
        return applied(filter.name, (value,), guarded(filter.name_span, call))

    def _mapped(self, filter: ast.Filter, value: Any, result: Any, span: Span) -> Any:
        """The result of a filter, with the origins of its input, and open where that changes nothing."""
        if filter.name == "random":
            self._needs.drawn("random", result, span)
        if isinstance(value, MappedText) and not isinstance(result, MappedText):
            reason = f"the filter `{filter.name}` changes it"
            if isinstance(result, str):
                result = filtered(filter.name, value, result, Origin(span))
            self._needs.lost(value, result, span, reason)
        return result

    def _default(self, filter: ast.Filter, value: Any, args: list[Any], kwargs: dict[str, Any], span: Span) -> Any:
        """A value, or the default for an undefined one; a variable from outside stays open."""
        takes_false = bool(args[1:] and args[1]) or bool(kwargs.get("boolean"))
        if takes_false and isinstance(value, EnvironmentText) and args:
            return either(value, self._needs.plain(args[0], span, "it is the default of a variable"))
        if takes_false:
            self._needs.whether_given(value, span)
            value = self._needs.now(value, span, "`default` looks whether it is false")
        elif not isinstance(value, Undefined):
            return value
        complain = self._environment.filters["default"]
        result = guarded(
            filter.name_span,
            lambda: self._environment.call_filter(filter.name, value, args, kwargs, context=self._context),
            [value, *args],
            partial(argument_complaint, f"filter `{filter.name}`", complain, filter, (len(args), kwargs)),
        )
        return result if takes_false else self._needs.default_for(value, result, span)

    def test(self, expr: ast.TestExpr, scope: Scope) -> bool:
        """The value of `a is b` or `a is not b`."""
        test = expr.test
        function: Any = self._environment.tests.get(test.name)
        if function is None:
            raise EvaluationError(unknown_filter("test", test, self._environment.tests))
        value = self._needs.tested(test.name, self._expressions.open(expr.base, scope), expr.span)
        args, kwargs = self._expressions.arguments(test.arguments, scope)
        args = [self._needs.now(arg, expr.span, f"the test `{test.name}` looks at it") for arg in args]
        self._expressions.weigh([value, *args, *kwargs.values()], expr.span)
        result = guarded(
            test.name_span,
            lambda: self._environment.call_test(test.name, value, args, kwargs, context=self._context),
            [value, *args],
            partial(argument_complaint, f"test `{test.name}`", function, test, (len(args), kwargs)),
        )
        return bool(result) is not expr.is_negated


def _has_arguments(arguments: ast.Arguments) -> bool:
    return bool(arguments.positional or arguments.keywords or arguments.star or arguments.double_star)


def _is_block_value(span: Span) -> bool:
    """Returns True if what is printed is surely a whole value outside of brackets: commas split nothing there."""
    text = span.source.text
    line = text.rfind("\n", 0, span.start) + 1
    before, value = text[line : span.start], text[line : span.end]
    is_begun = _BEFORE_VALUE.fullmatch(before) is not None and not before.lstrip().startswith("{{")
    return is_begun and "\n" not in value and _BEHIND_VALUE.match(text, span.end) is not None
