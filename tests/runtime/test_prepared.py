"""Prepared data: the same examples as unprepared, wherever preparing was killed; bad files are named."""

import errno
import json
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from fgc_runtime.data import (
    FileStream,
    PackedDataset,
    PackedStream,
    PreparedDataset,
    ShuffledStream,
    TokenizedDataset,
    train_bpe_tokenizer,
)
from fgc_runtime.data.packing import only_recipes
from fgc_runtime.data.prepared import corpus
from fgc_runtime.data.prepared.__main__ import main
from fgc_runtime.data.prepared.preparing import CannotPrepare, Settings, prepare
from fgc_runtime.data.prepared.rows import example_of, row_of
from transformers import PreTrainedTokenizerFast

WORDS = [f"{number} " + "word " * (number % 23) for number in range(150)]
Made = Callable[[], Any]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    return train_bpe_tokenizer(WORDS, vocab_size=300, cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "_CHUNK_CHARACTERS", 1500)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")


def silent(_: str) -> None:
    pass


def prepared(made: Made, folder: Path, tokenizer: Any, *, jobs: int = 1, **options: Any) -> PreparedDataset:
    with only_recipes():
        dataset = made()
    settings = Settings(jobs, 700)
    prepare(dataset, folder, target="t", tokenizer=tokenizer, settings=settings, say=silent, **options)
    return PreparedDataset(folder, tokenizer)


def plain(examples: Any) -> list[dict[str, list[int]]]:
    return [{name: tensor.tolist() for name, tensor in example.items()} for example in examples]


class Marking:
    """Every third token is no label."""

    key = "marking"

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        from fgc_runtime.data import TextEncoder

        self._inner = TextEncoder(tokenizer)

    def encode(self, documents: Any) -> Any:
        from fgc_runtime.data.encoding import Encoded

        found = self._inner.encode(documents)
        return [Encoded(item.ids, torch.arange(len(item.ids)).remainder(3).bool().numpy()) for item in found]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strategy": "best_fit"},
        {"isolate_documents": False, "stride": 3, "min_length": 4},
        {"max_tokens": 900},
        {"marks": True, "strategy": "first_fit"},
    ],
)
@pytest.mark.parametrize("jobs", [1, 2])
def test_prepared_blocks_are_those_of_the_unprepared_data_set(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, options: dict[str, Any], jobs: int
) -> None:
    given = {name: value for name, value in options.items() if name != "marks"}
    given |= {"encoder": Marking(tokenizer)} if "marks" in options else {}

    def made() -> PackedDataset:
        return PackedDataset(WORDS, tokenizer, 32, cache_dir=tmp_path / "cache", **given)

    unprepared, kept = made(), prepared(made, tmp_path / "kept", tokenizer, jobs=jobs)
    assert len(list((tmp_path / "kept").glob("*.arrow"))) > 1 or "max_tokens" in options
    assert plain(kept) == plain(unprepared)
    assert kept.fingerprint == unprepared.fingerprint  # a run may go on with either


def test_documents_one_by_one_and_rows_of_any_data_set_are_kept_as_they_are(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    def documents() -> TokenizedDataset:
        return TokenizedDataset(WORDS, tokenizer, 20, cache_dir=tmp_path / "cache")

    assert plain(prepared(documents, tmp_path / "documents", tokenizer)) == plain(documents())
    rows = [{"input_ids": [1, 2, number], "labels": [-100, 2, number]} for number in range(500)]
    assert plain(prepared(lambda: rows, tmp_path / "rows", None, jobs=2)) == rows


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_stream_is_kept_in_its_order_and_goes_on_behind_its_last_shard(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, jobs: int
) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in WORDS * 4))

    def stream() -> PackedStream:
        source: Any = ShuffledStream(FileStream(tmp_path / "a.jsonl"), buffer_size=50, seed=3)
        return PackedStream(source, tokenizer, 32, strategy="best_fit", open_blocks=5)

    folder = tmp_path / "kept"
    expected = plain(stream())
    assert plain(prepared(stream, folder, tokenizer, jobs=jobs)) == expected
    first = {path.name: path.read_bytes() for path in folder.glob("*.arrow")}
    assert len(first) > 3
    assert _killed_somewhere(lambda: prepared(stream, tmp_path / "killed", tokenizer), at=7)
    states = list((tmp_path / "killed/.work").glob("*.state.json"))
    assert 0 < len(states) < len(first)
    assert plain(prepared(stream, tmp_path / "killed", tokenizer, jobs=jobs)) == expected
    assert {path.name: path.read_bytes() for path in (tmp_path / "killed").glob("*.arrow")} == first


