"""Finds what prevents vLLM from serving a model or makes it compute something else, with places in the template.

The rules are those of vLLM's Transformers backend (0.32, vllm/model_executor/models/transformers), which builds the
base model and replaces its parts: linear layers by parallel ones, attention by its own, the head by its own.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from functools import partial

from msgspec import Struct

from fgc.diagnostics import Diagnostic, Severity, did_you_mean
from fgc.emit.model.components import Definition, Reader
from fgc.emit.model.description import Description
from fgc.emit.model.module_tree import ModuleNode, module_tree
from fgc.emit.model.names import ModelNames
from fgc.emit.model.request import ConfigEntry, plan_entries
from fgc.emit.model.serving_experts import Experts, expert_findings
from fgc.emit.model.values import Constant, Field, PartConstruction, Value, walk
from fgc.ir import Call, Graph, Literal, NodeId
from fgc.text import Origin

_STYLES = ("colwise", "rowwise", "replicate", "colwise_gather_output", "rowwise_split_input")
# arguments of the library's components, and the fields in which vLLM looks for them
_READ_BY_VLLM = {
    "softcap": "attn_logit_softcapping",
    "logit_softcap": "final_logit_softcapping",
    "sliding_window": "sliding_window",
    "layer_types": "layer_types",
}
_REGISTRY = "ALL_ATTENTION_FUNCTIONS"


class _Model(Struct, frozen=True):
    """The model as described and as generated."""

    graph: Graph
    call: Call
    description: Description
    base: ModuleNode
    head: ModuleNode

    @property
    def layers(self) -> list[ModuleNode]:
        return [part for part in self.base.parts.values() if part.is_list]

    def parts(self) -> Iterator[PartConstruction]:
        return (value for value in walk(self.description.model) if isinstance(value, PartConstruction))

    def field_value(self, name: str) -> Value | None:
        """Returns the default of a field; None if there is no such field."""
        return next((item.derived or item.default for item in self.description.fields if item.name == name), None)


def check_vllm(
    graph: Graph, node: NodeId, read: Reader, component_folders: Sequence[str], tensor_parallel_size: int = 1
) -> list[Diagnostic]:
    """Returns what vLLM would refuse or compute wrongly; empty for a model that has other errors."""
    from fgc.emit.model.expand import expand_model_package  # libcst: 0.3 s

    expansion = expand_model_package(graph, node, read, component_folders, "").value
    call = graph[node]
    if expansion is None or not isinstance(call, Call):
        return []
    description = expansion.description
    names = ModelNames.of(description.name, description.model)
    text = expansion.files[f"{names.package}/{names.modeling_module}.py"]
    trees = (module_tree(text, names.base_class), module_tree(text, names.causal_lm_class))
    model = _Model(graph, call, description, *trees)
    rules = (_tensor_plan(model), _pipeline_plan(model), _layers(model), _attention(model), _lost(model))
    found = [finding for rule in rules for finding in rule]
    experts = Experts(list(model.parts()), model.field_value, partial(_origin, model))
    found += expert_findings(model.base, experts)
    return [*found, *_every_stage(model), *_head(model), *_divisible(model, tensor_parallel_size)]


def _tensor_plan(model: _Model) -> Iterator[Diagnostic]:
    linears = [node.path for node in model.base.walk() if node.kind.rpartition(".")[2] == "Linear"]
    for entry in plan_entries(model.graph, model.call, "tp_plan"):
        style = model.graph[entry.value]
        is_linear = any(_fits(entry.name, path) for path in linears)
        if not is_linear and not any(_fits(entry.name, node.path) for node in model.base.walk() if node.path):
            shown = sorted({path.replace(".0.", ".*.") for path in linears})
            message = f"`{entry.name}` of `tp_plan` is not a linear layer of the base model"
            yield _at(entry, "FGC801", message, did_you_mean(entry.name, shown) or f"they are {', '.join(shown)}")
        elif is_linear and isinstance(style, Literal) and style.value not in _STYLES:
            message = f"vLLM does not know the style `{style.value}` and replicates `{entry.name}` on every process"
            help = did_you_mean(str(style.value), _STYLES) or f"its styles: {', '.join(_STYLES)}"
            yield _at(entry, "FGC802", message, help, Severity.WARNING)


def _pipeline_plan(model: _Model) -> Iterator[Diagnostic]:
    entries = plan_entries(model.graph, model.call, "pp_plan")
    children = list(model.base.parts)
    for entry in entries:
        if entry.name not in children:
            message = f"`{entry.name}` of `pp_plan` is not a part of the base model"
            help = did_you_mean(entry.name, children) or f"its parts: {', '.join(children)}"
            yield _at(entry, "FGC801", message, help)
    planned = [entry.name for entry in entries]
    lists = [part.path for part in model.layers]
    if not entries or len(lists) != 1:
        return
    if lists[0] not in planned:
        yield _at(entries[0], "FGC803", f"`pp_plan` leaves out `{lists[0]}`, the layers that it should divide")
    else:
        yield from _stages(model, entries, lists[0])


def _stages(model: _Model, entries: Sequence[ConfigEntry], layers: str) -> Iterator[Diagnostic]:
    """Checks that modules before the layers are on the first stage (and on the last, if weights are tied)."""
    children, planned = list(model.base.parts), [entry.name for entry in entries]
    tied = model.field_value("tie_word_embeddings") == Constant.of(True)
    for entry in entries:
        if entry.name not in children or entry.name == layers:
            continue
        is_before = planned.index(entry.name) < planned.index(layers)
        if is_before == (children.index(entry.name) < children.index(layers)):
            continue
        if is_before:
            message = f"`pp_plan` names `{entry.name}` before `{layers}`, for the first stage; the last needs it"
        elif tied and entry.name == "embed_tokens":
            message = (
                f"`tie_word_embeddings` is True, so the first and the last stage need `{entry.name}`, "
                f"and `pp_plan` names it after `{layers}`, only for the last stage"
            )
        else:
            message = f"`pp_plan` names `{entry.name}` after `{layers}`, for the last stage, but the first needs it"
        order = sorted((name for name in planned if name in children), key=children.index)
        yield _at(entry, "FGC809", message, help=f"name them in the model's order: {', '.join(order)}")


def _layers(model: _Model) -> Iterator[Diagnostic]:
    if len(model.layers) != 1:
        names = ", ".join(f"`{part.path}`" for part in model.layers) or "none"
        message = f"the base model must have its layers in one `nn.ModuleList`, but it has {len(model.layers)}: {names}"
        yield Diagnostic.at(model.description.model.symbol.origin, "FGC803", message)


def _attention(model: _Model) -> Iterator[Diagnostic]:
    """Checks that every layer gets its attention from the registry once, and passes on all its arguments."""
    for layer in (part for part in model.layers if "0" in part.parts):
        inside = layer.parts["0"]
        asking = [node for node in inside.walk() if _interface_calls(node)]
        origin = _origin(model, asking[0] if asking else inside)
        if len(asking) != 1 or len(_interface_calls(asking[0])) != 1:
            count = sum(len(_interface_calls(node)) for node in asking)
            message = f"a layer must call attention through `{_REGISTRY}` once, and `{inside.kind}` does {count} times"
            yield Diagnostic.at(origin, "FGC804", message)
            continue
        [attention] = asking
        for node in (model.base, inside, attention):
            if not _hands_on_keywords(node):
                message = f"`{node.kind}.forward` does not hand its `**kwargs` on, in which vLLM passes what it needs"
                yield Diagnostic.at(_origin(model, node), "FGC804", message)
        if not _has_attribute(attention, "layer_idx"):
            message = f"`{attention.kind}` has no `layer_idx`, by which vLLM finds the cache of a layer"
            yield Diagnostic.at(origin, "FGC804", message)
        scaling = [word.value for word in _interface_calls(attention)[0].keywords if word.arg == "scaling"]
        if scaling and not _is_readable(scaling[0]):
            message = (
                f"`scaling={ast.unparse(scaling[0])}` must be a number or an attribute of `self` for vLLM to read it"
            )
            yield Diagnostic.at(origin, "FGC804", message)


def _lost(model: _Model) -> Iterator[Diagnostic]:
    """Checks for features that vLLM's attention drops: it gets q, k, v, a scale and some configuration fields."""
    for part in model.parts():
        bias = part.arguments.get("position_bias")
        if _is_given(bias):
            message = "vLLM's attention adds no biases of positions (ALiBi) to the scores: texts would be others"
            yield Diagnostic.at(_place(part, bias), "FGC805", message)
        if {"kv_rank", "value_head_dim"} <= part.arguments.keys():
            message = "vLLM's attention needs heads of one width, `head_dim`; latent attention has different widths"
            help = "convert the package to its architecture (`fgc convert`), which vLLM has a class for"
            yield Diagnostic.at(part.symbol.attribute_origin, "FGC805", message, help=help)
        for argument, name in _READ_BY_VLLM.items():
            value = part.arguments.get(argument)
            if _is_given(value) and value != Field(name):
                message = f"vLLM reads `{argument}` from the configuration field `{name}`, which has another value here"
                yield Diagnostic.at(_place(part, value), "FGC805", message, help=f"write `{argument}: !var {name}`")


