"""How weights begin: a table of patterns of parameter names, and the functions that fill what they match."""

# torch and transformers are typed in parts only
# mypy: disable-error-code="no-untyped-call"

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init


class Initializer:
    """Fills each parameter by the first pattern that its name matches.

    Names are those of the base model's parameters, and `lm_head.weight`; `*` stands for any
    characters. The rows of padding tokens are zero.
    """

    def __init__(self, rules: Mapping[str, Callable[[Tensor], object]]) -> None:
        self.rules: Mapping[str, Callable[[Tensor], object]] = rules
        self._names: dict[nn.Module, str] = {}

    def __call__(self, model: PreTrainedModel, module: nn.Module) -> None:
        """Fill the parameters that are directly in a module of the model.

        Raises ValueError for a parameter that no pattern matches.
        """
        if module not in self._names:
            self._names = {child: name for name, child in model.named_modules()}
        # resize_token_embeddings asks for a new embedding or head that is not in the model yet
        new_name = "embed_tokens" if isinstance(module, nn.Embedding) else "lm_head"
        prefix = self._names.get(module, new_name)
        for name, parameter in module.named_parameters(recurse=False):
            self.rules[self._pattern(model, f"{prefix}.{name}".removeprefix("."))](parameter)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            is_loaded = getattr(module.weight, "_is_hf_initialized", False)
            if not is_loaded:
                init.zeros_(module.weight[module.padding_idx])

    def check(self, model: PreTrainedModel) -> None:
        """Raise ValueError if a parameter matches no pattern, or if no parameter is left for a pattern."""
        names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
        used = {self._pattern(model, name) for name in names}
        for pattern in self.rules:
            if pattern not in used:
                raise ValueError(f"the initializer's pattern {pattern!r} is left with no parameter of the model")

    def _pattern(self, model: PreTrainedModel, name: str) -> str:
        name = name.removeprefix(f"{model.base_model_prefix}.")
        for pattern in self.rules:
            if fnmatchcase(name, pattern):
                return pattern
        raise ValueError(f"no pattern of the initializer matches the parameter {name}; `*` would match any")


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
