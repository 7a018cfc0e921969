"""A base model with a tokenizer for chats, in a folder, small enough to train in a second."""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.data import train_bpe_tokenizer
from fgc_runtime.finetune import fine_tuned, load_base
from fgc_runtime.trainers import Trainer, TrainingArguments
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

TEXTS = ["What is two plus two?", "It is four.", "And three?", "Five, of course."] * 4


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def peft_may_warn() -> Iterator[None]:
    """It calls what transformers deprecates, and says so of ties that a test wants."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def save_base(folder: Path, *, seed: int = 0, with_tokenizer: bool = True, **config: Any) -> Path:
    """Writes a model with 2 layers, and a tokenizer with the tokens of ChatML."""
    tokenizer = train_bpe_tokenizer(TEXTS, vocab_size=300, cache_dir=folder.parent / "cache")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    dtype = config.pop("dtype", torch.float32)
    made = LlamaForCausalLM(LlamaConfig(**{"vocab_size": len(tokenizer), **sizes, **ids, **config}))
    made.to(dtype).save_pretrained(folder)
    if with_tokenizer:
        tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save_base(tmp_path / "base")


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Trainer]:
    """Trains 4 steps on random tokens, saving at the second; the adapter is LoRA unless another is given."""

    def run(base: Path, output: str = "out", *, steps: int = 4, loaded: Any = None, **given: Any) -> Trainer:
        from peft import LoraConfig

        names = set(TrainingArguments.__dataclass_fields__)
        args = {name: given.pop(name) for name in list(given) if name in names}
        of_trainer = {name: given.pop(name) for name in ("loss", "data_collator", "train_dataset") if name in given}
        given.setdefault("adapter", partial(LoraConfig, r=4, lora_alpha=8, target_modules="all-linear"))
        arguments = TrainingArguments(
            output_dir=tmp_path / output,
            max_steps=steps,
            per_device_train_batch_size=4,
            logging_steps=1,
            use_cpu=True,
            **{"save_steps": 2, "learning_rate": 1e-2, **args},
        )
        generator = torch.Generator().manual_seed(0)
        rows = [{"input_ids": torch.randint(3, 250, (16,), generator=generator)} for _ in range(24)]
        model: Callable[[], PreTrainedModel] = partial(fine_tuned, loaded or partial(load_base, str(base)), **given)
        trainer = Trainer(model, arguments, callbacks=[], **{"train_dataset": rows, **of_trainer})
        trainer.train()
        trainer.save_model()
        return trainer

    return run


def checkpoint_of(output: Path, step: int) -> Path:
    (found,) = output.glob(f"runs/*/checkpoints/checkpoint-{step}")
    return found
