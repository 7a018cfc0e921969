"""float16 gradients to numbers that fit: the factor on the loss, following what the gradients bear.

Micikevicius et al. 2018 (arXiv:1710.03740, section 3.2), with the constants of torch's GradScaler. Whether a step
counts is read off the norm over all processes, so that all of them agree in every parallel strategy.
"""

from dataclasses import dataclass

_GROWTH, _BACKOFF = 2.0, 0.5
_SMALLEST = 2.0**-14


@dataclass(slots=True)
class LossScale:
    """Halved when gradients overflow, doubled after `growth_interval` steps without."""

    value: float = 2.0**16
    growth_interval: int = 2000
    num_good_steps: int = 0

    def update(self, *, is_finite: bool) -> None:
        """Take note of a step. Raises FloatingPointError where no scale helps."""
        if not is_finite:
            self.value *= _BACKOFF
            self.num_good_steps = 0
            if self.value < _SMALLEST:
                raise FloatingPointError(
                    "gradients overflow float16 at every loss scale: the loss itself is not a number, or use bf16"
                )
            return
        self.num_good_steps += 1
        if self.num_good_steps == self.growth_interval:
            self.value *= _GROWTH
            self.num_good_steps = 0
