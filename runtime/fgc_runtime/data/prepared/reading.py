"""A folder of shards to a data set of examples: each process reads the rows that it is asked for, and no others."""

import os
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from fgc_runtime.data.draws import draws_nothing
from fgc_runtime.data.pieces import Example
from fgc_runtime.data.prepared.manifest import (
    Manifest,
    note_verified,
    read_manifest,
    require_tokenizer,
    time_of,
    verified,
)
from fgc_runtime.data.prepared.rows import example_of
from fgc_runtime.data.prepared.shards import OpenShard, Shard, digest_of


@draws_nothing
class PreparedDataset(Dataset[Example]):
    """The examples that `fgc data prepare` wrote into the folder `path`, in the same order and with the same content.

    Each process of a training, and each of its data loading processes, reads its own rows; seed and epoch decide their
    order for any number of processes. `tokenizer` must be the one that made the ids. Files are memory-mapped. The
    content of each is compared with the manifest once; after that, as long as its size and time of change stay the
    same, it counts as unchanged. The processes of a machine share that work.

    Raises ValueError for a folder that is not complete, a file that is missing or changed, and another tokenizer.
    """

    def __init__(self, path: str | Path, tokenizer: PreTrainedTokenizerFast | None = None) -> None:
        self.path = Path(path)
        self._manifest = read_manifest(self.path)
        if tokenizer is not None and self._manifest.tokenizer is not None:
            require_tokenizer(self.path, self._manifest.tokenizer, tokenizer)
        verify_own_share(self.path, self._manifest)
        self._ends = list(accumulate(shard.num_examples for shard in self._manifest.shards))
        self._open: dict[int, OpenShard] = {}

    def __len__(self) -> int:
        return self._manifest.num_examples

    def __getitem__(self, index: int) -> Example:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index ({index}) must be below the number of examples ({len(self)})")
        row = index % len(self)
        number = bisect_right(self._ends, row)
        if number not in self._open:
            self._open[number] = OpenShard(self.path / self._manifest.shards[number].name)
        first = self._ends[number - 1] if number else 0
        return example_of(self._open[number].row(row - first), self._manifest.columns)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}  # a process that gets a copy opens the files itself

    @property
    def fingerprint(self) -> str:
        """Returns that of the data set which makes the same examples unprepared: a run may change between the two."""
        return self._manifest.fingerprint

    @property
    def num_tokens(self) -> int:
        """Returns the number of tokens in all examples together."""
        return self._manifest.num_tokens


def verify_own_share(folder: Path, manifest: Manifest) -> None:
    """Compares every file's size, and the content of those that changed; processes of one machine share the latter.

    Raises ValueError that names the first file which is missing or other than the manifest says.
    """
    known, right = verified(folder), {}
    size = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)  # unknown: each process reads all files
    rank = int(os.environ.get("LOCAL_RANK") or 0) % size
    for number, shard in enumerate(manifest.shards):
        status = _status(folder, shard)
        if known.get(shard.name) == status or number % size != rank:
            continue
        require_content(folder, shard)
        right[shard.name] = status
    if right:
        note_verified(folder, right)


def _status(folder: Path, shard: Shard) -> list[int]:
    try:
        status = time_of(folder / shard.name)
    except FileNotFoundError:
        raise ValueError(f"{folder / shard.name} is missing: {_REPAIR}") from None
    if not (folder / shard.name).is_file():  # a pipe would wait for ever
        raise ValueError(f"{folder / shard.name} is no file: {_REPAIR}")
    if status[0] != shard.size_bytes:
        size = f"it has {status[0]} bytes, and the manifest says {shard.size_bytes}"
        raise ValueError(f"{folder / shard.name} is not what was prepared: {size}; {_REPAIR}")
    return status


def require_content(folder: Path, shard: Shard) -> None:
    """Raises ValueError if a file is missing, or other than the manifest says."""
    _status(folder, shard)
    if digest_of(folder / shard.name) != shard.sha256:
        raise ValueError(f"{folder / shard.name} has changed since it was prepared: its SHA-256 is another; {_REPAIR}")


_REPAIR = "the same `fgc data prepare` again writes the data anew"
