"""A data set to a folder of shards, by several processes, going on where an earlier try ended.

Data sets that know their recipe (`PackedDataset`, `TokenizedDataset`) are made in two passes: documents to tokens,
chunk by chunk, and, when every length is known, the same blocks as in training to shards. Any other data set with a
length is written by row, and a stream in its order, with its state behind each shard. What is finished is a file under
its final name; a process that is killed leaves the rest to be done again.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from transformers import PreTrainedTokenizerFast

from fgc_runtime.data.cache import content_key
from fgc_runtime.data.packed_stream import encoding_in_processes
from fgc_runtime.data.packing import Recipe
from fgc_runtime.data.prepared.corpus import ChunkedCorpus, chunk_tasks, write_chunk
from fgc_runtime.data.prepared.manifest import (
    MANIFEST,
    WORK,
    Manifest,
    note_verified,
    read_manifest,
    time_of,
    tokenizer_record,
    write_json,
    write_manifest,
)
from fgc_runtime.data.prepared.processes import in_processes
from fgc_runtime.data.prepared.rows import Row, row_of
from fgc_runtime.data.prepared.shards import Shard, digest_of, dtype_of, write_shard
from fgc_runtime.data.samples import known_content, sampled_content
from fgc_runtime.data.stage import as_stage
from fgc_runtime.data.windows import is_stream, length_of

Say = Callable[[str], None]
_NUM_MEASURED = 100  # examples whose mean length decides how many a shard gets


@dataclass(frozen=True, slots=True)
class Settings:
    """Says how the work is divided; the examples do not depend on it, shards do."""

    num_processes: int = 1
    shard_tokens: int = 1 << 24


@dataclass(frozen=True, slots=True)
class Plan:
    """Holds what an earlier try must have had in common with this one, to be gone on with."""

    target: str
    fingerprint: str
    tokenizer: str
    shard_tokens: int


class CannotPrepare(ValueError):
    """The folder is of something else, or in use."""


def prepare(
    dataset: Any,
    folder: Path,
    *,
    target: str,
    tokenizer: PreTrainedTokenizerFast | None,
    settings: Settings,
    say: Say,
    is_forced: bool = False,
) -> tuple[Manifest, bool]:
    """Returns the manifest, and True if there was something to do.

    Raises CannotPrepare, ValueError for data that has no place in shards, and OSError, also for a full disk: what was
    done until then stays, and the next call goes on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work = _work_on(dataset)
    record = None if tokenizer is None else tokenizer_record(tokenizer)
    sources = work.sources()
    plan = Plan(
        target,
        work.fingerprint(sources),
        "" if record is None else record.sha256,
        settings.shard_tokens,
    )
    try:
        with FileLock(folder / ".lock", timeout=0):
            if is_forced:
                _clear(folder)
            complete = _complete(folder, plan, say)
            if complete is not None:
                return complete, False
            _begin(folder, plan)
            for left in folder.glob(".[0-9m]*.[0-9]*"):  # what a killed process has begun: `.NAME.PID`
                left.unlink()
            dtype = dtype_of(1 << 31 if tokenizer is None else len(tokenizer))
            shards, columns = work.write(folder, dtype, settings, say)
            manifest = Manifest(
                target=target,
                fingerprint=plan.fingerprint,
                columns=columns,
                num_examples=sum(shard.num_examples for shard in shards),
                num_tokens=sum(shard.num_tokens for shard in shards),
                tokenizer=record,
                sources=sources,
                shards=shards,
            )
            _end(folder, manifest)
            return manifest, True
    except Timeout:
        raise CannotPrepare(f"another `fgc data prepare` is writing into {folder}") from None


def _complete(folder: Path, plan: Plan, say: Say) -> Manifest | None:
    """Returns the manifest of a folder that needs no work; one with a missing or changed file loses its manifest."""
    if not (folder / MANIFEST).is_file():
        return None
    manifest = read_manifest(folder)
    earlier = ("" if manifest.tokenizer is None else manifest.tokenizer.sha256, manifest.fingerprint)
    if earlier != (plan.tokenizer, plan.fingerprint):
        what = "another tokenizer" if earlier[0] != plan.tokenizer else "other data, or other settings"
        raise CannotPrepare(f"{folder} was prepared from {what}: name another folder, or give --force to replace it")
    wrong = [shard.name for shard in manifest.shards if not _is_right(folder, shard)]
    if not wrong:
        shutil.rmtree(folder / WORK, ignore_errors=True)  # of a try that was killed as it ended
        return manifest
    say(f"{', '.join(wrong)} missing or changed: written again")
    (folder / MANIFEST).unlink()
    return None


