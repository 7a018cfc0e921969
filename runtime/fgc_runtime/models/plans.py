"""Says whether a model's serving plans fit it, and whether vLLM can take its attention over: for models that exist.

`fgc check --vllm` finds most of this in a configuration, before there is a model.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from torch import nn
from transformers import PreTrainedModel

from fgc_runtime.output import say

STYLES = ("colwise", "rowwise", "replicate", "colwise_gather_output", "rowwise_split_input")
_Entry = TypeVar("_Entry")
_REGISTRY = "ALL_ATTENTION_FUNCTIONS"


class PlanError(ValueError):
    """Serving plans that do not fit their model; `problems` are all of them."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def validate_vllm_plans(
    model: PreTrainedModel,
    tp_plan: Mapping[str, str] | None = None,
    pp_plan: Mapping[str, Any] | None = None,
    strict: bool = True,
) -> bool:
    """Returns True if plans fit a model, as `plan_problems` checks them.

    If anything is wrong, raises PlanError where `strict`; otherwise prints each problem and returns False.
    """
    problems = plan_problems(model, tp_plan, pp_plan)
    if problems and strict:
        raise PlanError(problems)
    for problem in problems:
        say(problem)
    return not problems


def plan_problems(
    model: PreTrainedModel, tp_plan: Mapping[str, str] | None = None, pp_plan: Mapping[str, Any] | None = None
) -> list[str]:
    """Returns what is wrong with plans for a model, which may be on the meta device.

    Without plans, those of the model's configuration (`base_model_tp_plan`, `base_model_pp_plan`) are checked. Names
    are those of the base model, or of the whole model as in `model._tp_plan`. Checked are: every pattern of `tp_plan`
    matches a linear layer, with a style that vLLM knows; the keys of `pp_plan` are parts of the base model in their
    order; there is one `nn.ModuleList`, in the plan too; each layer calls attention through transformers' registry.
    """
    base = model.base_model
    config = model.config
    tp = getattr(config, "base_model_tp_plan", None) if tp_plan is None else tp_plan
    pp = getattr(config, "base_model_pp_plan", None) if pp_plan is None else pp_plan
    lists = [name for name, part in base.named_children() if isinstance(part, nn.ModuleList)]
    problems = _tensor_problems(base, _of_base(model, tp or {}))
    problems += _pipeline_problems(base, _of_base(model, pp or {}), lists)
    if len(lists) != 1:
        problems.append(f"the base model must hold its layers in one nn.ModuleList, and has {len(lists)}: {lists}")
    for name in lists:
        layers = base.get_submodule(name)
        problems += [problem for layer in layers.children() for problem in _attention_problems(layer)][:1]
    return problems


def _of_base(model: PreTrainedModel, plan: Mapping[str, _Entry]) -> dict[str, _Entry]:
    """Returns the entries with the base model's names; those of the parts around it, such as the head, are left out."""
    prefix = f"{model.base_model_prefix}."
    around = {name for name, part in model.named_children() if part is not model.base_model}
    return {name.removeprefix(prefix): entry for name, entry in plan.items() if name.partition(".")[0] not in around}


def _tensor_problems(base: nn.Module, plan: Mapping[str, str]) -> list[str]:
    linears = [name for name, part in base.named_modules() if isinstance(part, nn.Linear)]
    problems = []
    for pattern, style in plan.items():
        # as vLLM matches: from the beginning, `.` and `*` as regular expressions have them
        if not any(re.match(pattern, name) for name in linears) and not _is_other_part(base, pattern):
            problems.append(f"tp_plan: `{pattern}` matches no linear layer of {type(base).__name__}")
        elif style not in STYLES and any(re.match(pattern, name) for name in linears):
            problems.append(f"tp_plan: vLLM does not know the style `{style}` of `{pattern}`: {', '.join(STYLES)}")
    return problems


def _is_other_part(base: nn.Module, pattern: str) -> bool:
    """Returns whether a pattern is of a part that only transformers divides: norms of queries, embeddings, experts."""
    names = [name for name, _ in base.named_modules()] + [name for name, _ in base.named_parameters()]
    return any(re.fullmatch(pattern.replace(".", r"\.").replace("*", r"\d+"), name) for name in names)


def _pipeline_problems(base: nn.Module, plan: Mapping[str, Any], lists: Sequence[str]) -> list[str]:
    children = [name for name, _ in base.named_children()]
    kind = type(base).__name__
    problems = [f"pp_plan: `{name}` is no part of {kind}: {children}" for name in plan if name not in children]
    known = [name for name in plan if name in children]
    if known != sorted(known, key=children.index):
        problems.append(f"pp_plan: {known} must stand in the order of the model, {children}")
    if plan and len(lists) == 1 and lists[0] not in plan:
        problems.append(f"pp_plan: leaves out `{lists[0]}`, the layers that it should divide")
    return problems


def _attention_problems(layer: nn.Module) -> list[str]:
    asking = [part for part in layer.modules() if _REGISTRY in _source(part)]
    if len(asking) != 1:
        return [f"{type(layer).__name__} must call attention through {_REGISTRY} once, and does {len(asking)} times"]
    if not isinstance(getattr(asking[0], "layer_idx", None), int):
        return [f"{type(asking[0]).__name__} has no layer_idx, by which vLLM finds the cache of a layer"]
    return []


def _source(module: nn.Module) -> str:
    try:
        return inspect.getsource(inspect.unwrap(type(module).forward))
    except (OSError, TypeError):
        return ""
