"""Optimizers, parameter groups and learning rates: what optimizer and scheduler factories are made of."""

from fgc_runtime.optim.adafactor import Adafactor
from fgc_runtime.optim.adamw import BFloat16AdamW
from fgc_runtime.optim.groups import grouped, weight_decay_groups
from fgc_runtime.optim.hybrid import Hybrid, hybrid, muon
from fgc_runtime.optim.lion import Lion
from fgc_runtime.optim.low_rank import Apollo, GaLore
from fgc_runtime.optim.orthogonal import Muon
from fgc_runtime.optim.rounding import stochastic_round
from fgc_runtime.optim.schedules import (
    constant_with_warmup,
    cosine_multiplier,
    cosine_with_warmup,
    infinite,
    infinite_multiplier,
    inverse_sqrt_multiplier,
    inverse_sqrt_with_warmup,
    linear_multiplier,
    linear_with_warmup,
    warmup_stable_decay,
    wsd_multiplier,
)
from fgc_runtime.optim.sinkgd import SinkGD

__all__ = [
    "Adafactor",
    "Apollo",
    "BFloat16AdamW",
    "GaLore",
    "Hybrid",
    "Lion",
    "Muon",
    "SinkGD",
    "constant_with_warmup",
    "cosine_multiplier",
    "cosine_with_warmup",
    "grouped",
    "hybrid",
    "infinite",
    "infinite_multiplier",
    "inverse_sqrt_multiplier",
    "inverse_sqrt_with_warmup",
    "linear_multiplier",
    "linear_with_warmup",
    "muon",
    "stochastic_round",
    "warmup_stable_decay",
    "weight_decay_groups",
    "wsd_multiplier",
]
