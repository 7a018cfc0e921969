"""SinkGD: descent along gradients whose rows and columns are evened out (Scetbon et al. 2025, arXiv 2502.06742)."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from fgc_runtime.optim.rule import SMALLEST_NORM, Group, State, UpdateRule, adam_updates, norms


class SinkGD(UpdateRule):
    """For an m x n matrix, `iterations` times: each row to the norm sqrt(n), then each column to sqrt(m) (algorithm 3).

    A matrix has no state. Its rate is `lr * scale`, so that one `lr` also serves all other tensors, which AdamW moves.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        *,
        scale: float = 0.05,
        iterations: int = 5,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        stochastic_rounding: bool = False,
        seed: int = 0,
    ) -> None:
        self._require_betas(betas)
        self._require("iterations", iterations, iterations >= 1, "must be at least 1")
        self._require("scale", scale, scale > 0, "must be above 0")
        self._require("eps", eps, eps > 0, "must be above 0")
        common: dict[str, Any] = {
            "lr": lr,
            "weight_decay": weight_decay,
            "stochastic_rounding": stochastic_rounding,
            "seed": seed,
        }
        own: dict[str, Any] = {"scale": scale, "iterations": iterations, "betas": betas, "eps": eps}
        super().__init__(params, **own, **common)

    def updates(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], states: Sequence[State], group: Group
    ) -> list[Tensor]:
        """Evened-out gradients of matrices, Adam's updates of the rest."""
        others = [number for number, gradient in enumerate(gradients) if gradient.ndim != 2]
        moments = [states[number] for number in others]
        seen = [gradients[number] for number in others]
        adam = adam_updates(seen, moments, betas=group["betas"], eps=group["eps"]) if others else []
        by_number = dict(zip(others, adam, strict=True))
        return [
            by_number[number] if number in by_number else evened_out(gradient, group["iterations"]).mul_(group["scale"])
            for number, gradient in enumerate(gradients)
        ]


def evened_out(matrix: Tensor, iterations: int) -> Tensor:
    """Rows of norm sqrt(n), then columns of norm sqrt(m), again and again; what is all zeros stays so."""
    num_rows, num_columns = matrix.shape
    even = matrix.clone()
    for _ in range(iterations):
        even.mul_(num_columns**0.5 / norms(even, 1).clamp(min=SMALLEST_NORM))
        even.mul_(num_rows**0.5 / norms(even, 0).clamp(min=SMALLEST_NORM))
    return even
