"""Invariants of a graph; a graph that breaks one is a bug of this compiler, not of a configuration."""

from fgc.ir.graph import Graph, children
from fgc.ir.nodes import Call, DictNode, NodeId


def verify(graph: Graph) -> None:
    """Raise AssertionError, naming the invariant, unless the graph is whole, acyclic and free of duplicate names."""
    for name, target in graph.targets.items():
        assert target in graph.nodes, f"target {name} names no node"
    for node_id, node in graph.nodes.items():
        for child in children(node):
            assert child in graph.nodes, f"node {node_id} mentions the unknown node {child}"
        if isinstance(node, DictNode):
            keys = [(type(entry.key), entry.key) for entry in node.entries]
            assert len(keys) == len(set(keys)), f"node {node_id} has a key twice"
        if isinstance(node, Call):
            names = [keyword.name for keyword in node.keywords]
            assert len(names) == len(set(names)), f"node {node_id} has a keyword twice"
    _verify_acyclic(graph)


def _verify_acyclic(graph: Graph) -> None:
    done: set[NodeId] = set()
    for root in graph.nodes:
        if root in done:
            continue
        path = [(root, iter(children(graph[root])))]
        open_nodes = {root}
        while path:
            node, below = path[-1]
            child = next(below, None)
            if child is None:
                path.pop()
                done.add(node)
                open_nodes.discard(node)
                continue
            assert child not in open_nodes, f"node {child} contains itself"
            if child not in done:
                open_nodes.add(child)
                path.append((child, iter(children(graph[child]))))
