"""Tokens per second of loading prepared data alone, beside those of training a model of 100M parameters on this CPU.

python tests/benchmarks/bench_loading.py [--compare]

`--compare` also reads the same rows through `datasets` and from one flat file (numpy.memmap).
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy
import torch
from fgc_runtime.data import DataCollatorForCausalLM, PackedDataset, PreparedDataset
from fgc_runtime.data.encoding import Encoded
from fgc_runtime.data.packing import only_recipes
from fgc_runtime.data.prepared.preparing import Settings, prepare
from fgc_runtime.data.windows import MapWindows, Share, shuffled_order, window_loader
from transformers import LlamaConfig, LlamaForCausalLM

BLOCK, BATCH, NUM_DOCUMENTS, MEAN = 1024, 8, 40_000, 500


class Numbers:
    """Encodes a number as as many random tokens: what is measured is what comes behind."""

    key = "numbers"

    def encode(self, documents: Any) -> list[Encoded]:
        draw = numpy.random.default_rng(0)
        return [Encoded(draw.integers(0, 32_000, len(document), dtype=numpy.int32)) for document in documents]


def prepared(folder: Path) -> PreparedDataset:
    lengths = numpy.random.default_rng(1).integers(MEAN // 4, 2 * MEAN, NUM_DOCUMENTS)
    with only_recipes():
        dataset = PackedDataset(["x" * int(n) for n in lengths], None, BLOCK, strategy="best_fit", encoder=Numbers())  # type: ignore[arg-type]
    begin = time.perf_counter()
    manifest, _ = prepare(dataset, folder, target="t", tokenizer=None, settings=Settings(2), say=lambda _: None)
    taken_s = time.perf_counter() - begin
    print(f"prepared {manifest.num_tokens:,} tokens in {len(manifest.shards)} shards: {taken_s:.1f} s, 2 processes")
    return PreparedDataset(folder)


def rate(windows: Iterable[Any], count: int) -> float:
    """Tokens per second, from the second window on: what a worker needs to begin is left out."""
    iterator = iter(windows)
    next(iterator)
    begin, tokens = time.perf_counter(), 0
    for _ in range(count):
        window = next(iterator)
        tokens += sum(batch["input_ids"].numel() for batch in window.micro_batches)
    return tokens / (time.perf_counter() - begin)


def loading(dataset: PreparedDataset, workers: int) -> float:
    share = Share(BATCH, 4, 0, 1)
    windows = MapWindows(dataset, shuffled_order(len(dataset), seed=0, epoch=0), DataCollatorForCausalLM(), share)
    return rate(window_loader(windows, num_workers=workers), 200)


def training(dataset: PreparedDataset) -> float:
    config = LlamaConfig(
        vocab_size=32_000, hidden_size=640, intermediate_size=1792, num_hidden_layers=16, num_attention_heads=10,
        num_key_value_heads=10, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    print(f"model: {model.num_parameters() / 1e6:.0f}M parameters")
    optimizer = torch.optim.AdamW(model.parameters())
    batch = DataCollatorForCausalLM()([dataset[0]])

    def step() -> None:
        model(input_ids=batch["input_ids"], labels=batch["labels"]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    begin = time.perf_counter()
    for _ in range(2):
        step()
    return 2 * batch["input_ids"].numel() / (time.perf_counter() - begin)


def timed(read: Callable[[int], Any], count: int) -> float:
    order = numpy.random.default_rng(2).permutation(count).tolist()
    begin = time.perf_counter()
    tokens = sum(len(read(row)) for row in order)
    return tokens / (time.perf_counter() - begin)


def compare(dataset: PreparedDataset, folder: Path) -> None:
    import datasets

    rows = datasets.concatenate_datasets(
        [datasets.Dataset.from_file(str(path)) for path in sorted(folder.glob("*.arrow"))]
    ).with_format("numpy", columns=["input_ids"])
    flat = numpy.full((len(dataset), BLOCK), 0, numpy.uint16)
    for number in range(len(dataset)):
        ids = dataset[number]["input_ids"]
        flat[number, : len(ids)] = ids
    flat.tofile(folder / "flat.bin")
    mapped = numpy.memmap(folder / "flat.bin", numpy.uint16, "r").reshape(-1, BLOCK)
    from bisect import bisect_right

    def shard_row(row: int) -> Any:
        number = bisect_right(dataset._ends, row)
        return dataset._open[number].row(row - (dataset._ends[number - 1] if number else 0)).ids

    print("ids of single rows in random order, tokens/s:")
    print(f"  Arrow shards, as here     {timed(shard_row, len(dataset)):>14,.0f}")
    print(f"  the same through datasets {timed(lambda row: rows[row]['input_ids'], len(dataset)):>14,.0f}")
    print(f"  one flat file, memmap     {timed(lambda row: numpy.array(mapped[row]), len(dataset)):>14,.0f}")


def main() -> None:
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as place:
        dataset = prepared(Path(place) / "t")
        rates = {workers: loading(dataset, workers) for workers in (0, 1, 2, 4)}
        if "--compare" in sys.argv:
            compare(dataset, Path(place) / "t")
        trained = training(dataset)
    print(f"training: {trained:,.0f} tokens/s")
    for workers, loaded in rates.items():
        print(f"loading with {workers} workers: {loaded:>12,.0f} tokens/s, {loaded / trained:,.0f} times the training")


if __name__ == "__main__":
    main()