def _is_right(folder: Path, shard: Shard) -> bool:
    path = folder / shard.name
    return path.is_file() and path.stat().st_size == shard.size_bytes and digest_of(path) == shard.sha256


def _begin(folder: Path, plan: Plan) -> None:
    path = folder / WORK / "plan.json"
    if path.is_file():
        earlier = Plan(**json.loads(path.read_bytes()))
        if earlier == plan:
            return
        names = [item.name for item in fields(plan) if getattr(earlier, item.name) != getattr(plan, item.name)]
        other = f"an unfinished preparation with another {' and '.join(names)}"
        raise CannotPrepare(f"{folder} holds {other}: name another folder, or give --force to replace it")
    _clear(folder)
    path.parent.mkdir()
    write_json(path, asdict(plan))


def _clear(folder: Path) -> None:
    """Removes what an earlier preparation has written, and nothing else."""
    (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder / WORK, ignore_errors=True)
    for path in folder.glob("[0-9]*.arrow"):
        path.unlink()


def _end(folder: Path, manifest: Manifest) -> None:
    write_manifest(folder, manifest)
    note_verified(folder, {shard.name: time_of(folder / shard.name) for shard in manifest.shards})
    shutil.rmtree(folder / WORK, ignore_errors=True)


def shard_name(number: int) -> str:
    """Returns the name of a shard's file."""
    return f"{number:05}.arrow"


