"""A compiled configuration to what its target `meta` says about it; loads no part of the emitter."""

from fgc.ir import Call, Deferred, DictNode, Graph, Literal, NodeId
from fgc.ir.nodes import Scalar


def meta_text(graph: Graph, name: str) -> str | None:
    """A field of the target `meta`, if it is a text."""
    value = meta_value(graph, name)
    return value if isinstance(value, str) and value else None


def meta_value(graph: Graph, name: str) -> Scalar:
    """A field of the target `meta`, if it is a scalar; what is known only at run time is as `pp` shows it."""
    node = graph[found] if (found := _meta_fields(graph).get(name)) is not None else None
    if isinstance(node, Deferred):
        return node.written if node.number is None else node.number
    return node.value if isinstance(node, Literal) else None


def _meta_fields(graph: Graph) -> dict[str, NodeId]:
    target = graph.targets.get("meta")
    node = graph[target] if target is not None else None
    if isinstance(node, Call):
        return {keyword.name: keyword.value for keyword in node.keywords}
    if isinstance(node, DictNode):
        return {str(entry.key): entry.value for entry in node.entries}
    return {}
