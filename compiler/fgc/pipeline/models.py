"""The model descriptions in a graph, checked against the sources of their components, which are read and never run."""

from collections.abc import Sequence
from typing import Protocol

from fgc.diagnostics import Diagnostic
from fgc.emit.model.description import check_model_package
from fgc.ir import Call, CallKind, Graph, NodeId, reachable
from fgc.pipeline.local_files import LocalFiles
from fgc.pipeline.signatures import Signatures

MODEL_PACKAGE = "fgc:model_package"


class SourceFiles(Signatures, LocalFiles, Protocol):
    """Reads Python files, and knows where model components lie."""

    @property
    def component_folders(self) -> Sequence[str]: ...


def check_models(graph: Graph, files: SourceFiles) -> list[Diagnostic]:
    """What is wrong with the models that a configuration describes."""
    where = (files.read_python, files.component_folders)
    nodes = [] if graph.is_partial else model_nodes(graph)
    whole = [node for node in nodes if graph.broken.isdisjoint(reachable(graph, [node]))]
    return [finding for node in whole for finding in check_model_package(graph, node, *where)]


def model_nodes(graph: Graph) -> list[NodeId]:
    """The nodes that describe model packages."""
    return [
        node_id
        for node_id, node in graph.nodes.items()
        if isinstance(node, Call) and node.kind is CallKind.META and node.callee.text == MODEL_PACKAGE
    ]
