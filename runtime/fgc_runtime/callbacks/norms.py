"""Norms of gradients and weights, for groups of parameters chosen by name, into the records of training."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from fgc_runtime.callbacks.base import TrainerCallback, TrainingRun
from fgc_runtime.patterns import compiled, no_match


class NormCallback(TrainerCallback):
    """`grad_norm/NAME` and `weight_norm/NAME`: the 2-norm over all parameters that a pattern matches.

    `patterns` maps names to regular expressions, searched for in parameter names; a parameter may be in several groups.
    Gradients are those of the logged step, complete over all micro-batches and clipped; with `optimizer_in_backward`
    there are none. Of sharded weights and of pipelines, all parts count.
    """

    def __init__(
        self, patterns: Mapping[str, str] | None = None, *, gradients: bool = True, weights: bool = True
    ) -> None:
        self.patterns = {name: compiled("patterns", pattern) for name, pattern in (patterns or {"all": ""}).items()}
        self.gradients = gradients
        self.weights = weights
        self._groups: dict[str, list[nn.Parameter]] = {}
        self._norms: dict[str, Tensor] = {}

    def on_train_begin(self, run: TrainingRun) -> None:
        """Find the parameters. Raises ValueError for a pattern that matches none."""
        named = [(name, parameter) for name, parameter in run.model.named_parameters() if parameter.requires_grad]
        for group, pattern in self.patterns.items():
            found = [parameter for name, parameter in named if pattern.search(name)]
            self._groups[group] = [parameter for parameter in found if run.counts(parameter)]
        counts = run.world.sum([len(parameters) for parameters in self._groups.values()])  # a stage has not all of them
        for pattern, count in zip(self.patterns.values(), counts, strict=True):
            if not count:
                raise no_match("patterns", pattern.pattern, (name for name, _ in named))

    def on_pre_optimizer_step(self, run: TrainingRun) -> None:
        """Take the gradients' norms, where this step will be logged."""
        self._norms.clear()
        if self.gradients and run.is_step_logged:
            gradients = [[p.grad for p in parameters if p.grad is not None] for parameters in self._groups.values()]
            self._take(run, "grad_norm", gradients)

    def on_record(self, run: TrainingRun, record: dict[str, float]) -> None:
        """Add them, and the weights' norms."""
        if self.weights:
            weights = [[parameter.detach() for parameter in parameters] for parameters in self._groups.values()]
            self._take(run, "weight_norm", weights)
        record.update({name: float(norm) for name, norm in self._norms.items()})
        self._norms.clear()

    def _take(self, run: TrainingRun, name: str, tensors: Sequence[Sequence[Tensor]]) -> None:
        squares = run.add_stages(torch.stack([_square(group, run.world.device) for group in tensors]))
        self._norms |= {f"{name}/{group}": norm for group, norm in zip(self._groups, squares.sqrt(), strict=True)}


def _square(tensors: Sequence[Tensor], device: torch.device) -> Tensor:
    """Of the 2-norm over all of them, in float32; the same on every process that holds a part of the same tensors."""
    if not tensors:
        return torch.zeros((), device=device)
    return torch.stack([_whole(tensor.float().square().sum()) for tensor in tensors]).sum()


def _whole(number: Tensor) -> Tensor:
    return number.full_tensor() if hasattr(number, "full_tensor") else number
