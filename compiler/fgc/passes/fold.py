"""What is known now, said directly: texts without deferred parts, and partials that are called where they stand."""

from collections import Counter

from msgspec.structs import replace

from fgc.ir import (
    Call,
    CallKind,
    Deferred,
    Graph,
    Keyword,
    Literal,
    Node,
    NodeId,
    SymbolKind,
    children,
    reachable,
)

_MAX_REPEATED = 2


def fold_texts(graph: Graph) -> Graph:
    """Deferred texts all of whose parts are known become literals."""
    nodes: dict[NodeId, Node] = dict(graph.nodes)
    for node_id, node in graph.nodes.items():
        if isinstance(node, Deferred) and all(isinstance(part, str) for part in node.parts):
            nodes[node_id] = Literal("".join(map(str, node.parts)), node.origin)
    return replace(graph, nodes=nodes)


def fold_calls(graph: Graph) -> Graph:
    """`call` of a partial that is good for nothing else becomes a call of its callee with both arguments.

    So does each of several calls, if what they would repeat is a constant or two.
    """
    nodes: dict[NodeId, Node] = dict(graph.nodes)
    mentions = Counter(graph.targets.values())
    for node in graph.nodes.values():
        mentions.update(children(node))
    called = {node_id: inner for node_id, node in nodes.items() if (inner := _partial_called(nodes, node)) is not None}
    calls = Counter(called.values())
    for node_id, inner in called.items():
        if mentions[inner] == calls[inner] and (calls[inner] == 1 or _is_short(nodes, nodes[inner])):
            nodes[node_id] = _joined(graph, nodes, nodes[node_id], nodes[inner]) or nodes[node_id]
    return replace(graph, nodes=nodes)


def _is_short(nodes: dict[NodeId, Node], partial: Node) -> bool:
    """Returns whether a person would rather write a partial's arguments again than give it a name."""
    return len(children(partial)) <= _MAX_REPEATED and all(
        isinstance(nodes[child], Literal) for child in children(partial)
    )


def _partial_called(nodes: dict[NodeId, Node], node: Node) -> NodeId | None:
    """The partial that a node calls at once."""
    if not isinstance(node, Call) or node.kind not in (CallKind.SINGLETON, CallKind.FACTORY):
        return None
    is_call = node.callee.kind is SymbolKind.BUILTIN and node.callee.attribute == "call"
    if not is_call or not node.positional or node.latent is not None:
        return None
    inner = nodes[node.positional[0]]
    is_partial = isinstance(inner, Call) and inner.kind is CallKind.PARTIAL and inner.latent is None
    return node.positional[0] if is_partial else None


def _joined(graph: Graph, nodes: dict[NodeId, Node], outer: Node, inner: Node) -> Call | None:
    """One call for two, if its arguments are evaluated in the same order."""
    assert isinstance(outer, Call) and isinstance(inner, Call), "both are calls"
    rest = outer.positional[1:]
    names = {keyword.name for keyword in inner.keywords}
    if any(keyword.name in names for keyword in outer.keywords) or _has_factory(graph, inner):
        return None
    if rest and not all(_is_literal(nodes, keyword) for keyword in inner.keywords):
        return None
    return replace(
        inner,
        kind=outer.kind,
        positional=(*inner.positional, *rest),
        keywords=(*inner.keywords, *outer.keywords),
        origin=outer.origin,
        name=outer.name,
    )


def _is_literal(nodes: dict[NodeId, Node], keyword: Keyword) -> bool:
    return isinstance(nodes[keyword.value], Literal)


def _has_factory(graph: Graph, call: Call) -> bool:
    below = (graph[node] for node in reachable(graph, children(call)))
    return any(isinstance(node, Call) and node.kind is CallKind.FACTORY for node in below)
