"""A generated program to what it would train, with everything constructed but the trainer."""

import inspect
import runpy
import sys
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import fgc_runtime.script
import fgc_runtime.trainers
from fgc_runtime.trainers import NextTokenLoss, TrainingArguments, TrainingLoss
from fgc_runtime.trainers.strategies import DDP, Strategy


class Cast(NamedTuple):
    """Holds what a program gives its trainer."""

    args: TrainingArguments
    model: Any  # a model, or a function that makes one
    strategy: Strategy
    loss: TrainingLoss
    train_dataset: Any
    eval_dataset: Any
    data_collator: Callable[[Any], Any] | None
    processing_class: Any
    optimizer_factory: Any
    lr_scheduler_factory: Any

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Cast":
        """From the arguments of a trainer."""
        found: dict[str, Any] = {name: given.get(name) for name in cls._fields}
        return cls(**{**found, "strategy": found["strategy"] or DDP(), "loss": found["loss"] or NextTokenLoss()})


def cast_of(program: Path) -> Cast:
    """Run the program up to its training. Raises what it raises, and ValueError if it has no trainer."""
    found: list[Cast] = []
    signature = inspect.signature(fgc_runtime.trainers.Trainer)

    class Recorded:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            found.append(Cast.of(signature.bind(*args, **kwargs).arguments))

    class Script:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def run(self, *_: Any, **__: Any) -> None: ...

    with (
        patch.object(fgc_runtime.trainers, "Trainer", Recorded),
        patch.object(fgc_runtime.script, "TrainingScript", Script),
        patch.object(sys, "argv", [str(program)]),
        _importable(program.parent),
    ):
        runpy.run_path(str(program), run_name="__main__")
    if not found:
        raise ValueError(f"{program} makes no fgc_runtime.trainers.Trainer: there is no training to rehearse")
    return found[0]


@contextmanager
def _importable(folder: Path) -> Any:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
