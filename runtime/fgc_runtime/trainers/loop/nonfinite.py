"""Detects infinities and NaN without waiting for the GPU, names step and batch, and writes a dump for inspection.

Losses and gradient norms are checked in every step, weights before every save.
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
    """The position of a step's window in the data: the epoch, and its first example there."""

    step: int
    epoch: int
    first_example: int
    num_examples: int


class NonFiniteLoss(FloatingPointError):
    """The loss, the gradient or the new weights of a step are infinite or NaN."""

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
    """Checks in each step if a number of an earlier one was not finite.

    On a CPU the result is known at once. On a GPU it is copied to the host asynchronously and arrives a step or two
    later, without a wait.
    """

    def __init__(self) -> None:
        self._is_bad = False
        self._coming: deque[Verdict] = deque()

    def see(self, *numbers: Tensor) -> None:
        """Starts to check the numbers of one step."""
        if all(number.device.type == "cpu" for number in numbers):
            self._is_bad |= not all(math.isfinite(number.item()) for number in numbers)
            return
        self._coming.append(Verdict(~torch.stack([number.float() for number in numbers]).isfinite().all()))

    @property
    def is_bad(self) -> bool:
        """Returns True if one of the steps with a known result was not finite."""
        while self._coming and self._coming[0].has_come:
            self._is_bad |= self._coming.popleft().is_bad
        return self._is_bad


class Verdict:
    """A boolean that is being copied from a device to the host."""

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
        """Returns the boolean; call it only after `has_come`."""
        return bool(self._on_host)


def has_finite_weights(model: nn.Module, world: World) -> bool:
    """Returns True if all weights of the whole model are finite; call it on all processes."""
    bad = [(~part.isfinite()).any() for _, part in _own_parts(model)]
    num_bad = int(torch.stack(bad).any()) if bad else 0
    return world.sum([num_bad]) == [0]


def write_dump(
    error: NonFiniteLoss, folder: Path, *, model: nn.Module, world: World, rows: Iterable[int] | None, **numbers: object
) -> None:
    """Writes a dump for inspection: each process's micro-batches (`batch_rank_0.pt`), and `report.json`.

    The report has the step, the data set's `rows` if they have numbers, token ids of each micro-batch, the `numbers`
    that the caller adds, and the parameters that are not finite now, which later steps may have changed. Raises OSError
    if a file cannot be written.
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
    """Returns this process's part of each parameter."""
    local = ((name, parameter.detach()) for name, parameter in model.named_parameters())
    return [(name, part.to_local() if hasattr(part, "to_local") else part) for name, part in local]
