"""Decides which options a program offers, and gives all others their values."""

from collections.abc import Container, Iterable, Iterator, Sequence

from msgspec.structs import replace

from fgc.emit.options.fitness import default_of, forms_of, is_read_by_yaml, unfit
from fgc.emit.options.records import Closed, Leaf, Offered, Options
from fgc.ir import (
    Call,
    CallKind,
    Deferred,
    Graph,
    Literal,
    Node,
    NodeId,
    Option,
    Scalar,
    Var,
    children,
    expressions_of,
    reachable,
)
from fgc.text import (
    DeferredCall,
    DeferredConstant,
    DeferredExpression,
    DeferredPart,
    FromOutside,
    Span,
    arguments_in,
    has_options,
    text_with_values,
    with_values,
)


def settle(
    graph: Graph, before: Graph, targets: Sequence[str], declared: Iterable[Option], known: Iterable[Closed]
) -> tuple[Graph, Options]:
    """Decides which options are offered; the returned graph mentions only those.

    `before` is the graph with its build-time calls, whose arguments go into files; `known` are already closed.
    """
    closed = {item.option.variable: item for item in known}
    reasons = dict(_structural(before, graph, [before.targets[name] for name in targets]))
    leaves = _leaves(graph, [graph.targets[name] for name in targets])
    offered: dict[str, Offered] = {}
    for option in declared:
        if option.variable in closed:
            continue
        own = leaves.get(option.variable, [])
        found = reasons.get(option.variable) or unfit(option, own)
        if found is None:
            default = default_of(own[0].argument)
            offered[option.variable] = Offered(option, default, is_read_by_yaml(option, own), forms_of(option, own))
        else:
            closed[option.variable] = Closed(option, *found)
    nodes = {node_id: _settled(node, offered) for node_id, node in graph.nodes.items()}
    settled_graph = replace(graph, nodes=nodes)
    mentioned = _leaves(settled_graph, [graph.targets[name] for name in targets])
    for name in [name for name in offered if name not in mentioned]:
        reason = "a choice that the build made does not use it"
        closed[name] = Closed(offered.pop(name).option, reason, leaves[name][0].origin.span)
    ordered = tuple(closed[option.variable] for option in declared if option.variable in closed)
    settled = {name: replace(item, default=_fixed(item.default, offered)) for name, item in offered.items()}
    return settled_graph, Options(settled, ordered)


def _leaves(graph: Graph, roots: Iterable[NodeId]) -> dict[str, list[Leaf]]:
    """Returns the mentions of each variable from outside."""
    found: dict[str, list[Leaf]] = {}
    for node_id in reachable(graph, roots):
        node = graph[node_id]
        for expression in _whole_expressions(node):
            for argument in arguments_in(expression):
                forms = node.forms if isinstance(node, Literal | Deferred) else ()
                own = tuple(form.text for form in forms if form.variable == argument.name)
                leaf = Leaf(argument, expression, node.origin, own)
                found.setdefault(argument.name, []).append(leaf)
    return found


def _whole_expressions(node: Node) -> tuple[DeferredPart, ...]:
    """Returns the expressions of a value; the parts of a text count as one that joins them."""
    if isinstance(node, Deferred) and len(node.parts) > 1:
        return (DeferredCall("concat", node.parts),)
    return expressions_of(node)


def _settled(node: Node, offered: Container[str]) -> Node:
    """Returns a value with all closed options replaced by their values."""
    match node:
        case Literal(argument=argument) if argument is not None:
            fixed = with_values(argument, offered)
            return replace(node, argument=fixed if isinstance(fixed, FromOutside) else None)
        case Deferred(parts=parts, number=None) if any(map(has_options, parts)):
            known = tuple(text_with_values(part, offered) for part in parts)
            if all(isinstance(part, str) for part in known):
                return Literal("".join(map(str, known)), node.origin)
            return replace(node, parts=known)
        case _:
            return node


def _fixed(default: Scalar | DeferredExpression, offered: Container[str]) -> Scalar | DeferredExpression:
    """Returns a default with all closed options replaced by their values."""
    if isinstance(default, Scalar):
        return default
    known = with_values(default, offered)
    return known.value if isinstance(known, DeferredConstant) else known


def _structural(before: Graph, after: Graph, roots: Sequence[NodeId]) -> Iterator[tuple[str, tuple[str, Span]]]:
    """Yields the options that are needed to build: in generated files, search paths and defaults of variables."""
    remaining = set(reachable(after, after.targets.values()))
    for node_id in reachable(before, roots):
        node = before[node_id]
        if node_id not in remaining:
            yield from _arguments_in(before, [node_id], "it is written into a generated file")
        if isinstance(node, Call) and node.kind is CallKind.META:
            yield from _arguments_in(before, data_of(before, node_id), "it is written into a generated file")
        if isinstance(node, Call) and node.searchpath is not None:
            yield from _arguments_in(
                before, reachable(before, [node.searchpath]), "it determines where files are found"
            )
        if isinstance(node, Var) and node.default is not None:
            yield from _arguments_in(before, [node.default], "it is the default of a `!var`")
    meta = before.targets.get("meta")
    for key, value in _entries(before, meta) if meta is not None else ():
        if key in ("config_name", "config_description", "config_class"):
            yield from _arguments_in(before, [value], f"it is the program's `{key}`")


def _arguments_in(graph: Graph, nodes: Iterable[NodeId], reason: str) -> Iterator[tuple[str, tuple[str, Span]]]:
    for node_id in nodes:
        node = graph[node_id]
        for expression in expressions_of(node):
            yield from ((argument.name, (reason, node.origin.span)) for argument in arguments_in(expression))


def data_of(graph: Graph, root: NodeId) -> Iterator[NodeId]:
    """Yields the plain data that a build-time call gets, without the objects that the program constructs."""
    stack = [root]
    seen: set[NodeId] = set()
    while stack:
        node_id = stack.pop()
        node = graph[node_id]
        is_object = isinstance(node, Call) and node.kind in (CallKind.SINGLETON, CallKind.FACTORY)
        if node_id not in seen and not (is_object and node_id != root):
            seen.add(node_id)
            yield node_id
            stack.extend(children(node))


def _entries(graph: Graph, node_id: NodeId) -> Iterator[tuple[object, NodeId]]:
    node = graph[node_id]
    if isinstance(node, Call):
        yield from ((item.name, item.value) for item in node.keywords)
    else:
        yield from ((entry.key, entry.value) for entry in getattr(node, "entries", ()))
