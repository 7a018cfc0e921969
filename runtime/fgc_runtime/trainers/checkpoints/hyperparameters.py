"""Applies hyperparameters that changed since a checkpoint, after the checkpoint has restored the old ones.

An optimizer's saved state contains the settings of its parameter groups, a scheduler's its initial rates.
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
    """Settings by parameter group that replace restored ones."""

    groups: list[dict[str, Any]]
    has_new_rates: bool  # the new scheduler has been advanced by all steps, so its saved state is not loaded

    @classmethod
    def changed(cls, stepper: Stepper, changes: Collection[Change], *, num_steps: int) -> "Hyperparameters":
        """Returns the changed settings of a new optimizer. A new schedule is advanced by the steps that are done."""
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
        """Sets them in an optimizer that has been restored."""
        for group, values in zip(optimizer.param_groups, self.groups, strict=True):
            for key, value in values.items():
                if isinstance(group.get(key), Tensor):  # compiled steps refer to this tensor
                    group[key].copy_(value)
                else:
                    group[key] = value


def effect(change: Change, *, next_step: int) -> str:
    """Returns a sentence about the effect of a change on a run that resumes in spite of it."""
    if change.name == "seed":
        return "the new one orders the data from here on, random states go on as they were saved"
    if change.name.startswith("data."):
        return "reading goes on behind as many examples as before"
    return f"the new one holds from step {next_step} on"


def _is_of_rates(name: str) -> bool:
    return name.partition(".")[0] in ("schedule", "max_steps") or name.endswith(".initial_lr")


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value
