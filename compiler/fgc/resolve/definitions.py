"""Turns macros and call blocks into callables that render their bodies at each call."""

from typing import Any

from fgc.resolve.frames import Frame, Machine, Sink
from fgc.resolve.macros import Macro, missing_argument, no_caller
from fgc.resolve.mapped import MappedText
from fgc.resolve.mentions import mentioned_names
from fgc.resolve.scope import Scope
from fgc.syntax import ast
from fgc.text import Span

_PIECES_PER_STEP = 4  # of passing a text on


class Macros:
    """Makes the macros of one configuration."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._mentions: dict[int, frozenset[str]] = {}  # by identity: hashing a body would walk all of it

    def make(
        self,
        name: str,
        span: Span,
        parameters: tuple[ast.Parameter, ...],
        body: tuple[ast.Statement, ...],
        frame: Frame,
    ) -> Macro:
        """Returns a macro that sees the names at the place of its definition."""

        def run(at: Span, bound: dict[str, Any], missing: tuple[ast.Parameter, ...]) -> MappedText:
            scope = frame.scope.inner()
            scope.names |= bound
            if "caller" in mentioned and "caller" not in bound:
                scope.names["caller"] = no_caller(name, span, at)
            for parameter in missing:
                scope.set(parameter.name, self._default(name, span, parameter, at, scope))
            self._machine.budget.enter(at)
            text = self._machine.capture(body, Frame(frame.run, scope, Sink(), (at, *self._machine.via), frame.block))
            self._machine.budget.leave()
            self._machine.budget.step(at, len(text.pieces) // _PIECES_PER_STEP)
            return text

        mentioned = self._mentioned(body)
        return Macro(name, span, parameters, mentioned, run)

    def call_block(self, statement: ast.CallBlock, frame: Frame) -> Any:
        """Returns the result of calling a macro with the block's body as its `caller`."""
        caller = self.make("caller", statement.span, statement.parameters, statement.body, frame)
        return self._machine.evaluator.call(statement.call, frame.scope, {"caller": caller})

    def _default(self, macro: str, span: Span, parameter: ast.Parameter, at: Span, scope: Scope) -> Any:
        if parameter.default is not None:
            return self._machine.evaluator.value(parameter.default, scope)
        return missing_argument(macro, span, parameter, at)

    def _mentioned(self, body: tuple[ast.Statement, ...]) -> frozenset[str]:
        known = self._mentions.get(id(body))
        if known is None:
            known = self._mentions[id(body)] = mentioned_names(body)
        return known
