"""Reads the call `!meta:fgc:model_package`: a name, a configuration, a model and its plans."""

import keyword
import sys
from collections.abc import Mapping

from msgspec import Struct, field

from fgc.diagnostics import Diagnostic, did_you_mean
from fgc.emit.model.foreign_types import foreign_model_types
from fgc.ir import Call, CallKind, DictNode, Graph, ListNode, Literal, NodeId, display_type
from fgc.patterns import regex
from fgc.text import Origin

ATTENTION_IMPLEMENTATIONS = ("eager", "sdpa", "flash_attention_2", "flex_attention", "others")
_KEYWORDS = ("name", "config", "model", "defaults", "tp_plan", "pp_plan", "attention_implementations")
_FOREIGN_PACKAGES = frozenset(("torch", "transformers", "accelerate", "datasets", "fgc", "fgc_runtime", "fgc_models"))
_PACKAGE_NAME = regex(r"[a-z][a-z0-9_]*")


class ConfigEntry(Struct, frozen=True):
    """A field of the configuration as written."""

    name: str
    value: NodeId
    origin: Origin


class PackageRequest(Struct):
    """The parts of the call; None if missing or wrong, which `diagnostics` reports."""

    name: str | None = None
    config: list[ConfigEntry] = field(default_factory=list)
    defaults: dict[str, ConfigEntry] = field(default_factory=dict)
    model: NodeId | None = None
    plans: dict[str, str] = field(default_factory=dict)
    plan_keys: dict[str, list[ConfigEntry]] = field(default_factory=dict)
    attention: tuple[str, ...] = ATTENTION_IMPLEMENTATIONS
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def reject(self, origin: Origin, message: str, help_text: str | None = None) -> None:
        self.diagnostics.append(Diagnostic.at(origin, "FGC413", message, help=help_text))


def read_request(graph: Graph, call: Call) -> PackageRequest:
    """Returns the parts of the call, each checked for its form."""
    request = PackageRequest()
    _check_keywords(request, call)
    given = {item.name: item.value for item in call.keywords}
    if "name" in given:
        request.name = _package_name(request, graph, given["name"])
    if "config" in given:
        request.config = _mapping(request, graph, given["config"], "config")
        _check_field_names(request)
    if "defaults" in given:
        entries = _mapping(request, graph, given["defaults"], "defaults")
        request.defaults = {entry.name: entry for entry in entries}
    request.model = given.get("model")
    for name, read in (("tp_plan", _tp_plan), ("pp_plan", _pp_plan)):
        if name in given:
            request.plans[name] = read(request, graph, given[name])
            request.plan_keys[name] = _mapping(PackageRequest(), graph, given[name], name)
    if "attention_implementations" in given:
        request.attention = _attention(request, graph, given["attention_implementations"])
    return request


def _attention(request: PackageRequest, graph: Graph, node_id: NodeId) -> tuple[str, ...]:
    """Returns the names of the attention implementations that the model supports."""
    names = _names(graph, node_id) or []
    unknown = [name for name in names if name not in ATTENTION_IMPLEMENTATIONS]
    if not names or unknown:
        help_text = "a list of " + ", ".join(f"`{name}`" for name in ATTENTION_IMPLEMENTATIONS)
        told = f"not `{unknown[0]}`" if unknown else "at least one"
        request.reject(
            graph[node_id].origin, f"`attention_implementations` names what the model works with, {told}", help_text
        )
    return tuple(names)


def plan_entries(graph: Graph, call: Call, name: str) -> list[ConfigEntry]:
    """Returns the entries of a mapping among the call's arguments: `tp_plan`, `pp_plan` or `config`."""
    given = {item.name: item.value for item in call.keywords}
    return _mapping(PackageRequest(), graph, given[name], name) if name in given else []


def _check_keywords(request: PackageRequest, call: Call) -> None:
    if call.positional:
        request.reject(call.origin, "`fgc:model_package` takes only keyword arguments: " + ", ".join(_KEYWORDS))
    for item in call.keywords:
        if item.name not in _KEYWORDS:
            message = f"`fgc:model_package` has no parameter `{item.name}`"
            help_text = did_you_mean(item.name, _KEYWORDS) or "its parameters: " + ", ".join(_KEYWORDS)
            request.diagnostics.append(Diagnostic.at(item.origin, "FGC501", message, help=help_text))
    given = {item.name for item in call.keywords}
    for name in ("name", "config", "model"):
        if name not in given and given.issubset(_KEYWORDS):  # else the unknown one is reported
            message = f"`fgc:model_package` needs the argument `{name}`"
            request.diagnostics.append(Diagnostic.at(call.origin, "FGC503", message))


