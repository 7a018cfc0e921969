"""The graph: nodes by id, targets in document order, and facts stored beside the nodes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

from msgspec import Struct, field

from fgc.ir.nodes import Call, Deferred, DictNode, ListNode, Literal, Node, NodeId, Var
from fgc.text import Origin, Source, Span

_NOWHERE = Origin(Span(Source("<graph>", ""), 0, 0))


class Graph(Struct, frozen=True):
    """Nodes and targets.

    `hints` are the authors' names of nodes (anchor, `@name` or key), candidates for generated variables. `named` are
    the nodes named on purpose, by anchors, `@names` and targets. `target_origins` has the place of each target's key.
    `broken` are nodes that are unknown, in whole or part, because of a reported mistake; with `is_partial`, any node
    may lack parts.
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
        """Returns an id for a node that is added later, so that parents have smaller numbers than their children."""
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
    """Returns the nodes that a node mentions, in order of construction."""
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
    """Yields every node that the roots need, each once, parents before children, in written order."""
    seen: set[NodeId] = set()
    stack = list(reversed(list(roots)))
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        stack.extend(reversed(children(graph[node])))
