"""Memory and time of head and loss at a large vocabulary: plain cross entropy against the fused loss.

    python tests/benchmarks/bench_fused_loss.py [--vocab-size 128256] [--tokens 1024] [--hidden-size 512]

Each runs forward and backward in a process of its own. Prints how far the process's resident memory rose above what
weight, hidden states and labels take, the CPU time of a pass, and how far loss and gradients are apart.
"""

import argparse
import multiprocessing
import time
from pathlib import Path
from typing import Any

import torch
from fgc_runtime.trainers.losses.fused_loss import chunked_linear_cross_entropy
from torch import Tensor
from torch.nn import functional


def plain(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy((hidden @ weight.T).float(), targets, reduction="sum")


def fused(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return chunked_linear_cross_entropy(hidden, weight, None, targets)


def measure(name: str, options: argparse.Namespace, answer: Any) -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(options.tokens, options.hidden_size, generator=generator, requires_grad=True)
    weight = torch.randn(options.vocab_size, options.hidden_size, generator=generator).mul_(0.02).requires_grad_()
    targets = torch.randint(options.vocab_size, (options.tokens,), generator=generator)
    Path("/proc/self/clear_refs").write_text("5")  # the high water mark begins here
    before, begin_s = status("VmRSS"), time.process_time()
    loss = {"plain": plain, "fused": fused}[name](hidden, weight, targets)
    (loss / options.tokens).backward()
    seconds = time.process_time() - begin_s
    assert hidden.grad is not None and weight.grad is not None
    rows = slice(None, None, 997)
    found = (loss.item(), hidden.grad.tolist(), weight.grad[rows].tolist())
    answer.put((status("VmHWM") - before, seconds, found))


def status(field: str) -> float:
    """Megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocab-size", type=int, default=128_256)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--hidden-size", type=int, default=512)
    options = parser.parse_args()
    context = multiprocessing.get_context("fork")
    results = {}
    for name in ("plain", "fused"):
        answer = context.Queue()
        process = context.Process(target=measure, args=(name, options, answer))
        process.start()
        memory, seconds, _ = results[name] = answer.get()
        process.join()
        print(f"{name:6} {memory:10,.0f} MB above its inputs   {seconds:6.2f} cpu-s")
    (_, _, theirs), (_, _, ours) = results["plain"], results["fused"]
    print(f"loss   {abs(ours[0] / theirs[0] - 1):.1e} apart, relative")
    for label, number in (("hidden", 1), ("weight", 2)):
        apart = (torch.tensor(ours[number]) - torch.tensor(theirs[number])).abs().max()
        print(f"d({label}) {apart:.1e} apart at most, of up to {torch.tensor(theirs[number]).abs().max():.1e}")


if __name__ == "__main__":
    main()