def _package_name(request: PackageRequest, graph: Graph, node_id: NodeId) -> str | None:
    node = graph[node_id]
    name = node.value if isinstance(node, Literal) else None
    if not isinstance(name, str) or not _PACKAGE_NAME.fullmatch(name) or keyword.iskeyword(name):
        help_text = "the name becomes a Python package: lower-case letters, digits and `_`, such as `tiny_llama`"
        request.reject(node.origin, "a model's `name` must be a package name known at build time", help_text)
        return None
    if name in sys.stdlib_module_names or name in _FOREIGN_PACKAGES:
        request.reject(node.origin, f"a model package named `{name}` would hide the package of that name")
        return None
    if name in foreign_model_types():
        message = f"`{name}` is a `model_type` of transformers: its own class would load this model, not the package"
        request.reject(node.origin, message, f"choose another name, such as `my_{name}`")
        return None
    return name


def _mapping(request: PackageRequest, graph: Graph, node_id: NodeId, keyword_name: str) -> list[ConfigEntry]:
    """Returns the entries of a plain mapping or of `!dict`."""
    node = graph[node_id]
    if isinstance(node, DictNode):
        strange = [entry for entry in node.entries if not isinstance(entry.key, str)]
        for entry in strange:
            request.reject(entry.origin, f"the keys of `{keyword_name}` must be strings")
        return [ConfigEntry(e.key, e.value, e.origin) for e in node.entries if isinstance(e.key, str)]
    if isinstance(node, Call) and display_type(node) is dict and node.kind is CallKind.SINGLETON:
        return [ConfigEntry(item.name, item.value, item.origin) for item in node.keywords]
    if not (isinstance(node, Literal) and node.value is None):
        request.reject(node.origin, f"`{keyword_name}` must be a mapping")
    return []


def _check_field_names(request: PackageRequest) -> None:
    good: list[ConfigEntry] = []
    for entry in request.config:
        if entry.name.isidentifier() and not keyword.iskeyword(entry.name):
            good.append(entry)
        else:
            request.reject(entry.origin, f"`{entry.name}` cannot be the name of a configuration field")
    request.config = good


def _tp_plan(request: PackageRequest, graph: Graph, node_id: NodeId) -> str:
    """Returns the text of the plan, module pattern to style: `layers.*.mlp.up_proj: colwise`."""
    plan: dict[str, str] = {}
    for entry in _mapping(request, graph, node_id, "tp_plan"):
        node = graph[entry.value]
        if isinstance(node, Literal) and isinstance(node.value, str):
            plan[entry.name] = node.value
        else:
            request.reject(entry.origin, f"`tp_plan` gives `{entry.name}` no style, such as `colwise` or `rowwise`")
    return repr(plan) if plan else ""


def _pp_plan(request: PackageRequest, graph: Graph, node_id: NodeId) -> str:
    """Returns the text of the plan, module to inputs and outputs: `norm: [[hidden_states], [hidden_states]]`."""
    plan: Mapping[str, tuple[list[str], ...]] = {}
    for entry in _mapping(request, graph, node_id, "pp_plan"):
        sides = [_names(graph, side) for side in _items(graph, entry.value)]
        found = tuple(side for side in sides if side is not None)
        if len(found) == 2 and len(sides) == 2:
            plan = {**plan, entry.name: found}
        else:
            help_text = "for example `norm: [[hidden_states], [hidden_states]]`"
            message = f"`pp_plan` must map `{entry.name}` to two lists: the input names and the output names"
            request.reject(entry.origin, message, help_text)
    return repr(plan) if plan else ""


def _items(graph: Graph, node_id: NodeId) -> tuple[NodeId, ...]:
    node = graph[node_id]
    if isinstance(node, Call) and display_type(node) in (list, tuple) and node.positional:
        node = graph[node.positional[0]]
    return node.items if isinstance(node, ListNode) else ()


def _names(graph: Graph, node_id: NodeId) -> list[str] | None:
    nodes = [graph[item] for item in _items(graph, node_id)]
    names = [node.value for node in nodes if isinstance(node, Literal) and isinstance(node.value, str)]
    return names if names and len(names) == len(nodes) else None
