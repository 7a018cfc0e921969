"""Finds what prevents vLLM from running mixtures of experts, or makes it compute something else.

The rules are those of vLLM's Transformers backend (0.32, vllm/model_executor/models/transformers/moe.py). It replaces
modules called `experts` with its own, and configures them from fields of the configuration alone.
"""

import ast
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from fgc.diagnostics import Diagnostic
from fgc.emit.model.components import Definition
from fgc.emit.model.module_tree import ModuleNode
from fgc.emit.model.values import Constant, Field, PartConstruction, Value
from fgc.text import Origin

_CODE = "FGC810"
_NUM_DIMENSIONS = 3  # experts, rows, columns
# arguments of the library's components, and the fields that vLLM reads: the first one that exists
_FIELDS = {
    "num_experts": ("num_experts", "moe_num_experts", "n_routed_experts", "num_local_experts"),
    "top_k": ("num_experts_per_tok", "top_k"),
    "intermediate_size": ("moe_intermediate_size", "intermediate_size"),
}


class Experts(Struct, frozen=True):
    """The parts of a model's layers, with access to its fields and to places in the template."""

    parts: Sequence[PartConstruction]
    field_value: Callable[[str], Value | None]
    origin: Callable[[ModuleNode], Origin]

    def place(self, part: PartConstruction) -> Origin:
        return part.symbol.attribute_origin

    def known(self, value: Value | None) -> object:
        """Returns the scalar that a value has at build time; None if it is not known."""
        if isinstance(value, Field):
            return self.known(self.field_value(value.name))
        return value.value if isinstance(value, Constant) else None


def expert_findings(base: ModuleNode, experts: Experts) -> Iterator[Diagnostic]:
    """Yields findings about layout, sizes, activation and router of the experts in a base model."""
    nodes = [node for node in base.walk() if _NUM_DIMENSIONS in _parameter_dimensions(node)]
    if not nodes:
        return
    for node in nodes:
        yield from _layout(node, experts)
    kinds = {node.kind for node in nodes}
    for part in experts.parts:
        if isinstance(part.target, Definition) and part.target.name in kinds:
            yield from _sizes(part, experts, ("num_experts", "intermediate_size"))
            activation = experts.known(part.arguments.get("activation"))
            if isinstance(activation, str) and activation != "silu":
                message = f"vLLM's experts use the activation `silu`, and these `{activation}`: texts would be others"
                yield Diagnostic.at(experts.place(part), _CODE, message)
        elif {"top_k", "num_experts"} <= part.arguments.keys() and "hidden_size" in part.arguments:
            yield from _sizes(part, experts, ("top_k",))
            yield from _normalized(part, experts)


def _layout(node: ModuleNode, experts: Experts) -> Iterator[Diagnostic]:
    name = node.path.rpartition(".")[2]
    if name != "experts":
        message = f"vLLM replaces experts that are called `experts`, but `{node.kind}` is called `{name}`"
        yield Diagnostic.at(experts.origin(node), _CODE, message)
    others = [count for count in _parameter_dimensions(node) if count != _NUM_DIMENSIONS]
    if others:
        message = (
            f"all weights of experts must have {_NUM_DIMENSIONS} dimensions (experts, rows, columns) for vLLM to take "
            f"them over, and `{node.kind}` has one with {others[0]}"
        )
        yield Diagnostic.at(experts.origin(node), _CODE, message)


def _sizes(part: PartConstruction, experts: Experts, names: Sequence[str]) -> Iterator[Diagnostic]:
    for name in names:
        value = part.arguments.get(name)
        read = next((field for field in _FIELDS[name] if experts.field_value(field) is not None), None)
        if value is None or value == Field(read or ""):
            continue
        if read is None:
            message = f"vLLM reads `{name}` from a configuration field, which the model does not have"
        else:
            message = f"vLLM reads `{name}` from the configuration field `{read}`, which has another value here"
        help_text = f"write `{name}: !var {read or _FIELDS[name][0]}`"
        yield Diagnostic.at(experts.place(part), _CODE, message, help=help_text)


def _normalized(router: PartConstruction, experts: Experts) -> Iterator[Diagnostic]:
    """Checks normalisation: vLLM normalises the chosen scores if `norm_topk_prob` is set, or by default if k > 1."""
    said = experts.known(Field("norm_topk_prob"))
    top_k = experts.known(router.arguments.get("top_k"))
    ours = experts.known(router.arguments.get("normalize", Constant.of(True)))
    if said is None and not isinstance(top_k, int):
        return
    theirs = bool(said) if said is not None else isinstance(top_k, int) and top_k > 1
    if isinstance(ours, bool) and ours != theirs:
        by = f"`norm_topk_prob` is {said}" if said is not None else f"`top_k` is {top_k}"
        message = f"vLLM normalizes scores of experts: {theirs}, because {by}; this router: {ours}"
        help_text = f"give the configuration the field `norm_topk_prob: {str(ours).lower()}`"
        yield Diagnostic.at(experts.place(router), _CODE, message, help=help_text)


def _parameter_dimensions(node: ModuleNode) -> list[int]:
    """Returns the number of dimensions of each `nn.Parameter(torch.empty(...))` that a class constructs."""
    init = node.method("__init__")
    found = []
    for item in ast.walk(init) if init is not None else ():
        match item:
            case ast.Call(func=ast.Attribute(attr="Parameter"), args=[ast.Call(args=sizes), *_]) if sizes:
                found.append(len(sizes))
            case _:
                pass
    return found
