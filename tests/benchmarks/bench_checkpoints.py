"""How long training stands still for a checkpoint, written beside it or while it waits; and for `fgc control stop`.

    python tests/benchmarks/bench_checkpoints.py [--hidden-size 512] [--layers 6] [--saves 5] [--folder FOLDER]

Prints, for both, the median seconds for which a save keeps the loop, the seconds until the checkpoint is complete, and
its size; then the seconds from the command to the answer, and to the end of `train`.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

import torch
from fgc_runtime import control
from fgc_runtime.callbacks import TrainerCallback, TrainerControlCallback, TrainingRun
from fgc_runtime.trainers import Trainer, TrainingArguments
from transformers import LlamaConfig, LlamaForCausalLM


class Watch(TrainerCallback):
    """When each save was asked for and when it was complete."""

    def __init__(self, every_steps: int) -> None:
        self.every_steps = every_steps
        self.begun_s: list[float] = []
        self.complete_s: list[float] = []

    def on_step_end(self, run: TrainingRun) -> None:
        if run.state.global_step % self.every_steps == 0:
            run.control.should_save = True

    def on_save(self, run: TrainingRun, folder: Path) -> None:
        self.complete_s.append(time.perf_counter() - self.begun_s[-1])


def model(options: argparse.Namespace) -> LlamaForCausalLM:
    width = options.hidden_size
    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=width,
        intermediate_size=width * 8 // 3 // 8 * 8,
        num_hidden_layers=options.layers,
        num_attention_heads=width // 64,
        max_position_embeddings=64,
    )
    return LlamaForCausalLM(config)


def stalls(options: argparse.Namespace, folder: Path, *, is_async: bool) -> None:
    watch = Watch(options.steps_between)
    data = [{"input_ids": torch.randint(3, 8192, (32,))} for _ in range(64)]
    args = TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=1,
        max_steps=options.saves * options.steps_between + options.steps_between - 1,
        save_strategy="no",
        async_save=is_async,
        save_total_limit=2,
    )
    trainer = Trainer(model(options), args, train_dataset=data, callbacks=[watch])
    save, kept_s = trainer._save_checkpoint, []

    def timed(session: object) -> Path:
        begin_s = time.perf_counter()
        watch.begun_s.append(begin_s)
        path = save(session)  # type: ignore[arg-type]
        kept_s.append(time.perf_counter() - begin_s)
        return path

    trainer._save_checkpoint = timed  # type: ignore[method-assign, assignment]
    trainer.train()
    size_bytes = sum(path.stat().st_size for path in next((folder / "checkpoints").iterdir()).rglob("*"))
    name = "beside training" if is_async else "while it waits"
    print(
        f"{name:<16} {trainer.model.num_parameters():,} parameters, {size_bytes / 1e6:,.0f} MB: the loop stands still "
        f"for {statistics.median(kept_s):.3f} s (first {kept_s[0]:.3f}), "
        f"complete after {statistics.median(watch.complete_s):.3f} s"
    )


def stop(options: argparse.Namespace, folder: Path) -> None:
    os.environ["FGC_JOBS_DIR"] = tempfile.mkdtemp(prefix="fgc-")
    data = [{"input_ids": torch.randint(3, 8192, (32,))} for _ in range(64)]
    args = TrainingArguments(output_dir=folder, per_device_train_batch_size=1, max_steps=100_000, save_strategy="no")
    trainer = Trainer(model(options), args, train_dataset=data, callbacks=[TrainerControlCallback("bench")])
    times: dict[str, float] = {}

    def command() -> None:
        time.sleep(2)
        times["sent"] = time.perf_counter()
        control.ask(control.find_job("bench"), "stop")
        times["answered"] = time.perf_counter()

    thread = threading.Thread(target=command)
    thread.start()
    begin_s = time.perf_counter()
    trainer.train()
    end_s = time.perf_counter()
    thread.join()
    step_s = (times["sent"] - begin_s) / max(1, trainer.state.global_step)
    print(
        f"fgc control stop: answered after {times['answered'] - times['sent']:.3f} s, training ended after "
        f"{end_s - times['sent']:.3f} s; a step takes {step_s:.3f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden-size", type=int, default=512)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--saves", type=int, default=5)
    parser.add_argument("--steps-between", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for is_async in (True, False):
            stalls(options, Path(folder, str(is_async)), is_async=is_async)
        stop(options, Path(folder, "stop"))


if __name__ == "__main__":
    main()
