"""Loops: iterables to runs of a body, with Jinja2's `loop`."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from jinja2.runtime import LoopContext
from msgspec.structs import replace

from fgc.diagnostics import Diagnostic
from fgc.resolve.assign import assign
from fgc.resolve.bounds import MAX_STEPS
from fgc.resolve.environment import PlacedUndefined
from fgc.resolve.errors import EvaluationError
from fgc.resolve.failures import described
from fgc.resolve.foreign import guarded
from fgc.resolve.frames import Frame, Machine, Sink
from fgc.resolve.mapped import MappedText
from fgc.resolve.mentions import has_scoped_block, mentioned_names
from fgc.syntax import ast


class Loops:
    """Runs the loops of one configuration."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._wanting: dict[int, bool] = {}  # by identity: hashing a loop would walk all of its body

    def run(self, statement: ast.For, frame: Frame) -> None:
        iterable = self._iterable(statement.iterable, frame)
        self._loop(statement, iterable, frame, 0)

    def _iterable(self, expression: ast.Expr, frame: Frame) -> Any:
        """Returns what is looped over. A list is known now, whatever is in it."""
        value = self._machine.evaluator.defined(expression, frame.scope)
        if isinstance(value, (list, tuple, dict)):
            return value
        return self._machine.evaluator.needs.now(value, expression.span, "it is looped over")

    def _loop(self, statement: ast.For, iterable: Any, frame: Frame, depth: int) -> None:
        items = self._items(statement, iterable, frame)
        if not items:
            self._machine.body(statement.otherwise, replace(frame, scope=frame.scope.inner()))
            return
        if not self._wants_loop(statement):
            for item in items:
                self._iteration(statement, item, None, frame)
            return

        def recurse(inner: Any, _: Any, depth: int = 0) -> MappedText:
            self._machine.budget.enter(statement.span)
            sink = Sink()
            self._loop(statement, inner, replace(frame, sink=sink), depth)
            self._machine.budget.leave()
            return MappedText(sink.pieces)

        again: Any = recurse if statement.is_recursive else None
        for item, loop in LoopContext(items, PlacedUndefined, again, depth):
            self._iteration(statement, item, loop, frame)

    def _items(self, statement: ast.For, iterable: Any, frame: Frame) -> list[Any]:
        span = statement.iterable.span
        try:
            iterator = iter(iterable)
        except TypeError:
            message = f"`{span.text}` cannot be looped over: it is {described(iterable)}"
            raise EvaluationError(Diagnostic("FGC206", message, span)) from None
        items: list[Any] = guarded(span, lambda: list(islice(iterator, MAX_STEPS + 1)))  # a filter may be lazy
        self._machine.budget.step(statement.span, len(items))
        if statement.condition is None:
            return items
        return list(self._kept(items, statement.target, statement.condition, frame))

    def _kept(self, items: list[Any], target: ast.Target, condition: ast.Expr, frame: Frame) -> Iterable[Any]:
        for item in items:
            scope = frame.scope.inner()
            assign(target, item, scope)
            if self._machine.evaluator.truth(condition, scope):
                yield item

    def _iteration(self, statement: ast.For, item: Any, loop: Any, frame: Frame) -> None:
        scope = frame.scope.inner()
        if loop is not None:
            scope.set("loop", loop)
        assign(statement.target, item, scope)
        self._machine.body(statement.body, replace(frame, scope=scope))

    def _wants_loop(self, statement: ast.For) -> bool:
        """Jinja2 makes `loop` only where it is mentioned, so that an outer one stays visible."""
        known = self._wanting.get(id(statement))
        if known is None:
            body = statement.body
            known = statement.is_recursive or "loop" in mentioned_names(body) or has_scoped_block(body)
            self._wanting[id(statement)] = known
        return known
