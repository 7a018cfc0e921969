"""Experts of a mixture kept equally busy by the bias of their routers, without a loss that the model would feel."""

from collections.abc import Callable
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fgc_runtime.callbacks.base import TrainerCallback, TrainingRun

_BIAS = "e_score_correction_bias"  # as transformers' DeepSeek-V3, GLM-4-MoE and their kin call it


class ExpertBalanceCallback(TrainerCallback):
    """Moves the routers' biases after each step, by `update_rate`: down for an expert with more tokens than the mean.

    Wang et al. 2024 (arXiv:2408.15664, algorithm 1), as DeepSeek-V3 trains (arXiv:2412.19437, section 2.1.2): up for
    one with fewer. Tokens of all processes count. Records get `expert_load_max`: the most tokens that an expert got in
    the last step over the mean of its layer, the largest of all layers; 1 where all experts get the same.
    """

    def __init__(self, *, update_rate: float = 0.001) -> None:
        if update_rate <= 0:
            raise ValueError(f"update_rate is {update_rate}; it must be above 0")
        self.update_rate = update_rate
        self._routers: dict[str, nn.Module] = {}
        self._tokens: dict[str, Tensor] = {}  # of each expert in this step
        self._sizes: dict[str, int] = {}  # of the routers of all stages, in one order
        self._hooks: list[RemovableHandle] = []
        self._load_max = 1.0

    def on_train_begin(self, run: TrainingRun) -> None:
        """Find the routers and count what they choose. Raises ValueError if the model has none with a bias."""
        self._routers = {name: module for name, module in run.model.named_modules() if hasattr(module, _BIAS)}
        self._tokens = {name: torch.zeros_like(_bias(module)) for name, module in self._routers.items()}
        sizes = {name: len(tokens) for name, tokens in self._tokens.items()}
        self._sizes = {name: size for each in run.world.gather(sizes) for name, size in each.items()}
        if not self._sizes:
            raise ValueError(f"no router of {type(run.model).__name__} has a bias that balances experts ({_BIAS})")
        self._hooks = [
            module.register_forward_hook(_counting(name, self._tokens[name])) for name, module in self._routers.items()
        ]

    def on_step_end(self, run: TrainingRun) -> None:
        """Move the biases by the sign of what is missing to the mean."""
        here = (self._tokens.get(name, torch.zeros(size)).tolist() for name, size in self._sizes.items())
        counts = iter(run.world.sum_floats([*chain.from_iterable(here)]))
        loads = {name: torch.tensor([*islice(counts, size)], dtype=torch.float64) for name, size in self._sizes.items()}
        busy = [load for load in loads.values() if load.any()]  # none where all routers are kept in eval mode
        self._load_max = max((float(load.max() / load.mean()) for load in busy), default=1.0)
        for name, module in self._routers.items():
            missing = loads[name].mean() - loads[name]
            _bias(module).add_(self.update_rate * missing.sign().to(_bias(module).device))
            self._tokens[name].zero_()

    def on_record(self, run: TrainingRun, record: dict[str, float]) -> None:
        """Add how uneven the last step was."""
        record["expert_load_max"] = self._load_max

    def on_train_end(self, run: TrainingRun) -> None:
        """Count no longer."""
        for hook in self._hooks:
            hook.remove()


def _bias(router: nn.Module) -> Tensor:
    bias = getattr(router, _BIAS)
    assert isinstance(bias, Tensor), f"{_BIAS} is a tensor"
    return bias


def _counting(name: str, tokens: Tensor) -> Callable[[nn.Module, Any, Any], None]:
    """Returns a hook that adds the tokens of each expert; a layer that is computed again counts again.

    The hook raises ValueError for a module that has the bias and is no router, as in MiniMax-M2 and Ernie 4.5.
    """

    def count(router: nn.Module, _: Any, output: Any) -> None:
        if not (isinstance(output, tuple) and len(output) == 3):
            raise ValueError(
                f"the experts of `{name}` cannot be balanced: {type(router).__name__} has {_BIAS}, but does not return "
                "logits, weights and the chosen experts"
            )
        if router.training:
            chosen = output[2].flatten()
            tokens.scatter_add_(0, chosen, torch.ones_like(chosen, dtype=tokens.dtype))

    return count
