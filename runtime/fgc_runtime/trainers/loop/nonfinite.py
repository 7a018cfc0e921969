"""Numbers that are not finite: noticed without making a GPU wait, named by step and batch, left in a folder to look at.

Losses and gradient norms are watched in every step, weights before every save.
"""

import json
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fgc_runtime.data.windows import Window
from fgc_runtime.distributed import World
from fgc_runtime.full_disk import room_errors

_MOST_NAMES = 20


@dataclass(frozen=True, slots=True)
class StepOrigin:
    """Says where a step's window lies in the data: the epoch, and the first of its examples there."""

    step: int
    epoch: int
    first_example: int
    num_examples: int


class NonFiniteLoss(FloatingPointError):
    """The loss of a step, its gradient or the weights that it made are infinite or not a number."""

    def __init__(self, problem: str, loss: float, origin: StepOrigin, window: Window) -> None:
        last = origin.first_example + origin.num_examples - 1
        super().__init__(
            f"{problem} at step {origin.step} (epoch {origin.epoch}, examples {origin.first_example} to "
            f"{last} of its order): lower the learning rate, warm it up for longer, or clip gradients (max_grad_norm); "
            "the newest checkpoint is from before this step"
        )
        self.loss = loss
        self.origin = origin
        self.window = window


class FiniteWatch:
    """Tells if a number of some step was not finite, asked in each step.

    The CPU knows at once. A GPU's verdict travels to the host by itself: it has come a step or two later, and nobody
    waits for it.
    """

    def __init__(self) -> None:
        self._is_bad = False
        self._coming: deque[Verdict] = deque()

    def see(self, *numbers: Tensor) -> None:
        """Watch the numbers of one step."""
        if all(number.device.type == "cpu" for number in numbers):
            self._is_bad |= not all(math.isfinite(number.item()) for number in numbers)
            return
        self._coming.append(Verdict(~torch.stack([number.float() for number in numbers]).isfinite().all()))

    @property
    def is_bad(self) -> bool:
        """Of the steps whose verdict has come."""
        while self._coming and self._coming[0].has_come:
            self._is_bad |= self._coming.popleft().is_bad
        return self._is_bad


class Verdict:
    """A truth value on its way from a device to the host."""

    def __init__(self, on_device: Tensor) -> None:
        device = torch.get_device_module(on_device.device)
        self._on_host = torch.empty((), dtype=torch.bool, pin_memory=on_device.device.type == "cuda")
        self._on_host.copy_(on_device, non_blocking=True)
        self._event = device.Event()
        self._event.record()

    @property
    def has_come(self) -> bool:
        """Returns True if it can be read without waiting."""
        return bool(self._event.query())

    @property
    def is_bad(self) -> bool:
        """Only once it has come."""
        return bool(self._on_host)


def has_finite_weights(model: nn.Module, world: World) -> bool:
    """Of the whole model; called on all processes together."""
    bad = [(~part.isfinite()).any() for _, part in _own_parts(model)]
    num_bad = int(torch.stack(bad).any()) if bad else 0
    return world.sum([num_bad]) == [0]


def write_dump(
    error: NonFiniteLoss, folder: Path, *, model: nn.Module, world: World, rows: Iterable[int] | None, **numbers: object
) -> None:
    """Writes what is left to look at: each process's micro-batches (`batch_rank_0.pt`), and `report.json`.

    The report names the step, the data set's `rows` where they have numbers, token ids of each micro-batch, whatever
    `numbers` the caller adds, and parameters that are not finite by now: weights may have moved on since. Raises
    OSError for what cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with room_errors(folder), (folder / f"batch_rank_{world.rank}.pt").open("wb") as file:
        torch.save(error.window.micro_batches, file)
    if not world.is_main:
        return
    micro_batches = [
        {
            "shape": list(batch["input_ids"].shape),
            "token_ids": [int(batch["input_ids"].min()), int(batch["input_ids"].max())],
            "num_labels": int((batch["labels"][:, 1:] >= 0).sum()),
        }
        for batch in error.window.micro_batches
        if "input_ids" in batch
    ]
    report = {
        "loss": str(error.loss),
        **asdict(error.origin),
        "rows": None if rows is None else list(rows),
        "micro_batches": micro_batches,
        "parameters_not_finite": _not_finite(model),
        **{name: str(number) for name, number in numbers.items()},
    }
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _not_finite(model: nn.Module) -> list[str]:
    return [name for name, part in _own_parts(model) if not bool(part.isfinite().all())][:_MOST_NAMES]


def _own_parts(model: nn.Module) -> list[tuple[str, Tensor]]:
    """Returns what this process holds of each parameter."""
    local = ((name, parameter.detach()) for name, parameter in model.named_parameters())
    return [(name, part.to_local() if hasattr(part, "to_local") else part) for name, part in local]
