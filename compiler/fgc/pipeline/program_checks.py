"""Finds, without building, what a build would refuse in a graph: functions, components, local files, variables.

Loads no part of the emitter that needs libcst or black.
"""

from collections.abc import Iterator

from fgc.diagnostics import Diagnostic
from fgc.emit.build_functions import BUILD_FUNCTIONS, GRAFT, unknown_function
from fgc.emit.refusals import misplaced_component, unset_variable
from fgc.ir import Call, CallKind, DictNode, Graph, Literal, Node, NodeId, SymbolKind, Var, children
from fgc.pipeline.local_files import LocalFiles, check_local_files
from fgc.pipeline.variables import GIVEN_VARIABLES

_MAIN = "main"
_META = "meta"


def check_program(graph: Graph, files: LocalFiles) -> list[Diagnostic]:
    """Returns what no program of this graph could do, and what it could do only with the files of tomorrow."""
    calls = [node for node in graph.nodes.values() if isinstance(node, Call) and node.kind is CallKind.META]
    unknown = [node for node in calls if node.callee.text not in (*BUILD_FUNCTIONS, GRAFT)]
    local = check_local_files(graph, files)
    if unknown:  # files and folders that are missing may be what it would have made
        local = [finding for finding in local if finding.code not in ("FGC001", "FGC004")]
    return [*map(unknown_function, unknown), *_misplaced(graph), *local]


def _misplaced(graph: Graph) -> Iterator[Diagnostic]:
    """Components that the program would construct itself, outside of the models that are generated."""
    for node in _constructed(graph, _MAIN):
        if isinstance(node, Call) and node.callee.kind is SymbolKind.COMPONENT:
            yield misplaced_component(node)


def check_script(graph: Graph) -> list[Diagnostic]:
    """Returns a warning for each variable that a started program needs and never gets.

    Only a configuration with a `main` is one to start; Python gives the variables of the others. A dataset or a model,
    as its `config_class` says, is not started either: the project that uses it gives them.
    """
    if _is_part(graph):
        return []
    variables = (node for node in _constructed(graph, _MAIN) if isinstance(node, Var) and node.default is None)
    return [unset_variable(node) for node in variables if node.name not in GIVEN_VARIABLES]


def _is_part(graph: Graph) -> bool:
    """Returns True if the `config_class` of the target `meta` names another type than a training script."""
    match graph[graph.targets[_META]] if _META in graph.targets else None:
        case DictNode(entries=entries):
            fields: dict[object, NodeId] = {entry.key: entry.value for entry in entries}
        case Call(keywords=keywords):
            fields = {keyword.name: keyword.value for keyword in keywords}
        case _:
            return False
    match graph[fields["config_class"]] if "config_class" in fields else None:
        case Literal(value=str(name)):
            return name.startswith("type.") and not name.startswith("type.training_script")
        case _:
            return False


def _constructed(graph: Graph, target: str) -> Iterator[Node]:
    """Yields the nodes that the program of a target constructs itself; descriptions of models are left out."""
    stack = [graph.targets[target]] if target in graph.targets else []
    seen: set[NodeId] = set()
    while stack:
        node_id = stack.pop()
        node = graph[node_id]
        if node_id in seen:
            continue
        seen.add(node_id)
        yield node
        if not (isinstance(node, Call) and node.kind is CallKind.META):
            stack.extend(reversed(children(node)))
