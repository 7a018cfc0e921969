"""Rows of `datasets` to rows of tokens: each text once, whatever the way of cutting; what the trainer gets of it."""

import importlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, IterableDataset
from fgc_runtime.data import (
    DataCollatorForCausalLM,
    PackedDataset,
    block_rows,
    map_rows,
    token_rows,
    train_bpe_tokenizer,
)
from transformers import PreTrainedTokenizerFast

TEXTS = [f"text {number} " + "word " * (3 * number) for number in range(12)]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    return train_bpe_tokenizer(TEXTS, vocab_size=300, cache_dir=tmp_path_factory.mktemp("cache"))


def whole(tokenizer: PreTrainedTokenizerFast) -> list[list[int]]:
    return [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in TEXTS]


def test_texts_are_cut_into_blocks_that_hold_each_token_once(tokenizer: PreTrainedTokenizerFast) -> None:
    blocks = block_rows({"text": TEXTS}, tokenizer, max_length=15, truncation=True)
    assert max(map(len, blocks["input_ids"])) == 15
    assert [id_ for block in blocks["input_ids"] for id_ in block] == [id_ for row in whole(tokenizer) for id_ in row]
    assert set(blocks) == {"input_ids", "labels"}


def test_a_stride_repeats_tokens_as_context_that_is_no_label(tokenizer: PreTrainedTokenizerFast) -> None:
    blocks = block_rows({"text": TEXTS[-1:]}, tokenizer, max_length=16, stride=4)
    first, second = blocks["input_ids"][:2]
    assert second[:4] == first[-4:] and blocks["labels"][1][:4] == [-100] * 4
    learnt = [id_ for labels in blocks["labels"] for id_ in labels if id_ != -100]
    assert learnt == whole(tokenizer)[-1]


def test_without_overflow_a_text_is_cut_off(tokenizer: PreTrainedTokenizerFast) -> None:
    blocks = block_rows({"text": TEXTS}, tokenizer, max_length=16, overflow=False, min_len=8, add_eos=False)
    rows = [row[:-1] for row in whole(tokenizer)]
    assert blocks["input_ids"] == [row[:16] for row in rows if len(row) >= 8]
    assert block_rows({"text": TEXTS}, tokenizer, max_len=8)["input_ids"] == [
        r for r in whole(tokenizer) if len(r) <= 8
    ]


@pytest.mark.parametrize("strategy", ["greedy", "first_fit", "best_fit"])
def test_packed_blocks_are_those_of_a_packed_data_set(
    tokenizer: PreTrainedTokenizerFast, strategy: Any, tmp_path: Any
) -> None:
    blocks = block_rows({"text": TEXTS}, tokenizer, max_length=32, packed=True, packing_strategy=strategy)
    packed = PackedDataset(TEXTS, tokenizer, 32, strategy=strategy, cache_dir=tmp_path)
    for name in ("input_ids", "labels", "position_ids", "sequence_ids"):
        assert blocks[name] == [packed[place][name].tolist() for place in range(len(packed))]


def test_rows_are_mapped_and_the_trainer_gets_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    mapped = map_rows(Dataset.from_dict({"text": TEXTS, "other": TEXTS}), tokenizer, select_range=[1, -1])
    assert mapped.column_names == ["input_ids"] and len(mapped) == 10
    batch = DataCollatorForCausalLM(tokenizer)([mapped[0], mapped[1]])
    assert batch["input_ids"].shape[0] == 2
    options = {"truncation": True, "max_length": 5}
    cut = map_rows(Dataset.from_dict({"text": TEXTS}), tokenizer, fn_kwargs=options, select_range=0.5)
    assert len(cut) == 6 and max(len(row["input_ids"]) for row in cut) == 5
    ended = token_rows({"text": TEXTS}, tokenizer, add_eos=True)
    assert ended["input_ids"] == whole(tokenizer)
    padded = token_rows({"text": TEXTS}, tokenizer, add_eos=True, padding="max_length", max_length=64)
    assert padded == ended


_NOTES_ITS_CALLS = """
def note(rows, tokenizer, feature):
    with open({notes!r}, "a") as file:
        file.write("called\\n")
    return {{"input_ids": [[{number}] * 2] * len(rows[feature])}}
"""


def test_rows_are_mapped_once_for_all_who_want_them_until_the_function_changes(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    notes = tmp_path / "notes.txt"

    def mapped(max_length: int) -> Any:
        tokenizer(TEXTS[0], truncation=True, max_length=max_length)  # leaves its settings in the tokenizer
        rows = map_rows(Dataset.from_dict({"text": TEXTS}), tokenizer, map_fn=importlib.import_module("noting").note)
        return rows[0]["input_ids"], rows._fingerprint

    fingerprints = []
    for number in (1, 2):
        (tmp_path / "noting.py").write_text(_NOTES_ITS_CALLS.format(notes=str(notes), number=number))
        monkeypatch.delitem(sys.modules, "noting", raising=False)
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(mapped, [5, 6]))
        assert found[0] == found[1] and found[0][0] == [number] * 2
        assert len(notes.read_text().splitlines()) == number
        fingerprints.append(found[0][1])
    assert fingerprints[0] != fingerprints[1]


def test_rows_that_nobody_used_for_a_month_are_forgotten(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "cache/fgc/rows"

    def kept_after(num_rows: int, *, age_days: int) -> set[str]:
        for path in folder.glob("*"):
            os.utime(path, (time.time() - age_days * 86_400,) * 2)
        map_rows(Dataset.from_dict({"text": TEXTS[:num_rows]}), tokenizer)
        return {path.name for path in folder.glob("*.arrow")}

    first = kept_after(1, age_days=0)
    both = kept_after(2, age_days=29)
    assert len(first) == 1 and len(both) == 2 and first < both
    assert kept_after(1, age_days=29) == both  # used: young again
    assert kept_after(1, age_days=31) == first
    assert {path.stem for path in folder.glob("*.lock")} <= first


def test_a_stream_with_a_wanted_length_is_read_into_memory(tokenizer: PreTrainedTokenizerFast) -> None:
    stream = IterableDataset.from_generator(lambda: ({"words": text} for text in TEXTS))
    mapped = map_rows(
        stream, tokenizer, feature="words", map_fn=block_rows, fn_kwargs={"max_length": 8}, dataset_length=3
    )
    assert [row["input_ids"] for row in mapped] == block_rows({"text": TEXTS[:3]}, tokenizer, max_length=8)["input_ids"]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"stride": 8}, "stride"), ({"packing_strategy": "best"}, "strategy"), ({"min_len": 9}, "min_length")],
)
def test_a_wrong_option_is_named(tokenizer: PreTrainedTokenizerFast, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        block_rows({"text": TEXTS}, tokenizer, max_length=8, **options)
    with pytest.raises(ValueError, match="select_range"):
        map_rows(Dataset.from_dict({"text": TEXTS}), tokenizer, select_range=[1, 2, 3])
