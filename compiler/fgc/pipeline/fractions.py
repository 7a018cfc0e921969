"""Integers of a graph that stand where a number is asked for: `weight_decay: 0` may become 0.1, `num_layers: 4` not."""

from collections.abc import Mapping

from msgspec.structs import replace

from fgc.ir import Call, Graph, Literal, Node, NodeId
from fgc.pipeline.signatures import Signatures, check_calls

_FRACTION = 0.5


def fractional(graph: Graph, signatures: Signatures | None) -> frozenset[NodeId]:
    """Returns the integers that may become numbers with a point: nothing that is known of their calls refuses these."""
    integers = {key: node for key, node in graph.nodes.items() if isinstance(node, Literal) and type(node.value) is int}
    if signatures is None or not integers:
        return frozenset()
    changed: Mapping[NodeId, Node] = {key: replace(node, value=_FRACTION) for key, node in integers.items()}
    found = check_calls(replace(graph, nodes={**graph.nodes, **changed}), signatures)
    refused = {finding.span for finding in found if finding.code in ("FGC508", "FGC511")}  # of a value, of a call
    calls = (node for node in graph.nodes.values() if isinstance(node, Call))
    operands = {key for call in calls if call.callee.attribute_origin.span in refused for key in call.positional}
    return frozenset(key for key, node in integers.items() if key not in operands and node.origin.span not in refused)
