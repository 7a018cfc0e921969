"""Runs statements and collects pieces of text. Inheritance works on blocks of the syntax tree, never on text.

The package's docstring explains the order in which templates run.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, assert_never

from jinja2.exceptions import UndefinedError
from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Related
from fgc.resolve.assign import assign, break_targets
from fgc.resolve.blocks import Blocks
from fgc.resolve.bounds import Budget
from fgc.resolve.definitions import Macros
from fgc.resolve.errors import BrokenValue, EvaluationError, Fatal
from fgc.resolve.expressions import Evaluator
from fgc.resolve.failures import first_undefined, with_chain
from fgc.resolve.frames import Frame, Machine, Sink, TemplateRun
from fgc.resolve.library import Library
from fgc.resolve.loops import Loops
from fgc.resolve.mapped import MappedText, outdented, pieces_of
from fgc.resolve.mentions import walk
from fgc.resolve.needs import Given, given
from fgc.resolve.overrides import check_overrides, has_extends, unknown_overrides
from fgc.resolve.poison import Lost
from fgc.resolve.scope import Context, Scope
from fgc.resolve.templates import Templates, extends_cycle
from fgc.resolve.written import printed
from fgc.syntax import ast
from fgc.text import Origin, Piece, Span

_TEXT = attrgetter("text")
_PLACEHOLDER = "undefined"  # stands where a print failed, so that what is around it is still YAML
_SIGILS = ("--", "<<", ">>", "==", "=>")
_RECURSION_LIMIT = 20_000  # nesting is bounded by the budget, not by Python


class Renderer(Machine):
    """Renders one configuration.

    `templates` are those that ran. `taken` are the branches and blocks that ran (by identity); the others are checked
    later. `lost` records what did not run because of a mistake.
    """

    def __init__(self, library: Library, global_names: Mapping[str, Any], entry: ast.Template) -> None:
        self._entry = entry
        self._globals = dict(global_names)
        self._budget = Budget()
        self.lost = Lost(library.find)
        self._evaluator = Evaluator(self._budget, self.lost)
        self._via: tuple[Span, ...] = ()
        self._blocks = Blocks(self)
        self._loops = Loops(self)
        self._macros = Macros(self)
        self._templates = Templates(self, library, self._globals, self._template, entry)
        self.templates: dict[ast.Template, None] = {}
        self._taken: set[int] = set()
        self.diagnostics: list[Diagnostic] = []

    @property
    def taken(self) -> set[int]:
        return self._taken

    @property
    def budget(self) -> Budget:
        return self._budget

    @property
    def evaluator(self) -> Evaluator:
        return self._evaluator

    @property
    def via(self) -> tuple[Span, ...]:
        return self._via

    def report(self, diagnostic: Diagnostic) -> None:
        self.diagnostics.append(diagnostic)

    def render(self, variables: Mapping[str, Any]) -> list[Piece]:
        """Returns the pieces of a configuration's text; mistakes leave gaps, marked as broken."""
        sys.setrecursionlimit(max(sys.getrecursionlimit(), _RECURSION_LIMIT))
        sink = Sink()
        try:
            outside = {name: given(name, value) for name, value in variables.items()}
            self._template(self._entry, {**self._globals, **outside}, sink, ())
        except Fatal as fatal:
            self.report(fatal.diagnostic)
            self.lost.everything()
            self.lost.has_text = True
        return sink.pieces

    def _template(self, template: ast.Template, outside: dict[str, Any], sink: Sink, via: tuple[Span, ...]) -> Context:
        """Runs a template, then its parent, and so on."""
        context = Context(outside)
        context.add_blocks(template)
        current: ast.Template | None = template
        while current is not None:
            self.templates.setdefault(current)
            self.lost.has_unread = self.lost.has_unread or current.is_partial
            run = TemplateRun(context)
            frame = Frame(run, Scope(context, is_top=True), Sink(sink.pieces), via)
            frame.scope.names["self"] = self._blocks.all_of(frame)
            if not has_extends(current):
                self._lose_overrides(context)
            self.body(current.body, frame)
            if run.parent is None and not run.is_broken:
                self.diagnostics += check_overrides(context, self._templates.included.values())
            current = run.parent
        return context

    def _lose_overrides(self, context: Context) -> None:
        """Records the blocks that override nothing as lost, before the oldest template runs."""
        for override in unknown_overrides(context):
            block = override.block
            self.lost.statements([block])
            inner = [node.name for node in walk(block.body) if isinstance(node, ast.Block)]
            self.lost.statements(item.block for name in inner for item in context.blocks.get(name, ()))
            self.lost.has_text = True
            context.lost_blocks.add(block.name)
            self.lost.blocks.update(override.left_alone())

    # ---- statements

    def body(self, body: Iterable[ast.Statement], frame: Frame) -> None:
        """Runs statements one after another; those that fail are reported and left out."""
        outer, self._via = self._via, frame.via
        for statement in body:
            if isinstance(statement, ast.Text):
                self._text(statement, frame)
                continue
            self._budget.step(statement.span)
            try:
                self._statement(statement, frame)
            except EvaluationError as error:
                self.report(with_chain(error.diagnostic, frame.via))
                self._fail(statement, frame)
            except BrokenValue:
                self._fail(statement, frame)
            except RecursionError:
                message = "templates, blocks and macros are nested too deeply"
                raise Fatal(Diagnostic("FGC208", message, statement.span)) from None
            self._via = frame.via
        self._via = outer

    def _fail(self, statement: ast.Statement, frame: Frame) -> None:
        """Marks what a statement would have defined or written as broken, so that it is not reported again."""
        break_targets(statement, frame.scope)
        match statement:
            case ast.Extends():
                frame.run.is_broken = True
                frame.run.context.is_broken = True
                self.lost.everything()
                self._hole(statement.span, frame)
                frame.sink.is_open = False
            case ast.Print():
                self.lost.statements(block.body for block in frame.overridden if _may_be_super(statement.value))
                if _stands_alone(statement):
                    self._hole(statement.span, frame)
                elif frame.sink.is_open:
                    frame.sink.add([Piece(_PLACEHOLDER, frame.origin(statement.value.span), False, is_broken=True)])
            case ast.Include():
                self.lost.statements([statement])
                self._hole(statement.span, frame)
            case ast.Import() | ast.FromImport() if statement.with_context:
                self.lost.everything()
            case ast.Set() | ast.SetBlock() | ast.Import() | ast.FromImport() | ast.Macro():
                pass
            case _:
                self.lost.statements([statement])
                self._hole(statement.span, frame)

    def _hole(self, span: Span, frame: Frame) -> None:
        """Marks a place where any number of lines may be missing."""
        if frame.sink.is_open:
            frame.sink.add([Piece("", frame.origin(span), False, is_broken=True)])

    def _statement(self, statement: ast.Statement, frame: Frame) -> None:
        match statement:
            case ast.Text():
                self._text(statement, frame)
            case ast.Print() | ast.FilterBlock() if not frame.sink.is_open:
                pass  # a child's own text is dropped unread
            case ast.Print():
                self._write(self._evaluator.defined(statement.value, frame.scope), statement.value.span, frame)
            case ast.If():
                self._if(statement, frame)
            case ast.For():
                self._loops.run(statement, frame)
            case ast.Block():
                self._blocks.run(statement, frame)
            case ast.Set():
                assign(statement.target, self._assigned(statement.target, statement.value, frame.scope), frame.scope)
            case ast.With():
                self._with(statement, frame)
            case ast.FilterBlock() | ast.SetBlock():
                self._captured(statement, frame)
            case ast.Autoescape():
                self.body(statement.body, replace(frame, scope=frame.scope.inner()))
            case ast.Macro():
                macro = self._macros.make(statement.name, statement.span, statement.parameters, statement.body, frame)
                frame.scope.set(statement.name, macro)
            case ast.CallBlock():
                self._write(self._macros.call_block(statement, frame), statement.call.span, frame)
            case ast.Extends() | ast.Include() | ast.Import() | ast.FromImport():
                self._other_template(statement, frame)
            case _:
                assert_never(statement)

    def _if(self, statement: ast.If, frame: Frame) -> None:
        for condition, body in statement.branches:
            self.taken.add(id(condition))
            if self._evaluator.truth(condition, frame.scope):
                self.taken.add(id(body))
                self.body(body, frame)
                return
        self.taken.add(id(statement.otherwise))
        self.body(statement.otherwise, frame)

    def _assigned(self, target: ast.Target, expression: ast.Expr, scope: Scope) -> Any:
        """Returns the value that a target is set to. It stays open, unless it is unpacked into several targets."""
        value = self._evaluator.value(expression, scope)
        if isinstance(target, ast.TargetTuple) and isinstance(value, (str, Given)):
            return self._evaluator.needs.now(value, expression.span, "it is taken apart")
        return value

    def _with(self, statement: ast.With, frame: Frame) -> None:
        scope = frame.scope.inner()
        for target, expression in statement.bindings:
            assign(target, self._assigned(target, expression, frame.scope), scope)
        self.body(statement.body, replace(frame, scope=scope))

    def _captured(self, statement: ast.FilterBlock | ast.SetBlock, frame: Frame) -> None:
        value: Any = self.capture(statement.body, replace(frame, scope=frame.scope.inner()))
        for filter in statement.filters:
            value = self._evaluator.filters.apply(filter, value, filter.span, frame.scope)
        if isinstance(statement, ast.SetBlock):
            assign(statement.target, value, frame.scope)
        else:
            self._write(value, statement.span, frame)

    def _other_template(self, statement: ast.Extends | ast.Include | ast.Import | ast.FromImport, frame: Frame) -> None:
        match statement:
            case ast.Extends():
                self._extends(statement, frame)
            case ast.Include():
                self._templates.include(statement, frame)
            case ast.Import():
                module = self._templates.module(statement.template, statement.span, statement.with_context, frame)
                frame.scope.set(statement.name, module)
            case ast.FromImport():
                self._templates.from_import(statement, frame)
            case _:
                assert_never(statement)

    def _extends(self, statement: ast.Extends, frame: Frame) -> None:
        if frame.run.parent is not None:
            related = (Related(frame.run.extends_span, "the first one is here"),) if frame.run.extends_span else ()
            help = "a template has one parent; include the other, or extend it in an inline template"
            message = "this template extends a second parent"
            self.report(Diagnostic("FGC214", message, statement.span, help=help, related=related))
            return
        parent = self._templates.find(statement.parent, frame)
        frame.sink.is_open = False
        frame.run.extends_span = statement.parent.span
        context = frame.run.context
        if parent in context.chain and parent is not None:
            frame.run.is_broken = True
            self._hole(statement.span, replace(frame, sink=Sink(frame.sink.pieces)))
            self.report(extends_cycle(context.chain, parent, statement.parent.span))
        elif parent is not None:
            frame.run.parent = parent
            context.add_blocks(parent)

    # ---- text

    def _text(self, statement: ast.Text, frame: Frame) -> None:
        if not frame.sink.is_open:
            return
        pieces, via, block = [], frame.via, frame.block
        for run in statement.runs:
            self._budget.write(len(run.text), run.span)
            pieces.append(Piece(run.text, Origin(run.span, via, block), run.is_literal))
        self._add(pieces, frame)

    def _write(self, value: Any, span: Span, frame: Frame) -> None:
        origin = frame.origin(span)
        try:
            if isinstance(value, str):  # nearly all values: defined, and its own written form
                self._budget.weigh(value, span)
                shown = value
            else:
                self._evaluator.require(first_undefined(value), span)
                self._evaluator.writable(value, span)
                shown = self._evaluator.needs.printable(value, origin)
                value = value.value if isinstance(value, Given) else shown
            pieces = printed(value, pieces_of(shown, origin), origin)
        except (UndefinedError, ValueError, RecursionError) as error:  # from a value's own __str__
            raise EvaluationError(Diagnostic("FGC206", f"this value cannot be printed: {error}", span)) from None
        self.write(outdented(pieces, frame.sink.pieces, span), frame)

    def write(self, pieces: Iterable[Piece], frame: Frame) -> None:
        """Adds pieces to the text, unless the sink is closed."""
        if frame.sink.is_open:
            added = list(pieces)
            span = added[0].origin.span if added else Span(self._entry.source, 0, 0)
            self._budget.write(sum(map(len, map(_TEXT, added))), span)
            self._add(added, frame)

    def join(self, pieces: Sequence[Piece], frame: Frame) -> None:
        """Adds the text of a block. Only its first piece can glue two lines together: the rest was checked before."""
        if frame.sink.is_open and pieces:
            self._budget.write(sum(map(len, map(_TEXT, pieces))), pieces[0].origin.span)
            self._add(pieces[:1], frame)
            frame.sink.pieces += pieces[1:]

    def _add(self, pieces: Iterable[Piece], frame: Frame) -> None:
        found = frame.sink.add(pieces)
        if found is not None:
            self.report(with_chain(found, frame.via))

    def capture(self, body: Iterable[ast.Statement], frame: Frame) -> MappedText:
        """Returns the text of statements instead of adding it to the document."""
        sink = Sink()
        self.body(body, replace(frame, sink=sink))
        return MappedText(sink.pieces)


def _may_be_super(value: ast.Expr) -> bool:
    """Returns True if an expression calls a name, which may be `super` misspelt, or is `super` without a call."""
    if isinstance(value, ast.Invalid) or (isinstance(value, ast.Name) and value.name == "super"):
        return "super" in value.span.text
    return any(isinstance(node, ast.CallExpr) and isinstance(node.callee, ast.Name) for node in walk([value]))


def _stands_alone(statement: ast.Print) -> bool:
    """Returns True if a print has its line to itself, so that without it an empty line is left."""
    source, span = statement.span.source, statement.span
    first, last = span.first, span.last
    before = source.line(first.line)[: first.column - 1].strip()
    is_sigil = source.text.startswith(_SIGILS, span.start)  # the span of a line statement may end early
    return not before and (is_sigil or not source.line(last.line)[last.column - 1 :].strip())
