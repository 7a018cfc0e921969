"""The summed next-token cross entropy, from logits or hidden states, which every part of a run uses."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from fgc_runtime.data.collator import IGNORED_LABEL
from fgc_runtime.trainers.arguments import FusedLoss
from fgc_runtime.trainers.losses.fused_loss import chunked_linear_cross_entropy

_SCALES = ("logit_scale", "logits_scaling")  # of Cohere and Granite: factors on logits, outside the head

# hidden (N, C), weight (V, C), bias (V) or None, targets (N) -> the sum
LinearCrossEntropy = Callable[[Tensor, Tensor, Tensor | None, Tensor], Tensor]


def next_token_loss_sum(logits_BTV: Tensor, labels_BT: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Returns the cross entropy of labels 1 .. T-1 given earlier tokens, in float32, summed over labels except -100.

    The caller divides by the number of labels in the whole step, over all processes: a sum allows that, and a mean of
    batch means would be wrong.
    """
    return functional.cross_entropy(
        logits_BTV.flatten(0, 1).float(),
        _next_tokens(labels_BT).flatten(),
        ignore_index=IGNORED_LABEL,
        reduction="sum",
        label_smoothing=label_smoothing,
    )


class HeadLoss:
    """Computes the loss from hidden states, including the head; a fused loss never has all logits in memory."""

    def __init__(self, model: PreTrainedModel, kind: FusedLoss, *, chunk_size: int | None = None) -> None:
        self._model = model
        self._softcap: float | None = getattr(model.config, "final_logit_softcapping", None)
        self._fused = None if kind == "no" else _fused(kind, model.device, self._softcap, chunk_size)

    def __call__(self, hidden_BTC: Tensor, labels_BT: Tensor) -> Tensor:
        """Returns the summed loss of the labels."""
        head = self._model.get_output_embeddings()  # type: ignore[no-untyped-call]
        if self._fused is None:
            logits = head(hidden_BTC)
            if self._softcap is not None:
                logits = self._softcap * torch.tanh(logits / self._softcap)
            return next_token_loss_sum(logits, labels_BT)
        assert isinstance(head, nn.Linear), "checked by `require_linear_head`"
        return self._fused(hidden_BTC.flatten(0, 1), head.weight, head.bias, _next_tokens(labels_BT).flatten())


def require_linear_head(model: PreTrainedModel, reason: str) -> None:
    """Raises ValueError if a base model and a linear head are not all there is to `model`."""
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if not isinstance(head, nn.Linear) or model.base_model is model:
        raise ValueError(f"{reason} needs a base model with a linear head; {type(model).__name__} has none")
    for name in _SCALES:
        if getattr(model.config, name, None) not in (None, 1, 1.0):
            raise ValueError(f"{reason} does not know what {type(model).__name__} does with its {name}")


def _next_tokens(labels_BT: Tensor) -> Tensor:
    return functional.pad(labels_BT[:, 1:], (0, 1), value=IGNORED_LABEL)  # labels are smaller than logits


def _fused(kind: str, device: torch.device, softcap: float | None, chunk_size: int | None) -> LinearCrossEntropy:
    if kind == "auto":
        kind = _best(device)
    if kind == "chunked":
        return partial(chunked_linear_cross_entropy, softcap=softcap, chunk_size=chunk_size)
    package = {"liger": "liger_kernel", "cut_cross_entropy": "cut_cross_entropy"}[kind]
    if find_spec(package) is None:
        raise ValueError(
            f"fused_loss ({kind!r}) needs the package {package.replace('_', '-')}, which is not installed; "
            "fused_loss: chunked needs none"
        )
    return _liger(softcap) if kind == "liger" else _cut_cross_entropy(softcap)


def _best(device: torch.device) -> str:
    """Returns the best fused loss for a device: packages' kernels are for GPUs, and cut cross entropy needs least."""
    if device.type == "cuda" and find_spec("cut_cross_entropy"):
        return "cut_cross_entropy"
    if device.type == "cuda" and find_spec("liger_kernel"):
        return "liger"
    return "chunked"


def _liger(softcap: float | None) -> LinearCrossEntropy:
    from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

    loss: Any = LigerFusedLinearCrossEntropyLoss(ignore_index=IGNORED_LABEL, reduction="sum", softcap=softcap)
    return lambda hidden, weight, bias, targets: loss(weight, hidden, targets, bias)


def _cut_cross_entropy(softcap: float | None) -> LinearCrossEntropy:
    from cut_cross_entropy import linear_cross_entropy

    fused: Any = partial(linear_cross_entropy, ignore_index=IGNORED_LABEL, softcap=softcap, reduction="sum")
    return lambda hidden, weight, bias, targets: fused(hidden, weight.to(hidden.dtype), targets, bias=bias)
