"""Tokens per second of the trainer, of transformers' Trainer and of a loop by hand: same model, data and optimizer.

    python tests/benchmarks/bench_training.py [--batch-sizes 2 8] [--steps 60] [--rounds 5] [--hidden-size 128]

They take turns within one process. On the CPU the clock is the process's own, so that other programs do not count.
Prints each round's rates and the median of the rounds' ratios to the loop by hand: 0.98 says that bookkeeping costs 2 %
of a step.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from functools import partial

import torch
import transformers
from fgc_runtime.callbacks import JsonLogCallback, ProgressCallback
from fgc_runtime.optim import cosine_multiplier, cosine_with_warmup
from fgc_runtime.trainers import Trainer, TrainingArguments
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW
from transformers import LlamaConfig, LlamaForCausalLM

VOCAB_SIZE, WARMUP_STEPS, LOG_EVERY = 2048, 10, 10


def train_by_hand(model: LlamaForCausalLM, batches: list[Tensor], device: torch.device) -> None:
    """What a careful person writes for one device and one kind of data."""
    model.to(device).train()
    decayed = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    others = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = AdamW(groups, lr=1e-3, fused=True)
    schedule = partial(cosine_multiplier, num_training_steps=len(batches), warmup_steps=WARMUP_STEPS)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    losses = []
    for step, batch in enumerate(batches, start=1):
        input_ids = batch.to(device, non_blocking=True)
        logits = model(input_ids=input_ids, use_cache=False).logits
        targets = functional.pad(input_ids[:, 1:], (0, 1), value=-100)  # cutting the logits would copy them
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.detach())
        if step % LOG_EVERY == 0:
            print(f"step {step} loss {torch.stack(losses).mean().item():.4f}")
            losses.clear()


def train_with_trainer(model: LlamaForCausalLM, batches: list[Tensor], device: torch.device) -> None:
    """The same through the trainer, with the callbacks it has by default."""
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=len(batches[0]),
            logging_steps=LOG_EVERY,
            save_strategy="no",
            shuffle=False,
            device=str(device),
        )
        trainer = Trainer(
            model,
            args,
            train_dataset=[{"input_ids": row} for batch in batches for row in batch],
            callbacks=[ProgressCallback(), JsonLogCallback()],
            optimizer_factory=partial(AdamW, lr=1e-3, weight_decay=0.1, fused=True),
            lr_scheduler_factory=partial(cosine_with_warmup, warmup_steps=WARMUP_STEPS),
        )
        trainer.train()


def train_with_transformers(model: LlamaForCausalLM, batches: list[Tensor], device: torch.device) -> None:
    """The same through transformers' Trainer, without its progress bar and reports."""
    with tempfile.TemporaryDirectory() as folder:
        args = transformers.TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=len(batches[0]),
            num_train_epochs=1,
            learning_rate=1e-3,
            weight_decay=0.1,
            adam_beta2=0.999,
            warmup_steps=WARMUP_STEPS,
            lr_scheduler_type="cosine",
            optim="adamw_torch_fused",
            logging_steps=LOG_EVERY,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=device.type == "cpu",
            dataloader_pin_memory=False,
        )
        rows = [{"input_ids": row, "labels": row} for batch in batches for row in batch]
        transformers.Trainer(model, args, train_dataset=rows).train()


def main() -> None:
    options = parse()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    config = LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=options.hidden_size,
        intermediate_size=options.hidden_size * 8 // 3,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=options.block_size,
    )
    for batch_size in options.batch_sizes:
        print(f"batch size {batch_size}")
        compare(config, batch_size, options, device)


def compare(config: LlamaConfig, batch_size: int, options: argparse.Namespace, device: torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    shape = (options.steps, batch_size, options.block_size)
    batches = list(torch.randint(VOCAB_SIZE, shape, generator=generator))
    num_tokens = options.steps * batch_size * (options.block_size - 1)
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    ways = [("by hand", train_by_hand), ("trainer", train_with_trainer), ("transformers", train_with_transformers)]
    rates: dict[str, list[float]] = {name: [] for name, _ in ways}
    for number in range(options.rounds + 1):
        for name, train in ways if number % 2 else reversed(ways):
            torch.manual_seed(0)
            model = LlamaForCausalLM(config)
            begin_s = clock()
            with contextlib.redirect_stdout(io.StringIO()):
                train(model, batches, device)
            if number:  # round 0 warms up
                rates[name].append(num_tokens / (clock() - begin_s))
    for name, values in rates.items():
        ratio = statistics.median(ours / theirs for ours, theirs in zip(values, rates["by hand"], strict=True))
        each = ", ".join(f"{value:,.0f}" for value in values)
        print(f"{name:13} {statistics.median(values):10,.0f} tokens/s   {ratio:.3f} of by hand   ({each})", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hidden-size", type=int, default=128)
    parser.add_argument("--block-size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
