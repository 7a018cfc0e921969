"""Nodes that no target needs, removed."""

from msgspec.structs import replace

from fgc.ir import Graph, reachable


def prune(graph: Graph) -> Graph:
    """The graph of what the targets reach; ids stay."""
    needed = set(reachable(graph, graph.targets.values()))
    nodes = {node: value for node, value in graph.nodes.items() if node in needed}
    hints = {node: hint for node, hint in graph.hints.items() if node in needed}
    return replace(graph, nodes=nodes, hints=hints)
