"""Statements to pieces of text. Inheritance is resolved on blocks of the syntax tree, never on text."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Any, assert_never

from jinja2.runtime import LoopContext
from jinja2.utils import Namespace

from fgc.diagnostics import Diagnostic, Related, did_you_mean
from fgc.resolve.bounds import MAX_STEPS, Budget
from fgc.resolve.environment import PlacedUndefined
from fgc.resolve.errors import Broken, BrokenValue, EvaluationError, Fatal
from fgc.resolve.expressions import Evaluator
from fgc.resolve.library import Library
from fgc.resolve.macros import BlockReference, Macro, SelfReference, TemplateModule
from fgc.resolve.mapped import MappedText, filtered, pieces_of
from fgc.resolve.mentions import has_scoped_block, mentioned_names
from fgc.resolve.scope import BlockDefinition, Context, Scope, absent
from fgc.syntax import ast
from fgc.text import Origin, Piece, Span


@dataclass(slots=True)
class Sink:
    """Where text goes. A child template's own text is dropped once it has named its parent."""

    pieces: list[Piece] = field(default_factory=list)
    is_open: bool = True


@dataclass(slots=True)
class Run:
    """One template being run: its parent once `extends` has named it."""

    context: Context
    parent: ast.Template | None = None
    extends_span: Span | None = None
    is_broken: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """What a statement needs to know of where it runs."""

    run: Run
    scope: Scope
    sink: Sink
    via: tuple[Span, ...] = ()
    block: str | None = None

    def origin(self, span: Span) -> Origin:
        return Origin(span, self.via, self.block)


