"""Graph to graph: the same objects in the same order, said more plainly. A verifier runs after each pass."""

from fgc.ir import Graph, verify
from fgc.passes.fold import fold_calls, fold_texts
from fgc.passes.prune import prune

PASSES = {"prune": prune, "fold texts": fold_texts, "fold calls": fold_calls}


def run(graph: Graph) -> Graph:
    """Every pass, in order."""
    for transform in PASSES.values():
        graph = transform(graph)
        verify(graph)
    return graph


__all__ = ["PASSES", "run"]
