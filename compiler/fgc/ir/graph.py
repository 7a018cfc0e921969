"""The graph: nodes by id, targets in document order, and facts that lie beside the nodes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

from msgspec import Struct, field

from fgc.ir.nodes import Call, Deferred, DictNode, ListNode, Literal, Node, NodeId, Var
from fgc.text import Origin, Source, Span

_NOWHERE = Origin(Span(Source("<graph>", ""), 0, 0))


class Graph(Struct, frozen=True):
    """Nodes and targets.

    `hints` names nodes as their authors did (anchor, `@name` or key): what a generated variable may be called.
    `named` are those that they named on purpose: anchors, `@names` and targets. `target_origins` holds the place of
    each target's key. `broken` are nodes that a mistake, which is told, has made unknown, whole or in part; where
    `is_partial`, any node may lack some.
    """

    nodes: Mapping[NodeId, Node]
    targets: Mapping[str, NodeId]
    hints: Mapping[NodeId, str] = field(default_factory=dict)
    target_origins: Mapping[str, Origin] = field(default_factory=dict)
    named: frozenset[NodeId] = frozenset()
    broken: frozenset[NodeId] = frozenset()
    is_partial: bool = False

    def __getitem__(self, node: NodeId) -> Node:
        return self.nodes[node]


class GraphBuilder:
    """Collects nodes under fresh ids."""

    def __init__(self) -> None:
        self.nodes: dict[NodeId, Node] = {}
        self.hints: dict[NodeId, str] = {}
        self.named: set[NodeId] = set()
        self.broken: set[NodeId] = set()
        self.is_partial = False

    def reserve(self) -> NodeId:
        """An id whose node follows later: children come after their parent in the numbering that tools show."""
        node = NodeId(len(self.nodes))
        self.nodes[node] = Literal(None, _NOWHERE)
        return node

    def put(self, node: NodeId, value: Node) -> NodeId:
        self.nodes[node] = value
        return node

    def add(self, value: Node) -> NodeId:
        return self.put(self.reserve(), value)

    def finish(self, targets: Mapping[str, NodeId], target_origins: Mapping[str, Origin] | None = None) -> Graph:
        named = frozenset((*self.named, *targets.values()))
        origins, broken = dict(target_origins or {}), frozenset(self.broken)
        return Graph(self.nodes, dict(targets), self.hints, origins, named, broken, self.is_partial)


def children(node: Node) -> tuple[NodeId, ...]:
    """The nodes that a node mentions, in order of construction."""
    match node:
        case Literal() | Deferred():
            return ()
        case ListNode():
            return node.items
        case DictNode():
            return tuple(entry.value for entry in node.entries)
        case Call():
            extra = tuple(child for child in (node.latent, node.searchpath) if child is not None)
            return (*node.positional, *(keyword.value for keyword in node.keywords), *extra)
        case Var():
            return () if node.default is None else (node.default,)
        case _:
            assert_never(node)


def reachable(graph: Graph, roots: Iterable[NodeId]) -> Iterator[NodeId]:
    """Every node that the roots need, each once, parents before children, in written order."""
    seen: set[NodeId] = set()
    stack = list(reversed(list(roots)))
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        stack.extend(reversed(children(graph[node])))
