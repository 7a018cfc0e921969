"""Writes the statements that build the objects of a graph, in the language's order (language.md, section 8).

Invariant: if a statement is added while an expression is half built, the earlier parts of the expression that run code
become statements too. The program therefore evaluates in the graph's order, whatever is written inline.
"""

from collections.abc import Mapping, Sequence

from fgc.emit import latent, makers, operators, partials, variables
from fgc.emit.deferred import DeferredTexts
from fgc.emit.expression import (
    Assign,
    Define,
    DictDisplay,
    Expression,
    FunctionParameter,
    Invoke,
    Lambda,
    ListDisplay,
    Name,
    Return,
    TupleDisplay,
)
from fgc.emit.imports import Imports
from fgc.emit.inline import is_step, reads_better_named
from fgc.emit.literal import is_text, literal, non_finite
from fgc.emit.measure import has_effect
from fgc.emit.names import Names, name_of_result
from fgc.emit.operators import EvaluatedArguments
from fgc.emit.parameters import Parameters
from fgc.emit.scope import FunctionScope
from fgc.emit.sharing import Sharing, arguments
from fgc.emit.steps import Steps
from fgc.ir import Call, CallKind, Deferred, DictNode, Graph, ListNode, Literal, NodeId, Scalar, Var

_FREE = (FunctionParameter("*args", "Any"), FunctionParameter("**kwargs", "Any"))


