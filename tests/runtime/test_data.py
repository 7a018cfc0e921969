"""Texts, the tokenizer trained on them, packed blocks, the collator, and the order in which examples are read."""

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.data import (
    DataCollatorForCausalLM,
    PackedDataset,
    TextDataset,
    TokenizedDataset,
    hub_dataset,
    jsonl_files,
    python_stdlib_sources,
    text_files,
    train_bpe_tokenizer,
)
from fgc_runtime.data.cache import cached_file, content_key
from fgc_runtime.data.sources import cut_by_position
from fgc_runtime.data.windows import MapWindows, Share, StreamWindows, shuffled_order
from transformers import PreTrainedTokenizerFast

TEXTS = ["def first(x):\n    return x + 1\n", "import os\n", "    # naïve café ☕ <|eos|> <|bos|>\n", "x" * 40]


@pytest.fixture
def tokenizer(tmp_path: Path) -> PreTrainedTokenizerFast:
    return train_bpe_tokenizer(TEXTS * 5, vocab_size=290, cache_dir=tmp_path / "cache")


# ---- sources


def test_the_standard_library_is_split_without_overlap_and_without_tests() -> None:
    train, validation = (python_stdlib_sources(split) for split in ("train", "validation"))
    both = python_stdlib_sources("all")
    assert len(train) + len(validation) == len(both)
    assert set(train).isdisjoint(validation)
    assert 0.01 < len(validation) / len(both) < 0.12
    assert (Path(sysconfig.get_path("stdlib")) / "argparse.py").read_text() in set(both)
    assert not any("site-packages" in text[:200] and "def " not in text for text in both)


def test_the_standard_library_can_be_bounded_and_is_the_same_each_time() -> None:
    texts = python_stdlib_sources("all", max_bytes=300_000)
    assert 100_000 < sum(len(text.encode()) for text in texts) <= 300_000
    assert list(texts) == list(python_stdlib_sources("all", max_bytes=300_000))
    more = set(python_stdlib_sources("all", max_bytes=600_000))
    assert set(texts) < more


def test_a_text_file_is_a_document(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "deep/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert list(text_files(str(tmp_path / "*.txt"))) == ["a.txt", "b.txt"]
    assert list(text_files(str(tmp_path / "**/*.txt"))) == ["a.txt", "b.txt", "deep/c.txt"]
    assert list(text_files([tmp_path / "b.txt", tmp_path / "a.txt"])) == ["b.txt", "a.txt"]


def test_a_separator_divides_a_file_and_blank_documents_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n---\n  \n---\ntwo")
    assert list(text_files(tmp_path / "a.txt", document_separator="---\n")) == ["one\n", "two"]


def test_adding_a_document_moves_no_other_to_another_split(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [json.dumps({"text": f"document {number}"}) for number in range(200)]
    path.write_text("\n".join(rows))
    before = set(jsonl_files(path, "validation", validation_fraction=0.2))
    path.write_text("\n".join(["", json.dumps({"text": "new"}), *rows]))
    after = set(jsonl_files(path, "validation", validation_fraction=0.2))
    assert after - {"new"} == before
    assert 20 < len(before) < 60


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"body": "x", "id": 1}', r"rows\.jsonl:2: column \('text'\) must be one of: body, id"),
        ('{"texts": "x", "id": 1}', r"must be one of: texts, id; did you mean 'texts'\?"),
        ('{"text": 5}', r"rows\.jsonl: row 2 holds no text under column \('text'\), but int"),
        ("[1]", r"rows\.jsonl:2 is no object with columns, but list"),
        ("{", r"rows\.jsonl:2 is not JSON"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "fine"}\n' + line + "\n")
    with pytest.raises(ValueError, match=message):
        jsonl_files(tmp_path / "rows.jsonl")


def test_mistakes_in_sources_are_named(tmp_path: Path) -> None:
    (tmp_path / "blank.txt").write_text(" \n")
    (tmp_path / "one.txt").write_text("one")
    with pytest.raises(FileNotFoundError, match=r"paths: no file matches '.*missing\*\.txt'"):
        text_files(tmp_path / "missing*.txt")
    with pytest.raises(ValueError, match=r"blank\.txt: there is no text"):
        text_files(tmp_path / "blank.txt")
    with pytest.raises(ValueError, match=r"split \('valid'\) must be one of train, validation, all"):
        text_files(tmp_path / "one.txt", "valid")
    with pytest.raises(ValueError, match=r"split 'validation' is empty with validation_fraction 0"):
        text_files(tmp_path / "one.txt", "validation", validation_fraction=0)
    with pytest.raises(ValueError, match="holds no documents"):
        TextDataset([], name="nothing")


def test_one_file_is_cut_at_a_paragraph_so_that_both_splits_have_text(tmp_path: Path) -> None:
    paragraphs = [f"Paragraph {number} says something." for number in range(200)]
    (tmp_path / "one.txt").write_text("\n\n".join(paragraphs))
    (train,), (validation,) = (text_files(tmp_path / "*.txt", split) for split in ("train", "validation"))
    assert train + validation == "\n\n".join(paragraphs)
    assert validation.startswith("Paragraph ") and train.endswith("\n\n")
    assert 0.03 < len(validation) / len(train) < 0.07


@pytest.mark.parametrize(
    ("documents", "train", "validation"),
    [
        (["one two"], ["one "], ["two"]),
        (["a line\nanother", "x"], ["a line\nanother"], ["x"]),
        (["word"], ["word"], []),
        ([[{"content": "a"}], [{"content": "b"}]], [[{"content": "a"}]], [[{"content": "b"}]]),
    ],
)
def test_few_documents_are_divided_by_their_position(documents: Any, train: Any, validation: Any) -> None:
    assert cut_by_position(documents, 0.05) == (train, validation)


def test_a_row_with_more_positions_than_the_model_has_is_refused(make_trainer: Any) -> None:
    rows = [{"input_ids": torch.ones(65, dtype=torch.long)}] * 4
    with pytest.raises(ValueError, match=r"a row of 65 tokens needs 65 positions; the model has 64"):
        make_trainer(train_dataset=rows, max_steps=1).train()
    halves = torch.cat([torch.arange(33), torch.arange(32)])
    packed = [{**row, "position_ids": halves, "sequence_ids": (halves == 0).cumsum(0)} for row in rows]
    make_trainer(train_dataset=packed, max_steps=1).train()


@pytest.mark.slow
def test_data_sets_of_the_hub_are_read_by_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"story": f"story {number}"}) + "\n" for number in range(10)))
    texts = hub_dataset("json", split="train[:50%]", column="story", data_files=str(path))
    assert list(texts) == [f"story {number}" for number in range(5)]
    with pytest.raises(ValueError, match=r"column \('text'\) must be one of: story"):
        hub_dataset("json", data_files=str(path))


