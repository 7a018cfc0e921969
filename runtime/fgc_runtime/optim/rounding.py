"""Float32 to bfloat16 by chance: the nearer of two neighbours is the likelier one, so that the mean is exact.

Rounding to nearest loses every update below half a unit in the last place, about 1/512 of a weight; by chance, it
arrives in expectation.
"""

import torch
from torch import Tensor

_LOW_BITS = 0xFFFF  # of a float32, those that bfloat16 has no place for


def stochastic_round(values: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Float32 to bfloat16: away from zero with a probability of (cut-off bits) / 2**16, otherwise towards it.

    Adding a uniform 16-bit integer to the bits and cutting off the low half carries with just that probability. What
    bfloat16 holds exactly, zeros, infinities and NaN stay as they are. Raises TypeError for other dtypes.
    """
    if values.dtype != torch.float32:
        raise TypeError(f"values ({values.dtype}) must be float32")
    noise = torch.empty(values.shape, dtype=torch.int32, device=values.device)
    noise.random_(0, _LOW_BITS + 1, generator=generator)
    rounded = ((values.contiguous().view(torch.int32) + noise) & ~_LOW_BITS).view(torch.float32)
    return torch.where(values.isfinite(), rounded, values).to(torch.bfloat16)


def noise_generator(device: torch.device, *, seed: int, step: int, index: int) -> torch.Generator:
    """A generator that these numbers alone decide: replicas round alike, and a resumed run rounds as before."""
    mixed = ((seed * 1_000_003 + step) * 1_000_003 + index) % 2**63  # a prime: nearby triples do not meet
    return torch.Generator(device).manual_seed(mixed)
