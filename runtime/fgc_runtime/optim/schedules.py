"""Step to learning rate: pure functions of the step, each wrapped into a scheduler of the same shape.

A scheduler factory is called as `factory(optimizer, num_training_steps=...)`; everything else is given by name
beforehand, with `functools.partial`. Steps count from 0, and no step of a schedule has the rate 0: step t of a warm-up
over W steps uses (t + 1) / W of the optimizer's rate.
"""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def cosine_multiplier(step: int, *, num_training_steps: int, warmup_steps: int = 0, min_lr_ratio: float = 0.0) -> float:
    """Half a cosine from 1 to `min_lr_ratio`, which it reaches at step `num_training_steps`."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    cosine = 0.5 * (1 + math.cos(math.pi * _progress(step, warmup_steps, num_training_steps)))
    return min_lr_ratio + (1 - min_lr_ratio) * cosine


def linear_multiplier(step: int, *, num_training_steps: int, warmup_steps: int = 0, min_lr_ratio: float = 0.0) -> float:
    """A straight line from 1 to `min_lr_ratio`, which it reaches at step `num_training_steps`."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 1 - (1 - min_lr_ratio) * _progress(step, warmup_steps, num_training_steps)


def wsd_multiplier(
    step: int, *, num_training_steps: int, warmup_steps: int = 0, decay_steps: int, min_lr_ratio: float = 0.0
) -> float:
    """Warm-up, a plateau of 1, then a line down over the last `decay_steps` (WSD; Hu et al. 2024)."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    first = max(warmup_steps, num_training_steps - decay_steps)  # of a short run: no jump behind the warm-up
    return 1 - (1 - min_lr_ratio) * _progress(step, first, num_training_steps)


def inverse_sqrt_multiplier(step: int, *, warmup_steps: int = 0, timescale: int | None = None) -> float:
    """Warm-up, then 1 / sqrt of the steps: sqrt(timescale / (timescale + steps since the peak)).

    `timescale` None is `warmup_steps`, which gives sqrt(warmup_steps / (step + 1)) (Vaswani et al. 2017, section 5.3).
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    scale = max(1, warmup_steps) if timescale is None else timescale
    since_peak = step + 1 - max(1, warmup_steps)  # with a warm-up the peak is its last step, without one the first step
    return math.sqrt(scale / (scale + since_peak))


def infinite_multiplier(
    step: int,
    *,
    warmup_steps: int = 0,
    cooldown_steps: int = 0,
    constant_lr_ratio: float = 1.0,
    annealing_start: int | None = None,
    annealing_steps: int = 0,
    min_lr_ratio: float = 0.0,
) -> float:
    """Warm-up, half a cosine down to `constant_lr_ratio`, a plateau without end (Singh et al. 2025, arXiv 2503.02844).

    From step `annealing_start` on, if there is one, `annealing_steps` take the plateau to `min_lr_ratio` by equal
    factors: ratio c (m / c) ** (steps since / annealing_steps). Continuous where one part meets the next.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if annealing_start is not None and step >= annealing_start:
        progress = _progress(step, annealing_start, annealing_start + annealing_steps)
        return constant_lr_ratio * math.pow(min_lr_ratio / constant_lr_ratio, progress)
    cosine = 0.5 * (1 + math.cos(math.pi * _progress(step, warmup_steps, warmup_steps + cooldown_steps)))
    return constant_lr_ratio + (1 - constant_lr_ratio) * cosine


def cosine_with_warmup(
    optimizer: Optimizer, *, num_training_steps: int, warmup_steps: int = 0, min_lr_ratio: float = 0.0
) -> LambdaLR:
    """`cosine_multiplier` as a scheduler."""
    _check(num_training_steps, warmup_steps, min_lr_ratio)
    return LambdaLR(
        optimizer,
        lambda step: cosine_multiplier(
            step, num_training_steps=num_training_steps, warmup_steps=warmup_steps, min_lr_ratio=min_lr_ratio
        ),
    )


def linear_with_warmup(
    optimizer: Optimizer, *, num_training_steps: int, warmup_steps: int = 0, min_lr_ratio: float = 0.0
) -> LambdaLR:
    """`linear_multiplier` as a scheduler."""
    _check(num_training_steps, warmup_steps, min_lr_ratio)
    return LambdaLR(
        optimizer,
        lambda step: linear_multiplier(
            step, num_training_steps=num_training_steps, warmup_steps=warmup_steps, min_lr_ratio=min_lr_ratio
        ),
    )


def constant_with_warmup(optimizer: Optimizer, *, warmup_steps: int = 0) -> LambdaLR:
    """The optimizer's own rate, after a linear warm-up."""
    return LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / max(1, warmup_steps)))


