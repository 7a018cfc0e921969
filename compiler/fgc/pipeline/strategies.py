"""Training strategies and models that they surely cannot train: what a program would say before its first step."""

from collections.abc import Iterator

from fgc.diagnostics import Diagnostic, Related
from fgc.ir import Call, DictNode, Graph, Literal, NodeId, reachable
from fgc.text import Origin

_PIPELINE = "fgc_runtime.trainers:Pipeline"
_WEIGHT = "router_aux_loss_coef"  # of the load-balancing loss of a mixture of experts (Fedus et al. 2021, section 2.2)
_SWITCH = "output_router_logits"
_MAIN = "main"


def check_strategies(graph: Graph) -> Iterator[Diagnostic]:
    """Yields an error for each model with a load-balancing loss in a program that trains it in a pipeline."""
    nodes = list(reachable(graph, [graph.targets[_MAIN]])) if _MAIN in graph.targets else []
    calls = [node for node_id in nodes if isinstance(node := graph[node_id], Call)]
    strategy = next((call for call in calls if call.callee.text == _PIPELINE), None)
    if strategy is None:
        return
    for node_id in nodes:
        fields = _fields(graph, node_id)
        if _is_on(graph, fields):
            value, origin = fields[_WEIGHT]
            weight = getattr(graph[value], "value", None)
            message = f"a pipeline cannot train the load-balancing loss, which the model adds {weight} times"
            help = f"set {_WEIGHT}: 0.0 in the model's configuration, or choose another strategy"
            related = (Related(strategy.origin.span, "the model is trained by this strategy"),)
            yield Diagnostic.at(origin, "FGC420", message, help=help, related=related)


def _fields(graph: Graph, node_id: NodeId) -> dict[object, tuple[NodeId, Origin]]:
    """The values of a mapping or of a call's keywords, with their places."""
    match graph[node_id]:
        case DictNode(entries=entries):
            return {entry.key: (entry.value, entry.origin) for entry in entries}
        case Call(keywords=keywords):
            return {keyword.name: (keyword.value, keyword.origin) for keyword in keywords}
        case _:
            return {}


def _is_on(graph: Graph, fields: dict[object, tuple[NodeId, Origin]]) -> bool:
    """Returns True if a model's configuration surely adds the loss to what it trains."""
    weight, switch = (graph[fields[name][0]] if name in fields else None for name in (_WEIGHT, _SWITCH))
    is_weighted = isinstance(weight, Literal) and isinstance(weight.value, int | float) and weight.value > 0
    return is_weighted and isinstance(switch, Literal) and switch.value is True
