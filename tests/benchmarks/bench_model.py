"""The generated Llama next to transformers' LlamaForCausalLM: tokens per second, forward and backward.

    python tests/benchmarks/bench_model.py PACKAGE_FOLDER [--repetitions 15]

PACKAGE_FOLDER is a generated package, such as `out/tiny_llama`. Both models hold the same weights and take turns, so
that load on the machine falls on both; the ratio is the median over pairs of neighbouring runs. Not a test: it has no
verdict, and prints one line for people.
"""

import argparse
import statistics
import sys
import time
from importlib import import_module
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

_SIZES = {
    "vocab_size": 2000,
    "hidden_size": 256,
    "intermediate_size": 688,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 64,
}


def main() -> None:
    arguments = _arguments()
    torch.manual_seed(0)
    generated, llama = _models(arguments.package)
    tokens = torch.randint(0, 2000, (arguments.batch, arguments.length))
    loss, expected = generated(tokens, labels=tokens).loss, llama(tokens, labels=tokens).loss
    assert torch.allclose(loss, expected, atol=1e-5), f"the models differ: {loss.item()} and {expected.item()}"
    pairs = [_pair(index, generated, llama, tokens) for index in range(arguments.repetitions)]
    num_tokens = tokens.numel()
    ours, theirs = (num_tokens / statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    ratio = statistics.median(their_s / our_s for our_s, their_s in pairs)
    print(f"forward+backward tokens/s: generated {ours:.0f}, transformers {theirs:.0f}, ratio {ratio:.3f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--length", type=int, default=256)
    return parser.parse_args()


def _models(package: Path) -> tuple[PreTrainedModel, PreTrainedModel]:
    sys.path.insert(0, str(package.parent))
    module = import_module(package.name)
    title = "".join(word.capitalize() for word in package.name.split("_"))
    config = getattr(module, f"{title}Config")(**_SIZES)
    generated = getattr(module, f"{title}ForCausalLM")(config).train()
    shared = {**_SIZES, "rope_parameters": config.rope_parameters, "rms_norm_eps": config.rms_norm_eps}
    llama = LlamaForCausalLM(LlamaConfig(**shared, use_cache=False)).train()
    llama.load_state_dict(generated.state_dict(), strict=True)
    return generated, llama


def _pair(index: int, first: PreTrainedModel, second: PreTrainedModel, tokens: torch.Tensor) -> tuple[float, float]:
    """Seconds of each model; who goes first alternates."""
    if index % 2:
        second_s = _step_s(second, tokens)
        return _step_s(first, tokens), second_s
    return _step_s(first, tokens), _step_s(second, tokens)


def _step_s(model: PreTrainedModel, tokens: torch.Tensor) -> float:
    model.zero_grad()
    start = time.perf_counter()
    model(tokens, labels=tokens).loss.backward()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
