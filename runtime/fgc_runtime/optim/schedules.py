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
    return 1 - (1 - min_lr_ratio) * _progress(step, num_training_steps - decay_steps, num_training_steps)


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


def _progress(step: int, first: int, last: int) -> float:
    """How far `step` has come from `first` to `last`: 0 to 1, also beyond both ends."""
    return min(1.0, max(0.0, (step - first) / max(1, last - first)))


def _check(num_training_steps: int, warmup_steps: int, min_lr_ratio: float) -> None:
    if num_training_steps < 1:
        raise ValueError(f"num_training_steps ({num_training_steps}) must be at least 1")
    if warmup_steps < 0:
        raise ValueError(f"warmup_steps ({warmup_steps}) must not be negative")
    if not 0 <= min_lr_ratio <= 1:
        raise ValueError(f"min_lr_ratio ({min_lr_ratio}) must lie between 0 and 1")