class _Work:
    """A data set with a length, whose rows are written as they are."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        if length_of(dataset) == 0:
            raise ValueError(f"the data set ({type(dataset).__name__}) holds no examples")

    def sources(self) -> dict[str, str]:
        """Returns hashes by name; of a data set that says nothing of its content, that of some examples."""
        known = known_content(self.dataset)
        content = {"examples": known} if known else {"sampled": sha256(sampled_content(self.dataset)).hexdigest()}
        return {**content, **getattr(self.dataset, "file_hashes", {})}

    def fingerprint(self, sources: dict[str, str]) -> str:
        """Returns a hash of what the examples depend on, as far as that is known."""
        known = [f"{name} {value}" for name, value in sorted(sources.items())]
        return content_key([type(self.dataset).__qualname__, str(length_of(self.dataset)), *known])

    def write(self, folder: Path, dtype: str, settings: Settings, say: Say) -> tuple[list[Shard], list[str]]:
        """Returns the shards, and the columns of an example."""
        count = len(self.dataset)
        columns = list(self.dataset[0])
        lengths = [len(self.dataset[row]["input_ids"]) for row in range(min(count, _NUM_MEASURED))]
        each = max(1, settings.shard_tokens * len(lengths) // max(1, sum(lengths)))
        ranges = [range(first, min(first + each, count)) for first in range(0, count, each)]
        return _write_shards(folder, ranges, self.rows, dtype, settings, say), columns

    def rows(self, part: Sequence[int]) -> Iterator[Row]:
        """Returns the rows with these numbers."""
        return (row_of(self.dataset[number]) for number in part)


class _PackedWork(_Work):
    """A data set that knows its recipe, and has encoded nothing yet."""

    def __init__(self, dataset: Any) -> None:
        self.recipe: Recipe = dataset.recipe
        self._corpus: ChunkedCorpus | None = None
        self._blocks: list[Any] = []

    def sources(self) -> dict[str, str]:
        """Returns the hash of all documents with their encoding."""
        return {"documents": self.recipe.corpus_key(), **getattr(self.recipe.documents, "file_hashes", {})}

    def fingerprint(self, sources: dict[str, str]) -> str:
        """Returns that of the data set itself: its examples are the same."""
        return self.recipe.fingerprint(sources["documents"])

    def write(self, folder: Path, dtype: str, settings: Settings, say: Say) -> tuple[list[Shard], list[str]]:
        """Tokens first, then blocks."""
        recipe, count = self.recipe, len(self.recipe.documents)
        tasks = chunk_tasks(folder / WORK, recipe.documents)
        done = sum(task.num_documents for task in tasks if task.is_done)
        left = [task for task in tasks if not task.is_done]
        for task in in_processes(left, lambda task: write_chunk(task, recipe), settings.num_processes):
            done += task.num_documents
            say(f"encoded {done:,} of {count:,} documents")
        self._corpus = ChunkedCorpus(tasks)
        self._blocks = recipe.rule.blocks(self._corpus.ends)
        columns = ["input_ids", "labels", *(["position_ids", "sequence_ids"] if recipe.rule.isolate else [])]
        return _write_shards(folder, self._ranges(settings), self.rows, dtype, settings, say), columns

    def rows(self, part: Sequence[int]) -> Iterator[Row]:
        """Returns the blocks with these numbers."""
        assert self._corpus is not None, "documents are encoded before blocks are written"
        corpus, isolate = self._corpus, self.recipe.rule.isolate
        return (row_of(corpus.example(self._blocks[number], isolate=isolate)) for number in part)

    def _ranges(self, settings: Settings) -> list[range]:
        ranges, first, size = [], 0, 0
        for number, block in enumerate(self._blocks):
            size += sum(last - begin for begin, last, _ in block)
            if size >= settings.shard_tokens or number + 1 == len(self._blocks):
                ranges.append(range(first, number + 1))
                first, size = number + 1, 0
        return ranges


class _StreamWork(_Work):
    """A data set that can only be read in order."""

    def fingerprint(self, sources: dict[str, str]) -> str:
        """Returns another than the stream's: a training shuffles prepared examples, and takes a stream's in order."""
        return content_key(["prepared stream", super().fingerprint(sources)])

    def write(self, folder: Path, dtype: str, settings: Settings, say: Say) -> tuple[list[Shard], list[str]]:
        """One pass; `N.state.json` keeps where the stream stands behind shard N."""
        stage, work = as_stage(self.dataset), folder / WORK
        done: list[dict[str, Any]] = []
        while (path := work / f"{len(done):05}.state.json").is_file():
            done.append(json.loads(path.read_bytes()))
        shards = [Shard(**item["shard"]) for item in done]
        columns: list[str] = done[-1]["columns"] if done else []
        if done:
            stage.load_state_dict(done[-1]["state"])
            say(f"going on behind {len(shards)} shards")
        with encoding_in_processes(settings.num_processes):
            examples = iter(stage)
            while first := next(examples, None):
                columns = columns or list(first)
                rows = list(_until_full(first, examples, columns, settings.shard_tokens))
                shards.append(write_shard(folder / shard_name(len(shards)), rows, dtype))
                record = {"shard": asdict(shards[-1]), "columns": columns, "state": stage.state_dict()}
                write_json(work / f"{len(shards) - 1:05}.state.json", record)
                say(f"wrote {len(shards)} shards, {sum(shard.num_tokens for shard in shards):,} tokens")
        if not shards:
            raise ValueError(f"the stream ({type(self.dataset).__name__}) has yielded no example")
        return shards, columns


def _until_full(first: Any, examples: Iterator[Any], columns: Sequence[str], most_tokens: int) -> Iterator[Row]:
    example, size = first, 0
    while True:
        if list(example) != list(columns):
            raise ValueError(f"an example holds {', '.join(example)}, and the first one {', '.join(columns)}")
        row = row_of(example)
        size += len(row.ids)
        yield row
        if size >= most_tokens or (example := next(examples, None)) is None:
            return


def _write_shards(
    folder: Path,
    ranges: Sequence[range],
    rows_of: Callable[[Sequence[int]], Iterator[Row]],
    dtype: str,
    settings: Settings,
    say: Say,
) -> list[Shard]:
    """Writes those that are not there yet; a record beside the work says which are."""
    work = folder / WORK

    def write(number: int) -> int:
        shard = write_shard(folder / shard_name(number), list(rows_of(ranges[number])), dtype)
        write_json(work / f"{number:05}.shard.json", asdict(shard))
        return number

    def found(number: int) -> Shard | None:
        path = work / f"{number:05}.shard.json"
        shard = Shard(**json.loads(path.read_bytes())) if path.is_file() else None
        return shard if shard is not None and (folder / shard.name).is_file() else None

    left = [number for number in range(len(ranges)) if found(number) is None]
    for count, _ in enumerate(in_processes(left, write, settings.num_processes), start=len(ranges) - len(left) + 1):
        say(f"wrote {count:,} of {len(ranges):,} shards")
    shards = [found(number) for number in range(len(ranges))]
    return [shard for shard in shards if shard is not None]


def _work_on(dataset: Any) -> _Work:
    if isinstance(getattr(dataset, "recipe", None), Recipe):
        return _PackedWork(dataset)
    return _StreamWork(dataset) if is_stream(dataset) else _Work(dataset)


def usable_cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
