"""Data and settings that would train something else than was meant are told, with a number."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from fgc_runtime.callbacks import TrainerCallback, TrainingRun
from fgc_runtime.checkpoint import RandomState
from fgc_runtime.data import DataCollatorForCausalLM
from fgc_runtime.optim import BFloat16AdamW, cosine_with_warmup, warmup_stable_decay
from fgc_runtime.trainers import NextTokenLoss, Terms, Trainer, TrainingLoss
from fgc_runtime.trainers.losses.probes import keeps_documents_apart
from fgc_runtime.trainers.setup.cautions import cautions, length_caution
from torch import nn
from torch.nn import functional
from torch.optim import SGD, AdamW
from torch.utils.data import IterableDataset
from transformers import AutoModelForCausalLM, BloomConfig, MixtralConfig, OPTConfig

MakeTrainer = Callable[..., Trainer]
SIZES = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


class TokenLoss(TrainingLoss):
    """Takes labels where they are: those of a user who moves them."""

    def __call__(self, model: Any, inputs: Any, labels_BT: torch.Tensor) -> Terms:
        logits = model(**inputs).logits.flatten(0, 1)
        return Terms(functional.cross_entropy(logits, labels_BT.flatten(), reduction="sum"), {})


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


@pytest.mark.parametrize("logging", [{"logging_steps": 10}, {"logging_strategy": "no"}], ids=str)
def test_labels_that_are_all_masked_end_a_run_without_a_record_too(
    make_trainer: MakeTrainer, logging: dict[str, Any]
) -> None:
    rows = [{"input_ids": torch.arange(8), "labels": torch.full((8,), -100)}] * 4
    with pytest.raises(ValueError, match="none of the labels of all 8 examples so far counts"):
        make_trainer(train_dataset=rows, max_steps=2, **logging).train()


@pytest.mark.parametrize("loss", [NextTokenLoss, TokenLoss], ids=["moves labels", "does not"])
def test_labels_that_lie_where_they_are_predicted_would_be_moved_twice(
    make_trainer: MakeTrainer, examples: Callable[..., Any], loss: Any
) -> None:
    rows = [row["input_ids"] for row in examples(24)]
    moved = [{"input_ids": row[:-1], "labels": row[1:]} for row in rows if len(row) > 6]
    trainer = make_trainer(train_dataset=moved, max_steps=1, loss=loss())
    if not loss.moves_labels:
        trainer.train()
        return
    with pytest.raises(ValueError, match="are its input_ids moved by one place"):
        trainer.train()


def test_masked_and_repeated_tokens_do_not_count_as_moved_labels(make_trainer: MakeTrainer) -> None:
    same = {"input_ids": torch.full((8,), 7)}
    answer = {"input_ids": torch.arange(8), "labels": torch.tensor([-100] * 6 + [6, 7])}
    make_trainer(train_dataset=[same, answer] * 4, max_steps=2).train()


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("has_mask", [True, False], ids=["mask", "pad tokens"])
def test_padding_that_examples_bring_is_not_learnt(
    make_trainer: MakeTrainer, examples: Callable[..., Any], side: str, has_mask: bool
) -> None:
    pad, rows = 2, [row["input_ids"] for row in examples(8)]
    padded = []
    for row in rows:
        missing = 24 - len(row)
        ends = (0, missing) if side == "right" else (missing, 0)
        example = {"input_ids": functional.pad(row, ends, value=pad)}
        mask = {"attention_mask": functional.pad(torch.ones_like(row), ends)} if has_mask else {}
        padded.append({**example, **mask})
    tokenizer = SimpleNamespace(pad_token_id=pad, eos_token_id=1, bos_token_id=0)
    losses = []
    for data in (padded, [{"input_ids": row} for row in rows]):
        trainer = make_trainer(train_dataset=data, max_steps=2, data_collator=DataCollatorForCausalLM(tokenizer))  # type: ignore[arg-type]
        trainer.train()
        losses.append(trainer.callbacks[0].losses)  # type: ignore[attr-defined]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)  # rotary positions of left padding round otherwise


def test_a_beginning_of_text_that_is_also_the_padding_is_kept() -> None:
    tokenizer = SimpleNamespace(pad_token_id=2, eos_token_id=1, bos_token_id=2, pad_token="<s>", eos_token="</s>")
    batch = DataCollatorForCausalLM(tokenizer)([{"input_ids": [2, 5, 6]}])  # type: ignore[arg-type]
    assert sorted(batch) == ["input_ids", "labels"]
    assert batch["labels"].tolist() == [[2, 5, 6]]


def test_an_evaluation_that_is_asked_for_without_data_ends_no_training(
    make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]
) -> None:
    class Asks(TrainerCallback):
        def on_step_end(self, run: TrainingRun) -> None:
            run.control.should_evaluate = run.state.global_step == 1

    trainer = make_trainer(max_steps=3, callbacks=[Asks()])
    trainer.train()
    assert trainer.state.global_step == 3
    assert "warning: an evaluation was asked for, and there is no eval_dataset" in capsys.readouterr().err


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


def test_a_rate_of_zero_is_told_and_a_group_at_rest_is_not() -> None:
    for rates, is_told in (([0.0, 0.0], True), ([0.0, 1.0], False)):
        groups = [{"params": [nn.Parameter(torch.ones(1))], "lr": rate} for rate in rates]
        optimizer = SGD(groups, lr=1.0)
        schedule = cosine_with_warmup(optimizer, warmup_steps=10, num_training_steps=100)  # its first rate is low
        told = list(cautions(optimizer, schedule, max_steps=100))
        assert told == ["the learning rate is 0 (learning_rate): no step moves any weight"] * is_told


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


@pytest.mark.parametrize("dtype", ["int32", "uint16", "uint8"])
def test_tokens_of_any_integers_are_the_same_tokens(
    make_trainer: MakeTrainer, examples: Callable[..., Any], dtype: str
) -> None:
    losses = []
    for convert in (lambda row: row, lambda row: row.numpy().astype(dtype)):
        trainer = make_trainer(train_dataset=[{"input_ids": convert(row["input_ids"])} for row in examples(8)])
        trainer.train()
        losses.append(trainer.callbacks[0].losses)  # type: ignore[attr-defined]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", ["labels", "position_ids", "sequence_ids", "attention_mask"])
def test_numbers_beside_tokens_must_be_as_many(name: str) -> None:
    long, short = ({"input_ids": list(range(n)), "position_ids": list(range(n)), name: [1] * n} for n in (9, 6))
    with pytest.raises(ValueError, match=rf"{name} \(5 numbers\) must be as many as the example's input_ids \(6\)"):
        DataCollatorForCausalLM()([long, {**short, name: [1] * 5}])


def test_a_batch_of_packed_and_single_texts_keeps_the_packed_ones_apart() -> None:
    single, both = {"input_ids": [5, 6, 7]}, packed(4)[0]
    batch = DataCollatorForCausalLM()([single, both])
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0], [0, 1, 0, 1]]
    assert batch["sequence_ids"].tolist() == [[0, 0, 0, -1], [1, 1, 2, 2]]


def test_examples_without_a_token_are_told() -> None:
    with pytest.raises(ValueError, match="none of the 2 examples of a batch has a token"):
        DataCollatorForCausalLM()([{"input_ids": []}] * 2)


def test_a_second_training_begins_anew(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_steps=3, save_strategy="steps")
    trainer.train()
    first = trainer.logging_dir
    assert trainer.train()["train_steps"] == 3
    assert trainer.logging_dir != first
    assert (trainer.logging_dir / "checkpoints/checkpoint-3").is_dir()
    assert [record["step"] for record in trainer.log_history if "loss" in record] == [1, 2, 3]


class Rows:
    """A data set with a length of its own making."""

    def __init__(self, length: int, count: int | None = None) -> None:
        self.length, self.count = length, count

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> dict[str, Any]:
        if self.count is not None and number >= self.count:
            raise KeyError(number)
        return {"input_ids": torch.arange(3, 9)}


class Stream(IterableDataset[Any]):
    """Examples in order, with a length of its own making."""

    def __init__(self, length: int, count: int) -> None:
        self.length, self.count = length, count

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        return iter([{"input_ids": torch.arange(3, 9)}] * self.count)


class Draw(Rows):
    """Examples that are drawn, more of them than it says."""

    def __getitem__(self, number: int) -> dict[str, Any]:
        super().__getitem__(number)
        return {"input_ids": torch.randint(int(numpy.random.randint(9, 19)), (random.randint(3, 9),))}


def test_looking_for_a_row_behind_the_last_draws_nothing() -> None:
    before = RandomState.capture()
    assert "gives example 8" in (length_caution("train_dataset", Draw(8, 12)) or "")
    behind = torch.rand(1).item(), random.random(), numpy.random.random()
    before.restore()
    assert behind == (torch.rand(1).item(), random.random(), numpy.random.random())


@pytest.mark.parametrize(
    ("dataset", "told"),
    [
        (Rows(8, 12), "says that it has 8 examples (__len__), and gives example 8, counted from 0, as well"),
        (Rows(8, 8), None),
        (Rows(8), None),  # made on demand
        (Stream(8, 12), "says that it has 8 examples (__len__), and gave more than 8 in its first epoch"),
        (Stream(12, 8), "says that it has 12 examples (__len__), and gave 8 in its first epoch"),
        (Stream(8, 8), None),
        (Stream(7, 7), None),
    ],
)
def test_a_length_that_is_not_that_of_the_data_is_told_with_both_numbers(
    make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str], dataset: Any, told: str | None
) -> None:
    make_trainer(train_dataset=dataset, max_steps=-1).train()
    errors = capsys.readouterr().err
    assert errors.count("__len__") == (0 if told is None else 1)
    assert told is None or told in errors