def _killed_somewhere(work: Callable[[], Any], *, at: int) -> bool:
    """Runs `work` in a process that dies, as by kill -9, before the n-th file gets its name; True if it came so far."""
    child = os.fork()
    if child == 0:
        count, replace = 0, Path.replace

        def replace_or_die(self: Path, target: Any) -> Any:
            nonlocal count
            count += 1
            if count == at:
                os._exit(9)
            return replace(self, target)

        Path.replace = replace_or_die  # type: ignore[method-assign]
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_preparing_goes_on_wherever_it_was_killed(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    def made() -> PackedDataset:
        return PackedDataset(WORDS, tokenizer, 32, strategy="best_fit", cache_dir=tmp_path / "cache")

    expected, at = plain(made()), 1
    while _killed_somewhere(partial(prepared, made, tmp_path / f"killed{at}", tokenizer), at=at):
        folder = tmp_path / f"killed{at}"
        if not (folder / "manifest.json").exists():
            with pytest.raises(ValueError, match=r"is not complete|holds no prepared data"):
                PreparedDataset(folder)
        assert plain(prepared(made, folder, tokenizer)) == expected, f"killed before file {at}"
        assert {path.name for path in folder.iterdir()} >= {"manifest.json", "00000.arrow"}
        assert not list(folder.glob(".*.arrow.*")), "what a killed process has begun is removed"
        at += 2
    assert at > 24


def test_what_was_done_is_not_done_again(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made() -> PackedDataset:
        return PackedDataset(WORDS, tokenizer, 32, cache_dir=tmp_path / "cache")

    assert _killed_somewhere(lambda: prepared(made, tmp_path / "kept", tokenizer), at=12)
    left = [path.name for path in (tmp_path / "kept/.work").glob("*.tokens")]
    encoded: list[int] = []
    write = corpus.write_chunk
    monkeypatch.setattr(
        "fgc_runtime.data.prepared.preparing.write_chunk",
        lambda chunk, recipe: encoded.append(chunk.number) or write(chunk, recipe),  # type: ignore[func-returns-value]
    )
    prepared(made, tmp_path / "kept", tokenizer)
    assert left and not {f"{number:05}.tokens" for number in encoded} & set(left)


def test_missing_and_changed_files_are_named_and_written_again(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    def made() -> PackedDataset:
        return PackedDataset(WORDS, tokenizer, 32, cache_dir=tmp_path / "cache")

    folder = tmp_path / "kept"
    expected = plain(prepared(made, folder, tokenizer))
    victim = folder / "00001.arrow"
    content = victim.read_bytes()
    for damaged in (None, content[:-8], bytes([*content[:-20], content[-20] ^ 1, *content[-19:]])):
        victim.unlink()
        if damaged is not None:
            victim.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"00001\.arrow (is missing|is not what was prepared|has changed)"):
            PreparedDataset(folder, tokenizer)
        assert plain(prepared(made, folder, tokenizer)) == expected
    victim.write_bytes(content[::-1])
    os.utime(victim, ns=tuple(json.loads((folder / ".verified.json").read_text())["00001.arrow"][1:] * 2))
    assert main(["verify", str(folder)]) == 1  # the same size and time: only reading tells


def test_another_tokenizer_is_refused_and_padding_is_none(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    def made() -> PackedDataset:
        return PackedDataset(WORDS, tokenizer, 32, cache_dir=tmp_path / "cache")

    prepared(made, tmp_path / "kept", tokenizer)
    other = train_bpe_tokenizer(WORDS[:50], vocab_size=300, cache_dir=tmp_path / "cache")
    with pytest.raises(
        ValueError, match=r"tokenizer: .* was prepared with .* \(\d+ tokens, sha256 .*another|their ids"
    ):
        PreparedDataset(tmp_path / "kept", other)
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    again = PreTrainedTokenizerFast.from_pretrained(tmp_path / "tokenizer")
    again(["a", "b c"], padding=True)  # batches change the tokenizer's own settings
    assert len(PreparedDataset(tmp_path / "kept", again)) > 0


def test_a_folder_of_something_else_is_refused(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    def made(texts: list[str], size: int) -> Made:
        return lambda: PackedDataset(texts, tokenizer, size, cache_dir=tmp_path / "cache")

    prepared(made(WORDS, 32), tmp_path / "kept", tokenizer)
    with pytest.raises(CannotPrepare, match="was prepared from other data, or other settings"):
        prepared(made(WORDS[1:], 32), tmp_path / "kept", tokenizer)
    assert _killed_somewhere(lambda: prepared(made(WORDS, 32), tmp_path / "begun", tokenizer), at=9)
    with pytest.raises(CannotPrepare, match="unfinished preparation with another fingerprint"):
        prepared(made(WORDS, 16), tmp_path / "begun", tokenizer)
    kept = prepared(made(WORDS, 16), tmp_path / "begun", tokenizer, is_forced=True)
    assert plain(kept) == plain(made(WORDS, 16)())
    with pytest.raises(ValueError, match=r"holds begun, kept: name one of these"):
        PreparedDataset(tmp_path)


def test_other_rows_of_a_data_set_that_says_nothing_of_itself_are_other_data(tmp_path: Path) -> None:
    def made(second: int, as_row: Callable[[list[int]], Any]) -> Made:
        return lambda: [{"input_ids": as_row([1, second, number])} for number in range(40)]

    for name, as_row in {"list": list, "tensor": torch.tensor, "array": numpy.array}.items():
        prepared(made(2, as_row), tmp_path / name, None)
        prepared(made(2, as_row), tmp_path / name, None)
        with pytest.raises(CannotPrepare, match="was prepared from other data"):
            prepared(made(3, as_row), tmp_path / name, None)


def test_the_processes_of_each_machine_read_all_files_once(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kept"
    prepared(lambda: TokenizedDataset(WORDS, tokenizer, 20, cache_dir=tmp_path / "cache"), folder, tokenizer)
    names = sorted(path.name for path in folder.glob("*.arrow"))
    read: list[str] = []
    monkeypatch.setattr(
        "fgc_runtime.data.prepared.reading.require_content",
        lambda _, shard: read.append(shard.name),
    )
    for machine in range(2):
        (folder / ".verified.json").unlink()  # each machine has a copy of the folder
        read.clear()
        for start in range(2):  # the second one reads nothing
            for rank in range(2):
                own = {"RANK": 2 * machine + rank, "WORLD_SIZE": 4, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": 2}
                for name, value in own.items():
                    monkeypatch.setenv(name, str(value))
                PreparedDataset(folder, tokenizer)
            assert sorted(read) == names, f"machine {machine}, start {start}"
    (folder / ".verified.json").unlink()
    monkeypatch.delenv("LOCAL_WORLD_SIZE")  # another launcher
    read.clear()
    PreparedDataset(folder, tokenizer)
    assert sorted(read) == names


def test_a_full_disk_is_one_line_and_the_work_goes_on(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "program.py").write_text("def construct():\n    return None\n")
    dataset = PackedDataset(WORDS, tokenizer, 32, cache_dir=tmp_path / "cache")
    with only_recipes():
        recipe = PackedDataset(WORDS, tokenizer, 32, cache_dir=tmp_path / "cache")
    words = ["prepare", str(tmp_path / "program.py"), "--folder", str(tmp_path / "kept"), "--shard-tokens", "700"]
    words += ["--jobs", "1", "--targets", "t", "--names", "t", "tokenizer"]
    monkeypatch.setattr("fgc_runtime.data.__main__.constructed", lambda *_: {"t": recipe, "tokenizer": tokenizer})
    with monkeypatch.context() as full:
        count = 0

        def fsync(_: int) -> None:
            nonlocal count
            count += 1
            if count == 13:
                raise OSError(errno.ENOSPC, "No space left on device")

        full.setattr(os, "fsync", fsync)
        assert main(words) == 1
    error = capsys.readouterr().err
    last = error.splitlines()[-1]
    why = "the disk is full (No space left on device)"
    assert last == f"fgc data: {tmp_path / 'kept'}: {why}; with more room the same command goes on from here"
    assert main(words) == 0
    assert plain(PreparedDataset(tmp_path / "kept/t", tokenizer)) == plain(dataset)


def test_a_manifest_of_somebody_else_names_no_other_files_and_waits_for_none(tmp_path: Path) -> None:
    shard = {"name": "00000.arrow", "num_examples": 1, "num_tokens": 1, "size_bytes": 0, "sha256": ""}
    record = {"version": 1, "target": "t", "fingerprint": "", "columns": [], "num_examples": 1, "num_tokens": 1}
    record |= {"tokenizer": None, "sources": {}, "shards": [shard]}
    manifest = tmp_path / "manifest.json"
    for text in (json.dumps(record).replace("00000.arrow", "../0.arrow"), "[" * 100_000, "[]"):
        manifest.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=r"manifest\.json is no manifest of prepared data"):
            PreparedDataset(tmp_path)
    manifest.write_text(json.dumps(record), encoding="utf-8")
    os.mkfifo(tmp_path / "00000.arrow")
    with pytest.raises(ValueError, match=r"00000\.arrow is no file"):
        PreparedDataset(tmp_path)


def test_rows_hold_any_labels_and_refuse_what_does_not_follow() -> None:
    draw = random.Random(0)
    for _ in range(200):
        lengths = [draw.randint(1, 6) for _ in range(draw.randint(1, 4))]
        ids = torch.tensor([draw.randint(0, 99) for _ in range(sum(lengths))])
        labels = torch.where(torch.rand(len(ids)) < 0.3, -100, ids)
        packed = {"input_ids": ids, "labels": labels}
        packed |= {
            "position_ids": torch.cat([torch.arange(length) for length in lengths]),
            "sequence_ids": torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths)),
        }
        for example in (packed, {"input_ids": ids}, {"labels": labels, "input_ids": ids}):
            assert plain([example_of(row_of(example), list(example))]) == plain([example])
    with pytest.raises(ValueError, match="position_ids of an example is none that follows"):
        row_of({**packed, "position_ids": torch.arange(len(ids)) + 1})
    with pytest.raises(ValueError, match=r"labels of an example"):
        row_of({"input_ids": [1, 2], "labels": [1, 3]})
    with pytest.raises(ValueError, match=r"it holds .*pixels"):
        row_of({"input_ids": [1], "pixels": [2]})
