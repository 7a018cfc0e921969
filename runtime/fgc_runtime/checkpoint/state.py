"""What a run needs to go on exactly where it stopped, beside the weights: counters, optimizer, rate, random states.

Torch's files are read with `weights_only`: a checkpoint can hold numbers, not code.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy
import torch
from torch import Tensor

_TRAINER_STATE = "trainer_state.json"
_OPTIMIZER = "optimizer.pt"
_SCHEDULER = "scheduler.pt"
_RANDOM = "random_state.pt"

PythonState = tuple[int, tuple[int, ...], float | None]


class Stateful(Protocol):
    """An optimizer or a scheduler."""

    def state_dict(self) -> dict[str, object]: ...
    def load_state_dict(self, state_dict: dict[str, object]) -> None: ...


@dataclass(frozen=True, slots=True)
class RandomState:
    """The random states of one process: python, numpy, torch, and its GPU if it has one."""

    python: PythonState
    numpy: tuple[str, list[int], int, int, float]
    torch: Tensor
    cuda: Tensor | None

    @classmethod
    def capture(cls) -> "RandomState":
        """The states as they are now."""
        state = numpy.random.get_state(legacy=False)
        keys, position = state["state"]["key"].tolist(), state["state"]["pos"]
        numpy_state = (state["bit_generator"], keys, position, state["has_gauss"], state["gauss"])
        cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
        return cls(random.getstate(), numpy_state, torch.get_rng_state(), cuda)

    def restore(self) -> None:
        """Make every generator go on from here."""
        random.setstate(self.python)
        name, keys, position, has_gauss, cached = self.numpy
        numpy.random.set_state((name, numpy.array(keys, dtype=numpy.uint32), position, has_gauss, cached))
        torch.set_rng_state(self.torch)
        if self.cuda is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(self.cuda)


def save_training_state(
    folder: Path,
    *,
    trainer_state: Mapping[str, object],
    optimizer: Stateful,
    scheduler: Stateful,
    random_states: Sequence[RandomState],
) -> None:
    """Write all that `load_training_state` and `read_trainer_state` read; `random_states` by rank."""
    torch.save(optimizer.state_dict(), folder / _OPTIMIZER)
    torch.save(scheduler.state_dict(), folder / _SCHEDULER)
    states = [{name: getattr(state, name) for name in RandomState.__slots__} for state in random_states]
    torch.save(states, folder / _RANDOM)
    (folder / _TRAINER_STATE).write_text(json.dumps(trainer_state, indent=2) + "\n", encoding="utf-8")


def read_trainer_state(folder: Path) -> dict[str, object]:
    """The counters of a checkpoint. Raises FileNotFoundError for a folder that holds no training state."""
    path = folder / _TRAINER_STATE
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no checkpoint to resume from: it has no {_TRAINER_STATE}")
    state = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(state, dict), "save_training_state writes an object"
    return state


def load_training_state(folder: Path, *, optimizer: Stateful, scheduler: Stateful, rank: int) -> RandomState | None:
    """Restore optimizer and scheduler; returns the random state of this rank, None if it had no predecessor."""
    optimizer.load_state_dict(torch.load(folder / _OPTIMIZER, map_location="cpu", weights_only=True))
    scheduler.load_state_dict(torch.load(folder / _SCHEDULER, map_location="cpu", weights_only=True))
    states = torch.load(folder / _RANDOM, map_location="cpu", weights_only=True)
    return RandomState(**states[rank]) if rank < len(states) else None
