"""AdamW for weights that are kept in bfloat16 (Loshchilov and Hutter 2019, arXiv 1711.05101)."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from fgc_runtime.optim.rule import Group, State, UpdateRule, adam_updates


class BFloat16AdamW(UpdateRule):
    """torch's AdamW in float32 arithmetic, with float32 moments and stochastic rounding of bfloat16 weights.

    For float32 weights it computes what `torch.optim.AdamW` computes, more slowly: use that one.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        *,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        stochastic_rounding: bool = True,
        seed: int = 0,
    ) -> None:
        self._require_betas(betas)
        self._require("eps", eps, eps > 0, "must be above 0")
        common: dict[str, Any] = {
            "lr": lr,
            "weight_decay": weight_decay,
            "stochastic_rounding": stochastic_rounding,
            "seed": seed,
        }
        super().__init__(params, **common, betas=betas, eps=eps)

    def updates(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], states: Sequence[State], group: Group
    ) -> list[Tensor]:
        """Adam's."""
        return adam_updates(gradients, states, betas=group["betas"], eps=group["eps"])
