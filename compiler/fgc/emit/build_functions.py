"""Runs build-time calls (`!meta`), which become parts of the graph and files; an open table of functions by name."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from fgc.diagnostics import Diagnostic, Outcome, did_you_mean
from fgc.emit.layout import Layout, black_layout
from fgc.emit.paths import TargetPaths
from fgc.emit.places import GeneratedPlace, NodeArea
from fgc.ir import Call, CallKind, Graph, NodeId, reachable
from fgc.text import Source


class Expansion(Protocol):
    """The result of a build-time function: the graph without its call, and files to write beside the program.

    `areas` say from which nodes of the earlier graph parts of the files come.
    """

    @property
    def graph(self) -> Graph: ...

    @property
    def files(self) -> Mapping[str, str]: ...

    @property
    def areas(self) -> Mapping[str, Sequence[NodeArea]]: ...


class BuildContext(Struct, frozen=True):
    """The access of a build-time function to the outside: `read` returns a file's text by absolute path, or None."""

    read: Callable[[str], Source | None]
    component_folders: Sequence[str]
    generated_from: str
    layout: Layout = black_layout


BuildFunction = Callable[[Graph, NodeId, BuildContext], Outcome[Expansion | None]]
BUILD_FUNCTIONS: dict[str, BuildFunction] = {}
GRAFT = "fgc:from_project"  # its target is inserted into the graph before anything is built


def build_function(name: str) -> Callable[[BuildFunction], BuildFunction]:
    """Registers a function that `!meta:name` runs when a program is built."""

    def register(function: BuildFunction) -> BuildFunction:
        BUILD_FUNCTIONS[name] = function
        return function

    return register


@build_function("fgc:model_package")
def model_package(graph: Graph, node: NodeId, context: BuildContext) -> Outcome[Expansion | None]:
    """A Hugging Face model package from a model description."""
    from fgc.emit.model import expand_model_package  # reads component sources; few configurations need it

    where = (context.read, context.component_folders)
    return expand_model_package(graph, node, *where, context.generated_from, context.layout)


class Expanded(Struct, frozen=True):
    """A graph without build-time calls, the files that they made, and the origin of parts of those files."""

    graph: Graph
    files: Mapping[str, str]
    places: Mapping[str, tuple[GeneratedPlace, ...]]


def expand(graph: Graph, targets: Sequence[str], context: BuildContext) -> Outcome[Expanded]:
    """Runs every build-time call that the targets need."""
    files: dict[str, str] = {}
    places: dict[str, tuple[GeneratedPlace, ...]] = {}
    diagnostics: list[Diagnostic] = []
    failed: set[NodeId] = set()
    while (node := _next_call(graph, targets, failed)) is not None:
        call = graph[node]
        assert isinstance(call, Call)
        function = BUILD_FUNCTIONS.get(call.callee.text)
        if function is None:
            diagnostics.append(unknown_function(call))
            failed.add(node)
            continue
        outcome = function(graph, node, context)
        diagnostics += outcome.diagnostics
        if outcome.value is None:
            failed.add(node)
            continue
        before, after = TargetPaths(graph, targets), TargetPaths(outcome.value.graph, targets)
        for name, areas in outcome.value.areas.items():
            places[name] = tuple(_place(area, before, after) for area in areas)
        graph = outcome.value.graph
        clashing = [path for path, text in outcome.value.files.items() if files.get(path, text) != text]
        if clashing:
            package = clashing[0].partition("/")[0]
            help = "give one of them another `name`"
            message = f"two different models are called `{package}`: their files would have the same names"
            diagnostics.append(Diagnostic.at(call.origin, "FGC413", message, help=help))
        files |= outcome.value.files
    return Outcome(Expanded(graph, files, places), tuple(diagnostics))


def _place(area: NodeArea, before: TargetPaths, after: TargetPaths) -> GeneratedPlace:
    """Returns a place with the path of its node, which for another project's node is only in the later graph."""
    paths = next((paths for paths in (before, after) if area.node in paths), None)
    return GeneratedPlace(area.area, area.origin, "" if paths is None else paths.path(area.node), area.component)


def _next_call(graph: Graph, targets: Sequence[str], failed: set[NodeId]) -> NodeId | None:
    for node_id in reachable(graph, [graph.targets[name] for name in targets]):
        node = graph[node_id]
        if isinstance(node, Call) and node.kind is CallKind.META and node_id not in failed:
            return node_id
    return None


def unknown_function(call: Call) -> Diagnostic:
    """Returns the error about a build-time call whose function nobody registered."""
    name, names = call.callee.text, (*BUILD_FUNCTIONS, GRAFT)
    help = did_you_mean(name, names) or f"known are {', '.join(f'`{known}`' for known in names)}"
    return Diagnostic.at(call.callee.origin, "FGC411", f"unknown build-time function `{name}`", help=help)
