"""The model descriptions in a graph, checked against the sources of their components, which are read and never run."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from fgc.diagnostics import Outcome
from fgc.emit.model.description import Description, check_model_package
from fgc.ir import Call, CallKind, Graph, NodeId, reachable
from fgc.pipeline.local_files import LocalFiles
from fgc.pipeline.signatures import Signatures

MODEL_PACKAGE = "fgc:model_package"


class ModelFiles(Signatures, LocalFiles, Protocol):
    """Reads Python files, and knows where model components lie."""

    @property
    def component_folders(self) -> Sequence[str]: ...


def check_models(graph: Graph, files: ModelFiles) -> Outcome[Mapping[NodeId, Description]]:
    """Returns the models that a configuration describes, and what is wrong; a model with errors is not among them."""
    where = (files.read_python, files.component_folders)
    nodes = [] if graph.is_partial else model_nodes(graph)
    whole = [node for node in nodes if graph.broken.isdisjoint(reachable(graph, [node]))]
    checked = {node: check_model_package(graph, node, *where) for node in whole}
    described = {node: outcome.value for node, outcome in checked.items() if outcome.value is not None}
    return Outcome(described, tuple(finding for outcome in checked.values() for finding in outcome.diagnostics))


def model_nodes(graph: Graph) -> list[NodeId]:
    """The nodes that describe model packages."""
    return [
        node_id
        for node_id, node in graph.nodes.items()
        if isinstance(node, Call) and node.kind is CallKind.META and node.callee.text == MODEL_PACKAGE
    ]
