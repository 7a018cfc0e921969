"""Packing: every token once, documents whole, labels and positions right at every boundary, logits as if alone."""

import itertools
import random
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from fgc_runtime.data import DataCollatorForCausalLM, PackedDataset, PackedStream, TextEncoder, train_bpe_tokenizer
from fgc_runtime.data.bins import best_fit_decreasing, first_fit_decreasing
from fgc_runtime.data.encoding import Encoded
from fgc_runtime.data.pieces import Piece, assembled, cut
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

STRATEGIES = ["greedy", "first_fit", "best_fit"]
IGNORED = -100


class NumberEncoder:
    """`"17 4"` to the ids 17 and 4, so that tests choose every token; each document's own `labels` may be marked."""

    key = "numbers"

    def encode(self, documents: Any) -> list[Encoded]:
        return [Encoded(numpy.array([int(word) for word in text.split()], dtype=numpy.int32)) for text in documents]


def numbered(lengths: list[int]) -> list[str]:
    """Documents in which every token occurs once: those of document d are 1000 d, 1000 d + 1, ..."""
    return [" ".join(str(1000 * d + n) for n in range(length)) for d, length in enumerate(lengths, start=1)]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    texts = ["def first(x):\n    return x + 1\n", "import os\n"] * 3
    return train_bpe_tokenizer(texts, vocab_size=290, cache_dir=tmp_path_factory.mktemp("cache"))


def examples(kind: str, lengths: list[int], tokenizer: Any, folder: Path, **options: Any) -> list[dict[str, Any]]:
    texts = numbered(lengths)
    if kind == "stream":
        made: Any = PackedStream(texts, tokenizer, encoder=NumberEncoder(), **options)
    else:
        made = PackedDataset(texts, tokenizer, encoder=NumberEncoder(), cache_dir=folder, **options)
        made = [made[number] for number in range(len(made))]
    return [{name: tensor.tolist() for name, tensor in example.items()} for example in made]


LENGTHS = [7, 3, 20, 9, 1, 45, 2, 8, 8, 16, 5, 33, 4]


