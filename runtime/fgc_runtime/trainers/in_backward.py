"""An optimizer that steps each parameter while backward still runs: a gradient lives no longer than its own step."""

import copy

from torch import nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from fgc_runtime.optim import Hybrid
from fgc_runtime.optim.rule import UpdateRule, numbered


class InBackward:
    """While entered, a parameter whose gradient is complete is stepped at once, and the gradient dropped.

    The step of one parameter runs on a copy of the optimizer that knows this parameter only and shares all state: work
    stays proportional to the parameters, and learning rates and state dictionaries are the optimizer's own. Of a
    `Hybrid`, it is a copy of the part that moves the parameter.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> "InBackward":
        parts = self._optimizer.optimizers if isinstance(self._optimizer, Hybrid) else [self._optimizer]
        self._handles = [
            parameter.register_post_accumulate_grad_hook(_hook(part, number))
            for part in parts
            for number, group in enumerate(part.param_groups)
            for parameter in group["params"]
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()


def _hook(optimizer: Optimizer, group_number: int):  # type: ignore[no-untyped-def]  # torch types the hook
    view = copy.copy(optimizer)
    view.__dict__.pop("step", None)  # a scheduler counts the calls of the whole optimizer by replacing it
    assert view.state is optimizer.state, "the copy is shallow"
    if isinstance(view, UpdateRule):
        view.numbers = numbered(optimizer)  # the copy sees one parameter, and would count it as the first

    def step(parameter: nn.Parameter) -> None:
        view.param_groups = [{**optimizer.param_groups[group_number], "params": [parameter]}]
        view.step()
        parameter.grad = None

    return step
