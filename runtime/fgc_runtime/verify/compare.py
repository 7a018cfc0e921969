"""Two checkpoints of the same step to what differs between them, bit by bit."""

import json
from pathlib import Path
from typing import Any

import torch

from fgc_runtime.checkpoint import load_training_state, read_trainer_state
from fgc_runtime.checkpoint.tensors import read_all_tensors

_OF_TIME = {"tokens_per_second", "train_runtime", "train_steps_per_second", "train_tokens_per_second"}


def differences(straight: Path, resumed: Path) -> list[str]:
    """Returns what is not equal: losses and other logged numbers, weights, optimizer, counters, random states."""
    found = [*_logs(straight, resumed), *_tensors(straight, resumed)]
    if read_trainer_state(straight) != read_trainer_state(resumed):
        found.append(f"counters: {read_trainer_state(resumed)} instead of {read_trainer_state(straight)}")
    one, other = load_training_state(straight), load_training_state(resumed)
    for name in ("random_states", "scheduler", "values", "loss_scale", "callbacks"):
        if not _are_equal(getattr(one, name), getattr(other, name)):
            found.append(f"{name.replace('_', ' ')} differ")
    return found


def losses(checkpoint: Path) -> dict[int, float]:
    """The logged loss of each step."""
    return {int(record["step"]): record["loss"] for record in _records(checkpoint) if "loss" in record}


def _logs(straight: Path, resumed: Path) -> list[str]:
    expected, found = _records(straight), _records(resumed)
    for one, other in zip(expected, found, strict=False):
        if one != other:
            return [f"step {one['step']}: {_named(other, one)} instead of {_named(one, other)}"]
    return [] if len(expected) == len(found) else [f"{len(found)} log records instead of {len(expected)}"]


def _named(record: dict[str, Any], beside: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in record.items() if beside.get(name) != value) or "nothing"


def _records(checkpoint: Path) -> list[dict[str, Any]]:
    records = json.loads((checkpoint / "log_history.json").read_text(encoding="utf-8"))
    timeless = [{name: value for name, value in record.items() if name not in _OF_TIME} for record in records]
    return [record for record in timeless if "train_steps" not in record]


def _tensors(straight: Path, resumed: Path) -> list[str]:
    one, other = read_all_tensors(straight), read_all_tensors(resumed)
    if one.keys() != other.keys():
        return [f"other tensors: {', '.join(sorted(one.keys() ^ other.keys())[:5])}"]
    unequal = [name for name in one if not _are_equal(one[name], other[name])]
    return [f"{len(unequal)} of {len(one)} tensors differ, {unequal[0]} the first"] if unequal else []


def _are_equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(_are_equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(_are_equal, one, other))
    if hasattr(one, "__slots__") and not isinstance(one, str | int | float):
        return all(_are_equal(getattr(one, name), getattr(other, name)) for name in one.__slots__)
    return bool(one == other)
