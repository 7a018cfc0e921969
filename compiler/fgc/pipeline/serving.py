"""The model descriptions in a graph, checked for what vLLM needs. Loads the emitter: import this only for that."""

from fgc.diagnostics import Diagnostic
from fgc.emit.model.serving import check_vllm
from fgc.ir import Graph
from fgc.pipeline.models import ModelFiles, model_nodes


def check_serving(graph: Graph, files: ModelFiles, *, tensor_parallel_size: int = 1) -> list[Diagnostic]:
    """Returns what keeps vLLM from serving the models that a configuration describes, on so many processes."""
    where = (files.read_python, files.component_folders)
    return [
        finding
        for node in model_nodes(graph)
        for finding in check_vllm(graph, node, *where, tensor_parallel_size=tensor_parallel_size)
    ]
