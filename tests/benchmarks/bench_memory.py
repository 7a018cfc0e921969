"""The peak of memory of each process above what it had before: a model made, trained, saved, resumed, loaded.

    python tests/benchmarks/bench_memory.py [--processes 2,4] [--ways fsdp2,pipeline,ddp] [--megabytes 200]

A tied Llama in float32 on gloo, a step of SGD on short examples. Each phase begins with a peak of its own (Linux:
/proc/self/clear_refs): `construct`, `step`, a step with a checkpoint and the `final` model in one process, `resume`
(and a step) and `base` in others; `base16` is the same model from a file in bfloat16. In brackets stands what no file
can take back (RssAnon, looked at every few milliseconds). Then the bytes of a checkpoint.
"""

import argparse
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from bench_strategies import TESTS, load
from fgc_runtime.finetune import fine_tuned, load_base
from fgc_runtime.trainers import DDP, FSDP2, Pipeline, SingleDevice, Strategy, Trainer, TrainingArguments
from torch.optim import SGD
from transformers import LlamaConfig, LlamaForCausalLM

WAYS: dict[str, Callable[[], Strategy]] = {"fsdp2": FSDP2, "pipeline": Pipeline, "ddp": DDP, "single": SingleDevice}
Peaks = dict[str, tuple[float, float]]  # of a phase: all, and what lies in no file


def make(megabytes: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=4096, hidden_size=768, intermediate_size=2048, num_attention_heads=12, num_key_value_heads=12,
        num_hidden_layers=max(4, round((megabytes - 12.6) / 28.3)), max_position_embeddings=64,
        tie_word_embeddings=True,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def now(field: str) -> float:
    """Returns a number of /proc/self/status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) * 1024 / 1e6


class Watch:
    """Peaks of phases above a beginning."""

    def __init__(self) -> None:
        self.begin, self.begin_own = now("VmRSS"), now("RssAnon")
        self.peaks: Peaks = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        Path("/proc/self/clear_refs").write_text("5")
        own, done = [now("RssAnon")], threading.Event()

        def look() -> None:
            while not done.wait(0.004):
                own.append(now("RssAnon"))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self.peaks[name] = now("VmHWM") - self.begin, max(own) - self.begin_own


def trainer(model: Any, way: str, folder: Path, **more: Any) -> Trainer:
    rows = 4 // (int(os.environ["WORLD_SIZE"]) if way in ("fsdp2", "ddp") else 1)
    arguments = {"per_device_train_batch_size": rows, "max_steps": 1, "save_strategy": "no", **more}
    return Trainer(
        model,
        TrainingArguments(output_dir=folder, use_cpu=True, logging_strategy="no", **arguments),
        train_dataset=[{"input_ids": torch.arange(16)} for _ in range(8)],
        callbacks=[],
        optimizer_factory=partial(SGD, lr=0.1),
        strategy=WAYS[way](),
    )


def trained(way: str, folder: Path, megabytes: int) -> Peaks:
    """A step without a checkpoint, and one with: the second peak is above the first where saving takes more."""
    watch = Watch()
    with watch.phase("construct"):
        made = trainer(partial(make, megabytes), way, folder, save_steps=1)
    with watch.phase("step"):
        made.train()
    made.args.save_strategy = "steps"
    with watch.phase("step+save"):
        made.train()
    with watch.phase("final"):
        made.save_model(folder / "final")
    return watch.peaks


def resumed(way: str, folder: Path, megabytes: int) -> Peaks:
    watch = Watch()
    made = trainer(partial(make, megabytes), way, folder, resume_from_checkpoint=str(checkpoint_in(folder)))
    made.args.max_steps = 2
    with watch.phase("resume"):
        made.train()
    return watch.peaks


def based(way: str, folder: Path, name: str, base: Path, dtype: str) -> Peaks:
    watch = Watch()
    with watch.phase(name):
        trainer(lambda: fine_tuned(load_base(str(base), dtype=dtype)), way, folder)
    return watch.peaks


def checkpoint_in(folder: Path) -> Path:
    return next(folder.glob("runs/*/checkpoints/checkpoint-1"))


def sizes(folder: Path) -> str:
    files = sorted(path for path in checkpoint_in(folder).rglob("*") if path.is_file())
    large = [f"{path.name} {path.stat().st_size / 1e6:.0f}" for path in files if path.stat().st_size > 1e6]
    return f"{sum(path.stat().st_size for path in files) / 1e6:.0f} MB ({', '.join(large)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", default="2,4")
    parser.add_argument("--ways", default="fsdp2,pipeline,ddp")
    parser.add_argument("--megabytes", type=int, default=200)
    options = parser.parse_args()
    processes = load(TESTS / "strategies/conftest.py")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        base = Path(place, "base")
        in_one = processes.run_in_processes
        in_one(1, lambda: make(options.megabytes).save_pretrained(base / "32"))
        in_one(1, lambda: make(options.megabytes).to(torch.bfloat16).save_pretrained(base / "16"))
        weights_mb = (base / "32/model.safetensors").stat().st_size / 1e6
        print(f"weights: {weights_mb:.0f} MB; peaks of each process in MB, in brackets without what lies in files")
        for way in options.ways.split(","):
            for size in [1] if way == "single" else [int(size) for size in options.processes.split(",")]:
                folder = Path(place, f"{way}-{size}")
                begin_s = time.perf_counter()
                found = [
                    in_one(size, trained, way, folder, options.megabytes),
                    in_one(size, resumed, way, folder, options.megabytes),
                    in_one(size, based, way, folder, "base", base / "32", "auto"),
                    in_one(size, based, way, folder, "base16", base / "16", "float32"),
                ]
                print(f"\n{way}, {size} processes ({time.perf_counter() - begin_s:.0f} s): checkpoint {sizes(folder)}")
                for phase in (name for peaks in found for name in peaks[0]):
                    ranks = [rank[phase] for peaks in found if phase in peaks[0] for rank in peaks]
                    print(f"  {phase:<11}" + "".join(f"{whole:6.0f} ({own:4.0f})" for whole, own in ranks), flush=True)
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()