class Renderer:
    """Renders the templates of one configuration."""

    def __init__(self, library: Library, global_names: Mapping[str, Any]) -> None:
        self._library = library
        self._globals = dict(global_names)
        self._budget = Budget()
        self._evaluator = Evaluator(self._budget)
        self._includes: list[tuple[str, Span]] = []
        self.diagnostics: list[Diagnostic] = []

    def render(self, template: ast.Template, variables: Mapping[str, Any]) -> list[Piece]:
        """The pieces of a configuration, as far as they can be made."""
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 20_000))  # nesting is bounded by the budget, not by Python
        sink = Sink()
        try:
            self._template(template, {**self._globals, **variables}, sink, ())
        except Fatal as fatal:
            self.diagnostics.append(fatal.diagnostic)
        return sink.pieces

    # ---- templates and inheritance

    def _template(self, template: ast.Template, outside: dict[str, Any], sink: Sink, via: tuple[Span, ...]) -> Context:
        """Run a template, then its parent, and so on."""
        context = Context(outside)
        current: ast.Template | None = template
        while current is not None:
            context.add_blocks(current)
            run = Run(context)
            own_sink = Sink(sink.pieces)
            self._body(current.body, Frame(run, Scope(context, is_top=True), own_sink, via))
            if run.parent in context.chain and run.extends_span is not None:
                self._cycle(context.chain, run.parent, run.extends_span)
                break
            if run.parent is None and not run.is_broken:
                self._check_overrides(context)
            current = run.parent
        return context

    def _cycle(self, chain: Sequence[ast.Template], parent: ast.Template | None, span: Span) -> None:
        names = " -> ".join(template.name for template in [*chain, parent] if template is not None)
        message = f"template extends itself without end: {names}"
        help = "a name always finds the first template on the search path; rename one of them"
        self.diagnostics.append(Diagnostic("FGC202", message, span, help=help))

    def _check_overrides(self, context: Context) -> None:
        """Every block of a child that is not inside another of its blocks overrides one of an ancestor."""
        for number, template in enumerate(context.chain[:-1]):
            ancestors = context.chain[number + 1 :]
            known = {name: block for ancestor in reversed(ancestors) for name, block in ancestor.blocks.items()}
            for block in _outer_blocks(template.body):
                if block.name not in known:
                    self.diagnostics.append(_overrides_nothing(block, known))

    def _body(self, body: Iterable[ast.Statement], frame: Frame) -> None:
        for statement in body:
            if isinstance(statement, ast.Text):
                self._text(statement, frame)
                continue
            self._budget.step(statement.span)
            try:
                self._statement(statement, frame)
            except EvaluationError as error:
                self.diagnostics.append(_with_chain(error.diagnostic, frame.via))
                self._break_targets(statement, frame)
            except BrokenValue:
                self._break_targets(statement, frame)
            except RecursionError:
                message = "templates, blocks and macros are nested too deeply"
                raise Fatal(Diagnostic("FGC208", message, statement.span)) from None

    def _break_targets(self, statement: ast.Statement, frame: Frame) -> None:
        """What a failed statement should have set is broken, not undefined: one mistake, one finding."""
        if isinstance(statement, (ast.Set, ast.SetBlock)):
            self._assign(statement.target, Broken(), frame.scope)
        elif isinstance(statement, ast.Import):
            frame.scope.set(statement.name, Broken())
        elif isinstance(statement, ast.FromImport):
            for name in statement.names:
                frame.scope.set(name.alias, Broken())
        elif isinstance(statement, ast.Extends):
            frame.run.is_broken = True
            frame.sink.is_open = False

    def _statement(self, statement: ast.Statement, frame: Frame) -> None:
        match statement:
            case ast.Text():
                self._text(statement, frame)
            case ast.Print():
                self._print(statement, frame)
            case ast.If():
                self._if(statement, frame)
            case ast.For():
                self._for(statement, frame)
            case ast.Block():
                self._block(statement, frame)
            case ast.Extends():
                self._extends(statement, frame)
            case ast.Include():
                self._include(statement, frame)
            case ast.Import():
                module = self._module(statement.template, statement.span, statement.with_context, frame)
                frame.scope.set(statement.name, module)
            case ast.FromImport():
                self._from_import(statement, frame)
            case ast.Macro():
                macro = self._macro(statement.name, statement.span, statement.parameters, statement.body, frame)
                frame.scope.set(statement.name, macro)
            case ast.CallBlock():
                self._call_block(statement, frame)
            case ast.FilterBlock():
                text = self._capture(statement.body, replace(frame, scope=frame.scope.inner()))
                self._write(self._filter(statement.filters, text, frame), statement.span, frame)
            case ast.Set():
                self._assign(statement.target, self._evaluator.value(statement.value, frame.scope), frame.scope)
            case ast.SetBlock():
                captured = self._capture(statement.body, replace(frame, scope=frame.scope.inner()))
                self._assign(statement.target, self._filter(statement.filters, captured, frame), frame.scope)
            case ast.With():
                self._with(statement, frame)
            case ast.Autoescape():
                self._body(statement.body, replace(frame, scope=frame.scope.inner()))
            case _:
                assert_never(statement)

    # ---- text

    def _text(self, statement: ast.Text, frame: Frame) -> None:
        if not frame.sink.is_open:
            return
        for run in statement.runs:
            self._budget.write(len(run.text), run.span)
            frame.sink.pieces.append(Piece(run.text, frame.origin(run.span), run.is_literal))

    def _print(self, statement: ast.Print, frame: Frame) -> None:
        value = self._evaluator.defined(statement.value, frame.scope)
        self._write(value, statement.value.span, frame)

    def _write(self, value: Any, span: Span, frame: Frame) -> None:
        try:
            pieces = pieces_of(value, frame.origin(span))
        except Exception as error:  # a value's own __str__, such as an undefined value inside a list
            raise EvaluationError(Diagnostic("FGC206", f"this value cannot be printed: {error}", span)) from None
        if frame.sink.is_open:
            self._budget.write(sum(len(piece.text) for piece in pieces), span)
            frame.sink.pieces += pieces

    def _capture(self, body: Iterable[ast.Statement], frame: Frame) -> MappedText:
        sink = Sink()
        self._body(body, replace(frame, sink=sink))
        return MappedText(sink.pieces)

    def _filter(self, filters: Iterable[ast.Filter], value: Any, frame: Frame) -> Any:
        for filter in filters:
            value = self._evaluator.apply(filter, value, filter.span, frame.scope)
        return value

    # ---- control flow

    def _if(self, statement: ast.If, frame: Frame) -> None:
        for condition, body in statement.branches:
            if self._evaluator.truth(condition, frame.scope):
                self._body(body, frame)
                return
        self._body(statement.otherwise, frame)

    def _for(self, statement: ast.For, frame: Frame) -> None:
        iterable = self._evaluator.defined(statement.iterable, frame.scope)
        self._loop(statement, iterable, frame, 0)

    def _loop(self, statement: ast.For, iterable: Any, frame: Frame, depth: int) -> None:
        items = self._items(statement, iterable, frame)
        if not items:
            self._body(statement.otherwise, replace(frame, scope=frame.scope.inner()))
            return
        if not _wants_loop(statement):
            for item in items:
                self._iteration(statement, item, None, frame)
            return

        def recurse(inner: Any, _: Any, depth: int = 0) -> MappedText:
            sink = Sink()
            self._loop(statement, inner, replace(frame, sink=sink), depth)
            return MappedText(sink.pieces)

        again: Any = recurse if statement.is_recursive else None
        for item, loop in LoopContext(items, PlacedUndefined, again, depth):
            self._iteration(statement, item, loop, frame)

    def _items(self, statement: ast.For, iterable: Any, frame: Frame) -> list[Any]:
        try:
            items = list(islice(iter(iterable), MAX_STEPS + 1))
        except TypeError:
            message = f"`{statement.iterable.span.text}` cannot be looped over: it is {iterable!r:.60}"
            raise EvaluationError(Diagnostic("FGC206", message, statement.iterable.span)) from None
        self._budget.step(statement.span, len(items))
        if statement.condition is None:
            return items
        kept = []
        for item in items:
            scope = frame.scope.inner()
            self._assign(statement.target, item, scope)
            if self._evaluator.truth(statement.condition, scope):
                kept.append(item)
        return kept

    def _iteration(self, statement: ast.For, item: Any, loop: Any, frame: Frame) -> None:
        scope = frame.scope.inner()
        if loop is not None:
            scope.set("loop", loop)
        self._assign(statement.target, item, scope)
        self._body(statement.body, replace(frame, scope=scope))

    def _with(self, statement: ast.With, frame: Frame) -> None:
        scope = frame.scope.inner()
        for target, expression in statement.bindings:
            self._assign(target, self._evaluator.value(expression, frame.scope), scope)
        self._body(statement.body, replace(frame, scope=scope))

    def _assign(self, target: ast.Target, value: Any, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            scope.set(target.name, value)
        elif isinstance(target, ast.NamespaceTarget):
            if isinstance(value, Broken) and not isinstance(scope.get(target.namespace), Namespace):
                return
            self._assign_attribute(target, value, scope)
        elif isinstance(value, Broken):
            for item in target.items:
                self._assign(item, value, scope)
        else:
            for item, part in zip(target.items, _unpack(target, value), strict=True):
                self._assign(item, part, scope)

    def _assign_attribute(self, target: ast.NamespaceTarget, value: Any, scope: Scope) -> None:
        namespace = scope.get(target.namespace)
        if isinstance(namespace, Broken):
            return
        if isinstance(namespace, Namespace):
            namespace[target.attribute] = value
            return
        if namespace is absent:
            message = f"`{target.namespace}` is undefined"
            help = f"make it first: `set {target.namespace} = namespace()`"
            raise EvaluationError(Diagnostic("FGC203", message, target.span, help=help))
        message = f"`{target.namespace}` is no namespace: only attributes of a namespace can be set"
        raise EvaluationError(Diagnostic("FGC206", message, target.span))

    # ---- blocks

    def _block(self, statement: ast.Block, frame: Frame) -> None:
        if not frame.sink.is_open:
            return  # a child's block is placed by its ancestor
        context = frame.run.context
        definitions = context.blocks[statement.name]
        if statement.is_required and len(definitions) <= 1:
            message = f"block `{statement.name}` is required, and no template fills it"
            raise EvaluationError(Diagnostic("FGC205", message, statement.name_span))
        parent = frame.scope if statement.is_scoped else None
        text = self._render_block(statement.name, 0, parent, frame, statement.name_span)
        if statement.is_trimmed or definitions[0].block.is_trimmed:
            text = text if not text else _trim(text)
        frame.sink.pieces += text.pieces

    def _render_block(self, name: str, depth: int, parent: Scope | None, frame: Frame, at: Span) -> MappedText:
        context = frame.run.context
        definition: BlockDefinition = context.blocks[name][depth]
        scope = Scope(context, parent)
        scope.names["self"] = self._self(frame)
        if depth + 1 < len(context.blocks[name]):
            scope.names["super"] = self._reference(name, depth + 1, parent, frame)
        else:
            hint = f"block `{name}` overrides nothing here: there is no `super()`"
            scope.names["super"] = PlacedUndefined(hint=hint)
        inner = Frame(frame.run, scope, Sink(), frame.via, name)
        self._budget.enter(at)
        self._body(definition.block.body, inner)
        self._budget.leave()
        return MappedText(inner.sink.pieces)

    def _reference(self, name: str, depth: int, parent: Scope | None, frame: Frame) -> BlockReference:
        def render(depth: int, span: Span) -> MappedText:
            if depth >= len(frame.run.context.blocks[name]):
                message = f"block `{name}` has no further parent"
                raise EvaluationError(Diagnostic("FGC209", message, span))
            return self._render_block(name, depth, parent, frame, span)

        return BlockReference(render, depth)

    def _self(self, frame: Frame) -> SelfReference:
        blocks = frame.run.context.blocks
        return SelfReference(lambda name: self._reference(name, 0, None, frame) if name in blocks else None)

    # ---- other templates

    def _extends(self, statement: ast.Extends, frame: Frame) -> None:
        if frame.run.parent is not None:
            message = "this template extends a second parent"
            related = (Related(frame.run.extends_span, "the first one is here"),) if frame.run.extends_span else ()
            self.diagnostics.append(Diagnostic("FGC214", message, statement.span, related=related))
            return
        parent = self._find(statement.parent, frame)
        frame.run.parent = parent
        frame.run.extends_span = statement.parent.span
        frame.sink.is_open = False

    def _find(self, expression: ast.Expr, frame: Frame, ignores_missing: bool = False) -> ast.Template | None:
        """The template of a name, or of the first that exists in a list of names."""
        value = self._evaluator.value(expression, frame.scope)
        if not isinstance(value, (list, tuple)) or ignores_missing is False:
            self._evaluator.require(value, expression.span)
        names = list(value) if isinstance(value, (list, tuple)) else [value]
        for name in names:
            if not isinstance(name, str):
                message = f"a template's name must be a text, not {name!r:.60}"
                raise EvaluationError(Diagnostic("FGC206", message, expression.span))
            template = self._library.find("".join(name)) if ".." not in name.split("/") else None
            if template is not None:
                return template
        if ignores_missing:
            return None
        missing = ", ".join(names)
        raise EvaluationError(self._library.not_found(missing, expression.span))

    def _include(self, statement: ast.Include, frame: Frame) -> None:
        template = self._find(statement.template, frame, statement.ignores_missing)
        if template is None:
            return
        outside = self._outside(frame, statement.with_context)
        sink = Sink()
        self._enter(template, statement.span)
        self._template(template, outside, sink, (statement.span, *frame.via))
        self._leave()
        if frame.sink.is_open:
            block = frame.block
            frame.sink.pieces += [_in_block(piece, block) for piece in sink.pieces]

    def _enter(self, template: ast.Template, span: Span) -> None:
        self._includes.append((template.name, span))
        try:
            self._budget.enter(span)
        except Fatal as fatal:
            names = [name for name, _ in self._includes]
            if names.count(template.name) < 3:
                raise
            cycle = names[len(names) - 1 - names[-2::-1].index(template.name) - 1 :]
            message = f"template includes itself without end: {' -> '.join(cycle)}"
            raise Fatal(replace(fatal.diagnostic, code="FGC202", message=message)) from None

    def _leave(self) -> None:
        self._includes.pop()
        self._budget.leave()

    def _outside(self, frame: Frame, with_context: bool) -> dict[str, Any]:
        if not with_context:
            return self._globals
        visible = frame.scope.visible()
        visible.pop("super", None)
        visible.pop("self", None)
        return visible

    def _module(self, expression: ast.Expr, span: Span, with_context: bool, frame: Frame) -> TemplateModule:
        template = self._find(expression, frame)
        assert template is not None, "a template that is missing was reported"
        self._enter(template, span)
        context = self._template(template, self._outside(frame, with_context), Sink(), (span, *frame.via))
        self._leave()
        return TemplateModule({name: value for name, value in context.names.items() if not name.startswith("_")})

    def _from_import(self, statement: ast.FromImport, frame: Frame) -> None:
        module = self._module(statement.template, statement.span, statement.with_context, frame)
        exports = vars(module)
        for name in statement.names:
            if name.name in exports:
                frame.scope.set(name.alias, exports[name.name])
                continue
            frame.scope.set(name.alias, Broken())
            message = f"`{statement.template.span.text}` defines no `{name.name}`"
            help = did_you_mean(name.name, exports)
            self.diagnostics.append(Diagnostic("FGC203", message, name.span, help=help))

    # ---- macros

    def _macro(
        self,
        name: str,
        span: Span,
        parameters: tuple[ast.Parameter, ...],
        body: tuple[ast.Statement, ...],
        frame: Frame,
    ) -> Macro:
        def run(at: Span, bound: dict[str, Any], missing: tuple[ast.Parameter, ...]) -> MappedText:
            scope = frame.scope.inner()
            scope.names |= bound
            for parameter in missing:
                scope.set(parameter.name, self._default(name, parameter, at, scope))
            self._budget.enter(at)
            text = self._capture(body, Frame(frame.run, scope, Sink(), (at,), frame.block))
            self._budget.leave()
            return text

        return Macro(name, span, parameters, _mentions(body), run)

    def _default(self, macro: str, parameter: ast.Parameter, at: Span, scope: Scope) -> Any:
        if parameter.default is not None:
            return self._evaluator.value(parameter.default, scope)
        hint = f"macro `{macro}` is called without its argument `{parameter.name}`"
        return PlacedUndefined(hint=hint, name=parameter.name, place=at)

    def _call_block(self, statement: ast.CallBlock, frame: Frame) -> None:
        caller = self._macro("caller", statement.span, statement.parameters, statement.body, frame)
        result = self._evaluator.call(statement.call, frame.scope, {"caller": caller})
        self._evaluator.require(result, statement.call.span)
        self._write(result, statement.call.span, frame)


@lru_cache(maxsize=4096)
def _wants_loop(statement: ast.For) -> bool:
    body = statement.body
    return statement.is_recursive or "loop" in mentioned_names(body) or has_scoped_block(body)


@lru_cache(maxsize=4096)
def _mentions(body: tuple[ast.Statement, ...]) -> frozenset[str]:
    return mentioned_names(body)


def _outer_blocks(body: Iterable[ast.Statement]) -> list[ast.Block]:
    """Blocks that stand in no other block."""
    found: list[ast.Block] = []
    for statement in body:
        match statement:
            case ast.Block():
                found.append(statement)
            case ast.If():
                for _, branch in statement.branches:
                    found += _outer_blocks(branch)
                found += _outer_blocks(statement.otherwise)
            case ast.For() | ast.With() | ast.FilterBlock() | ast.SetBlock() | ast.Autoescape() | ast.CallBlock():
                found += _outer_blocks(statement.body)
            case _:
                pass
    return found


def _overrides_nothing(block: ast.Block, known: Mapping[str, ast.Block]) -> Diagnostic:
    suggestion = did_you_mean(block.name, known)
    message = f"block `{block.name}` overrides nothing"
    related: tuple[Related, ...] = ()
    if suggestion:
        match = known[suggestion.split("`")[1]]
        related = (Related(match.name_span, f"`{match.name}` is defined here"),)
    elif block.span.source.text[block.name_span.start - 1 : block.name_span.start] == "[":
        suggestion = (
            f"no ancestor has such a block. To write a YAML list, put it behind a key, or write `- {block.name}`"
        )
    else:
        suggestion = f"no ancestor has such a block; those that exist: {', '.join(sorted(known)) or 'none'}"
    return Diagnostic("FGC204", message, block.name_span, help=suggestion, related=related)


def _with_chain(diagnostic: Diagnostic, via: tuple[Span, ...]) -> Diagnostic:
    chain = tuple(Related(span, "included from here") for span in via)
    return replace(diagnostic, related=(*diagnostic.related, *chain)) if chain else diagnostic


def _in_block(piece: Piece, block: str | None) -> Piece:
    if block is None or piece.origin.block is not None:
        return piece
    origin = Origin(piece.origin.span, piece.origin.via, block)
    return Piece(piece.text, origin, piece.is_literal, piece.deferred)


def _trim(text: MappedText) -> MappedText:
    trimmed = filtered("trim", text, str(text).strip(), text.pieces[0].origin)
    return trimmed if isinstance(trimmed, MappedText) else MappedText(())


def _unpack(target: ast.TargetTuple, value: Any) -> list[Any]:
    try:
        parts = list(value)
    except TypeError:
        message = f"this needs {len(target.items)} values, and {value!r:.60} is no list"
        raise EvaluationError(Diagnostic("FGC206", message, target.span)) from None
    if len(parts) != len(target.items):
        message = f"this needs {len(target.items)} values, and {len(parts)} are given"
        raise EvaluationError(Diagnostic("FGC206", message, target.span))
    return parts
