"""Renders blocks: the youngest definition of each, with `super()` and `self` for the other definitions.

`Context.blocks` lists the definitions of a block from the youngest template to the oldest; their index is the *depth*.
With `a.yaml` extending `b.yaml` extending `c.yaml`, where each defines `[model]`, and only `c` extends nothing:

    depth 0   a.yaml  [model]   == super()        run by the `[model]` in c.yaml, the only open sink
    depth 1   b.yaml  [model]   == super()        run by the `super()` above
    depth 2   c.yaml  [model]   layers: 2         run by the `super()` above; `super()` here is FGC209

So the oldest template decides where a block stands, and the youngest decides what it says. `super.super()` in `a`
skips `b`: a `BlockReference` of depth 1 hands out the one of depth 2. `self.model()` begins at depth 0 again.

A block sees the context and not the loop or `with` around it, unless it is written `scoped`. Each definition renders
into a sink of its own, whose pieces the caller appends, so that they keep their origins.
"""

from functools import partial
from typing import Any

from fgc.diagnostics import Diagnostic, Related, nearest
from fgc.resolve.environment import PlacedUndefined
from fgc.resolve.errors import Broken, BrokenValue, EvaluationError
from fgc.resolve.frames import Frame, Machine, Sink
from fgc.resolve.macros import BlockReference, SelfReference
from fgc.resolve.mapped import MappedText, filtered
from fgc.resolve.scope import BlockDefinition, Scope
from fgc.syntax import ast
from fgc.text import Span


class Blocks:
    """Renders the blocks of one configuration."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def run(self, statement: ast.Block, frame: Frame) -> None:
        """Renders a block where its oldest definition stands; does nothing in a template that has a parent."""
        if not frame.sink.is_open:
            return  # a child's block is placed by its ancestor
        context = frame.run.context
        definitions = context.blocks[statement.name]
        if statement.is_required and len(definitions) <= 1:
            younger = context.chain.index(definitions[0].template)
            if context.may_lack_blocks(0, younger) or nearest(statement.name, context.lost_blocks):
                raise BrokenValue
            message = f"block `{statement.name}` is required, and no template fills it"
            help = f"extend `{definitions[0].template.name}`, and give it a block `{statement.name}`"
            raise EvaluationError(Diagnostic("FGC205", message, statement.name_span, help=help))
        parent = frame.scope if statement.is_scoped else None
        inner = self._render(statement.name, 0, parent, frame, statement.name_span)
        if statement.is_trimmed or definitions[0].block.is_trimmed:
            text = MappedText(inner.pieces)
            self._machine.write(_trim(text).pieces if text else (), frame)
        else:
            self._machine.join(inner.pieces, frame)
            frame.sink.unended = inner.unended or frame.sink.unended

    def _render(self, name: str, depth: int, parent: Scope | None, frame: Frame, at: Span) -> Sink:
        context = frame.run.context
        definition: BlockDefinition = context.blocks[name][depth]
        scope = Scope(context, parent)
        scope.names["self"] = self.all_of(frame)
        if depth + 1 < len(context.blocks[name]):
            scope.names["super"] = self._reference(name, depth + 1, parent, frame)
        elif context.may_lack_blocks(context.chain.index(definition.template) + 1):
            scope.names["super"] = Broken()
        else:
            scope.names["super"] = PlacedUndefined(name="super", finding=partial(_no_super, definition.block))
        self._machine.budget.enter(at)
        overridden = tuple(older.block for older in context.blocks[name][depth + 1 :])
        inner = Frame(frame.run, scope, Sink(), frame.via, name, overridden)
        self._machine.taken.add(id(definition.block.body))
        self._machine.body(definition.block.body, inner)
        self._machine.budget.leave()
        return inner.sink

    def _reference(self, name: str, depth: int, parent: Scope | None, frame: Frame) -> BlockReference:
        definitions = frame.run.context.blocks[name]

        def render(depth: int, span: Span) -> MappedText:
            if depth >= len(definitions):
                related = (Related(definitions[-1].block.name_span, "the oldest one is here"),)
                message = f"block `{name}` has no further parent"
                raise EvaluationError(Diagnostic("FGC209", message, span, related=related))
            return MappedText(self._render(name, depth, parent, frame, span).pieces)

        return BlockReference(render, depth)

    def all_of(self, frame: Frame) -> SelfReference:
        """Returns the value of `self`, which finds blocks by name at the time of the call."""
        blocks = frame.run.context.blocks

        def find(name: str) -> Any:
            return self._reference(name, 0, None, frame) if name in blocks else None

        return SelfReference(find, lambda: list(blocks))


def _no_super(block: ast.Block) -> Diagnostic:
    message = f"there is no `super()` here: no ancestor has a block `{block.name}`"
    related = (Related(block.name_span, "the block begins here"),)
    return Diagnostic("FGC209", message, block.name_span, help="remove the `super()`", related=related)


def _trim(text: MappedText) -> MappedText:
    trimmed = filtered("trim", text, str(text).strip(), text.pieces[0].origin)
    return trimmed if isinstance(trimmed, MappedText) else MappedText(())
