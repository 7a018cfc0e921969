"""The paths of a target `sweep`, looked up in the configuration that it is in: findings for `fgc check`."""

from collections.abc import Iterator, Sequence

from fgc.diagnostics import Diagnostic
from fgc.ir import Graph
from fgc.pipeline.dynamic import dynamic_arguments
from fgc.pipeline.models import ModelFiles
from fgc.pipeline.sweeps import Swept, sweep_request
from fgc.yaml import Composition


class SweepPaths:
    """Sees a configuration before it becomes a graph, and checks the graph's paths against it."""

    def __init__(self) -> None:
        self._composition: Composition | None = None

    def see(self, composition: Composition) -> None:
        """Remember what is compiled now."""
        self._composition = composition

    def check(self, graph: Graph, files: ModelFiles) -> Sequence[Diagnostic]:
        """Returns a finding for each path that names nothing, or nothing that its range fits."""
        request = sweep_request(graph).value
        if request is None or self._composition is None:
            return ()
        return [*_findings(request.over, graph, self._composition)]


def _findings(over: Sequence[Swept], graph: Graph, composition: Composition) -> Iterator[Diagnostic]:
    from fgc.cli.sweeping.space import path_problem  # what explains paths: 0.02 s

    declared = dynamic_arguments(graph).value
    for item in over:
        assert item.origin is not None, "a target's entries have places"
        problem = path_problem(item, composition, declared)
        if problem is not None:
            yield Diagnostic.at(item.origin, "FGC419", problem)
