"""Copies a checkpoint with another learning rate, which the copy's manifest records."""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from fgc_runtime.checkpoint.manifest import MANIFEST, DamagedCheckpoint, hashes_of, verify
from fgc_runtime.checkpoint.state import TRAINING_STATE, load_training_state
from fgc_runtime.full_disk import room_errors

_RATES = (".lr", ".initial_lr")
_SCHEDULED = ("base_lrs", "_last_lr")


def with_learning_rate(source: Path, target: Path, rate: float) -> tuple[list[float], list[float]]:
    """Writes the copy; returns the base rates of all groups before and after.

    Rates keep their ratios: the first group gets `rate`, a group with half of the first rate gets half of the new one,
    and the schedule continues from the new base. Unchanged files are hard links if the file system supports them.
    Raises DamagedCheckpoint for an incomplete source, and ValueError for one whose rate is 0 or not saved.
    """
    manifest = verify(source)
    load_training_state(source)  # says what is wrong with it
    state = torch.load(source / TRAINING_STATE, map_location="cpu", weights_only=True)
    before = _base_rates(state)
    if not before or not before[0]:
        raise ValueError(f"{source} has no learning rate to change: {before or 'none is saved'}")
    factor = rate / before[0]
    state["values"] = {
        name: value * factor if name.endswith(_RATES) and isinstance(value, float) else value
        for name, value in state["values"].items()
    }
    state["scheduler"] = _scaled(state["scheduler"], factor)
    after = _base_rates(state)
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        with room_errors(target):
            _copy(source, unfinished)
            with (unfinished / TRAINING_STATE).open("wb") as file:  # torch names no reason where it opens it
                torch.save(state, file)
            _write_manifest(unfinished, manifest, {"learning_rate": {"from": before, "to": after}})
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return before, after


def _base_rates(state: Mapping[str, Any]) -> list[float]:
    """Returns the base rate of each group, from the schedule, or from the optimizer if there is no schedule."""
    found = next(_all(state["scheduler"], "base_lrs"), None)
    if found is not None:
        return [float(each) for each in found]
    rates = [value for name, value in state["values"].items() if name.endswith(".lr")]
    return [float(each) for each in dict.fromkeys(rates)]


def _all(value: Any, name: str) -> Iterator[Any]:
    """Yields the values under a name, at any depth."""
    if isinstance(value, Mapping):
        if name in value:
            yield value[name]
        for item in value.values():
            yield from _all(item, name)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _all(item, name)


def _scaled(value: Any, factor: float, *, is_rate: bool = False) -> Any:
    if isinstance(value, Mapping):
        return {name: _scaled(item, factor, is_rate=name in _SCHEDULED) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_scaled(item, factor, is_rate=is_rate) for item in value)
    return value * factor if is_rate and isinstance(value, float) else value


def _copy(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.name in (TRAINING_STATE, MANIFEST):
            continue
        try:
            os.link(path, copy)
        except OSError:  # another disk, or one without links
            shutil.copy2(path, copy)


def _write_manifest(folder: Path, manifest: Mapping[str, Any], change: Mapping[str, Any]) -> None:
    files = dict(manifest["files"])
    size_bytes = (folder / TRAINING_STATE).stat().st_size
    files[TRAINING_STATE] = {"size_bytes": size_bytes, "sha256": hashes_of(folder, [TRAINING_STATE])[TRAINING_STATE]}
    changes = [*manifest.get("modified", ()), {"at": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **change}]
    text = json.dumps({**manifest, "modified": changes, "files": files}, indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


__all__ = ["DamagedCheckpoint", "with_learning_rate"]
