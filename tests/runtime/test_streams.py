"""Streams: what comes out in which order, and that every one goes on from its state exactly, wherever it is cut."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from fgc_runtime.data import (
    DataCollatorForCausalLM,
    DocumentStream,
    FileStream,
    HubStream,
    InterleavedStream,
    PackedStream,
    ShuffledStream,
    TokenizedStream,
    table_files,
    train_bpe_tokenizer,
)
from fgc_runtime.data.stage import Stage, as_stage
from fgc_runtime.data.windows import Share, StreamWindows, Window
from transformers import PreTrainedTokenizerFast

WORDS = [f"{number} " + "word " * (number % 23) for number in range(150)]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    return train_bpe_tokenizer(WORDS, vocab_size=300, cache_dir=tmp_path_factory.mktemp("cache"))


class Repeatable:
    """An iterable without length or state."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.all = list(items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.all)


def plain(item: Any) -> Any:
    return {name: tensor.tolist() for name, tensor in item.items()} if isinstance(item, dict) else item


def mixed(**options: Any) -> InterleavedStream[Any]:
    sources = [
        ShuffledStream(WORDS[:40], buffer_size=7, seed=3),
        DocumentStream(WORDS[40:70], shuffle=True),
        WORDS[70:],
    ]
    return InterleavedStream(sources, weights=[1, 2, 3], seed=5, **options)


STAGES: dict[str, Callable[[], Stage[Any]]] = {
    "documents": lambda: DocumentStream(WORDS, shuffle=True, seed=1),
    "counted": lambda: as_stage(Repeatable(WORDS)),
    "shuffled": lambda: ShuffledStream(Repeatable(WORDS), buffer_size=40, seed=2),
    "interleaved": mixed,
    "interleaved until all": lambda: mixed(stopping="all_exhausted"),
    "interleaved once": lambda: mixed(stopping="each_once"),
    "shuffled twice": lambda: ShuffledStream(ShuffledStream(WORDS, buffer_size=20), buffer_size=30),
}


def resumes_anywhere(make: Callable[[], Stage[Any]], step: int = 1) -> None:
    """Cut behind every `step`-th item: the rest, and the pass after it, are those of a stage that was never cut."""
    whole = [plain(item) for item in make()]
    uncut = make()
    uncut.set_epoch(1)
    next_pass = [plain(item) for item in uncut]
    for count in range(0, len(whole) + 1, step):
        first = make()
        taken = [plain(item) for item in islice(iter(first), count)]
        again = make()
        again.load_state_dict(json.loads(json.dumps(first.state_dict())))
        rest = [plain(item) for item in again]
        assert taken + rest == whole, f"cut behind {count}"
        again.set_epoch(1)
        assert [plain(item) for item in again] == next_pass, f"the pass after a cut behind {count}"


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_goes_on_from_its_state(name: str) -> None:
    resumes_anywhere(STAGES[name], step=7)


@pytest.mark.parametrize("strategy", ["greedy", "first_fit", "best_fit"])
@pytest.mark.parametrize("options", [{}, {"stride": 3, "min_length": 4, "open_blocks": 5}])
def test_packing_goes_on_from_its_open_blocks(
    tokenizer: PreTrainedTokenizerFast, strategy: str, options: dict[str, int]
) -> None:
    make = partial(PackedStream, tokenizer=tokenizer, block_size=48, strategy=strategy, **options)
    resumes_anywhere(lambda: make(mixed(stopping="each_once")), step=5)


def test_examples_of_single_documents_go_on(tokenizer: PreTrainedTokenizerFast) -> None:
    resumes_anywhere(lambda: TokenizedStream(ShuffledStream(WORDS, buffer_size=50), tokenizer, 16), step=13)


def test_a_stage_that_is_read_again_begins_anew() -> None:
    stage = mixed()
    whole = list(stage)
    list(islice(iter(stage), 5))
    assert list(stage) == whole


# ---- order


def test_shuffling_keeps_every_item_and_changes_with_the_epoch() -> None:
    stage = ShuffledStream(WORDS, buffer_size=40, seed=2)
    first, again = list(stage), list(stage)
    stage.set_epoch(1)
    second = list(stage)
    assert first == again
    assert sorted(first) == sorted(second) == sorted(WORDS)
    assert first != WORDS
    assert first != second
    assert set(first[:40]) == set(WORDS[:40])  # blocks of the buffer's size
    orders = [[WORDS[:40].index(item) for item in first[:40]], [WORDS[40:80].index(item) for item in first[40:80]]]
    assert orders[0] != orders[1]


