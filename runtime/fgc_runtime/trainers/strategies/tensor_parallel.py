"""The model's own plan to matrices that are cut among processes.

transformers and the generated packages say per module how its weight is cut: `base_model_tp_plan` of the configuration,
and `_tp_plan` of the class for the head. torch's parallel styles carry it out.
"""

import re
from fnmatch import fnmatchcase

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Replicate
from torch.distributed.tensor.parallel import ColwiseParallel, ParallelStyle, RowwiseParallel, parallelize_module
from transformers import PreTrainedModel

from fgc_runtime.trainers.strategies.layout import decoder_parts

_COLUMNS = ("colwise",)
_COLUMNS_GATHERED = ("colwise_gather_output", "colwise_rep")
_ROWS = ("rowwise",)
_LEFT_WHOLE = ("replicated_with_grad_allreduce",)  # norms of queries and keys; see `_whole_with_partial_gradients`


class CutMatrices:
    """Cuts the matrices of the plan along `mesh`, one part of the model after the other.

    Raises ValueError if the model has no plan, or sizes do not divide.
    """

    def __init__(self, model: PreTrainedModel, mesh: DeviceMesh) -> None:
        problems = tensor_parallel_problems(model, mesh.size())
        if problems:
            raise ValueError(problems[0])
        self._model, self._mesh = model, mesh
        self._parts = decoder_parts(model, "tensor parallel")
        self._was_tied = self._parts.is_tied
        self._left = module_styles(model)
        self._names = {module: name for name, module in model.named_modules()}

    def cut(self, part: nn.Module) -> None:
        """Cut what lies in `part`."""
        names = [self._names[module] for module in part.modules()]
        self._cut({name: self._left.pop(name) for name in names if name in self._left})

    def cut_rest(self) -> None:
        """Cut what lies in no part so far."""
        self._cut(self._left)
        if self._was_tied:  # cut alike, by the vocabulary, they can be one weight again
            embedding = self._parts.embed_tokens
            style = RowwiseParallel(input_layouts=Replicate())
            parallelize_module(self._model, self._mesh, {self._names[embedding]: style})
            self._parts.head.weight = embedding.weight

    def _cut(self, plan: dict[str, str]) -> None:
        if plan:
            parallelize_module(self._model, self._mesh, {name: _style(kind) for name, kind in plan.items()})


def tensor_parallel_problems(model: PreTrainedModel, tp_size: int) -> list[str]:
    """Returns why the model cannot be cut into `tp_size` parts; empty if it can."""
    if tp_size == 1:
        return []
    try:
        plan = module_styles(model)
    except ValueError as error:
        return [str(error)]
    config = model.config
    problems = [
        f"tp_size ({tp_size}) must divide {name} ({value}): every process holds whole heads"
        for name in ("num_attention_heads", "num_key_value_heads")
        if (value := getattr(config, name, None)) is not None and value % tp_size
    ]
    modules = dict(model.named_modules())
    for name, kind in plan.items():
        weight = modules[name].weight
        size = weight.shape[1] if kind in _ROWS else weight.shape[0]
        if kind not in _LEFT_WHOLE and size % tp_size:
            side = "columns" if kind in _ROWS else "rows"
            problems.append(f"tp_size ({tp_size}) must divide the {size} {side} of {name}.weight")
    return problems


def module_styles(model: PreTrainedModel) -> dict[str, str]:
    """The style of each module that the plan names. Raises ValueError for a plan that is missing or not understood."""
    patterns = _patterns(model)
    if not patterns:
        raise ValueError(
            f"tp_size above 1 needs a plan: the configuration of {type(model).__name__} has no base_model_tp_plan"
        )
    known = (*_COLUMNS, *_COLUMNS_GATHERED, *_ROWS, *_LEFT_WHOLE)
    styles: dict[str, str] = {}
    for name, module in model.named_modules():
        kind = next((kind for pattern, kind in patterns.items() if fnmatchcase(name, pattern)), None)
        if kind is None or getattr(module, "weight", None) is None:
            continue
        if kind not in known:
            raise ValueError(f"the tensor parallel plan cuts {name} {kind!r}; fgc can cut {', '.join(known)}")
        styles[name] = kind
    return styles


def _patterns(model: PreTrainedModel) -> dict[str, str]:
    prefix = model.base_model_prefix
    base_plan = getattr(model.config, "base_model_tp_plan", None) or {}
    own_plan = type(model)._tp_plan or {}
    patterns = {f"{prefix}.{pattern}": kind for pattern, kind in base_plan.items()} | dict(own_plan)
    return {re.sub(r"\[", "[[]", pattern): kind for pattern, kind in patterns.items() if "embed_tokens" not in pattern}


def _style(kind: str) -> ParallelStyle:
    if kind in _ROWS:
        return RowwiseParallel()
    if kind in _COLUMNS_GATHERED:
        return ColwiseParallel(output_layouts=Replicate())
    if kind in _COLUMNS:
        return ColwiseParallel()
    return _WholeWithPartialGradients()


class _WholeWithPartialGradients(ParallelStyle):
    """A weight that every process has whole and uses on its own heads: its gradient is the sum over them."""

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        group = device_mesh.get_group()

        def add_up(gradient: Tensor) -> Tensor:
            total = gradient.clone()
            dist.all_reduce(total, group=group)
            return total

        for parameter in module.parameters():
            parameter.register_hook(add_up)  # type: ignore[no-untyped-call]
        return module