# ---- tokenizer


def test_every_text_comes_back(tokenizer: PreTrainedTokenizerFast) -> None:
    for text in [*TEXTS[:2], "\x00\t  日本語 \U0001f600\r\n", "  leading"]:
        assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_special_tokens_are_distinct_and_bos_comes_first(tokenizer: PreTrainedTokenizerFast) -> None:
    assert [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id] == [0, 1, 2]
    assert tokenizer("import")["input_ids"][0] == tokenizer.bos_token_id
    assert len(tokenizer) <= 290


def test_tokenizers_are_the_same_in_every_process(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from fgc_runtime.data import python_stdlib_sources, train_bpe_tokenizer\n"
        "texts = python_stdlib_sources('train', max_bytes=200_000)\n"
        "print(train_bpe_tokenizer(texts, vocab_size=600, cache_dir=sys.argv[1]).backend_tokenizer.to_str())\n"
    )
    made = [
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / seed)],
            capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": seed},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert made[0] == made[1]
    assert len(json.loads(made[0])["model"]["vocab"]) == 600


def test_a_tokenizer_is_trained_once_per_texts_and_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fgc_runtime.data import tokenizer as module

    trained = []
    original = module._train
    monkeypatch.setattr(module, "_train", lambda *args: trained.append(1) or original(*args))
    for texts, vocab_size in [(TEXTS, 270), (TEXTS, 270), (TEXTS, 271), (TEXTS[:2], 270)]:
        train_bpe_tokenizer(texts, vocab_size=vocab_size, cache_dir=tmp_path)
    assert len(trained) == 3


def test_the_users_cache_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    train_bpe_tokenizer(TEXTS, vocab_size=270)
    assert len(list((tmp_path / "fgc/tokenizers").glob("*.json"))) == 1


def test_tokenizer_settings_are_checked() -> None:
    with pytest.raises(ValueError, match=r"vocab_size \(200\) must be at least 259"):
        train_bpe_tokenizer(TEXTS, vocab_size=200)
    with pytest.raises(ValueError, match="must be distinct"):
        train_bpe_tokenizer(TEXTS, vocab_size=300, pad_token="<|eos|>")


def test_old_files_go_in_the_cache_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for folder, is_kept in ((tmp_path / "cache/fgc/tokens", False), (tmp_path / "mine", True)):
        folder.mkdir(parents=True)
        old = folder / "old"
        old.write_text("")
        os.utime(old, (0, 0))
        for _ in range(2):  # built, then found
            cached_file(folder / "new", Path.touch)
        assert old.exists() == is_kept and (folder / "new").exists()