@pytest.mark.parametrize("kind", ["dataset", "stream"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_token_comes_once_and_only_firsts_are_no_labels(
    kind: str, strategy: str, tokenizer: Any, tmp_path: Path
) -> None:
    packed = examples(kind, LENGTHS, tokenizer, tmp_path, block_size=16, strategy=strategy)
    tokens = [token for example in packed for token in example["input_ids"]]
    every = [token for text in numbered(LENGTHS) for token in map(int, text.split())]
    assert len(set(tokens)) == len(tokens)
    assert len(set(every) - set(tokens)) <= 1  # a block of a single token has nothing to predict and is left out
    for example in packed:
        assert len(example["input_ids"]) <= 16
        parts = zip(*(example[name] for name in ("input_ids", "labels", "position_ids", "sequence_ids")), strict=True)
        before = None
        for token, label, position, sequence in parts:
            goes_on = before is not None and token == before[0] + 1 and sequence == before[2]
            assert position == (before[1] + 1 if goes_on else 0)
            assert label == (token if goes_on else IGNORED)
            assert sequence == (0 if before is None else before[2] if goes_on else before[2] + 1)
            before = token, position, sequence


@pytest.mark.parametrize("kind", ["dataset", "stream"])
@pytest.mark.parametrize("strategy", ["first_fit", "best_fit"])
def test_documents_that_fit_a_block_stay_whole(kind: str, strategy: str, tokenizer: Any, tmp_path: Path) -> None:
    packed = examples(kind, LENGTHS, tokenizer, tmp_path, block_size=16, strategy=strategy)
    parts = {}
    for example in packed:
        for _, part in itertools.groupby(
            zip(example["sequence_ids"], example["input_ids"], strict=True), lambda x: x[0]
        ):
            tokens = [token for _, token in part]
            parts[tokens[0]] = len(tokens)
    assert {first: length for first, length in parts.items() if first < 3000} == {1000: 7, 2000: 3}
    assert [parts[3000], parts[3016]] == [16, 4]  # 20 tokens: a whole block and the rest
    assert [parts[6000], parts[6016], parts[6032]] == [16, 16, 13]


def test_d1_positions_of_a_block_that_continues_a_document_count_up(tokenizer: Any, tmp_path: Path) -> None:
    """The reference system gave every token before the first start the position 0."""
    packed = examples("dataset", [15, 9], tokenizer, tmp_path, block_size=8)
    assert packed[1]["position_ids"] == [0, 1, 2, 3, 4, 5, 6, 0]
    assert packed[1]["sequence_ids"] == [0, 0, 0, 0, 0, 0, 0, 1]
    assert packed[1]["labels"] == [IGNORED, 1009, 1010, 1011, 1012, 1013, 1014, IGNORED]


def test_d2_no_document_begins_twice(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    """The reference system began every document behind the first with two bos tokens."""
    texts = ["import os\n"] * 5
    dataset = PackedDataset(texts, tokenizer, 256, cache_dir=tmp_path)
    tokens = dataset[0]["input_ids"].tolist()
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    assert tokens.count(bos) == tokens.count(eos) == 5
    assert [bos, bos] not in [list(pair) for pair in itertools.pairwise(tokens)]
    for add_bos, add_eos in itertools.product([True, False], repeat=2):
        encoder = TextEncoder(tokenizer, add_bos=add_bos, add_eos=add_eos)
        (encoded,) = encoder.encode(texts[:1])
        assert (encoded.ids[0] == bos, encoded.ids[-1] == eos) == (add_bos, add_eos)


@pytest.mark.parametrize("kind", ["dataset", "stream"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_overlapping_parts_learn_each_token_once(kind: str, strategy: str, tokenizer: Any, tmp_path: Path) -> None:
    packed = examples(kind, [50], tokenizer, tmp_path, block_size=16, strategy=strategy, stride=5)
    labels = [label for example in packed for label in example["labels"] if label != IGNORED]
    assert sorted(labels) == list(range(1001, 1050))
    assert packed[1]["input_ids"][:6] == [1011, 1012, 1013, 1014, 1015, 1016]
    assert packed[1]["labels"][:6] == [IGNORED] * 5 + [1016]


@pytest.mark.parametrize("kind", ["dataset", "stream"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_short_parts_are_left_out(kind: str, strategy: str, tokenizer: Any, tmp_path: Path) -> None:
    packed = examples(kind, [18, 3, 6, 30], tokenizer, tmp_path, block_size=16, strategy=strategy, min_length=4)
    for example in packed:
        lengths = [len(list(part)) for _, part in itertools.groupby(example["sequence_ids"])]
        assert min(lengths) >= 4
    assert not any(2000 <= token < 3000 for example in packed for token in example["input_ids"])


@pytest.mark.parametrize("kind", ["dataset", "stream"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_truncation_leaves_out_what_exceeds_a_block(kind: str, strategy: str, tokenizer: Any, tmp_path: Path) -> None:
    packed = examples(kind, [40, 6], tokenizer, tmp_path, block_size=16, strategy=strategy, truncation=True)
    tokens = sorted(token for example in packed for token in example["input_ids"])
    assert tokens == [*range(1000, 1016), *range(2000, 2006)]


def test_without_isolation_all_but_context_is_learnt(tokenizer: Any, tmp_path: Path) -> None:
    packed = examples("dataset", [6, 6], tokenizer, tmp_path, block_size=16, isolate_documents=False)
    assert packed == [{"input_ids": packed[0]["input_ids"], "labels": packed[0]["input_ids"]}]


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    capacity=st.integers(2, 20),
)
def test_bins_hold_every_item_once_and_never_too_much(lengths: list[int], capacity: int) -> None:
    sizes = [min(length, capacity) for length in lengths]
    for place in (first_fit_decreasing, best_fit_decreasing):
        bins = place(sizes, capacity)
        assert sorted(item for chosen in bins for item in chosen) == list(range(len(sizes)))
        assert all(sum(sizes[item] for item in chosen) <= capacity for chosen in bins)
        least = -(-sum(sizes) // capacity)
        assert len(bins) <= 11 / 9 * least + 6 / 9 + len(sizes) * (least > len(sizes))  # Dosa 2007: 11/9 OPT + 6/9


def slowly(sizes: list[int], capacity: int, choose: Any) -> list[list[int]]:
    """The textbook's way, bin by bin."""
    bins: list[list[int]] = []
    for item in sorted(range(len(sizes)), key=lambda item: (-sizes[item], item)):
        rooms = [capacity - sum(sizes[i] for i in chosen) for chosen in bins]
        fitting = [number for number, room in enumerate(rooms) if room >= sizes[item]]
        if fitting:
            bins[choose(fitting, rooms)].append(item)
        else:
            bins.append([item])
    return bins


def test_fits_are_those_of_the_textbook() -> None:
    draw = random.Random(0)
    for _ in range(40):
        sizes = [draw.randint(1, 30) for _ in range(draw.randint(1, 60))]
        assert first_fit_decreasing(sizes, 30) == slowly(sizes, 30, lambda fitting, rooms: fitting[0])
        best = slowly(sizes, 30, lambda fitting, rooms: min(fitting, key=rooms.__getitem__))
        # which of two bins with the same room is taken changes what they hold, and not how full bins get
        fullness = [sorted(sum(sizes[i] for i in b) for b in bins) for bins in (best, best_fit_decreasing(sizes, 30))]
        assert fullness[0] == fullness[1]


@given(length=st.integers(1, 200), longest=st.integers(2, 40), data=st.data())
def test_parts_cover_a_document_without_gaps(length: int, longest: int, data: Any) -> None:
    stride = data.draw(st.integers(0, longest - 1))
    parts = list(cut(length, longest, stride=stride))
    own = [token for first, last, context in parts for token in range(first + context, last)]
    assert own == list(range(length))
    assert all(last - first <= longest for first, last, _ in parts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "worst_fit"}, r"strategy \('worst_fit'\) must be one of greedy, first_fit, best_fit"),
        ({"block_size": 1}, r"block_size \(1\) must be at least 2"),
        ({"stride": 16}, r"stride \(16\) must be at least 0 and below block_size \(16\)"),
        ({"stride": 10, "min_length": 7}, r"min_length \(7\) must be at least 1 and at most block_size - stride \(6\)"),
    ],
)
@pytest.mark.parametrize("kind", ["dataset", "stream"])
def test_mistakes_are_named(kind: str, options: dict[str, Any], message: str, tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        examples(kind, LENGTHS, tokenizer, tmp_path, **{"block_size": 16, **options})


def test_data_that_leaves_nothing_to_learn_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"min_length \(10\) leaves all documents out"):
        examples("dataset", [4, 5], tokenizer, tmp_path, block_size=16, min_length=10)
    with pytest.raises(ValueError, match="texts must not be empty"):
        PackedDataset([], tokenizer, 16, cache_dir=tmp_path)
    with pytest.raises(ValueError, match="texts hold no tokens"):
        PackedDataset([" "], tokenizer, 16, encoder=type("Nothing", (), {"key": "", "encode": lambda self, documents: [
            Encoded(numpy.array([], dtype=numpy.int32)) for _ in documents]})(), cache_dir=tmp_path)  # fmt: skip
    with pytest.raises(TypeError, match="must be a string, not list; conversations need encoder"):
        PackedDataset([[{"role": "user"}]], tokenizer, 16, cache_dir=tmp_path)


def test_a_packed_data_set_knows_all_of_its_content(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    """A resumed run compares it: one letter in one document of the middle is another data set."""
    texts = [f"import os{number}\n" for number in range(50)]
    other = [text.replace("os23", "os24") for text in texts]

    def fingerprint(texts: list[str], **options: Any) -> str:
        return PackedDataset(texts, tokenizer, 32, cache_dir=tmp_path, **options).fingerprint

    same = fingerprint(texts)
    assert fingerprint(list(texts)) == same
    assert len({same, fingerprint(other), fingerprint(texts, strategy="best_fit"), fingerprint(texts, stride=2)}) == 4


def test_texts_can_be_cut_at_a_pattern(tokenizer: PreTrainedTokenizerFast) -> None:
    (encoded,) = TextEncoder(tokenizer, cut_at=r"\n# END", add_bos=False, add_eos=False).encode(["import os\n# END\nx"])
    assert tokenizer.decode(encoded.ids) == "import os"


# ---- with models


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_packed_logits_are_those_of_each_document_alone(
    strategy: str, tokenizer: PreTrainedTokenizerFast, tmp_path: Path, tiny_model: Any
) -> None:
    model = tiny_model().eval()
    draw = random.Random(1)
    pieces = [Piece(numpy.array([draw.randrange(3, 64) for _ in range(n)], dtype=numpy.int32)) for n in (5, 1, 9, 2, 7)]
    example, short = assembled(pieces, isolate=True), assembled(pieces[:2], isolate=True)
    batch = DataCollatorForCausalLM(tokenizer)([example, short])
    batch.pop("labels")
    with torch.no_grad():
        together = model(**batch, use_cache=False).logits
        first = 0
        for piece in pieces:
            alone = model(input_ids=torch.from_numpy(piece.ids).long()[None], use_cache=False).logits[0]
            assert (together[0, first : first + len(piece)] - alone).abs().max() < 1e-5
            first += len(piece)


@pytest.mark.slow
def test_a_generated_models_packed_logits_are_those_of_each_document_alone(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    from fgc.api import Project

    config = tmp_path / "config.yaml"
    size = "hidden_size: 32\n    intermediate_size: 48\n    num_hidden_layers: 2\n    num_attention_heads: 2"
    changes = f"    == super()\n    vocab_size: {len(tokenizer)}\n    {size}\n"
    config.write_text(f"-- extends 'models/llama.yaml'\n\n[model_config]\n{changes}")
    torch.manual_seed(0)
    model = Project(config)("model")
    model = (model() if callable(model) and not isinstance(model, torch.nn.Module) else model).eval()
    texts = ["import os\n", "def first(x):\n    return x + 1\n", "x", "import os\n" * 5]
    dataset = PackedDataset(texts, tokenizer, 24, strategy="best_fit", cache_dir=tmp_path / "cache")
    batch = DataCollatorForCausalLM(tokenizer)([dataset[number] for number in range(len(dataset))])
    batch.pop("labels")
    with torch.no_grad():
        together = model(**batch, use_cache=False).logits
        for row, example in enumerate(dataset[number] for number in range(len(dataset))):
            for sequence in example["sequence_ids"].unique():
                places = (example["sequence_ids"] == sequence).nonzero().flatten()
                alone = model(input_ids=example["input_ids"][None, places], use_cache=False).logits[0]
                assert (together[row, places] - alone).abs().max() < 1e-5
