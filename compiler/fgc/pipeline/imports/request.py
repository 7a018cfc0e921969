"""A call of `fgc:from_project` to what it asks for, and who can answer it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field

from fgc.diagnostics import Diagnostic, Outcome, did_you_mean
from fgc.ir import Call, Deferred, DictNode, Graph, ListNode, Literal, NodeId, display_type
from fgc.text import Need, Origin

FROM_PROJECT = "fgc:from_project"
PARAMETERS = ("project_dir", "config", "targets", "variables")


class ProjectRequest(Struct, frozen=True):
    """`project_dir` is relative to the project that asks. The origins are the places of folder and configuration."""

    project_dir: str
    config: str | None
    variables: Mapping[str, Any]
    folder_origin: Origin
    config_origin: Origin


class Imported(Struct, frozen=True):
    """The graph of another configuration; its project's folder and workspace as seen from the project that asks.

    `workspace` is None where both have one. `needs` is what had to be known to compile it.
    """

    key: object
    name: str
    graph: Graph
    folder: str
    workspace: str | None
    needs: tuple[Need, ...] = ()


class Projects(Protocol):
    """Compiles configurations of other projects."""

    def load(self, request: ProjectRequest) -> Outcome[Imported | None]: ...


class ImportCall(Struct):
    """What a call asks for; `request` is None if something in it is wrong, which `diagnostics` tells.

    `targets` are the names with their places; `is_single` tells one object from a mapping. `objects` are what the other
    configuration gets for its variables, by their names, with the places of these.
    """

    request: ProjectRequest | None = None
    targets: list[tuple[str, Origin]] = field(default_factory=list)
    is_single: bool = True
    objects: dict[str, tuple[NodeId, Origin]] = field(default_factory=dict)
    needs: list[Need] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def reject(self, origin: Origin, message: str, help: str | None = None) -> None:
        self.diagnostics.append(Diagnostic.at(origin, "FGC413", message, help=help))

    def refuse_slips(self, given: Collection[str], names: Iterable[str], variables: Iterable[str] = ()) -> None:
        """Refuses keywords that name neither a parameter nor a variable."""
        for name in names:
            known = sorted({*PARAMETERS, *variables} - {*given})
            help = did_you_mean(name, known) or f"it has: {', '.join([*PARAMETERS, *sorted(variables)])}"
            self.reject(self.objects[name][1], f"`{FROM_PROJECT}` has no parameter `{name}`", help)


def read_call(graph: Graph, call: Call) -> ImportCall:
    """The arguments of a call, each checked for its form."""
    read = ImportCall()
    given = _given(read, call)
    folder = _text(read, graph, given.get("project_dir"), "project_dir")
    config = _text(read, graph, given.get("config"), "config")
    _targets(read, graph, given.get("targets"), call.origin)
    variables = _variables(read, graph, given.get("variables"))
    if "project_dir" not in given:
        read.refuse_slips(given, list(read.objects))
    if "project_dir" not in given and not read.diagnostics:  # else a slip was it
        help = "write `!meta:fgc:from_project { project_dir: FOLDER, config: NAME, targets: NAME }`"
        read.reject(call.origin, f"`{FROM_PROJECT}` needs the argument `project_dir`", help)
    if folder is not None and not read.diagnostics:
        at = graph[given["project_dir"]].origin
        config_at = graph[given["config"]].origin if "config" in given else at
        read.request = ProjectRequest(folder, config, variables, at, config_at)
    return read


def _given(read: ImportCall, call: Call) -> dict[str, NodeId]:
    given = dict(zip(PARAMETERS, call.positional, strict=False))
    if len(call.positional) > len(PARAMETERS):
        read.reject(call.origin, f"`{FROM_PROJECT}` takes at most {len(PARAMETERS)} arguments")
    for keyword in call.keywords:
        if keyword.name not in PARAMETERS:
            read.objects[keyword.name] = (keyword.value, keyword.origin)
            continue
        if keyword.name in given:
            read.reject(keyword.origin, f"`{keyword.name}` is given by position and by name")
        given[keyword.name] = keyword.value
    return given


def _text(read: ImportCall, graph: Graph, node_id: NodeId | None, name: str) -> str | None:
    if node_id is None:
        return None
    match graph[node_id]:
        case Literal(value=str(text)) | Deferred(text=text) if text:
            return text
        case Literal(value=None) if name == "config":
            return None
        case node:
            read.reject(node.origin, f"`{name}` must be a text")
            return None


def _targets(read: ImportCall, graph: Graph, node_id: NodeId | None, origin: Origin) -> None:
    if node_id is None:
        read.targets = [("main", origin)]
        return
    node = graph[node_id]
    items: Sequence[NodeId] = node.items if isinstance(node, ListNode) else (node_id,)
    read.is_single = not isinstance(node, ListNode)
    for item in items:
        match graph[item]:
            case Literal(value=str(name), origin=at):
                read.targets.append((name, at))
            case other:
                read.reject(other.origin, "`targets` is the name of a target, or a list of names")
    if not items:
        read.reject(node.origin, "`targets` names no target")


def _variables(read: ImportCall, graph: Graph, node_id: NodeId | None) -> dict[str, Any]:
    if node_id is None:
        return {}
    match graph[node_id]:
        case Literal(value=None):
            return {}
        case DictNode(entries=entries):
            return {str(entry.key): _value(read, graph, entry.value) for entry in entries}
        case Call(keywords=keywords, positional=()) as call if display_type(call) is dict:
            return {keyword.name: _value(read, graph, keyword.value) for keyword in keywords}
        case node:
            read.reject(node.origin, "`variables` is a mapping from names of template variables to values")
            return {}


def _value(read: ImportCall, graph: Graph, node_id: NodeId) -> Any:
    """A template variable: known now, because templates are resolved now."""
    match graph[node_id]:
        case Literal(value=value):
            return value
        case ListNode(items=items):
            return [_value(read, graph, item) for item in items]
        case DictNode(entries=entries):
            return {entry.key: _value(read, graph, entry.value) for entry in entries}
        case Deferred(text=text, parts=parts, origin=origin):
            open_parts = [part for part in parts if not isinstance(part, str)]
            read.needs += [Need(part, text, origin.span, "another project's template uses it") for part in open_parts]
            return text
        case node:
            reason = "a template variable is needed when this is compiled"
            read.reject(node.origin, f"{reason}, but the value is constructed when the program runs")
            return None
