"""Tokens per second over HTTP, one stream and eight, against a bare decode loop on the same model in the same run.

    python tests/benchmarks/bench_serving.py [--tokens 128] [--repeats 3] [--threads 1]

The model is a random 15.7M-parameter Llama in float32. Turns alternate, so that other load on the machine meets all
of them; the best turn of each counts. Client and server share the cores. Targets: one stream >= 0.9 of the bare loop;
eight >= 4 of one, which is what a server that serialises would give, as far as the model's own batch of eight allows.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import openai
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

_PROMPT_LENGTH = 16
_NUM_STREAMS = 8


def make_model(folder: Path) -> LlamaForCausalLM:
    """15.7M parameters; each token is one byte."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=1024,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).eval()
    model.save_pretrained(folder)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=core).save_pretrained(folder)
    return model


@torch.inference_mode()
def bare_loop(model: LlamaForCausalLM, num_tokens: int, *, batch_size: int) -> float:
    """Tokens per second of greedy decoding with transformers' dynamic cache and nothing else."""
    ids = torch.arange(_PROMPT_LENGTH).repeat(batch_size, 1)
    cache = DynamicCache(config=model.config)
    began = time.perf_counter()
    for _ in range(num_tokens):
        logits = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
        ids = logits[:, -1].argmax(-1, keepdim=True)
    return batch_size * num_tokens / (time.perf_counter() - began)


async def served(url: str, num_tokens: int, *, num_streams: int) -> float:
    """Tokens per second of concurrent streams through the official client, by the counts that the server reports."""
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        await stream(client, 1)  # opens the connection
        began = time.perf_counter()
        counts = await asyncio.gather(*(stream(client, num_tokens) for _ in range(num_streams)))
        return sum(counts) / (time.perf_counter() - began)


async def stream(client: openai.AsyncOpenAI, num_tokens: int) -> int:
    events = await client.completions.create(
        model="bench",
        prompt=list(range(_PROMPT_LENGTH)),
        max_tokens=num_tokens,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"ignore_eos": True},
    )
    count = 0
    async for event in events:
        count = event.usage.completion_tokens if event.usage is not None else count
    return count


def start(folder: Path, num_threads: int) -> tuple[subprocess.Popen[str], str]:
    options = ["--port", "0", "--model-name", "bench", "--threads", str(num_threads)]
    command = [sys.executable, "-m", "fgc_runtime.serve", str(folder), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.match(r"OpenAI API at (\S+),", line):
            return process, found[1]
    raise RuntimeError("the server did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of the server and of the bare loop")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "bench"
        model = make_model(folder)
        process, url = start(folder, options.threads)
        try:
            rates = measure(model, url, options.tokens, options.repeats)
        finally:
            process.terminate()
            process.communicate(timeout=20)
    report(rates)


def measure(model: LlamaForCausalLM, url: str, num_tokens: int, num_repeats: int) -> dict[str, float]:
    """The best rate of each kind."""
    bare_loop(model, 8, batch_size=1)
    rates: dict[str, float] = {}
    for _ in range(num_repeats):
        turn = {
            "bare loop, 1 sequence": bare_loop(model, num_tokens, batch_size=1),
            "served, 1 stream": asyncio.run(served(url, num_tokens, num_streams=1)),
            f"bare loop, batch of {_NUM_STREAMS}": bare_loop(model, num_tokens, batch_size=_NUM_STREAMS),
            f"served, {_NUM_STREAMS} streams": asyncio.run(served(url, num_tokens, num_streams=_NUM_STREAMS)),
        }
        rates = {name: max(rate, rates.get(name, 0.0)) for name, rate in turn.items()}
    return rates


def report(rates: dict[str, float]) -> None:
    for name, rate in rates.items():
        print(f"{name:24} {rate:8.1f} tokens/s")
    bare_1, served_1, bare_8, served_8 = rates.values()
    print(f"1 stream / bare loop     {served_1 / bare_1:8.2f}  (target 0.9)")
    print(f"8 streams / 1 stream     {served_8 / served_1:8.2f}  (target 4; bare loops: {bare_8 / bare_1:.2f})")
    print(f"8 streams / bare batch   {served_8 / bare_8:8.2f}")


if __name__ == "__main__":
    main()
