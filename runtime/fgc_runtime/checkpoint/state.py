"""State to go on exactly where a run stopped, beside weights and optimizer: counters, rate, random states.

Torch's files are read with `weights_only`: a checkpoint can hold numbers, not code.
"""

import json
import pickle
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from torch import Tensor

from fgc_runtime.checkpoint.manifest import DamagedCheckpoint

_TRAINER_STATE = "trainer_state.json"
TRAINING_STATE = "training_state.pt"
_LOG_HISTORY = "log_history.json"

PythonState = tuple[int, tuple[int, ...], float | None]


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


@contextmanager
def kept_random_states() -> Iterator[None]:
    """In the body the generators of python, numpy and torch may be seeded and drawn from; nobody behind it notices."""
    before = RandomState.capture()
    try:
        yield
    finally:
        before.restore()


@dataclass(frozen=True, slots=True)
class TrainingState:
    """All but tensors: small, the same on every process."""

    counters: Mapping[str, object]  # of the trainer, as JSON takes them
    values: Mapping[str, object]  # what of a strategy's state is no tensor, by name, of all processes
    scheduler: Mapping[str, object]
    loss_scale: Mapping[str, object]  # of a float16 run, else empty
    callbacks: Mapping[str, Mapping[str, object]]
    random_states: Sequence[RandomState]  # by rank
    log_history: Sequence[Mapping[str, object]]


def save_training_state(folder: Path, state: TrainingState) -> None:
    """Write all that `load_training_state` and `read_trainer_state` read."""
    states = [{name: getattr(random, name) for name in RandomState.__slots__} for random in state.random_states]
    parts = {name: getattr(state, name) for name in ("values", "scheduler", "loss_scale", "callbacks")}
    with (folder / TRAINING_STATE).open("wb") as file:  # torch's own file hides why it could not be written
        torch.save({**parts, "random_states": states}, file)
    (folder / _TRAINER_STATE).write_text(json.dumps(state.counters, indent=2) + "\n", encoding="utf-8")
    (folder / _LOG_HISTORY).write_text(json.dumps(state.log_history) + "\n", encoding="utf-8")


def read_trainer_state(folder: Path) -> dict[str, object]:
    """The counters of a checkpoint. Raises FileNotFoundError for a folder that holds no training state."""
    path = folder / _TRAINER_STATE
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no checkpoint to resume from: it has no {_TRAINER_STATE}")
    state = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(state, dict), "save_training_state writes an object"
    return state


def load_training_state(folder: Path) -> TrainingState:
    """Reads what `save_training_state` wrote. Raises DamagedCheckpoint where there is code in it."""
    try:
        saved = torch.load(folder / TRAINING_STATE, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = "it is a pickle with code or no pickle at all, and is not read"
        raise DamagedCheckpoint(f"{folder / TRAINING_STATE} is damaged: {reason}") from error
    return TrainingState(
        counters=read_trainer_state(folder),
        values=saved["values"],
        scheduler=saved["scheduler"],
        loss_scale=saved["loss_scale"],
        callbacks=saved["callbacks"],
        random_states=[RandomState(**random) for random in saved["random_states"]],
        log_history=json.loads((folder / _LOG_HISTORY).read_text(encoding="utf-8")),
    )
