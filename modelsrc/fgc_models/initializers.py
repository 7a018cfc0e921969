"""Beginnings of weights: a table of patterns of parameter names, and the functions that fill what they match."""

# torch and transformers are typed in parts only
# mypy: disable-error-code="no-untyped-call"

from collections.abc import Callable, Mapping

from torch import Tensor
from transformers import initialization as init


class Initializer:
    """The rules by which weights begin: the first pattern that a parameter's name matches says what fills it.

    Names are those of the base model's parameters, and `lm_head.weight`; `*` stands for any
    characters. The rows of padding tokens are zero. The compiler writes the rules into the
    model's `_init_weights`, so that the model itself has no table.
    """

    written_into = "_init_weights"

    def __init__(self, rules: Mapping[str, Callable[[Tensor], object]]) -> None:
        self.rules = rules


def normal(parameter: Tensor, *, std: float) -> None:
    """Fill with N(0, std^2)."""
    init.normal_(parameter, mean=0.0, std=std)


def truncated_normal(parameter: Tensor, *, std: float, cutoff: float = 3.0) -> None:
    """Fill with N(0, std^2), drawn again beyond `cutoff` standard deviations."""
    init.trunc_normal_(parameter, mean=0.0, std=std, a=-cutoff * std, b=cutoff * std)


def uniform_fan_in(parameter: Tensor) -> None:
    """Fill a matrix (out, in) with U(-1 / sqrt(in), 1 / sqrt(in)), as torch.nn.Linear begins."""
    bound = parameter.shape[-1] ** -0.5
    init.uniform_(parameter, -bound, bound)


def xavier_normal(parameter: Tensor, *, gain: float = 1.0) -> None:
    """Fill a matrix (out, in) with N(0, gain^2 * 2 / (in + out)) (Glorot and Bengio 2010, eq. 12)."""
    init.xavier_normal_(parameter, gain=gain)


def zeros(parameter: Tensor) -> None:
    """Fill with 0."""
    init.zeros_(parameter)


def ones(parameter: Tensor) -> None:
    """Fill with 1."""
    init.ones_(parameter)