def _every_stage(model: _Model) -> Iterator[Diagnostic]:
    """Checks that a later stage does not repeat changes to `inputs_embeds`, which are its hidden states.

    A model avoids that by testing if its first layer is an `nn.Identity`, the placeholder for layers of other stages.
    """
    forward = model.base.method("forward")
    if forward is not None and "nn.Identity" in ast.unparse(forward):
        return
    for part in model.parts():
        positions = part.arguments.get("positional_embedding")
        if _is_given(positions):
            message = "every stage of vLLM's pipeline parallelism would add these positions again"
            help = "serve it with tensor parallelism, or without"
            origin = _place(part, positions)
            yield Diagnostic.at(origin, "FGC806", message, severity=Severity.WARNING, help=help)


def _place(part: PartConstruction, value: Value | None) -> Origin:
    """Returns the place of a value in the template; for a plain value, that of the part that receives it."""
    return value.symbol.attribute_origin if isinstance(value, PartConstruction) else part.symbol.attribute_origin


def _head(model: _Model) -> Iterator[Diagnostic]:
    head = model.head.parts.get("lm_head")
    if head is None or head.kind.rpartition(".")[2] != "Linear":
        kind = "none" if head is None else f"`{head.kind}`"
        message = f"vLLM puts a linear layer in the place of `lm_head`, and the model has {kind}"
        yield Diagnostic.at(_origin(model, head or model.head), "FGC807", message)


