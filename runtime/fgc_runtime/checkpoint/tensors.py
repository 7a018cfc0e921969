"""Weights and optimizer state to files that any number of processes can read: torch.distributed.checkpoint.

Weights that lie in the model's own files are read from there, each process its part. A checkpoint holds numbers, not
code: its table of contents is JSON, and what is no tensor is refused.
"""

import dataclasses
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, ReadItem
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.checkpoint.storage import WriteResult
from torch.futures import Future

from fgc_runtime.checkpoint.contents import is_in_model, read_contents, write_contents
from fgc_runtime.checkpoint.manifest import DamagedCheckpoint
from fgc_runtime.checkpoint.parts import Box
from fgc_runtime.checkpoint.references import References
from fgc_runtime.full_disk import room_errors
from fgc_runtime.models.stored import NotStored, StoredTensor

Tensors = dict[str, Tensor]
Values = dict[str, object]

_FOLDER = "state"


# a process alone is no mistake, and torch says so at every load
warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)


class CheckpointMismatch(Exception):
    """A checkpoint of another model or another optimizer."""


def split(state: Mapping[str, Mapping[str, Any]]) -> tuple[Tensors, Values]:
    """A strategy's state as tensors, which may be sharded, and all other values; names as `model.<parameter>`."""
    flat = {f"{part}.{name}": value for part, values in state.items() for name, value in values.items()}
    tensors = {name: value for name, value in flat.items() if isinstance(value, Tensor)}
    return tensors, {name: value for name, value in flat.items() if name not in tensors}


def join(tensors: Tensors, values: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """`split` backwards."""
    state: dict[str, dict[str, Any]] = {"model": {}, "optimizer": {}}
    for name, value in {**tensors, **values}.items():
        part, _, rest = name.partition(".")
        state.setdefault(part, {})[rest] = value
    return state


class Staging:
    """Copies in the CPU's memory that later steps do not change. The memory is used again for the next checkpoint."""

    def __init__(self) -> None:
        options = StagingOptions(
            use_pinned_memory=torch.cuda.is_available(),
            use_shared_memory=False,
            use_async_staging=False,
            use_non_blocking_copy=torch.cuda.is_available(),
        )
        self._stager = DefaultStager(options)

    def copy(self, state: dict[str, Any]) -> dict[str, Any]:
        """The same structure; tensors that share memory still do."""
        copied = self._stager.stage(state)
        assert isinstance(copied, dict), "staging is not asynchronous"
        return copied


def save_tensors(
    folder: Path, tensors: Tensors, group: dist.ProcessGroup | None, elsewhere: References | None = None
) -> None:
    """Write each process's part; called on all processes of `group` together, None for a process alone.

    What lies `elsewhere` in `folder` is only named.
    """
    writer = _Writer(folder / _FOLDER, elsewhere or {})
    try:
        save(tensors, storage_writer=writer, process_group=group, no_dist=group is None)
    except CheckpointException as error:
        raise _first_cause(error) from None


def load_tensors(folder: Path, tensors: Tensors, *, world_size: int) -> None:
    """Fill `tensors` from a checkpoint, whatever number of processes wrote it. Raises CheckpointMismatch."""
    reader = _Reader(folder / _FOLDER)
    reader.read_metadata()  # torch would call it again, under another name, if it fails
    try:
        load(tensors, storage_reader=reader, planner=_TensorsOnly(), no_dist=world_size == 1)
    except CheckpointException as error:
        cause = _first_cause(error)
        if isinstance(cause, RuntimeError | ValueError):
            raise CheckpointMismatch(f"{folder} is of another model or optimizer: {cause}") from None
        raise cause from None


def read_all_tensors(folder: Path) -> Tensors:
    """Everything that a checkpoint holds, whole, without a model or an optimizer to hold it."""
    entries = _Reader(folder / _FOLDER).read_metadata().state_dict_metadata
    tensors = {
        name: torch.empty(entry.size, dtype=entry.properties.dtype)
        for name, entry in entries.items()
        if isinstance(entry, TensorStorageMetadata)
    }
    load_tensors(folder, tensors, world_size=1)
    return tensors


def _first_cause(error: CheckpointException) -> BaseException:
    """Returns what went wrong on the first process where something did; torch wraps it with all tracebacks."""
    rank = min(error.failures)
    return error.failures[rank][0]


class _TensorsOnly(DefaultLoadPlanner):
    """Refuses what is not a tensor: torch would unpickle it."""

    def load_bytes(self, read_item: Any, value: Any) -> None:
        raise pickle.UnpicklingError(f"{read_item.dest_index.fqn} is no tensor in the checkpoint")


class _Writer(FileSystemWriter):
    """Writes the table of contents as JSON too, and says where there is no room."""

    def __init__(self, folder: Path, elsewhere: References) -> None:
        super().__init__(folder, sync_files=True)
        self._elsewhere = elsewhere

    def write_data(self, *args: Any, **kwargs: Any) -> Any:
        with room_errors(Path(self.path)):  # here: an error that goes to other processes leaves its cause behind
            return super().write_data(*args, **kwargs)

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        super().finish(metadata, results)
        written = (part for parts in results for part in parts)
        metadata.storage_data = {part.index: part.storage_data for part in written}  # torch 2.9 sets it on a copy
        write_contents(Path(self.path), metadata, self._elsewhere)


class _Reader(FileSystemReader):
    """Reads the table of contents that cannot hold code, and parts of the model's files."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        metadata = read_contents(Path(self.path))
        assert metadata.storage_meta is not None, "read_contents makes one"
        metadata.storage_meta.load_id = self.load_id
        self._entries = metadata.state_dict_metadata
        return metadata

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        in_model = [item for item in plan.items if is_in_model(self.storage_data[item.storage_index].relative_path)]
        for item in in_model:
            self._read_from_model(item, planner)
        rest = [item for item in plan.items if item not in in_model] if in_model else plan.items
        return super().read_data(dataclasses.replace(plan, items=rest), planner)

    def _read_from_model(self, item: ReadItem, planner: LoadPlanner) -> None:
        entry, place = self._entries[item.storage_index.fqn], self.storage_data[item.storage_index]
        assert isinstance(entry, TensorStorageMetadata), "read_contents makes no others"
        shape = next(chunk.sizes for chunk in entry.chunks if chunk.offsets == item.storage_index.offset)
        path = Path(self.path).parent / place.relative_path
        stored = StoredTensor(path, place.offset, entry.properties.dtype, tuple(shape))
        if stored.size_bytes != place.length:
            raise DamagedCheckpoint(f"{path} is damaged: {item.storage_index.fqn} has other sizes than its bytes")
        target = planner.resolve_tensor(item).detach()
        try:
            target.copy_(Box(tuple(item.storage_offsets), tuple(item.lengths)).of(stored.tensor()))
        except (NotStored, OSError) as error:
            raise DamagedCheckpoint(f"{path} is damaged: {error}") from error
        planner.commit_tensor(item, target)
