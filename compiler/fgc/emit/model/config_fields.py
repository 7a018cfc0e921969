"""Turns the configuration's entries into fields: the default of each, and which ones the program computes."""

from collections.abc import Mapping

from msgspec import Struct

from fgc.diagnostics import Diagnostic, Related
from fgc.emit.model.components import ComponentLibrary, ComponentParameter, Definition
from fgc.emit.model.configuration import ROPE_PARAMETERS, FieldPlan, in_order
from fgc.emit.model.describe import Describer
from fgc.emit.model.request import ConfigEntry, PackageRequest
from fgc.emit.model.values import Constant, ConstantTable, Field, PartConstruction, Value, walk
from fgc.ir import Call, DictNode, Graph, ListNode, Literal, NodeId, SymbolKind, Var, children

_ACCEPTED: Mapping[str, tuple[type, ...]] = {"float": (float, int), "int": (int,), "str": (str,), "bool": (bool,)}


class FieldReader(Struct, frozen=True):
    """The parameter of a component that a configuration field goes into; its type is a simple one."""

    component: str
    parameter: ComponentParameter
    annotation: str


def readers_of(model: PartConstruction, library: ComponentLibrary) -> dict[str, FieldReader]:
    """Returns, for each field, the first parameter that gives its type."""
    found: dict[str, FieldReader] = {}
    for part in walk(model):
        if not isinstance(part, PartConstruction) or not isinstance(part.target, Definition):
            continue
        parameters = library.signature(part.target).by_name
        for name, value in part.keywords:
            annotation = (parameters[name].annotation or "").removesuffix(" | None") if name in parameters else ""
            if isinstance(value, Field) and annotation in _ACCEPTED:
                found.setdefault(value.name, FieldReader(part.target.name, parameters[name], annotation))
    return found


class ConfigReader:
    """Reads the configuration's entries as fields with defaults; `runtime` are those that train.py computes."""

    def __init__(self, graph: Graph, request: PackageRequest, describer: Describer) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.runtime: list[ConfigEntry] = []
        self._graph = graph
        self._request = request
        self._describer = describer

    def fields(self, readers: Mapping[str, FieldReader]) -> list[FieldPlan]:
        """Returns every field, derived ones after those they are derived from."""
        found = [self._field(entry, readers.get(entry.name)) for entry in self._request.config]
        for name, entry in self._request.defaults.items():
            if name not in {item.name for item in found}:
                self._reject(entry, f"`defaults` names `{name}`, which is not a field of `config`")
        ordered = in_order(found)
        if isinstance(ordered, str):
            entry = next(entry for entry in self._request.config if entry.name == ordered)
            self._reject(entry, f"the field `{ordered}` is derived from itself")
            return []
        return found

    def _field(self, entry: ConfigEntry, reader: FieldReader | None) -> FieldPlan:
        annotation = None if reader is None else reader.annotation
        if self._is_static(entry.value):
            value = self._describer.value(entry.value)
            if value is not None and any(isinstance(item, Field) for item in walk(value)):
                return FieldPlan(entry.name, Constant.of(None), value, annotation)
            if entry.name == ROPE_PARAMETERS and isinstance(value, ConstantTable):
                # an older config.json gives it in parts, so the class must know whether it is given
                return FieldPlan(entry.name, Constant.of(None), value, annotation)
            if value is not None:
                self._check_type(entry, value, reader)
                return FieldPlan(entry.name, value, None, annotation)
        else:
            self.runtime.append(entry)
        default = self._request.defaults.get(entry.name)
        value = None if default is None else self._describer.value(default.value)
        return FieldPlan(entry.name, value or Constant.of(None), None, annotation)

    def _is_static(self, node_id: NodeId) -> bool:
        """Returns True if a value is known at build time, or follows from other fields."""
        node = self._graph[node_id]
        if isinstance(node, Call):
            is_container = node.callee.kind is SymbolKind.BUILTIN and node.callee.attribute.startswith("named_")
            if node.callee.container != "operator" and not is_container:
                return False
        elif isinstance(node, Var):
            return node.name in {entry.name for entry in self._request.config} or node.default is None
        elif not isinstance(node, Literal | ListNode | DictNode):
            return False
        return all(self._is_static(child) for child in children(node))

    def _check_type(self, entry: ConfigEntry, value: Value, reader: FieldReader | None) -> None:
        if reader is None or not isinstance(value, Constant) or value.value is None:
            return
        is_bool = isinstance(value.value, bool)
        if isinstance(value.value, _ACCEPTED[reader.annotation]) and is_bool is (reader.annotation == "bool"):
            return
        message = f"`{entry.name}` is {value.text}, but `{reader.component}` wants {reader.annotation}"
        help_text = "YAML reads `1e-5` as text: write `1.0e-5`" if isinstance(value.value, str) else None
        origin = self._graph[entry.value].origin
        related = Related(reader.parameter.span, f"`{reader.parameter.name}` is declared here")
        self.diagnostics.append(Diagnostic.at(origin, "FGC413", message, help=help_text, related=[related]))

    def _reject(self, entry: ConfigEntry, message: str) -> None:
        self.diagnostics.append(Diagnostic.at(entry.origin, "FGC413", message))
