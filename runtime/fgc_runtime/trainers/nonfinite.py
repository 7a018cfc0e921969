"""A loss that is not a number: which step and batch it came from, and all of it in a folder to look at."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from fgc_runtime.data.windows import Window
from fgc_runtime.distributed import World

_MOST_NAMES = 20


@dataclass(frozen=True, slots=True)
class StepOrigin:
    """Where a step's window lies in the data: the epoch, and the first of its examples there."""

    step: int
    epoch: int
    first_example: int
    num_examples: int


class NonFiniteLoss(FloatingPointError):
    """The loss of a step is infinite or not a number."""

    def __init__(self, loss: float, origin: StepOrigin, window: Window) -> None:
        last = origin.first_example + origin.num_examples - 1
        super().__init__(
            f"the loss is {loss} at step {origin.step} (epoch {origin.epoch}, examples {origin.first_example} to "
            f"{last} of its order): lower the learning rate, warm it up for longer, or clip gradients (max_grad_norm); "
            "the newest checkpoint is from before this step"
        )
        self.loss = loss
        self.origin = origin
        self.window = window


def write_dump(
    error: NonFiniteLoss, folder: Path, *, model: nn.Module, world: World, rows: Iterable[int] | None, **numbers: object
) -> None:
    """What is left to look at: each process's micro-batches (`batch_rank_0.pt`), and `report.json`.

    The report names the step, the data set's `rows` where they have numbers, token ids of each micro-batch, whatever
    `numbers` the caller adds, and parameters that are not finite by now: weights may have moved on since.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(error.window.micro_batches, folder / f"batch_rank_{world.rank}.pt")
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
    local = ((name, parameter.detach()) for name, parameter in model.named_parameters())
    parts = ((name, part.to_local() if hasattr(part, "to_local") else part) for name, part in local)
    return [name for name, part in parts if not bool(part.isfinite().all())][:_MOST_NAMES]