def test_an_iterator_is_refused_because_it_cannot_be_read_twice() -> None:
    with pytest.raises(TypeError, match=r"source \(list_iterator\) must be a sequence or an iterable that can be read"):
        ShuffledStream(iter(WORDS))
    with pytest.raises(ValueError, match=r"buffer_size \(1\) must be at least 2"):
        ShuffledStream(WORDS, buffer_size=1)


def test_sources_come_by_their_weights() -> None:
    """20,000 draws at 0.7: a deviation of sqrt(20000 * 0.21) = 65."""
    stream = InterleavedStream({"a": ["a"] * 10**6, "b": ["b"] * 10**6}, weights={"b": 3, "a": 7}, seed=11)
    counts = Counter(islice(iter(stream), 20_000))
    assert abs(counts["a"] - 14_000) < 4 * 65
    other = InterleavedStream([["a"] * 10**6, ["b"] * 10**6], weights=[7, 3], seed=12)
    assert list(islice(iter(stream), 50)) != list(islice(iter(other), 50))


def test_stopping_rules() -> None:
    short, long = [f"s{n}" for n in range(4)], [f"l{n}" for n in range(20)]
    make = partial(InterleavedStream, [short, long], seed=1)
    first = list(make(stopping="first_exhausted"))
    assert set(short) <= set(first)
    assert len(first) < 24
    once = list(make(stopping="each_once"))
    assert sorted(once) == sorted(short + long)
    until_all = Counter(make(stopping="all_exhausted"))
    assert all(until_all[item] == 1 for item in long)
    assert all(until_all[item] >= 2 for item in short)


def test_a_source_that_begins_again_has_another_order() -> None:
    few = DocumentStream([f"s{n}" for n in range(12)], shuffle=True)
    out = list(InterleavedStream([few, [f"l{n}" for n in range(60)]], seed=1, stopping="all_exhausted"))
    passes = [item for item in out if item.startswith("s")]
    assert sorted(passes[:12]) == sorted(passes[12:24])
    assert passes[:12] != passes[12:24]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sources": []}, "sources must not be empty"),
        ({"sources": [WORDS], "weights": [0]}, r"weights: that of 0 \(0\) must be above 0"),
        ({"sources": [WORDS], "weights": [1, 2]}, r"weights \(2 of them\) must be as many as sources \(1\)"),
        ({"sources": {"web": WORDS}, "weights": {"wbe": 1}}, r"weights \(wbe\) must name the sources: web"),
        ({"sources": [WORDS], "stopping": "never"}, r"stopping \('never'\) must be one of first_exhausted, "),
    ],
)
def test_mistakes_in_interleaving_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InterleavedStream(**arguments)


# ---- files


