"""Parameter groups and learning rates: what an optimizer factory and a scheduler factory are made of."""

from fgc_runtime.optim.groups import weight_decay_groups
from fgc_runtime.optim.schedules import (
    constant_with_warmup,
    cosine_multiplier,
    cosine_with_warmup,
    linear_multiplier,
    linear_with_warmup,
    warmup_stable_decay,
    wsd_multiplier,
)

__all__ = [
    "constant_with_warmup",
    "cosine_multiplier",
    "cosine_with_warmup",
    "linear_multiplier",
    "linear_with_warmup",
    "warmup_stable_decay",
    "weight_decay_groups",
    "wsd_multiplier",
]
