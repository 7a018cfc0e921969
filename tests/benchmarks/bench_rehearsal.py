"""Memory of `--dry-run=deep` beside that of real runs on two processes: python -m tests.benchmarks.bench_rehearsal.

The real peak is the most that torch's CPU allocator had handed out, by its profiler. It holds what no GPU would have:
copies that gloo makes of what it sends, and buffers inside CPU kernels.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIGURATIONS = {
    "DDP": ("DDP()", ""),
    "FSDP2": ("FSDP2()", ""),
    "whole layers": ("FSDP2(reshard_after_forward=False)", ""),
    "checkpointing": ("FSDP2()", "gradient_checkpointing=True"),
    "fused loss": ("FSDP2()", "fused_loss='chunked'"),
    "shards on the host": ("FSDP2(cpu_offload=True)", ""),
    "accumulation": ("FSDP2()", "gradient_accumulation_steps=2"),
}
PROGRAM = """
import json, os
from functools import partial
from pathlib import Path
import torch
from fgc_runtime.callbacks import TrainerCallback
from fgc_runtime.script import TrainingScript
from fgc_runtime.trainers import DDP, FSDP2, Trainer, TrainingArguments
from transformers import LlamaConfig, LlamaForCausalLM

class Measure(TrainerCallback):
    def on_train_begin(self, run):
        tensors = [*run.model.parameters(), *run.model.buffers()]
        tensors = [tensor.to_local() if hasattr(tensor, "to_local") else tensor for tensor in tensors]
        self.begin = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        self.profile = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True)
        self.profile.start()

    def on_train_end(self, run):
        self.profile.stop()
        path = Path(f"trace-{run.world.rank}.json")
        self.profile.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
        events = [event["args"] for event in events if event.get("name") == "[memory]"]
        first = events[0]["Total Allocated"] - events[0]["Bytes"]
        if run.is_main:
            print("peak", self.begin + max(event["Total Allocated"] for event in events) - first, flush=True)

def main():
    config = LlamaConfig(
        vocab_size=2000, hidden_size=256, intermediate_size=688, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=128,
    )
    args = TrainingArguments(
        output_dir="out", per_device_train_batch_size=8, max_steps=3, save_strategy="no", logging_steps=100, ARGUMENTS
    )
    generator = torch.Generator().manual_seed(0)
    data = [{"input_ids": torch.randint(0, 2000, (128,), generator=generator)} for _ in range(64)]
    model = partial(LlamaForCausalLM, config)
    trainer = Trainer(args=args, model=model, train_dataset=data, strategy=STRATEGY, callbacks=[Measure()])
    TrainingScript(trainer=trainer, do_save=False).run(resume=None)

if __name__ == "__main__":
    main()
"""


def main() -> None:
    """Print both for each configuration."""
    with tempfile.TemporaryDirectory() as folder:
        for name, (strategy, arguments) in CONFIGURATIONS.items():
            program = Path(folder) / "train.py"
            program.write_text(PROGRAM.replace("STRATEGY", strategy).replace("ARGUMENTS", arguments))
            real, rehearsed = _real(program), _rehearsed(program)
            print(f"{name:<20} real {real / 1e6:7.1f} MB  rehearsed {rehearsed / 1e6:7.1f} MB  {rehearsed / real:.3f}")


def _real(program: Path) -> int:
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", program.name]
    lines = _output(words, program.parent).splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("peak "))


def _rehearsed(program: Path) -> int:
    words = ["-m", "fgc_runtime.rehearsal", program.name, "--ranks", "2", "--format", "json"]
    (rank,) = json.loads(_output(words, program.parent))["ranks"]
    return int(rank["peak"]) + int(rank["host"])


def _output(words: list[str], folder: Path) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


if __name__ == "__main__":
    main()