def _divisible(model: _Model, size: int) -> Iterator[Diagnostic]:
    if size < 2:
        return
    for name in ("num_attention_heads", "num_key_value_heads", "intermediate_size"):
        value = model.field_value(name)
        number = value.value if isinstance(value, Constant) else None
        is_copied = name == "num_key_value_heads" and isinstance(number, int) and number < size and size % number == 0
        if isinstance(number, int) and number % size and not is_copied:
            message = f"`{name}` ({number}) does not divide over {size} processes"
            entry = next(item for item in plan_entries(model.graph, model.call, "config") if item.name == name)
            yield _at(entry, "FGC808", message)


def _fits(pattern: str, path: str) -> bool:
    """Returns True if a pattern matches as in vLLM: from the beginning, with `*` and `.` as in regular expressions."""
    try:
        return re.match(pattern, path) is not None
    except re.error:
        return False


def _interface_calls(node: ModuleNode) -> list[ast.Call]:
    forward = node.method("forward")
    if forward is None:
        return []
    found = set()
    for item in ast.walk(forward):
        match item:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _REGISTRY in ast.unparse(value):
                found.add(name)
            case _:
                pass
    calls = [item for item in ast.walk(forward) if isinstance(item, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in found]


def _hands_on_keywords(node: ModuleNode) -> bool:
    forward = node.method("forward")
    if forward is None or forward.args.kwarg is None:
        return False
    name = forward.args.kwarg.arg
    calls = [item for item in ast.walk(forward) if isinstance(item, ast.Call)]
    return any(word.arg is None and ast.unparse(word.value) == name for call in calls for word in call.keywords)


def _has_attribute(node: ModuleNode, name: str) -> bool:
    init = node.method("__init__")
    return init is not None and any(
        isinstance(item, ast.Attribute) and item.attr == name and isinstance(item.ctx, ast.Store)
        for item in ast.walk(init)
    )


def _is_readable(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=int() | float()) | ast.Attribute(value=ast.Name(id="self")):
            return True
        case _:
            return False


def _is_given(value: Value | None) -> bool:
    return value is not None and not (isinstance(value, Constant) and value.value is None)


def _origin(model: _Model, node: ModuleNode) -> Origin:
    """Returns the place in the template of the component that a module is made from."""
    for part in model.parts():
        if isinstance(part.target, Definition) and part.target.name == node.kind:
            return part.symbol.attribute_origin
    return model.description.model.symbol.origin


def _at(
    entry: ConfigEntry, code: str, message: str, help: str | None = None, severity: Severity = Severity.ERROR
) -> Diagnostic:
    return Diagnostic.at(entry.origin, code, message, severity=severity, help=help)
