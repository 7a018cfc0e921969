"""One checkpoint after the other to the disk, beside the training: it waits for the copy into memory, not for the disk.

All processes of a run call the same methods in the same order. How a save ended is the same on all of them: they tell
each other, in a process group of their own, so that nothing mixes with the training's exchanges.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fgc_runtime.checkpoint.folders import begin, commit, discard, unfinished_folder
from fgc_runtime.checkpoint.gathering import Gathering, Shown
from fgc_runtime.checkpoint.manifest import hashes_of, share_of, sizes_in
from fgc_runtime.checkpoint.model import save_model
from fgc_runtime.checkpoint.parts import WeightParts
from fgc_runtime.checkpoint.references import References, differing, references, without
from fgc_runtime.checkpoint.state import TrainingState, save_training_state
from fgc_runtime.checkpoint.tensors import Tensors, save_tensors
from fgc_runtime.distributed import World
from fgc_runtime.finetune import has_adapter
from fgc_runtime.full_disk import reason_of, room_errors

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Export:
    """A model for `from_pretrained`; its weights, or this process's part of them, lie in a snapshot, by name."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    shown: Mapping[str, Shown]
    is_whole: bool  # the main process has all of them


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A moment of a training, which later steps do not change."""

    folder: Path
    tensors: Tensors
    state: TrainingState
    about: Mapping[str, object]
    export: Export


@dataclass(frozen=True, slots=True)
class Saved:
    """Says how a save ended."""

    folder: Path
    problem: str | None  # None: the checkpoint is complete


class Saver:
    """Writes snapshots, one at a time. `after` runs on the main process when one is complete."""

    def __init__(self, world: World, *, is_async: bool, after: Callable[[], None]) -> None:
        self._world = world
        self._is_async = is_async
        self._after = after
        # others wait while one process writes the whole model: if one dies, all are ended from outside
        self._group = dist.new_group(backend="gloo", timeout=timedelta(days=1)) if world.size > 1 else None
        self._elsewhere: References = {}  # entries of the snapshot that lie in the model's files
        self._hashes: dict[str, str] = {}
        self._thread: threading.Thread | None = None
        self._saved: Saved | None = None

    @property
    def is_done(self) -> bool:
        """Returns True if a save has ended on this process and nobody has asked how."""
        return self._thread is not None and not self._thread.is_alive()

    def start(self, snapshot: Snapshot) -> None:
        """Begin to write; `finish` has been called for the one before."""
        assert self._thread is None, "one save at a time"
        # a daemon: who interrupts twice does not wait for the disk
        self._thread = threading.Thread(target=self._run, args=(snapshot,), name="checkpoint", daemon=True)
        self._thread.start()
        if not self._is_async:
            self._thread.join()

    def finish(self, *, timeout_s: float | None = None) -> Saved | None:
        """Wait for the save that was started, if there is one; how it ended."""
        if self._thread is None:
            return None
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return None
        self._thread = None
        assert self._saved is not None, "a save that ended has an end"
        return self._saved

    def _run(self, snapshot: Snapshot) -> None:
        problem = None
        steps = (self._begin, self._write_model, self._refer, self._write_tensors, self._write_rest, self._hash)
        for step in (*steps, self._commit):
            try:
                with room_errors(snapshot.folder):
                    step(snapshot)
            except BaseException as error:  # of any kind: the training must hear of it
                problem = reason_of(error)
            problem = self._agreed(problem)
            if problem is not None:
                discard(snapshot.folder)
                break
        self._saved = Saved(snapshot.folder, problem)

    def _begin(self, snapshot: Snapshot) -> None:
        if self._world.is_main:
            begin(snapshot.folder)

    def _write_model(self, snapshot: Snapshot) -> None:
        export = snapshot.export
        self._elsewhere, self._shown, self._shapes = {}, dict(export.shown), dict[str, Tensor]()
        if export.is_whole:
            weights = {name: snapshot.tensors[item.entry].to(item.dtype) for name, item in export.shown.items()}
            self._shapes = {name: torch.empty_like(weight, device="meta") for name, weight in weights.items()}
            if self._world.is_main:
                folder = unfinished_folder(snapshot.folder)
                save_model(export.model, export.tokenizer, folder, state_dict=weights)
            return
        assert self._group is not None, "a process alone has all weights"
        gathering = Gathering(snapshot.tensors, export.shown, self._group)
        self._shown, self._shapes = gathering.shown, gathering.shapes
        parts = WeightParts(self._shapes, gathering.gather)
        try:
            if self._world.is_main:
                folder = unfinished_folder(snapshot.folder)
                save_model(export.model, export.tokenizer, folder, state_dict=parts)
        finally:  # also where the disk is full: the others give all of theirs
            for name in parts.order(export.model)[gathering.num_gathered :]:
                gathering.gather(name)

    def _refer(self, snapshot: Snapshot) -> None:
        """Finds what need not be written again."""
        model, found = snapshot.export.model, References()
        if self._world.is_main and not has_adapter(model):
            found = references(unfinished_folder(snapshot.folder), model, self._shapes, self._shown)
        found = self._gathered(found)[0]
        others = self._gathered(differing(snapshot.tensors, found))
        self._elsewhere = {entry: parts for entry, parts in found.items() if not any(entry in each for each in others)}

    def _write_tensors(self, snapshot: Snapshot) -> None:
        rest = without(snapshot.tensors, self._elsewhere)
        save_tensors(unfinished_folder(snapshot.folder), rest, self._group, self._elsewhere)

    def _write_rest(self, snapshot: Snapshot) -> None:
        if self._world.is_main:
            save_training_state(unfinished_folder(snapshot.folder), snapshot.state)

    def _hash(self, snapshot: Snapshot) -> None:
        """Each process hashes its share, first of all what it has just written."""
        unfinished, problem = unfinished_folder(snapshot.folder), None
        sizes, found = dict[str, int](), dict[str, str]()
        try:
            sizes = sizes_in(unfinished) if self._world.is_main else {}
        except OSError as error:  # told when all have come as far as that
            problem = error
        sizes = self._gathered(sizes)[0]
        try:
            found = hashes_of(unfinished, share_of(sizes, self._world.rank, self._world.size))
        except OSError as error:
            problem = error
        self._hashes = {name: value for part in self._gathered(found) for name, value in part.items()}
        if problem is not None:
            raise problem

    def _commit(self, snapshot: Snapshot) -> None:
        if self._world.is_main:
            commit(snapshot.folder, snapshot.about, self._hashes)
            self._after()

    def _gathered(self, value: T) -> list[T]:
        if self._group is None:
            return [value]
        values = [value] * self._world.size
        dist.all_gather_object(values, value, group=self._group)
        return values

    def _agreed(self, problem: str | None) -> str | None:
        """The problem of any process."""
        return next((found for found in self._gathered(problem) if found is not None), None)
