"""An optimizer that steps each parameter while backward still runs: a gradient lives no longer than its own step."""

import copy

from torch import nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle


class InBackward:
    """While entered, a parameter whose gradient is complete is stepped at once, and the gradient dropped.

    The step of one parameter runs on a copy of the optimizer that knows this parameter only and shares all state: work
    stays proportional to the parameters, and learning rates and state dictionaries are the optimizer's own.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> "InBackward":
        self._handles = [
            parameter.register_post_accumulate_grad_hook(self._hook(number))
            for number, group in enumerate(self._optimizer.param_groups)
            for parameter in group["params"]
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _hook(self, group_number: int):  # type: ignore[no-untyped-def]  # torch types the hook
        view = copy.copy(self._optimizer)
        view.__dict__.pop("step", None)  # a scheduler counts the calls of the whole optimizer by replacing it
        assert view.state is self._optimizer.state, "the copy is shallow"

        def step(parameter: nn.Parameter) -> None:
            view.param_groups = [{**self._optimizer.param_groups[group_number], "params": [parameter]}]
            view.step()
            parameter.grad = None

        return step