def tables(folder: Path) -> dict[str, Path]:
    """The same rows in every format; some of them blank."""
    import csv

    import pyarrow
    from pyarrow import parquet

    rows = [{"id": number, "text": None if number == 3 else text} for number, text in enumerate([*WORDS[:50], " "])]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    paths = {name: folder / f"rows.{name}" for name in ("jsonl", "jsonl.gz", "csv", "tsv", "parquet", "arrow")}
    paths["jsonl"].write_text(lines + "\n")
    with gzip.open(paths["jsonl.gz"], "wt") as file:
        file.write(lines)
    for name, delimiter in (("csv", ","), ("tsv", "\t")):
        with paths[name].open("w", newline="") as file:
            writer = csv.DictWriter(file, ["id", "text"], delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    table = pyarrow.Table.from_pylist(rows)
    parquet.write_table(table, paths["parquet"], row_group_size=8)
    with pyarrow.OSFile(str(paths["arrow"]), "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=9)
    stream = folder / "rows.stream.arrow"
    with pyarrow.OSFile(str(stream), "wb") as sink, pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=9)
    return {**paths, "arrow stream": stream}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return tables(tmp_path_factory.mktemp("tables"))


@pytest.mark.parametrize("name", ["jsonl", "jsonl.gz", "csv", "tsv", "parquet", "arrow", "arrow stream"])
def test_every_format_gives_the_same_texts_and_goes_on_anywhere(files: dict[str, Path], name: str) -> None:
    expected = [text for number, text in enumerate(WORDS[:50]) if number != 3]
    assert list(table_files(files[name])) == expected
    assert list(FileStream(files[name])) == expected
    resumes_anywhere(lambda: FileStream([files[name], files["jsonl"]]), step=9)


def test_a_stream_of_files_is_split_like_a_data_set(files: dict[str, Path]) -> None:
    parts = [list(FileStream(files["csv"], split, validation_fraction=0.3)) for split in ("train", "validation")]
    assert parts == [
        list(table_files(files["csv"], split, validation_fraction=0.3)) for split in ("train", "validation")
    ]
    assert all(parts)


def test_going_on_in_a_file_does_not_read_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": f"t{n}"}) + "\n" for n in range(10)))
    stream = FileStream(path)
    assert list(islice(iter(stream), 6))[-1] == "t5"
    state = stream.state_dict()
    content = path.read_bytes()
    path.write_bytes(b"!" * state["place"][0] + content[state["place"][0] :])  # what would be no JSON
    again = FileStream(path)
    again.load_state_dict(state)
    assert list(again) == ["t6", "t7", "t8", "t9"]


@pytest.mark.parametrize("name", ["jsonl", "csv", "parquet", "arrow", "arrow stream"])
def test_a_column_that_is_not_there_is_named_with_the_nearest(files: dict[str, Path], name: str) -> None:
    for read in (
        lambda: table_files(files[name], column="texts"),
        lambda: list(FileStream(files[name], column="texts")),
    ):
        with pytest.raises(
            ValueError, match=r"rows.*column \('texts'\) must be one of: id, text; did you mean 'text'\?"
        ):
            read()


def test_files_that_are_no_tables_or_not_there_are_named(tmp_path: Path, files: dict[str, Path]) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match=r"notes\.txt must end in \.jsonl, .*text_files reads plain texts"):
        table_files(tmp_path / "notes.txt")
    with pytest.raises(FileNotFoundError, match=r"no file matches .*; did you mean 'notes\.txt' in "):
        FileStream(tmp_path / "note.txt")
    with pytest.raises(ValueError, match=r"row 1 holds no text under column \('id'\), but int"):
        table_files(files["parquet"], column="id")
    assert list(FileStream(tmp_path / "notes.txt")) == ["x"]


@pytest.mark.slow
def test_streams_of_the_hub_go_on(files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    make = partial(HubStream, "parquet", data_files=str(files["parquet"]))
    assert list(make()) == [text for number, text in enumerate(WORDS[:50]) if number != 3]
    resumes_anywhere(make, step=11)
    with pytest.raises(ValueError, match=r"column \('txt'\) must be one of: id, text; did you mean 'text'\?"):
        make(column="txt")


# ---- what a resumed run compares


def test_fingerprints_change_with_whatever_changes_the_items(
    tokenizer: PreTrainedTokenizerFast, files: dict[str, Path]
) -> None:
    def packed(**changes: Any) -> str | None:
        settings = {"column": "text", "buffer_size": 9, "weights": [1, 2], "block_size": 32, "stride": 0, **changes}
        source = ShuffledStream(
            FileStream(files["jsonl"], column=settings["column"]), buffer_size=settings["buffer_size"]
        )
        other = DocumentStream(table_files(files["csv"]))
        mixed = InterleavedStream([source, other], weights=settings["weights"])
        return PackedStream(mixed, tokenizer, settings["block_size"], stride=settings["stride"]).fingerprint

    assert packed() == packed()
    changes = [{"column": "id"}, {"buffer_size": 8}, {"weights": [1, 3]}, {"block_size": 33}, {"stride": 2}]
    assert len({packed(), *(packed(**change) for change in changes)}) == 6
    assert isinstance(packed(), str)
    assert PackedStream(Repeatable(WORDS), tokenizer, 32).fingerprint is None  # only reading tells
    assert PackedStream(WORDS, tokenizer, 32).fingerprint is None


# ---- in training


class Counting(DocumentStream[str]):
    """Says how many documents were read."""

    read = 0

    def items(self) -> Iterator[str]:
        for item in super().items():
            self.read += 1
            yield item


def test_a_resumed_run_reads_on_and_computes_the_same(
    tokenizer: PreTrainedTokenizerFast, make_trainer: Any, tmp_path: Path, recorder_class: Any
) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    def train(folder: str, **arguments: Any) -> tuple[list[float], Counting]:
        documents = Counting(WORDS, shuffle=True)
        torch.manual_seed(0)
        size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        recorder = recorder_class()
        make_trainer(
            model=LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **size)),
            train_dataset=PackedStream(documents, tokenizer, 32, strategy="best_fit", open_blocks=4),
            processing_class=tokenizer,
            callbacks=[recorder],
            output_dir=tmp_path / folder,
            per_device_train_batch_size=8,
            max_steps=16,  # into the second epoch
            save_strategy="steps",
            save_steps=4,
            save_total_limit=None,
            **arguments,
        ).train()
        return recorder.losses, documents

    straight, all_read = train("straight")
    for step in (4, 8, 12):
        checkpoint = str(tmp_path / f"straight/checkpoints/checkpoint-{step}")
        for workers in (0, 1) if step == 8 else (0,):
            losses, read = train("resumed", resume_from_checkpoint=checkpoint, dataloader_num_workers=workers)
            assert losses == straight[step:]
            if not workers:  # a worker's count stays with it; 64 documents are encoded, and read again, at once
                assert all_read.read - read.read == {4: 64, 8: 64, 12: 150}[step]


