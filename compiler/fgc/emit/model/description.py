"""Describes the model package of a `!meta:fgc:model_package` node, and checks it without generating anything."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from fgc.diagnostics import Diagnostic, Outcome, has_errors
from fgc.emit.model.components import ComponentLibrary, Reader
from fgc.emit.model.config_fields import ConfigReader, readers_of
from fgc.emit.model.configuration import FieldPlan
from fgc.emit.model.describe import Describer
from fgc.emit.model.module_names import idle_rules, unmatched_plan_keys
from fgc.emit.model.names import ModelNames
from fgc.emit.model.request import ConfigEntry, PackageRequest, read_request
from fgc.emit.model.shapes import Shapes, shape_findings
from fgc.emit.model.unread import unread_fields
from fgc.emit.model.values import PartConstruction, fields_of
from fgc.ir import Call, CallKind, Graph, NodeId
from fgc.ir.searchpath import searchpath


class Description(Struct, frozen=True):
    """A model package: its name, its model, its configuration; `runtime` are the fields that the program computes."""

    name: str
    library: ComponentLibrary
    model: PartConstruction
    fields: Sequence[FieldPlan]
    plans: Mapping[str, str]
    attention: Sequence[str]
    runtime: Sequence[ConfigEntry]


def describe_model_package(
    graph: Graph, node: NodeId, read: Reader, component_folders: Sequence[str]
) -> Outcome[Description | None]:
    """Returns the description of the node's package; None if anything in it is wrong."""
    call = graph[node]
    assert isinstance(call, Call) and call.kind is CallKind.META, f"node {node} is not a build-time call"
    request = read_request(graph, call)
    library = _library(read, tuple(component_folders))
    field_names = [entry.name for entry in request.config]
    folders = [folder for folder, _ in searchpath(graph, call.searchpath)]
    describer = Describer(graph, library, field_names, folders)
    model = None if request.model is None else describer.model(request.model)
    config = ConfigReader(graph, request, describer)
    fields = config.fields({} if model is None else readers_of(model, library))
    diagnostics = (*request.diagnostics, *describer.diagnostics, *config.diagnostics)
    if diagnostics or model is None or request.name is None:
        return Outcome(None, diagnostics)
    found = Description(request.name, library, model, fields, request.plans, request.attention, config.runtime)
    misfits = _misfits(graph, request, found)
    return Outcome(None if has_errors(misfits) else found, misfits)


def _misfits(graph: Graph, request: PackageRequest, found: Description) -> tuple[Diagnostic, ...]:
    """Returns findings about parts that do not fit together."""
    fields = {field.name: field for field in found.fields}
    entries = {entry.name: entry for entry in request.config}
    shapes = Shapes(graph, found.library, found.model, fields, entries, found.attention)
    names = ModelNames.of(found.name, found.model)
    keys = (request.plan_keys.get(name, []) for name in ("tp_plan", "pp_plan"))
    unmatched = unmatched_plan_keys(found.model, found.library, f"{names.prefix}Model", *keys)
    return (*shape_findings(shapes), *unmatched, *idle_rules(found.model, found.library))


@lru_cache(maxsize=32)
def _library(read: Reader, component_folders: tuple[str, ...]) -> ComponentLibrary:
    """Returns one library for all configurations of a project, which share their components."""
    return ComponentLibrary(read, component_folders)


def check_model_package(
    graph: Graph, node: NodeId, read: Reader, component_folders: Sequence[str]
) -> Outcome[Description | None]:
    """Returns the description of the node's package with all findings, including fields that nothing reads."""
    described = describe_model_package(graph, node, read, component_folders)
    found = described.value
    if found is None:
        return described
    call = graph[node]
    assert isinstance(call, Call), "a description is that of a call"
    derived = (name for field in found.fields if field.derived is not None for name in fields_of(field.derived))
    unread = unread_fields(read_request(graph, call).config, (*fields_of(found.model), *derived))
    return Outcome(found, (*described.diagnostics, *unread))
