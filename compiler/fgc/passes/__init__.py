"""Graph to graph: the same objects in the same order, said more plainly. A verifier runs after each pass."""

from collections.abc import Iterator

from fgc.ir import Graph, verify
from fgc.passes.fold import fold_calls, fold_texts
from fgc.passes.infer import Types, infer, verify_types
from fgc.passes.prune import prune
from fgc.passes.share import share

PASSES = {"prune": prune, "share": share, "fold-texts": fold_texts, "fold-calls": fold_calls}


def run(graph: Graph) -> Graph:
    """Every pass, in order."""
    for _, after in steps(graph):
        graph = after
    return graph


def steps(graph: Graph) -> Iterator[tuple[str, Graph]]:
    """Every pass by name, with the graph after it."""
    for name, transform in PASSES.items():
        graph = transform(graph)
        verify(graph)
        yield name, graph


__all__ = ["PASSES", "Types", "infer", "run", "steps", "verify_types"]