class Construction:
    """Builds the statements of one function."""

    def __init__(
        self, sharing: Sharing, *, names: Names, imports: Imports, texts: DeferredTexts, parameters: Parameters
    ) -> None:
        self.graph: Graph = sharing.graph
        self.sharing = sharing
        self.names = names
        self.imports = imports
        self.texts = texts
        self.parameters = parameters
        self.long_texts: dict[str, str] = {}

    def value(self, node: NodeId, scope: FunctionScope) -> Steps[Expression]:
        """Returns the expression of a node, after adding the statements it needs."""
        known = scope.find(node)
        if known is not None:
            return known
        made: Expression = yield self._made(node, scope)
        if not self.sharing.is_once(node) or not self.sharing.is_repeated(node):
            return made
        if isinstance(made, Name):
            return scope.bind(node, made)
        return scope.bind(node, self.assign(made, node, scope))

    def ordered(
        self,
        nodes: Sequence[NodeId],
        scope: FunctionScope,
        *,
        wishes: Sequence[str | None] = (),
        given: Mapping[int, Expression] | None = None,
        are_items: bool = False,
        in_place: bool = False,
    ) -> Steps[list[Expression]]:
        """Returns the expressions of several nodes, evaluated in order; `given` has those that are known.

        `in_place`: no expression gets a variable merely because it is long.
        """
        values: list[Expression] = []
        for position, node in enumerate(nodes):
            mark = scope.mark()
            known = None if given is None else given.get(position)
            value: Expression = known if known is not None else (yield self.value(node, scope))
            is_long = reads_better_named(value, is_item=are_items) or (self._is_named_object(node) and is_step(value))
            if is_long and not in_place:
                value = self.assign(value, node, scope, wishes[position] if wishes else None)
            if scope.acted_since(mark):
                self._settle(values, nodes, wishes, mark, scope)
            values.append(value)
        return values

    def _is_named_object(self, node: NodeId) -> bool:
        """Returns True if the author named the node, and it is one object rather than a factory."""
        value = self.graph[node]
        is_maker = isinstance(value, Call) and value.kind is not CallKind.SINGLETON
        return node in self.graph.named and not (is_maker and self.sharing.is_mentioned_again(node))

    def assign(self, value: Expression, node: NodeId, scope: FunctionScope, wish: str | None = None) -> Name:
        """Assigns an expression to a name and returns it; a lambda becomes a function."""
        name = self.names.fresh(*self.wishes(node, wish))
        scope.statements.append(_statement(name, value, node))
        return Name(name)

    def wish(self, node: NodeId, keyword: str | None = None) -> str:
        """Returns the best name for the value of a node."""
        return self.wishes(node, keyword)[0]

    def wishes(self, node: NodeId, keyword: str | None = None) -> list[str]:
        """Returns names for the value of a node: the author's, the keyword it is passed to, the callee's result."""
        value = self.graph[node]
        found = [self.graph.hints.get(node), keyword]
        if isinstance(value, Call):
            found = [value.name, *found, name_of_result(value.callee.attribute.rpartition(".")[2])]
        given = [wish for wish in found if wish]
        return given or ["text" if isinstance(value, Literal | Deferred) else "value"]

    def scalar(self, value: Scalar, node: NodeId | None = None) -> Expression:
        """Returns a literal, also for non-finite floats; a text of several lines becomes a constant of the module."""
        if isinstance(value, str) and node is not None and is_text(value):
            return self._text(value, node)
        if isinstance(value, float) and (value != value or abs(value) == float("inf")):
            return non_finite(value, self.imports.module("math"), node)
        return literal(value, node)

    def call(self, call: Call, node: NodeId, scope: FunctionScope) -> Steps[Expression]:
        """Returns the expression of a call that is evaluated now."""
        given, late = yield self.arguments(call, scope)
        if late is None:
            return operators.call(call.callee, given, self.imports, node)
        function = operators.callee(call.callee, self.imports)
        return Invoke(function, latent.merged(given, late), node)

    def arguments(
        self, call: Call, scope: FunctionScope, given: Mapping[int, Expression] | None = None
    ) -> Steps[tuple[EvaluatedArguments, Expression | None]]:
        """Returns the evaluated arguments of a call, and its latent mapping."""
        wishes = [*(None for _ in call.positional), *(keyword.name for keyword in call.keywords), "latent_args"]
        nodes = arguments(call) if call.latent is None else (*arguments(call), call.latent)
        in_place = operators.is_display_of_items(call.callee, call.positional)
        values = yield self.ordered(nodes, scope, wishes=wishes, given=given, in_place=in_place)
        split = len(call.positional)
        names = (keyword.name for keyword in call.keywords)
        late = None if call.latent is None else values.pop()
        return EvaluatedArguments(tuple(values[:split]), tuple(zip(names, values[split:], strict=True))), late

    def _made(self, node: NodeId, scope: FunctionScope) -> Steps[Expression]:
        value = self.graph[node]
        made: Expression
        match value:
            case Literal(argument=argument) if argument is not None:
                made = self.texts.outside(argument, node)
            case Literal():
                made = self.scalar(value.value, node)
            case Deferred():
                made = self.texts.text(value, node)
            case ListNode():
                made = ListDisplay(tuple((yield self.ordered(value.items, scope, are_items=True))), node)
            case DictNode():
                made = yield self._mapping(value, node, scope)
            case Var():
                made = yield variables.value(self, value, node, scope)
            case Call():
                made = yield self._called(value, node, scope)
        return made

    def _called(self, call: Call, node: NodeId, scope: FunctionScope) -> Steps[Expression]:
        match call.kind:
            case CallKind.SINGLETON:
                return self.call(call, node, scope)
            case CallKind.FACTORY:
                return makers.repeated(self, node, scope, lambda inner: self.call(call, node, inner))
            case CallKind.PARTIAL:
                return makers.repeated(self, node, scope, lambda inner: partials.handed_over(self, call, node, inner))
            case CallKind.META:
                raise AssertionError("build-time calls are expanded before the program is planned")

    def _mapping(self, value: DictNode, node: NodeId, scope: FunctionScope) -> Steps[Expression]:
        wishes = [entry.key if isinstance(entry.key, str) else None for entry in value.entries]
        values = yield self.ordered([entry.value for entry in value.entries], scope, wishes=wishes)
        keys = [self._key(entry.key) for entry in value.entries]
        return DictDisplay(tuple(zip(keys, values, strict=True)), node)

    def _key(self, key: Scalar | tuple[Scalar, ...]) -> Expression:
        if isinstance(key, tuple):
            return TupleDisplay(tuple(self.scalar(part) for part in key))
        return self.scalar(key)

    def _text(self, value: str, node: NodeId) -> Name:
        if value not in self.long_texts:
            self.long_texts[value] = self.names.fresh_constant(self.wish(node))
        return Name(self.long_texts[value], node)

    def _settle(
        self,
        values: list[Expression],
        nodes: Sequence[NodeId],
        wishes: Sequence[str | None],
        mark: int,
        scope: FunctionScope,
    ) -> None:
        """Moves earlier expressions that run code into statements before a mark."""
        settled = []
        for position, value in enumerate(values):
            if has_effect(value):
                name = self.names.fresh(*self.wishes(nodes[position], wishes[position] if wishes else None))
                settled.append(_statement(name, value, nodes[position]))
                values[position] = Name(name)
        scope.statements[mark:mark] = settled


def _statement(name: str, value: Expression, node: NodeId) -> Assign | Define:
    if isinstance(value, Lambda):
        return Define(name, _FREE, "Any", (Return(value.body),), node)
    return Assign(name, value, node)
