"""Hyperparameters that changed since a checkpoint: they hold in place of those that the checkpoint brings back.

An optimizer's saved state contains the settings of its parameter groups, a scheduler's its rates of the beginning.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from fgc_runtime.trainers.checkpoints.fingerprint import Change
from fgc_runtime.trainers.loop.stepper import Stepper


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Settings by parameter group, to be put over restored ones."""

    groups: list[dict[str, Any]]
    has_new_rates: bool  # the scheduler stands where it would if it had made all steps: its saved state is not wanted

    @classmethod
    def changed(cls, stepper: Stepper, changes: Collection[Change], *, num_steps: int) -> "Hyperparameters":
        """Takes from a new optimizer what changed. A new schedule makes the steps that are done, without training."""
        groups = stepper.optimizer.param_groups
        names = {change.name for change in changes}
        has_new_rates = any(_is_of_rates(name) for name in names)
        begin = [dict(group) for group in groups]
        if has_new_rates:
            stepper.skip_rates(num_steps)
        wanted: list[dict[str, Any]] = []
        for number, (group, before) in enumerate(zip(groups, begin, strict=True)):
            moved = {key for key in group if has_new_rates and (key == "lr" or group[key] is not before[key])}
            keys = {key for key in group if f"optimizer.{number}.{key}" in names} | moved
            wanted.append({key: _copied(group[key]) for key in keys - {"params"}})
        return cls(wanted, has_new_rates)

    def put_over(self, optimizer: Optimizer) -> None:
        """Set them in an optimizer that has been restored."""
        for group, values in zip(optimizer.param_groups, self.groups, strict=True):
            for key, value in values.items():
                if isinstance(group.get(key), Tensor):  # compiled steps hold this very tensor
                    group[key].copy_(value)
                else:
                    group[key] = value


def effect(change: Change, *, next_step: int) -> str:
    """Returns what a change means for a run that goes on all the same."""
    if change.name == "seed":
        return "the new one orders the data from here on, random states go on as they were saved"
    if change.name.startswith("data."):
        return "reading goes on behind as many examples as before"
    return f"the new one holds from step {next_step} on"


def _is_of_rates(name: str) -> bool:
    return name.partition(".")[0] in ("schedule", "max_steps") or name.endswith(".initial_lr")


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value
