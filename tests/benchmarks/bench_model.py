"""Every architecture next to transformers' class with the same weights: logits, speed, memory, decoding, lines of code.

    python tests/benchmarks/bench_model.py [ARCHITECTURE ...] [--repetitions 9] [--length 256] [--decode 64]

For each architecture: the largest difference of logits; tokens per second forward and backward, and in greedy decoding
with a cache; the peak of memory that one training step adds; lines of the modeling file. Both models hold the same
weights and take turns, so that load on the machine falls on both: ratios are medians over pairs of neighbouring runs,
larger than 1 where the generated model is faster (for memory: smaller). Not a test: it has no verdict.
"""

import argparse
import importlib.util
import inspect
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

_TESTS = Path(__file__).parents[1] / "models"
_SIZE = """\
-- extends 'models/{name}/{name}-test.yaml'

[model_config]
    == super()
    vocab_size: 2000
    hidden_size: 256
    intermediate_size: 688
    num_hidden_layers: 4
    num_attention_heads: 4
    max_position_embeddings: 1024
"""
_LAYER_TYPES = """
[layer_types]
    layer_types: [ sliding_attention, full_attention, sliding_attention, full_attention ]
"""


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    tests, reference = _load("conftest"), _load("test_against_transformers")
    print("architecture  logits   fwd+bwd tok/s  ratio   step MiB  ratio  decode tok/s  ratio   lines  theirs")
    for name in arguments.architectures or sorted(reference._CLASSES):
        with tempfile.TemporaryDirectory() as folder:
            ours = _construct(name, Path(folder), tests)
            theirs = reference.reference(name, ours)
            _report(name, ours, theirs, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architectures", nargs="*")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--decode", type=int, default=64)
    return parser.parse_args()


def _load(name: str) -> Any:
    """A file of tests/models as a module."""
    spec = importlib.util.spec_from_file_location(f"models_{name}", _TESTS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _construct(name: str, folder: Path, tests: Any) -> PreTrainedModel:
    tests.write_package(_SIZE.format(name=name) + (_LAYER_TYPES if name == "gemma3" else ""), folder)
    sys.path.insert(0, str(folder))
    module = import_module(f"{name}_test")
    title = f"{name.capitalize()}Test"
    torch.manual_seed(0)
    model = getattr(module, f"{title}ForCausalLM")(getattr(module, f"{title}Config")())
    assert isinstance(model, PreTrainedModel)
    return model


def _report(name: str, ours: PreTrainedModel, theirs: PreTrainedModel, arguments: argparse.Namespace) -> None:
    tokens = torch.randint(3, 2000, (arguments.batch, arguments.length))
    with torch.no_grad():
        difference = (ours.eval()(tokens).logits - theirs.eval()(tokens).logits).abs().max().item()
    memory = [_added_mib(lambda model=model: _step(model, tokens)) for model in (ours, theirs)]
    steps = _pairs(lambda model: _step(model, tokens), ours, theirs, arguments.repetitions)
    prompt = tokens[:1, :32]
    decoding = _pairs(lambda model: _decode(model, prompt, arguments.decode), ours, theirs, arguments.repetitions)
    step_s, decode_s = (statistics.median(pair[0] for pair in pairs) for pairs in (steps, decoding))
    step_ratio, decode_ratio = (statistics.median(b / a for a, b in pairs) for pairs in (steps, decoding))
    lines = [len(Path(inspect.getfile(type(model))).read_text().splitlines()) for model in (ours, theirs)]
    print(
        f"{name:12} {difference:8.1e} {tokens.numel() / step_s:14.0f} {step_ratio:6.3f} {memory[0]:10.1f} "
        f"{memory[0] / memory[1]:6.3f} {arguments.decode / decode_s:13.1f} {decode_ratio:6.3f} "
        f"{lines[0]:7} {lines[1]:7}",
        flush=True,
    )


def _step(model: PreTrainedModel, tokens: torch.Tensor) -> None:
    model.train()
    model.zero_grad()
    model(tokens, labels=tokens).loss.backward()


def _decode(model: PreTrainedModel, prompt: torch.Tensor, count: int) -> None:
    model.eval()
    mask = torch.ones_like(prompt)
    options = {"max_new_tokens": count, "min_new_tokens": count, "do_sample": False, "pad_token_id": 0}
    model.generate(prompt, attention_mask=mask, **options)


def _pairs(
    run: Callable[[PreTrainedModel], None], first: PreTrainedModel, second: PreTrainedModel, count: int
) -> list[tuple[float, float]]:
    """Seconds of each model in pairs of neighbouring runs; who goes first alternates."""
    for model in (first, second):
        run(model)
    pairs = []
    for index in range(count):
        order = (first, second) if index % 2 else (second, first)
        seconds = {id(model): _seconds(lambda model=model: run(model)) for model in order}
        pairs.append((seconds[id(first)], seconds[id(second)]))
    return pairs


def _seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _added_mib(run: Callable[[], None]) -> float:
    """How far a run raises the peak of memory, in a process of its own."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        before = _status_kib("VmRSS")
        run()
        os.write(write_end, str((_status_kib("VmHWM") - before) / 1024).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        found = float(pipe.read())
    os.waitpid(child, 0)
    return found


def _status_kib(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


if __name__ == "__main__":
    main()
