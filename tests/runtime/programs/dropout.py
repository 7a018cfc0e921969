"""A program in which everything that a checkpoint must hold matters: dropout, several epochs, momenta, evaluations."""

from functools import partial

import torch
from fgc_runtime.callbacks import JsonLogCallback, TrainerCallback, TrainingRun
from fgc_runtime.optim import cosine_with_warmup
from fgc_runtime.script import TrainingScript
from fgc_runtime.trainers import Trainer, TrainingArguments
from torch.optim import AdamW
from transformers import LlamaConfig, LlamaForCausalLM

torch.set_num_threads(1)


class Smoothed(TrainerCallback):
    """Remembers something over steps, and says it in every log record."""

    def __init__(self) -> None:
        self.num_tokens = 0.0

    def on_step_end(self, run: TrainingRun) -> None:
        self.num_tokens = 0.9 * self.num_tokens + 0.1 * run.state.num_tokens

    def state_dict(self) -> dict[str, object]:
        return {"num_tokens": self.num_tokens}

    def load_state_dict(self, state_dict: object) -> None:
        assert isinstance(state_dict, dict)
        self.num_tokens = state_dict["num_tokens"]


def model() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        attention_dropout=0.3,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def examples(count: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(2, 21, (count,), generator=generator).tolist()
    return [{"input_ids": torch.randint(3, 64, (length,), generator=generator)} for length in lengths]


trainer = Trainer(
    model,
    TrainingArguments(
        output_dir="output_models/dropout",
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        max_steps=20,
        eval_strategy="steps",
        use_cpu=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
    ),
    train_dataset=examples(22),
    eval_dataset=examples(12),
    optimizer_factory=partial(AdamW, lr=0.01),
    lr_scheduler_factory=partial(cosine_with_warmup, warmup_steps=3),
    callbacks=[JsonLogCallback(), Smoothed()],
)
TrainingScript(trainer).run()
