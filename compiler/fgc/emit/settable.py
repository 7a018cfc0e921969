"""Finds the values of a program that `--set PATH=VALUE` may change, and their places in its text.

A path is that of the graph, such as `optimizer.betas[0]`. A value with several paths is stored under one of them; the
others are aliases of it.
"""

from collections import deque
from collections.abc import Container, Iterable, Mapping

from msgspec import Struct, field

from fgc.emit.options import data_of
from fgc.emit.places import Area
from fgc.ir import Call, CallKind, Deferred, Graph, Literal, Node, NodeId, children, steps


class Settable(Struct, frozen=True):
    """The areas of each value by its path, and paths of objects that have a shorter one.

    `computed` are the types of values that the program computes, from its options or where it runs, by their paths.
    `numbers` are the integers that may become floats.
    """

    values: Mapping[str, tuple[Area, ...]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    computed: Mapping[str, str] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()


def settable(graph: Graph, found: Iterable[tuple[Area, NodeId]], numbers: Container[NodeId] = ()) -> Settable:
    """Returns what can be set of a program; `found` are the areas of the values in its text.

    `numbers` are the integers that may become floats.

    What a build-time call was given went into generated files as well: it is set when the program is built.
    """
    built = {
        part
        for node_id, node in graph.nodes.items()
        if isinstance(node, Call) and node.kind is CallKind.META
        for part in data_of(graph, node_id)
    }
    areas: dict[NodeId, list[Area]] = {}
    for area, node_id in found:
        node = graph.nodes.get(node_id)
        if isinstance(node, Literal | Deferred) and node_id not in built:
            areas.setdefault(node_id, []).append(area)
    useful = _leading_to(graph, areas)
    paths: dict[NodeId, str] = {}
    aliases: dict[str, str] = {}
    waiting = deque((node_id, name) for name, node_id in graph.targets.items())
    while waiting:
        node_id, path = waiting.popleft()
        if node_id not in useful:
            continue
        if node_id in paths:
            aliases[path] = paths[node_id]
            continue
        paths[node_id] = path
        waiting.extend((child, path + step) for step, child, _ in steps(graph, node_id))
    named = {paths[node_id]: node_id for node_id in areas if node_id in paths}
    return Settable(
        {path: tuple(areas[node_id]) for path, node_id in named.items()},
        aliases,
        {path: kind for path, node_id in named.items() if (kind := _computed_type(graph[node_id])) is not None},
        tuple(path for path, node_id in named.items() if node_id in numbers),
    )


def _computed_type(node: Node) -> str | None:
    """Returns the Python type of a value that is computed, from options or where the program runs; else None."""
    is_computed = isinstance(node, Deferred) or (isinstance(node, Literal) and node.argument is not None)
    return type(node.value).__name__ if is_computed and isinstance(node, Literal | Deferred) else None


def _leading_to(graph: Graph, nodes: Iterable[NodeId]) -> set[NodeId]:
    """Returns the nodes and all nodes that mention them, directly or not."""
    above: dict[NodeId, list[NodeId]] = {}
    for node_id, node in graph.nodes.items():
        for child in children(node):
            above.setdefault(child, []).append(node_id)
    found: set[NodeId] = set()
    stack = list(nodes)
    while stack:
        node_id = stack.pop()
        if node_id not in found:
            found.add(node_id)
            stack.extend(above.get(node_id, ()))
    return found