def warmup_stable_decay(
    optimizer: Optimizer,
    *,
    num_training_steps: int,
    warmup_steps: int = 0,
    decay_steps: int,
    min_lr_ratio: float = 0.0,
) -> LambdaLR:
    """`wsd_multiplier` as a scheduler."""
    _check(num_training_steps, warmup_steps + decay_steps, min_lr_ratio)
    return LambdaLR(
        optimizer,
        lambda step: wsd_multiplier(
            step,
            num_training_steps=num_training_steps,
            warmup_steps=warmup_steps,
            decay_steps=decay_steps,
            min_lr_ratio=min_lr_ratio,
        ),
    )


def inverse_sqrt_with_warmup(optimizer: Optimizer, *, warmup_steps: int = 0, timescale: int | None = None) -> LambdaLR:
    """`inverse_sqrt_multiplier` as a scheduler; needs no number of steps."""
    _require("warmup_steps", warmup_steps, warmup_steps >= 0, "must not be negative")
    _require("timescale", timescale, timescale is None or timescale >= 1, "must be None or at least 1")
    return LambdaLR(
        optimizer, lambda step: inverse_sqrt_multiplier(step, warmup_steps=warmup_steps, timescale=timescale)
    )


def infinite(
    optimizer: Optimizer,
    *,
    warmup_steps: int = 0,
    cooldown_steps: int = 0,
    constant_lr_ratio: float = 1.0,
    annealing_start: int | None = None,
    annealing_steps: int = 0,
    min_lr_ratio: float = 0.0,
) -> LambdaLR:
    """`infinite_multiplier` as a scheduler; needs no number of steps. Refuses parts between which the rate jumps."""
    _require("warmup_steps", warmup_steps, warmup_steps >= 0, "must not be negative")
    _require("cooldown_steps", cooldown_steps, cooldown_steps >= 0, "must not be negative")
    _require("constant_lr_ratio", constant_lr_ratio, 0 < constant_lr_ratio <= 1, "must be above 0 and at most 1")
    is_level = cooldown_steps > 0 or constant_lr_ratio == 1
    rule = "must be 1 where cooldown_steps is 0: the rate would jump"
    _require("constant_lr_ratio", constant_lr_ratio, is_level, rule)
    if annealing_start is not None:
        first = warmup_steps + cooldown_steps
        rule = f"must not come before step {first}, where the plateau begins"
        _require("annealing_start", annealing_start, annealing_start >= first, rule)
        _require("annealing_steps", annealing_steps, annealing_steps >= 1, "must be at least 1")
        rule = f"must be above 0 and at most constant_lr_ratio ({constant_lr_ratio})"
        _require("min_lr_ratio", min_lr_ratio, 0 < min_lr_ratio <= constant_lr_ratio, rule)
    return LambdaLR(
        optimizer,
        lambda step: infinite_multiplier(
            step,
            warmup_steps=warmup_steps,
            cooldown_steps=cooldown_steps,
            constant_lr_ratio=constant_lr_ratio,
            annealing_start=annealing_start,
            annealing_steps=annealing_steps,
            min_lr_ratio=min_lr_ratio,
        ),
    )


def _progress(step: int, first: int, last: int) -> float:
    """Returns how far `step` has come from `first` to `last`: 0 to 1, also beyond both ends."""
    return min(1.0, max(0.0, (step - first) / max(1, last - first)))


def _check(num_training_steps: int, warmup_steps: int, min_lr_ratio: float) -> None:
    _require("num_training_steps", num_training_steps, num_training_steps >= 1, "must be at least 1")
    _require("warmup_steps", warmup_steps, warmup_steps >= 0, "must not be negative")
    _require("min_lr_ratio", min_lr_ratio, 0 <= min_lr_ratio <= 1, "must lie between 0 and 1")


def _require(name: str, value: object, holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(f"{name} ({value}) {rule}")
