"""Divides a causal language model into stages of consecutive layers; the first also embeds, the last has the head.

A stage is a copy of the base model in which the layers of other stages return their input. Masks, positions and layer
numbers are therefore computed by the model's own code, in each stage from the batch, and parameters keep their names.
"""

import copy
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from transformers import PreTrainedModel

from fgc_runtime.models.modes import evaluating
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.deferred import answering, device_of
from fgc_runtime.trainers.losses.inputs import unknown_inputs, without_cache
from fgc_runtime.trainers.losses.loss import HeadLoss
from fgc_runtime.trainers.losses.objective import ForwardSettings
from fgc_runtime.trainers.strategies.layout import DecoderParts, decoder_parts

_BEFORE_THE_LAYERS = ("embed_tokens", "embed_positions", "dropout")  # the first stage alone has and applies these


class Elsewhere(nn.Identity):
    """A placeholder for a module of another process.

    An `nn.Identity` in the place of the first layer tells the model that its input has already passed the embeddings.
    """

    def forward(self, input: Tensor, *_: Any, **__: Any) -> Tensor:
        """Returns the first argument, such as hidden states."""
        return input


class Stage(nn.Module):
    """A part of the model: token ids or hidden states in; hidden states out, or in the last stage the summed loss."""

    def __init__(self, part: nn.Module, *, is_first: bool, head: nn.Module | None, settings: ForwardSettings) -> None:
        super().__init__()
        self.part = part
        self.head = head  # so that `parameters()` of the stage, which schedules call, includes it
        self.head_loss: HeadLoss | None = None
        self._argument = "input_ids" if is_first else "inputs_embeds"
        self._settings = settings
        self._options = without_cache(part)
        self._unknown = unknown_inputs(part)

    def forward(self, given: Tensor, *, labels: Tensor, **inputs: Tensor) -> Tensor:
        """Returns hidden states of shape (B, T, C), or the summed loss of shape (1,)."""
        inputs = {name: tensor for name, tensor in inputs.items() if name not in self._unknown}
        with self._settings.active():
            hidden: Tensor = self.part(**{self._argument: given}, **inputs, **self._options).last_hidden_state
            if self.head_loss is None:
                return hidden
            return self.head_loss(hidden, labels).reshape(1)


def layers_by_stage(
    num_layers: int, num_stages: int, *, head_cost: float = 0.0, wanted: Sequence[int] | None = None
) -> list[range]:
    """Returns the layers of each stage: as `wanted`, or evenly, counting the head as `head_cost` layers.

    Raises ValueError if a stage would have none.
    """
    if num_stages > num_layers:
        raise ValueError(
            f"num_hidden_layers ({num_layers}) must be at least the number of stages ({num_stages}): each needs a layer"
        )
    if wanted is not None and (len(wanted) != num_stages or sum(wanted) != num_layers or min(wanted) < 1):
        raise ValueError(
            f"layers_per_stage ({list(wanted)}) must hold {num_stages} counts of at least 1 that add up to {num_layers}"
        )
    counts = list(wanted) if wanted is not None else _balanced(num_layers, num_stages, head_cost)
    bounds = accumulate(counts, initial=0)
    return [range(first, last) for first, last in pairwise(bounds)]


def _balanced(num_layers: int, num_stages: int, head_cost: float) -> list[int]:
    if num_stages == 1:
        return [num_layers]
    fair_share = (num_layers + head_cost) / num_stages
    in_last = min(max(1, round(fair_share - head_cost)), num_layers - num_stages + 1)
    each, left_over = divmod(num_layers - in_last, num_stages - 1)
    return [each + (number < left_over) for number in range(num_stages - 1)] + [in_last]


def cost_of_head(parts: DecoderParts) -> float:
    """Returns the cost of the head in layers, estimated by numbers of weights."""
    (of_layer, of_head) = (
        sum(parameter.numel() for parameter in module.parameters()) for module in (parts.layers[0], parts.head)
    )
    return of_head / max(1, of_layer)


def make_stages(
    model: PreTrainedModel, layers: Sequence[range], args: TrainingArguments, device: torch.device
) -> list[Stage]:
    """Returns all stages, in order. Raises ValueError if in a row they do not compute the loss of the whole model."""
    parts = decoder_parts(model, "Pipeline")
    settings = ForwardSettings(args, device)
    last = len(layers) - 1
    stages = [
        Stage(
            _part(parts.base, own, is_first=number == 0, is_last=number == last),
            is_first=number == 0,
            head=parts.head if number == last else None,
            settings=settings,
        )
        for number, own in enumerate(layers)
    ]
    stages[-1].head_loss = HeadLoss(model, args.fused_loss, chunk_size=args.fused_loss_chunk_size)
    _require_equal(model, stages)
    return stages


def keep_own_parts(model: PreTrainedModel, own: Sequence[Stage]) -> None:
    """Replaces every module of `model` whose weights are in none of its `own` stages; the others keep their names."""
    kept = {id(parameter) for stage in own for parameter in stage.parameters()}
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            weights = [id(parameter) for parameter in child.parameters()]
            if weights and kept.isdisjoint(weights):
                setattr(parent, name, Elsewhere())


def _part(base: PreTrainedModel, own: range, *, is_first: bool, is_last: bool) -> nn.Module:
    part: Any = copy.copy(base)
    part._modules = dict(base._modules)
    layers: Any = base.layers
    part.layers = nn.ModuleList(layer if number in own else Elsewhere() for number, layer in enumerate(layers))
    if not is_first:
        for name in _BEFORE_THE_LAYERS:
            if getattr(part, name, None) is not None:
                setattr(part, name, Elsewhere())
    if not is_last and getattr(part, "norm", None) is not None:
        part.norm = Elsewhere()
    return part  # type: ignore[no-any-return]


def _require_equal(model: PreTrainedModel, stages: Sequence[Stage]) -> None:
    """Raises ValueError if the model does more between its parts than the stages do, such as scaling embeddings."""
    if isinstance(next(model.parameters()), FakeTensor):
        return  # a rehearsal has no numbers to compare
    token_ids = torch.arange(3, device=device_of(model))[None] % model.config.vocab_size
    with torch.no_grad(), evaluating(model, *stages), answering(model):
        state = token_ids
        for stage in stages:
            state = stage(state, labels=token_ids)
        logits = model(input_ids=token_ids, **without_cache(model)).logits
        expected = nn.functional.cross_entropy(logits[0, :-1].float(), token_ids[0, 1:], reduction="sum")
    if not torch.allclose(state[0].cpu(), expected.cpu(), rtol=2e-2 if model.dtype != torch.float32 else 1e-4):
        raise ValueError(
            f"Pipeline cannot divide {type(model).__name__}: its stages, one after the other, give a loss of "
            f"{state.item():.5f} where the model gives {expected.item():.5f}"
        )
