"""Packing efficiency, speed of the data pipeline, packed against separate logits, steps per second of the optimizers.

python tests/benchmarks/bench_data.py
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from fgc_runtime.data import (
    DataCollatorForCausalLM,
    PackedDataset,
    PackedStream,
    ShuffledStream,
    TextEncoder,
    python_stdlib_sources,
    train_bpe_tokenizer,
)
from fgc_runtime.data.windows import Share, StreamWindows
from fgc_runtime.optim import Adafactor, Apollo, BFloat16AdamW, GaLore, Lion, SinkGD, muon, weight_decay_groups
from transformers import LlamaConfig, LlamaForCausalLM

BYTES = 6_000_000


def seconds(work: Callable[[], Any]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def packing(texts: Any, tokenizer: Any) -> None:
    print("packing: share of blocks that is no padding, seconds to pack")
    for block_size in (256, 1024, 4096):
        for strategy in ("greedy", "first_fit", "best_fit"):
            PackedDataset(texts, tokenizer, block_size)  # encoded
            begin = time.process_time()
            dataset = PackedDataset(texts, tokenizer, block_size, strategy=strategy)
            packed_s = time.process_time() - begin
            stream = PackedStream(texts, tokenizer, block_size, strategy=strategy)
            lengths = [len(example["input_ids"]) for example in stream]
            in_stream = sum(lengths) / (len(lengths) * block_size)
            print(
                f"  {block_size:>5} {strategy:<10} {dataset.efficiency:.4f}  stream {in_stream:.4f}  {packed_s:.2f} s"
            )


def speed(texts: Any, tokenizer: Any) -> None:
    encoder = TextEncoder(tokenizer)
    total = 0

    def encode() -> None:
        nonlocal total
        total = sum(len(item.ids) for item in encoder.encode(list(texts)))

    encode_s = seconds(encode)
    print(f"encoding alone: {total / encode_s:,.0f} tokens/s")
    collate = DataCollatorForCausalLM(tokenizer)
    for strategy in ("greedy", "best_fit"):
        stream = PackedStream(ShuffledStream(texts, buffer_size=500), tokenizer, 1024, strategy=strategy)
        windows = StreamWindows(stream, collate, Share(8))
        counted = 0
        begin = time.process_time()
        for window in windows:
            counted += sum(batch["input_ids"].numel() for batch in window.micro_batches)
        print(f"whole stream, {strategy}: {counted / (time.process_time() - begin):,.0f} tokens/s")
    dataset = PackedDataset(texts, tokenizer, 1024)
    begin = time.process_time()
    counted = sum(collate([dataset[n] for n in range(k, k + 8)])["input_ids"].numel() for k in range(0, 1000, 8))
    print(f"packed data set, from the cache: {counted / (time.process_time() - begin):,.0f} tokens/s")


def model(vocab_size: int = 2000) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocab_size, hidden_size=256, intermediate_size=768, num_hidden_layers=4, num_attention_heads=4
        )
    )


def logits(texts: Any, tokenizer: Any) -> None:
    network = model(len(tokenizer)).eval()
    dataset = PackedDataset(texts, tokenizer, 1024, strategy="best_fit", max_tokens=60_000)
    largest, count = 0.0, 0
    for number in range(0, len(dataset), max(1, len(dataset) // 8)):
        example = dataset[number]
        batch = {name: example[name][None] for name in ("input_ids", "position_ids")}
        with torch.no_grad():
            together = network(**batch, use_cache=False).logits[0]
            for sequence in example["sequence_ids"].unique():
                places = (example["sequence_ids"] == sequence).nonzero().flatten()
                alone = network(input_ids=example["input_ids"][None, places], use_cache=False).logits[0]
                largest = max(largest, (together[places] - alone).abs().max().item())
                count += 1
    print(f"packed against separate: largest logit difference {largest:.2e} over {count} documents")


def training_step(tokens: int = 8 * 512) -> None:
    network = model()
    inputs = torch.randint(0, 2000, (8, 512))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        network(input_ids=inputs, labels=inputs).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    print(f"a training step of a 4M model: {tokens / seconds(step):,.0f} tokens/s")


def optimizers() -> None:
    factories: dict[str, Any] = {
        "torch AdamW, fused": partial(torch.optim.AdamW, lr=1e-3, fused=True),
        "torch AdamW, foreach": partial(torch.optim.AdamW, lr=1e-3, foreach=True),
        "torch Adafactor": partial(torch.optim.Adafactor, lr=1e-3),
        "Adafactor": Adafactor,
        "Apollo, rank 64": partial(Apollo, rank=64),
        "BFloat16AdamW": BFloat16AdamW,
        "GaLore, rank 64": partial(GaLore, rank=64),
        "Lion": Lion,
        "SinkGD": SinkGD,
    }
    network = model()
    if "muon" in sys.argv[1:]:  # orthogonalises in bfloat16, which some CPUs do 20 times slower
        factories["muon"] = muon
    print(f"optimizers on {sum(p.numel() for p in network.parameters()):,} weights, steps/s (median of 3 rounds of 5)")
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    made = {name: factory(weight_decay_groups(network)) for name, factory in factories.items()}
    rounds: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(4):  # interleaved; the first round warms up
        for name, optimizer in made.items():
            rounds[name].append(seconds(lambda optimizer=optimizer: [optimizer.step() for _ in range(5)]))  # type: ignore[misc]
    baseline = sorted(rounds["torch AdamW, fused"][1:])[1]
    for name, times in rounds.items():
        median = sorted(times[1:])[1]
        print(f"  {name:<22}{5 / median:>8.1f}   {baseline / median:.2f} of fused AdamW")


if __name__ == "__main__":
    torch.set_num_threads(1)
    wanted = sys.argv[1:] or ["packing", "speed", "logits", "optimizers"]
    sources = python_stdlib_sources("train", max_bytes=BYTES)
    bpe = train_bpe_tokenizer(sources, vocab_size=2048)
    for name, measure in {"packing": packing, "speed": speed, "logits": logits}.items():
        if name in wanted:
            measure(sources, bpe)
    if "speed" in wanted:
        training_step()
    if "optimizers" in wanted or "muon" in wanted:
        optimizers()
