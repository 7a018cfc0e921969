"""Lion: the sign of a momentum (Chen et al. 2023, arXiv 2302.06675)."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from fgc_runtime.optim.rule import Group, State, UpdateRule


class Lion(UpdateRule):
    """c = b1 m + (1 - b1) g;  p <- p - lr (sign(c) + weight_decay p);  m <- b2 m + (1 - b2) g.

    Every weight moves by `lr` each step: use a third to a tenth of AdamW's rate, and as much more weight decay.
    State: one float32 number per weight.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        *,
        betas: Sequence[float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        stochastic_rounding: bool = False,
        seed: int = 0,
    ) -> None:
        self._require_betas(betas)
        super().__init__(
            params, lr=lr, weight_decay=weight_decay, stochastic_rounding=stochastic_rounding, seed=seed, betas=betas
        )

    def updates(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], states: Sequence[State], group: Group
    ) -> list[Tensor]:
        """Signs: -1, 0 or 1."""
        for gradient, state in zip(gradients, states, strict=True):
            if "exp_avg" not in state:
                state["exp_avg"] = torch.zeros_like(gradient)
        momenta = [state["exp_avg"] for state in states]
        mixed = list(torch._foreach_lerp(momenta, list(gradients), 1 - group["betas"][0]))
        torch._foreach_sign_(mixed)
        torch._foreach_lerp_(momenta, list(gradients), 1 - group["betas"][1])
        return mixed
