"""A program like a generated one; options set what tests vary."""

import argparse
import json
import time
from functools import partial
from pathlib import Path

import torch
from fgc_runtime.callbacks import JsonLogCallback, TrainerCallback, TrainerControlCallback, TrainingRun
from fgc_runtime.script import TrainingScript
from fgc_runtime.trainers import Trainer, TrainingArguments
from torch.optim import SGD
from transformers import LlamaConfig, LlamaForCausalLM


class Slow(TrainerCallback):
    """Gives a test time to interrupt, and says when it can."""

    def __init__(self, step_s: float) -> None:
        self.step_s = step_s

    def on_step_end(self, run: TrainingRun) -> None:
        if run.is_main:
            print(f"step {run.state.global_step}", flush=True)
        time.sleep(self.step_s)


def model() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    return LlamaForCausalLM(config)


def examples(count: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(2, 21, (count,), generator=generator).tolist()
    return [{"input_ids": torch.randint(3, 64, (length,), generator=generator)} for length in lengths]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("--arguments", type=json.loads, default={})
    parser.add_argument("--num-examples", type=int, default=24)
    parser.add_argument("--step-s", type=float, default=0.0)
    parser.add_argument("--job-id")
    options = parser.parse_args()
    args = TrainingArguments(
        **{
            "output_dir": options.output_dir,
            "logging_dir": options.output_dir / "logs",
            "logging_steps": 1,
            "use_cpu": True,
            "save_strategy": "no",
            **options.arguments,
        }
    )
    trainer = Trainer(
        model,
        args,
        train_dataset=examples(options.num_examples),
        eval_dataset=examples(7),
        optimizer_factory=partial(SGD, lr=0.5),
        callbacks=[JsonLogCallback(), TrainerControlCallback(options.job_id), Slow(options.step_s)],
    )
    TrainingScript(trainer, do_eval=True).run()


if __name__ == "__main__":
    main()
