"""How far each strategy is from one process: losses, gradients of the first step, and the seconds of a step.

    python tests/benchmarks/bench_strategies.py [--steps 5]

Two or four processes on the CPU (gloo), a Llama of five layers, ragged examples. Prints the largest difference of any
loss, of any element of any gradient, and of the evaluation's loss. Several processes share this machine's cores, so
seconds compare strategies with each other, not with one process.
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from fgc_runtime.callbacks import TrainerCallback, TrainingRun
from fgc_runtime.trainers import DDP, FSDP2, Accelerate, Pipeline, SingleDevice, Strategy, Trainer, TrainingArguments
from fgc_runtime.trainers.strategies.pipeline.strategy import SCHEDULES
from torch.distributed.tensor import DTensor
from torch.optim import SGD

TESTS = Path(__file__).parents[1] / "runtime"
WAYS: dict[str, tuple[Callable[[], Strategy], int, int]] = {  # strategy, processes, of which so many read other data
    "DDP": (DDP, 2, 2),
    "Accelerate": (Accelerate, 2, 2),
    "FSDP2": (FSDP2, 2, 2),
    "FSDP2, HSDP": (partial(FSDP2, dp_replicate_size=2), 4, 4),
    "FSDP2, tensor parallel": (partial(FSDP2, tp_size=2), 2, 1),
    "FSDP2 x tensor parallel": (partial(FSDP2, tp_size=2), 4, 2),
    **{name: (partial(Pipeline, schedule=name), 2, 1) for name in SCHEDULES},
    "1F1B x data parallel": (partial(Pipeline, pp_size=2), 4, 2),
}


class Found(NamedTuple):
    losses: list[float]
    gradients: dict[str, torch.Tensor]  # this process's
    eval_loss: float
    seconds: float


class Gradients(TrainerCallback):
    def __init__(self) -> None:
        self.first: dict[str, torch.Tensor] = {}
        self.losses: list[float] = []

    def on_pre_optimizer_step(self, run: TrainingRun) -> None:
        if not self.first:
            for name, parameter in run.model.named_parameters():
                gradient = parameter.grad
                assert gradient is not None
                self.first[name] = (gradient.full_tensor() if isinstance(gradient, DTensor) else gradient).clone()

    def on_log(self, run: TrainingRun, logs: Any) -> None:
        if "grad_norm" in logs:
            self.losses.append(logs["loss"])


def train(strategy: Callable[[], Strategy], tests: ModuleType, batch_size: int, steps: int) -> Found:
    watched = Gradients()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            tests.tiny_llama(is_tied=True, num_layers=5),
            TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=batch_size,
                max_steps=steps,
                logging_steps=1,
                save_strategy="no",
                max_grad_norm=1e9,  # measured, not clipped
                use_cpu=True,
            ),
            train_dataset=tests.ragged_examples(steps * 8),
            eval_dataset=tests.ragged_examples(7, seed=3),
            callbacks=[watched],
            optimizer_factory=partial(SGD, lr=0.5),
            strategy=strategy(),
        )
        begin_s = time.perf_counter()
        trainer.train()
        seconds = (time.perf_counter() - begin_s) / steps
        return Found(watched.losses, watched.first, trainer.evaluate()["eval_loss"], seconds)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.parent.name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    steps = parser.parse_args().steps
    tests, processes = load(TESTS / "conftest.py"), load(TESTS / "strategies/conftest.py")
    torch.set_num_threads(1)
    reference = train(SingleDevice, tests, 8, steps)
    print(f"{'strategy':24} {'processes':>9} {'loss':>9} {'gradient':>9} {'eval':>9} {'s/step':>7}")
    print(f"{'one process':24} {1:9} {'':>9} {'':>9} {'':>9} {reference.seconds:7.3f}")
    for name, (strategy, size, readers) in WAYS.items():
        found = processes.run_in_processes(size, train, strategy, tests, 8 // readers, steps)
        losses = max(abs(ours - theirs) for ours, theirs in zip(found[0].losses, reference.losses, strict=True))
        gradients = max(
            (gradient - reference.gradients[key]).abs().max().item()
            for process in found
            for key, gradient in process.gradients.items()
        )
        evaluation = abs(found[0].eval_loss - reference.eval_loss)
        print(
            f"{name:24} {size:9} {losses:9.1e} {gradients:9.1e} {evaluation:9.1e} {found[0].seconds:7.3f}", flush=True
        )


if __name__ == "__main__":
    main()
