"""Norms of gradients and weights, for groups of parameters chosen by name, into the records of training."""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from fgc_runtime.callbacks.base import TrainerCallback, TrainingRun


class NormCallback(TrainerCallback):
    """`grad_norm/NAME` and `weight_norm/NAME`: the 2-norm over all parameters that a pattern matches.

    `patterns` maps names to regular expressions, searched for in parameter names; a parameter may be in several groups.
    Gradients are those of the logged step, complete over all micro-batches and clipped; with `optimizer_in_backward`
    there are none. Works on sharded weights; of a pipeline, the main process's stages are measured.
    """

    def __init__(
        self, patterns: Mapping[str, str] | None = None, *, gradients: bool = True, weights: bool = True
    ) -> None:
        self.patterns = {name: _compiled(pattern) for name, pattern in (patterns or {"all": ""}).items()}
        self.gradients = gradients
        self.weights = weights
        self._groups: dict[str, list[nn.Parameter]] = {}
        self._norms: dict[str, Tensor] = {}

    def on_train_begin(self, run: TrainingRun) -> None:
        """Find the parameters. Raises ValueError for a pattern that matches none."""
        named = [(name, parameter) for name, parameter in run.model.named_parameters() if parameter.requires_grad]
        for group, pattern in self.patterns.items():
            self._groups[group] = [parameter for name, parameter in named if pattern.search(name)]
        counts = run.world.sum([len(parameters) for parameters in self._groups.values()])  # a stage has not all of them
        for (group, pattern), count in zip(self.patterns.items(), counts, strict=True):
            if not count:
                names = ", ".join(name for name, _ in named[:5])
                raise ValueError(f"patterns: no parameter matches {pattern.pattern!r} ({group}); there are {names} ...")

    def on_pre_optimizer_step(self, run: TrainingRun) -> None:
        """Take the gradients' norms, where this step will be logged."""
        if self.gradients and _is_logged(run, run.state.global_step + 1):
            for group, parameters in self._groups.items():
                gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
                self._norms[f"grad_norm/{group}"] = _norm(gradients)

    def on_record(self, run: TrainingRun, record: dict[str, float]) -> None:
        """Add them, and the weights' norms."""
        if self.weights:
            for group, parameters in self._groups.items():
                self._norms[f"weight_norm/{group}"] = _norm([parameter.detach() for parameter in parameters])
        record.update({name: float(norm) for name, norm in self._norms.items()})
        self._norms.clear()


def _is_logged(run: TrainingRun, step: int) -> bool:
    is_first = step == 1 and bool(run.arguments.get("logging_first_step"))
    return is_first or step == run.max_steps or step % int(str(run.arguments["logging_steps"])) == 0


def _norm(tensors: Sequence[Tensor]) -> Tensor:
    """In float32, over all of them; the same on every process, also where each holds a part."""
    if not tensors:
        return torch.zeros(())
    squares = torch.stack([_whole(tensor.float().square().sum()) for tensor in tensors])
    return squares.sum().sqrt()


def _whole(number: Tensor) -> Tensor:
    return number.full_tensor() if hasattr(number, "full_tensor") else number


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"patterns: {pattern!r} is no regular expression: {error}") from error
