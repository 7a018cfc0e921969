"""Finds and runs the templates that statements name: includes, imports and parents. Reports cycles."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Severity, did_you_mean
from fgc.patterns import regex
from fgc.resolve.environment import PlacedUndefined
from fgc.resolve.errors import Broken, EvaluationError, Fatal
from fgc.resolve.failures import described
from fgc.resolve.frames import Frame, Machine, Sink
from fgc.resolve.library import Library
from fgc.resolve.macros import TemplateModule, exports_of, lacks_names, listed
from fgc.resolve.mapped import outdented
from fgc.resolve.overrides import Inclusion
from fgc.resolve.scope import Context
from fgc.syntax import ast
from fgc.text import Piece, Span

RunTemplate: TypeAlias = Callable[[ast.Template, dict[str, Any], Sink, tuple[Span, ...]], Context]

_REST_OF_LINE = regex(r"(?:\s*+%\})?[^\S\n]*+(?:(?<=\s)##[^\n]*)?\n")


class Templates:
    """Runs the templates that statements name. `run` renders one and its ancestors."""

    def __init__(
        self, machine: Machine, library: Library, global_names: Mapping[str, Any], run: RunTemplate, entry: ast.Template
    ) -> None:
        self._machine = machine
        self._library = library
        self._globals = dict(global_names)
        self._run = run
        self._entered: list[tuple[str, Span]] = [(entry.name, Span(entry.source, 0, 0))]
        self.included: dict[ast.Template, Inclusion] = {}

    def find(self, expression: ast.Expr, frame: Frame, ignores_missing: bool = False) -> ast.Template | None:
        """Returns the template of a name, or the first that exists in a list of names. Raises EvaluationError."""
        value = self._machine.evaluator.value(expression, frame.scope)
        if not ignores_missing:
            self._machine.evaluator.require(value, expression.span)
        value = self._machine.evaluator.needs.now(value, expression.span, "it names a template")
        names = list(value) if isinstance(value, (list, tuple)) else [value]
        self._machine.budget.step(expression.span, len(names))
        for name in names:
            if not isinstance(name, str):
                message = f"a template's name must be a text, not {described(name)}"
                raise EvaluationError(Diagnostic("FGC206", message, expression.span))
            template = self._library.find("".join(name)) if ".." not in name.split("/") else None
            if template is not None:
                return template
        if ignores_missing:
            return None
        raise EvaluationError(self._library.not_found(", ".join(names), expression.span))

    def include(self, statement: ast.Include, frame: Frame) -> None:
        """Adds the text of another template. Its blocks are separate from those of the including one."""
        template = self.find(statement.template, frame, statement.ignores_missing)
        if template is None:
            return
        self.included.setdefault(template, Inclusion((template,), frame.block))
        sink = Sink()
        self._enter(template, statement.span)
        context = self._run(template, self._outside(frame, statement.with_context), sink, (statement.span, *frame.via))
        self._leave()
        self.included[template] = Inclusion(tuple(context.chain), frame.block)
        pieces = [_in_block(piece, frame.block) for piece in sink.pieces]
        self._machine.write(outdented(pieces, frame.sink.pieces, statement.span), frame)
        last = next((piece for piece in reversed(sink.pieces) if not piece.is_blank), None)
        if last is not None and not last.is_broken and not last.text.endswith("\n") and _drops_newline(statement.span):
            frame.sink.unended = statement

    def module(self, expression: ast.Expr, span: Span, with_context: bool, frame: Frame) -> TemplateModule:
        """Returns the names that a template sets at its top level."""
        template = self.find(expression, frame)
        assert template is not None, "a template that is missing was reported"
        self._enter(template, span)
        context = self._run(template, self._outside(frame, with_context), Sink(), (span, *frame.via))
        self._leave()
        exports = {name: value for name, value in context.names.items() if not name.startswith("_")}
        return TemplateModule(exports, context.may_lack_names)

    def from_import(self, statement: ast.FromImport, frame: Frame) -> None:
        """Sets names to the values that another template exports."""
        module = self.module(statement.template, statement.span, statement.with_context, frame)
        exports = exports_of(module)
        for name in statement.names:
            if name.name in exports:
                frame.scope.set(name.alias, exports[name.name])
                continue
            if lacks_names(module):
                frame.scope.set(name.alias, Broken())
                continue
            message = f"`{statement.template.span.text}` defines no `{name.name}`"
            help = did_you_mean(name.name, exports) or f"it defines {listed(exports) or 'nothing'}"
            finding = Diagnostic("FGC203", message, name.span, help=help)
            frame.scope.set(name.alias, PlacedUndefined(name=name.name, place=name.span, finding=finding))
            self._machine.report(replace(finding, severity=Severity.WARNING))  # an error once it is used

    def _outside(self, frame: Frame, with_context: bool) -> dict[str, Any]:
        if not with_context:
            return self._globals
        visible = frame.scope.visible()
        visible.pop("super", None)
        visible.pop("self", None)
        return visible

    def _enter(self, template: ast.Template, span: Span) -> None:
        self._entered.append((template.name, span))
        try:
            self._machine.budget.enter(span)
        except Fatal as fatal:
            raise Fatal(_cycle(self._entered) or fatal.diagnostic) from None

    def _leave(self) -> None:
        self._entered.pop()
        self._machine.budget.leave()


def extends_cycle(chain: Sequence[ast.Template], parent: ast.Template, span: Span) -> Diagnostic:
    """Returns the finding for a template that extends itself."""
    names = " -> ".join(template.name for template in [*chain, parent])
    help = "a name always finds the first template on the search path; rename one of them"
    return Diagnostic("FGC202", f"template extends itself without end: {names}", span, help=help)


def _cycle(entered: list[tuple[str, Span]]) -> Diagnostic | None:
    """Returns the finding for the first cycle among the entered templates; None if they only nest too deeply."""
    names = [name for name, _ in entered]
    for first, name in enumerate(names):
        if names.count(name) < 3:
            continue
        again = names.index(name, first + 1)
        message = f"template includes itself without end: {' -> '.join(names[first : again + 1])}"
        help = "include it under a condition that ends, or include another template"
        return Diagnostic("FGC202", message, entered[again][1], help=help)
    return None


def _drops_newline(span: Span) -> bool:
    """Returns True if an include is the last thing on its line, so that the line end after it is dropped."""
    text = span.source.text
    line = text[text.rfind("\n", 0, span.start) + 1 : span.start]
    return not line.lstrip().startswith(">>") and _REST_OF_LINE.match(text, span.end) is not None


def _in_block(piece: Piece, block: str | None) -> Piece:
    if block is None or piece.origin.block is not None:
        return piece
    return replace(piece, origin=replace(piece.origin, block=block))
