"""Data and settings that would train something else than was meant are told, with a number."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from fgc_runtime.optim import BFloat16AdamW, cosine_with_warmup, warmup_stable_decay
from fgc_runtime.trainers import Trainer
from fgc_runtime.trainers.cautions import cautions
from fgc_runtime.trainers.probes import keeps_documents_apart
from torch import nn
from torch.optim import SGD, AdamW
from transformers import AutoModelForCausalLM, BloomConfig, MixtralConfig, OPTConfig

MakeTrainer = Callable[..., Trainer]
SIZES = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def model_of(config: Any) -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config)


def opt() -> Any:
    return model_of(OPTConfig(**SIZES, ffn_dim=32, word_embed_proj_dim=32, max_position_embeddings=64))


def packed(length: int = 8) -> list[dict[str, torch.Tensor]]:
    positions = torch.arange(length // 2).repeat(2)
    numbers = (positions == 0).cumsum(0)
    return [{"input_ids": torch.arange(length), "position_ids": positions, "sequence_ids": numbers}] * 4


def test_a_model_that_lets_packed_documents_see_each_other_is_refused(make_trainer: MakeTrainer) -> None:
    with pytest.raises(ValueError, match="a row holds several documents, and the model does not keep them apart"):
        make_trainer(model=opt(), train_dataset=packed(), max_steps=1).train()
    make_trainer(model=opt(), train_dataset=[{"input_ids": torch.arange(8)}] * 4, max_steps=1).train()


def test_which_models_keep_packed_documents_apart(tiny_model: Callable[..., Any]) -> None:
    bloom = model_of(BloomConfig(vocab_size=64, hidden_size=32, n_layer=1, n_head=2))
    mixtral = model_of(MixtralConfig(**SIZES, intermediate_size=32, num_key_value_heads=2, num_local_experts=2))
    found = [keeps_documents_apart(model) for model in (tiny_model(), tiny_model().bfloat16(), mixtral, opt(), bloom)]
    assert found == [True, True, True, False, False]


def test_labels_that_are_all_masked_end_the_training(make_trainer: MakeTrainer) -> None:
    rows = [{"input_ids": torch.arange(8), "labels": torch.full((8,), -100)}] * 4
    with pytest.raises(ValueError, match="none of the labels of all 4 examples so far counts"):
        make_trainer(train_dataset=rows, max_steps=2).train()


def test_examples_without_a_label_are_counted_once(
    make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = {"input_ids": torch.arange(8)}
    cut = {**whole, "labels": torch.full((8,), -100)}
    make_trainer(train_dataset=[whole, cut, whole, cut] * 2, max_steps=2, per_device_train_batch_size=8).train()
    told = [line for line in capsys.readouterr().err.splitlines() if "teach nothing" in line]
    assert told == [
        "warning: 4 examples, of 8 in all, teach nothing: all their labels are -100; "
        "a conversation may be cut before its answer (max_length)"
    ]


def test_a_warm_up_that_outlasts_the_run_is_told() -> None:
    optimizer = SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    schedule = partial(cosine_with_warmup, optimizer, warmup_steps=100)
    (told,) = cautions(optimizer, schedule(num_training_steps=50), max_steps=50)
    assert "still rises at the last step (50), where it is 0.5 times" in told
    assert list(cautions(optimizer, schedule(num_training_steps=200), max_steps=200)) == []


def test_a_decay_longer_than_what_the_warm_up_leaves_does_not_jump() -> None:
    optimizer = SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    scheduler = warmup_stable_decay(optimizer, num_training_steps=100, warmup_steps=40, decay_steps=80)
    rates = [scheduler.lr_lambdas[0](step) for step in range(101)]
    assert max(abs(after - before) for before, after in pairwise(rates)) < 0.03
    assert rates[39] == 1.0 and rates[100] == 0.0


@pytest.mark.parametrize(
    ("dtype", "optimizer", "is_told"),
    [(torch.bfloat16, AdamW, True), (torch.bfloat16, BFloat16AdamW, False), (torch.float32, AdamW, False)],
)
def test_half_precision_weights_that_lose_small_steps_are_told(
    dtype: torch.dtype, optimizer: Any, is_told: bool
) -> None:
    made = optimizer([nn.Parameter(torch.ones(3, dtype=dtype))], lr=1e-4)
    told = list(cautions(made, torch.optim.lr_scheduler.ConstantLR(made), max_steps=10))
    assert any(text.startswith("3 of 3 weights are kept in half precision") for text in told) == is_told
