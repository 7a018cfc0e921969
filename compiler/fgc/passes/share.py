"""Merges the nodes of variables that must have one value.

The graph that comes from YAML has a node for each tag that was written. Two mentions of one variable are two nodes,
though the program gets one value for it:

    lr: !var steps                  #1 Var(steps)                  #1 Var(steps)
    warmup: !var steps              #2 Var(steps)         ->       (#2 becomes #1 wherever it is mentioned)
    size: !var [size, 8]            #3 Var(size, default 8)        #3 Var(size, default 8)
    twice: !var [size, 8.0]         #4 Var(size, default 8.0)      #4 Var(size, default 8.0): another type

A default that is constructed (a call, a list, a mapping) is never merged: each mention may construct its own object.
How often the remaining nodes are evaluated is another question, answered by `fgc.emit.sharing`.
"""

from collections.abc import Callable

from msgspec.structs import replace

from fgc.ir import Call, Deferred, DictNode, Graph, ListNode, Literal, Node, NodeId, Var, reachable


def share(graph: Graph) -> Graph:
    """Returns the graph with one node for all variables of the same name and the same default.

    Two defaults are the same if both are absent, or equal texts or numbers of one type. Targets and hints for names
    move to the node that is kept.
    """
    first: dict[object, NodeId] = {}
    instead: dict[NodeId, NodeId] = {}
    for node_id in reachable(graph, graph.targets.values()):
        node = graph[node_id]
        key = _key(graph, node) if isinstance(node, Var) else None
        if key is not None and first.setdefault(key, node_id) != node_id:
            instead[node_id] = first[key]
    if not instead:
        return graph
    nodes = {node_id: _moved(node, lambda child: instead.get(child, child)) for node_id, node in graph.nodes.items()}
    targets = {name: instead.get(node_id, node_id) for name, node_id in graph.targets.items()}
    hints = dict(graph.hints)
    for node_id, kept in instead.items():
        if node_id in graph.hints:
            hints.setdefault(kept, graph.hints[node_id])
    return replace(graph, nodes=nodes, targets=targets, hints=hints)


def _key(graph: Graph, node: Var) -> object:
    """Returns a key that is equal for variables to merge; None if this one is never merged."""
    default = None if node.default is None else graph[node.default]
    match default:
        case None:
            return (node.name,)
        case Literal(value=float(value)):
            return (node.name, "float", value.hex())
        case Literal(value=value):
            return (node.name, type(value).__name__, value)
        case Deferred(parts=parts, number=number):
            return (node.name, "text", parts, type(number).__name__)
        case _:
            return None


def _moved(node: Node, move: Callable[[NodeId], NodeId]) -> Node:
    """Returns the node with each mentioned node replaced by `move` of it."""
    match node:
        case ListNode():
            return replace(node, items=tuple(map(move, node.items)))
        case DictNode():
            return replace(node, entries=tuple(replace(item, value=move(item.value)) for item in node.entries))
        case Call():
            return replace(
                node,
                positional=tuple(map(move, node.positional)),
                keywords=tuple(replace(item, value=move(item.value)) for item in node.keywords),
                searchpath=None if node.searchpath is None else move(node.searchpath),
                latent=None if node.latent is None else move(node.latent),
            )
        case Var():
            return node if node.default is None else replace(node, default=move(node.default))
        case Literal() | Deferred():
            return node