@pytest.mark.parametrize("has_buffer", [False, True], ids=["in order", "shuffled"])
def test_a_stream_of_datasets_goes_on_twice_as_if_it_had_not_been_interrupted(
    make_trainer: Any, tmp_path: Path, examples: Any, has_buffer: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shuffle buffer is not in the state: huggingface/datasets, issues 7901 and 8308."""
    rows = [row["input_ids"].tolist() for row in examples(64)]

    def train(folder: str, *, max_steps: int, **arguments: Any) -> list[float]:
        stream = Dataset.from_dict({"input_ids": rows}).to_iterable_dataset(num_shards=4)
        trainer = make_trainer(
            train_dataset=stream.shuffle(seed=3, buffer_size=10) if has_buffer else stream,
            max_steps=max_steps,
            lr_scheduler_type="constant",
            output_dir=tmp_path / folder,
            save_strategy="steps",
            save_steps=4,
            **arguments,
        )
        trainer.train()
        losses: list[float] = trainer.callbacks[0].losses
        return losses

    straight = train("straight", max_steps=20)  # into the second epoch
    train("broken", max_steps=4)
    assert train("broken", max_steps=8, resume_from_checkpoint=True) == straight[4:8]
    assert train("broken", max_steps=20, resume_from_checkpoint=True) == straight[8:]
    told = "The data is read again up to where the run stands, 16 examples into its epoch"
    assert (told in capsys.readouterr().out) == has_buffer


def test_a_stream_goes_on_with_another_number_of_processes(tokenizer: PreTrainedTokenizerFast) -> None:
    """Two processes, then one: every example once, and the same ones in each step."""
    collate = DataCollatorForCausalLM(tokenizer)

    def windows(share: Share, state: Any = None) -> list[Window]:
        stream = PackedStream(ShuffledStream(WORDS, buffer_size=50), tokenizer, 32, strategy="best_fit")
        if state is not None:
            stream.load_state_dict(json.loads(json.dumps(state)))
        return list(StreamWindows(stream, collate, share))

    def rows(window: Window) -> list[list[int]]:
        batches = (batch["input_ids"] for batch in window.micro_batches)
        return [[token for token in row.tolist() if token != 2] for batch in batches for row in batch]

    straight = [rows(window) for window in windows(Share(4))]
    by_rank = [windows(Share(2, rank=rank, world_size=2)) for rank in range(2)]
    for number, pair in enumerate(zip(*by_rank, strict=True)):
        assert pair[0].stream_state == pair[1].stream_state
        both = [row for rank in pair if rank.num_label_tokens for row in rows(rank)]
        assert sorted(both) == sorted(straight[number])
    for state_of in by_rank:
        resumed = windows(Share(4), state_of[2].stream_state)
        assert [rows(window) for window in resumed] == straight[3:]


@pytest.mark.slow
def test_streams_work_in_torchdatas_stateful_loader(tokenizer: PreTrainedTokenizerFast) -> None:
    loader_class = pytest.importorskip("torchdata.stateful_dataloader").StatefulDataLoader
    make = lambda: PackedStream(ShuffledStream(WORDS, buffer_size=50), tokenizer, 32, strategy="best_fit")  # noqa: E731
    whole = [plain(example) for example in make()]
    for workers in (0, 1):
        loader = loader_class(make(), batch_size=None, num_workers=workers)
        reader = iter(loader)
        taken = [plain(next(reader)) for _ in range(20)]
        state = loader.state_dict()
        again = loader_class(make(), batch_size=None, num_workers=workers)
        again.load_state_dict(state)
        assert taken + [plain(example) for example in again] == whole