def test_a_cached_file_is_built_once_by_many_and_appears_whole(tmp_path: Path) -> None:
    built = []

    def build(path: Path) -> None:
        built.append(path)
        path.write_text("whole")

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: cached_file(tmp_path / "a/b", build), range(8)))
    assert len(built) == 1
    assert built[0] != paths[0]
    assert {path.read_text() for path in paths} == {"whole"}


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError

    with pytest.raises(OSError):
        cached_file(tmp_path / "file", fail)
    assert not (tmp_path / "file").exists()
    assert cached_file(tmp_path / "file", lambda path: path.touch()).exists()


def test_content_keys_keep_parts_apart() -> None:
    assert content_key(["ab", "c"]) != content_key(["a", "bc"])


# ---- packing


def packed(tokenizer: PreTrainedTokenizerFast, tmp_path: Path, size: int, **options: Any) -> PackedDataset:
    return PackedDataset(TEXTS, tokenizer, size, cache_dir=tmp_path / "cache", **options)


def test_blocks_end_to_end_are_the_documents(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    dataset = packed(tokenizer, tmp_path, 16)
    tokens = torch.cat([dataset[number]["input_ids"] for number in range(len(dataset))]).tolist()
    assert {len(dataset[number]["input_ids"]) for number in range(len(dataset) - 1)} == {16}
    assert tokens == [
        token
        for text in TEXTS
        for token in [0, *tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"], 1]
    ]
    assert dataset.num_tokens == len(tokens)


def test_the_text_of_a_special_token_is_only_text(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    dataset = packed(tokenizer, tmp_path, 10_000)
    tokens = dataset[0]["input_ids"].tolist()
    assert (tokens.count(0), tokens.count(1)) == (len(TEXTS), len(TEXTS))
    assert "<|eos|> <|bos|>" in tokenizer.decode(tokens)


def test_positions_restart_with_each_document_and_go_on_from_0_in_each_block(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    dataset = packed(tokenizer, tmp_path, 16)
    for example in (dataset[number] for number in range(len(dataset))):
        expected, position = [], 0
        for token in example["input_ids"].tolist():
            position = 0 if token == 0 else position
            expected.append(position)
            position += 1
        assert example["position_ids"].tolist() == expected
        is_start = example["position_ids"] == 0  # of a document, or of its part in this block
        assert (example["labels"][is_start] == -100).all()
        assert torch.equal(example["labels"][~is_start], example["input_ids"][~is_start])


def test_packed_documents_do_not_see_each_other(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, tiny_model: Callable[..., Any]
) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **size)).eval()
    example = packed(tokenizer, tmp_path, 10_000)[0]
    batch = DataCollatorForCausalLM(tokenizer)([example])
    batch.pop("labels")
    with torch.no_grad():
        together = model(**batch, use_cache=False).logits[0]
        starts = (example["input_ids"] == 0).nonzero().flatten().tolist()
        for first, last in zip(starts, [*starts[1:], len(together)], strict=True):
            alone = model(input_ids=example["input_ids"][None, first:last], use_cache=False).logits[0]
            # rotary angles are the same, attention sums in another order
            torch.testing.assert_close(together[first:last], alone, rtol=1e-4, atol=1e-6)


def test_without_isolation_attention_is_the_models_own(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    example = packed(tokenizer, tmp_path, 16, isolate_documents=False)[0]
    assert set(example) == {"input_ids", "labels"}
    assert torch.equal(example["input_ids"], example["labels"])


def test_packing_can_be_bounded_and_indexed_like_a_list(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    dataset = packed(tokenizer, tmp_path, 16, max_tokens=33)
    assert len(dataset) == 2  # a rest of one token predicts nothing
    assert torch.equal(dataset[-1]["input_ids"], dataset[1]["input_ids"])
    with pytest.raises(IndexError):
        dataset[2]
    with pytest.raises(ValueError, match=r"block_size \(1\) must be at least 2"):
        packed(tokenizer, tmp_path, 1)


def test_tokens_are_encoded_once(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fgc_runtime.data import packing

    packed(tokenizer, tmp_path, 16)
    monkeypatch.setattr(packing, "_encode", None)
    assert len(packed(tokenizer, tmp_path, 8)) > 0


def test_one_example_per_document(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    dataset = TokenizedDataset(TEXTS, tokenizer, 12, cache_dir=tmp_path / "cache")
    assert len(dataset) == len(TEXTS)
    for example, text in zip((dataset[number] for number in range(len(TEXTS))), TEXTS, strict=True):
        tokens = tokenizer(text, split_special_tokens=True, add_special_tokens=False)["input_ids"]
        assert example["input_ids"].tolist() == [0, *tokens, 1][:12]


# ---- collator


def test_padding_is_on_the_right_masked_and_no_label(tokenizer: PreTrainedTokenizerFast) -> None:
    batch = DataCollatorForCausalLM(tokenizer)([{"input_ids": [5, 6, 7]}, {"input_ids": torch.tensor([8])}])
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 2, 2]]
    assert batch["labels"].tolist() == [[5, 6, 7], [8, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_equally_long_examples_need_no_mask_and_keep_their_labels(tokenizer: PreTrainedTokenizerFast) -> None:
    batch = DataCollatorForCausalLM(tokenizer)([{"input_ids": [5, 1], "labels": [-100, 1]}] * 2)
    assert set(batch) == {"input_ids", "labels"}
    assert batch["labels"].tolist() == [[-100, 1]] * 2  # the real end of a document stays a label


def test_padded_positions_start_a_document_of_their_own(tokenizer: PreTrainedTokenizerFast) -> None:
    examples = [{"input_ids": [5, 6, 7], "position_ids": [0, 1, 0]}, {"input_ids": [8], "position_ids": [0]}]
    batch = DataCollatorForCausalLM(tokenizer, pad_to_multiple_of=4)(examples)
    assert batch["position_ids"].tolist() == [[0, 1, 0, 0], [0, 0, 0, 0]]
    assert "attention_mask" not in batch


def test_padding_changes_no_logit_of_a_real_token(
    tokenizer: PreTrainedTokenizerFast, tiny_model: Callable[..., Any]
) -> None:
    model = tiny_model().eval()
    rows = [torch.arange(3, 9), torch.arange(20, 23)]
    for extra in ({}, {"position_ids": True}):
        examples = [{"input_ids": row, **{name: torch.arange(len(row)) for name in extra}} for row in rows]
        batch = DataCollatorForCausalLM(tokenizer)(examples)
        batch.pop("labels")
        with torch.no_grad():
            together = model(**batch, use_cache=False).logits
            for logits, row in zip(together, rows, strict=True):
                torch.testing.assert_close(logits[: len(row)], model(input_ids=row[None]).logits[0])


def test_a_tokenizer_without_padding_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.pad_token = None
    with pytest.raises(ValueError, match="tokenizer must have a pad_token"):
        DataCollatorForCausalLM(tokenizer)


# ---- order and windows


def test_orders_are_permutations_fixed_by_seed_and_epoch() -> None:
    order = shuffled_order(100, seed=3, epoch=1)
    assert sorted(order.tolist()) == list(range(100))
    assert torch.equal(order, shuffled_order(100, seed=3, epoch=1))
    assert order[:5].tolist() == [11, 90, 85, 45, 46]  # so that a checkpoint means the same data everywhere
    others = [shuffled_order(100, seed=seed, epoch=epoch) for seed, epoch in [(3, 2), (4, 1), (4, 0)]]
    assert not any(torch.equal(order, other) for other in others)


def rows_of(windows: Any) -> list[list[list[int]]]:
    """Per window and micro-batch, the examples that are learnt from."""
    return [
        [batch["input_ids"][batch["labels"] != -100].tolist() for batch in window.micro_batches] for window in windows
    ]


def collate(examples: list[int]) -> Any:
    return {"input_ids": torch.tensor(examples)[:, None], "labels": torch.tensor(examples)[:, None]}


@pytest.mark.parametrize("kind", ["map", "stream"])
@pytest.mark.parametrize("start", [0, 8, 10])
def test_processes_share_out_each_window(kind: str, start: int) -> None:
    by_rank = []
    for share in (Share(2, 2, rank, 2) for rank in range(2)):
        rows = MapWindows(list(range(17)), torch.arange(17), collate, share, start=start)  # type: ignore[arg-type]
        stream = StreamWindows(range(17), collate, share, start=start)
        by_rank.append(rows_of(stream if kind == "stream" else [rows[number] for number in range(len(rows))]))
    expected = list(range(start, 17))
    assert sorted(row for ranks in by_rank for window in ranks for batch in window for row in batch) == expected
    for first, second in zip(*by_rank, strict=True):
        assert abs(sum(map(len, first)) - sum(map(len, second))) <= 1


def test_a_process_left_out_of_a_short_window_learns_nothing_but_takes_part() -> None:
    window = MapWindows([7], torch.arange(1), collate, Share(2, 1, 1, 2))[0]  # type: ignore[arg-type]
    assert window.num_label_tokens == 0
    assert window.num_examples == 1
    assert len(window.micro_batches) == 1
    assert (window.micro_batches[0]["labels"] == -100).all()
