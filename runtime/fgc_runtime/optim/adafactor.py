"""Adafactor: second moments of a matrix as one number per row and column (Shazeer and Stern 2018, arXiv 1804.04235)."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from fgc_runtime.optim.rule import Group, State, UpdateRule, mean_square, settled


class Adafactor(UpdateRule):
    """Without `beta1`, a matrix of R x C weights has R + C numbers of state.

    At step t, with b2 = 1 - t ** decay_rate: row and column means of g^2 + eps[0] are averaged with weight b2; their
    product over the mean of the rows' is V; u = g / sqrt(V), divided by max(1, RMS(u) / clip_threshold). Tensors of
    more than two dimensions are stacks of matrices of the last two; those of fewer keep V whole. `scale_parameter`
    multiplies the rate by max(eps[1], RMS(p)), the paper's default (algorithms 4 and 5). `beta1` averages u.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        *,
        decay_rate: float = -0.8,
        clip_threshold: float = 1.0,
        eps: Sequence[float] = (1e-30, 1e-3),
        beta1: float | None = None,
        scale_parameter: bool = False,
        weight_decay: float = 0.0,
        stochastic_rounding: bool = False,
        seed: int = 0,
    ) -> None:
        self._require("decay_rate", decay_rate, -1 <= decay_rate < 0, "must be at least -1 and below 0")
        self._require("clip_threshold", clip_threshold, clip_threshold > 0, "must be above 0")
        self._require("eps", eps, len(eps) == 2 and min(eps) >= 0, "must be two numbers, none negative")
        self._require("beta1", beta1, beta1 is None or 0 <= beta1 < 1, "must be None, or at least 0 and below 1")
        super().__init__(
            params,
            lr=lr,
            weight_decay=weight_decay,
            stochastic_rounding=stochastic_rounding,
            seed=seed,
            decay_rate=decay_rate,
            clip_threshold=clip_threshold,
            eps=eps,
            beta1=beta1,
            scale_parameter=scale_parameter,
        )

    def updates(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], states: Sequence[State], group: Group
    ) -> list[Tensor]:
        """Clipped, and averaged and scaled where asked for."""
        updates = [
            _normalised(gradient, state, float(state["step"]) ** group["decay_rate"], group["eps"][0])
            for gradient, state in zip(gradients, states, strict=True)
        ]
        for update in updates:
            update.div_((_rms(update) / group["clip_threshold"]).clamp(min=1.0))
        if group["beta1"] is not None:
            updates = _averaged(updates, states, group["beta1"])
        if group["scale_parameter"]:
            for update, parameter in zip(updates, parameters, strict=True):
                update.mul_(_rms(parameter.float()).clamp(min=group["eps"][1]))
        return updates


def _normalised(gradient: Tensor, state: State, weight: float, eps: float) -> Tensor:
    """g / sqrt(V) after g^2 + eps has been averaged in with `weight`, which is 1 at the first step."""
    if gradient.ndim < 2:
        return gradient * _average(state, "exp_avg_sq", gradient.square() + eps, weight).rsqrt()
    rows = _average(state, "row_mean", mean_square(gradient, -1) + eps, weight)
    columns = _average(state, "column_mean", mean_square(gradient, -2) + eps, weight)
    update = gradient * (rows / settled(rows.mean(dim=-2, keepdim=True))).rsqrt()
    return update.mul_(columns.rsqrt())


def _average(state: State, name: str, value: Tensor, weight: float) -> Tensor:
    average = state[name] = value.clone() if name not in state else state[name].lerp_(value, weight)
    return average


def _averaged(updates: list[Tensor], states: Sequence[State], beta1: float) -> list[Tensor]:
    for update, state in zip(updates, states, strict=True):
        if "exp_avg" not in state:
            state["exp_avg"] = torch.zeros_like(update)
    means = [state["exp_avg"] for state in states]
    torch._foreach_lerp_(means, updates, 1 - beta1)
    return [mean.clone() for mean in means]


def _rms(tensor: Tensor) -> Tensor:
    return mean_square(tensor, None).sqrt()
