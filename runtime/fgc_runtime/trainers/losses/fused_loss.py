"""Computes the summed cross entropy from hidden states and the head's weight, without all logits in memory.

Logits are computed for a few rows at a time, in the forward pass for the loss, and again in the backward pass for the
gradients. For N rows and a vocabulary of V, the plain loss keeps several tensors of N x V; this one keeps N numbers.
"""

from typing import Any

import torch
from torch import Tensor

from fgc_runtime.data.collator import IGNORED_LABEL

_LOGITS_AT_ONCE = 2**25  # 128 MB in float32: enough rows for a fast product, and little memory


def chunked_linear_cross_entropy(
    hidden_NC: Tensor,
    weight_VC: Tensor,
    bias_V: Tensor | None,
    targets_N: Tensor,
    *,
    softcap: float | None = None,
    chunk_size: int | None = None,
) -> Tensor:
    """Returns the cross entropy of `targets_N` under softmax(hidden weight^T + bias), summed over targets except -100.

    `softcap` c puts logits through c tanh(x / c) first (Gemma 2, arXiv:2408.00118, section 2). `chunk_size` is in rows;
    None chooses one by the vocabulary. Products run in the autocast dtype where autocast is on, all else in float32.
    """
    rows = chunk_size or max(1, _LOGITS_AT_ONCE // weight_VC.shape[0])
    loss_sum: Tensor = _ChunkedLinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden_NC, weight_VC, bias_V, targets_N, softcap, rows
    )
    return loss_sum


class _ChunkedLinearCrossEntropy(torch.autograd.Function):
    """The loss, and its gradients by hand: d loss / d logits = softmax(logits) - one_hot(target)."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_NC: Tensor,
        weight_VC: Tensor,
        bias_V: Tensor | None,
        targets_N: Tensor,
        softcap: float | None,
        rows: int,
    ) -> Tensor:
        device_type = hidden_NC.device.type
        is_autocast = torch.is_autocast_enabled(device_type)
        ctx.dtype = torch.get_autocast_dtype(device_type) if is_autocast else weight_VC.dtype
        ctx.softcap, ctx.rows = softcap, rows
        weight = weight_VC.to(ctx.dtype)
        normalizers_N = torch.empty(len(hidden_NC), dtype=torch.float32, device=hidden_NC.device)
        loss_sum = torch.zeros((), dtype=torch.float32, device=hidden_NC.device)
        for begin in range(0, len(hidden_NC), rows):
            part = slice(begin, begin + rows)
            logits = _capped(_logits(hidden_NC[part].to(ctx.dtype), weight, bias_V), softcap)
            normalizers_N[part] = logits.logsumexp(1)
            targets = targets_N[part]
            of_target = logits.gather(1, targets.clamp(min=0)[:, None])[:, 0]
            loss_sum += torch.where(targets == IGNORED_LABEL, 0.0, normalizers_N[part] - of_target).sum()
        ctx.save_for_backward(hidden_NC, weight_VC, bias_V, targets_N, normalizers_N)
        return loss_sum

    @staticmethod
    def backward(ctx: Any, *of_loss: Tensor) -> tuple[Tensor | None, ...]:
        hidden_NC, weight_VC, bias_V, targets_N, normalizers_N = ctx.saved_tensors
        weight = weight_VC.to(ctx.dtype)
        wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        of_hidden = torch.empty_like(hidden_NC) if wants_hidden else None
        of_weight = torch.zeros_like(weight_VC) if wants_weight else None
        of_bias = torch.zeros_like(bias_V) if wants_bias else None
        for begin in range(0, len(hidden_NC), ctx.rows):
            part = slice(begin, begin + ctx.rows)
            hidden = hidden_NC[part].to(ctx.dtype)
            of_logits = _gradient_of_logits(
                _logits(hidden, weight, bias_V), normalizers_N[part], targets_N[part], of_loss[0], ctx.softcap
            )
            if of_bias is not None:
                of_bias += of_logits.sum(0)
            of_logits = of_logits.to(ctx.dtype)
            if of_hidden is not None:
                of_hidden[part] = of_logits @ weight
            if of_weight is not None:
                _add_product(of_weight, of_logits, hidden)
        return of_hidden, of_weight, of_bias, None, None, None


def _logits(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    logits = (hidden @ weight.T).float()
    return logits if bias is None else logits.add_(bias)


def _capped(logits: Tensor, softcap: float | None) -> Tensor:
    return logits if softcap is None else logits.div_(softcap).tanh_().mul_(softcap)


def _gradient_of_logits(
    logits: Tensor, normalizers: Tensor, targets: Tensor, of_loss: Tensor, softcap: float | None
) -> Tensor:
    """Returns the gradient of the logits, overwriting them, because a copy of this size costs too much memory."""
    is_counted = targets != IGNORED_LABEL
    slope = None
    if softcap is not None:
        logits = _capped(logits, softcap)
        slope = 1 - (logits / softcap).square()  # of c tanh(x / c)
    of_logits = logits.sub_(normalizers[:, None]).exp_()
    of_logits.scatter_add_(1, targets.clamp(min=0)[:, None], -torch.ones_like(of_logits[:, :1]))
    of_logits.mul_((of_loss * is_counted)[:, None])
    return of_logits if slope is None else of_logits.mul_(slope)


def _add_product(total: Tensor, of_logits: Tensor, hidden: Tensor) -> None:
    if total.dtype == of_logits.dtype:
        total.addmm_(of_logits.T, hidden)
    else:
        total += of_logits.T @ hidden
