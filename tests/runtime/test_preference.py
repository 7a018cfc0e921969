"""Preference losses against the formulas of their papers, by hand, and against TRL's on the same batch."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fgc_runtime.data import ChatEncoder, DataCollatorForPreference, PreferenceDataset, as_preference
from fgc_runtime.data import train_bpe_tokenizer as train_tokenizer
from fgc_runtime.data.collator import IGNORED_LABEL
from fgc_runtime.trainers import DPOLoss, ORPOLoss, PreferenceLoss, SimPOLoss, Trainer

from .conftest import VOCAB_SIZE, tiny_llama

Pairs = list[dict[str, torch.Tensor]]
Answers = list[tuple[list[float], list[float]]]


def pairs(count: int = 3, *, seed: int = 1) -> Pairs:
    """Answers of different lengths behind prompts of 2 to 5 tokens."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for number in range(count):
        prompt = torch.randint(3, VOCAB_SIZE, (2 + number % 4,), generator=generator)
        pair: dict[str, torch.Tensor] = {}
        for side, length in (("chosen", 3 + number), ("rejected", 7 - number % 5)):
            ids = torch.cat([prompt, torch.randint(3, VOCAB_SIZE, (length,), generator=generator)])
            labels = ids.clone()
            labels[: len(prompt)] = IGNORED_LABEL
            pair |= {f"{side}_input_ids": ids, f"{side}_labels": labels}
        made.append(pair)
    return made


@torch.no_grad()
def log_probabilities(model: Any, rows: Pairs) -> Answers:
    """Token by token, one answer at a time, without padding."""

    def of(ids: torch.Tensor, labels: torch.Tensor) -> list[float]:
        table = model(ids[None]).logits[0].double().log_softmax(-1)
        return [table[t - 1, ids[t]].item() for t in range(1, len(ids)) if labels[t] != IGNORED_LABEL]

    return [tuple(of(row[f"{s}_input_ids"], row[f"{s}_labels"]) for s in ("chosen", "rejected")) for row in rows]  # type: ignore[misc]


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


def loss_of(loss: PreferenceLoss, rows: Pairs) -> tuple[float, dict[str, float]]:
    model = tiny_llama().eval()
    loss.prepare(model, None)  # type: ignore[arg-type]  # it needs no arguments
    batch = DataCollatorForPreference()(rows)
    terms = loss(model, batch, batch.pop("labels"))
    return terms.loss_sum.item(), {name: value.item() for name, value in terms.others.items()}


def test_dpo_is_the_papers_formula() -> None:
    rows, reference = pairs(), tiny_llama(seed=7).eval()
    policy = log_probabilities(tiny_llama().eval(), rows)
    base = log_probabilities(reference, rows)
    margins = [
        0.3 * ((sum(w) - sum(v)) - (sum(l) - sum(r)))
        for (w, l), (v, r) in zip(policy, base, strict=True)  # noqa: E741
    ]
    found, rewards = loss_of(DPOLoss(beta=0.3, reference=reference), rows)
    assert found == pytest.approx(-sum(map(log_sigmoid, margins)), abs=1e-5)
    assert rewards["reward_margin"] == pytest.approx(sum(margins), abs=1e-5)
    assert rewards["reward_accuracy"] == sum(margin > 0 for margin in margins)
    smoothed, _ = loss_of(DPOLoss(beta=0.3, label_smoothing=0.2, reference=reference), rows)
    assert smoothed == pytest.approx(-sum(0.8 * log_sigmoid(m) + 0.2 * log_sigmoid(-m) for m in margins), abs=1e-5)


def test_simpo_is_the_papers_formula() -> None:
    rows = pairs()
    means = [(sum(w) / len(w), sum(v) / len(v)) for w, v in log_probabilities(tiny_llama().eval(), rows)]
    found, _ = loss_of(SimPOLoss(beta=2.5, gamma=0.6), rows)
    assert found == pytest.approx(-sum(log_sigmoid(2.5 * (w - v) - 0.6) for w, v in means), abs=1e-5)


def test_orpo_is_the_papers_formula() -> None:
    rows = pairs()
    expected = 0.0
    for chosen, rejected in log_probabilities(tiny_llama().eval(), rows):
        p, q = (math.exp(sum(answer) / len(answer)) for answer in (chosen, rejected))
        log_odds = math.log(p / (1 - p)) - math.log(q / (1 - q))
        expected += -sum(chosen) / len(chosen) - 0.4 * log_sigmoid(log_odds)
    found, _ = loss_of(ORPOLoss(beta=0.4), rows)
    assert found == pytest.approx(expected, abs=1e-5)


def test_dpo_starts_at_log_2_and_its_reference_stays(make_trainer: Callable[..., Trainer]) -> None:
    trainer = make_trainer(
        loss=DPOLoss(beta=1.0), data_collator=DataCollatorForPreference(), train_dataset=pairs(8), max_steps=6
    )
    trainer.train()
    losses = trainer.callbacks[0].losses  # type: ignore[attr-defined]  # the recorder's
    assert losses[0] == pytest.approx(math.log(2), abs=1e-6)
    assert losses[-1] < losses[0] - 1e-2


def test_a_step_is_the_mean_over_its_pairs_however_it_is_cut(make_trainer: Callable[..., Trainer]) -> None:
    def trained(**cut: int) -> Any:
        trainer = make_trainer(
            loss=SimPOLoss(),
            data_collator=DataCollatorForPreference(),
            train_dataset=pairs(8),
            optimizer_factory=partial(torch.optim.SGD, lr=0.1),  # its steps scale with the loss, unlike AdamW's
            max_steps=2,
            **cut,
        )
        trainer.train()
        return trainer.model.state_dict()

    whole = trained(per_device_train_batch_size=4)
    parts = trained(per_device_train_batch_size=1, gradient_accumulation_steps=4)
    for name, weight in whole.items():
        torch.testing.assert_close(parts[name], weight, rtol=0, atol=1e-6)


def test_evaluation_counts_pairs_and_has_no_perplexity(make_trainer: Callable[..., Trainer]) -> None:
    rows = pairs(5)
    metrics = make_trainer(
        loss=SimPOLoss(), data_collator=DataCollatorForPreference(), train_dataset=rows, eval_dataset=rows
    ).evaluate()
    assert metrics["eval_pairs"] == 5 and "perplexity" not in metrics
    assert metrics["eval_loss"] == pytest.approx(loss_of(SimPOLoss(), rows)[0] / 5, abs=1e-5)
    assert 0 <= metrics["eval_reward_accuracy"] <= 1


def test_loss_and_batches_must_fit(make_trainer: Callable[..., Trainer]) -> None:
    with pytest.raises(ValueError, match=r"data_collator \(DataCollatorForCausalLM\) must be a DataCollatorForPref"):
        make_trainer(loss=SimPOLoss())
    with pytest.raises(ValueError, match="must be a DataCollatorForCausalLM for the loss NextTokenLoss"):
        make_trainer(data_collator=DataCollatorForPreference())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DPOLoss(beta=0), r"beta \(0\) must be above 0"),
        (lambda: DPOLoss(label_smoothing=0.5), "below 0.5"),
        (lambda: SimPOLoss(gamma=-1), r"gamma \(-1\) must be at least 0"),
        (lambda: ORPOLoss(beta=-1), r"beta \(-1\) must be above 0"),
    ],
)
def test_settings_are_checked(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_trl_has_the_same_losses_without_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own functions, called with a stand-in for the trainer that holds what they read."""
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    from trl.experimental.cpo.cpo_trainer import CPOTrainer
    from trl.experimental.orpo.orpo_trainer import ORPOTrainer

    rows = pairs(4)
    means = [(sum(w) / len(w), sum(v) / len(v)) for w, v in log_probabilities(tiny_llama().eval(), rows)]
    chosen, rejected = (torch.tensor(side, dtype=torch.float32) for side in zip(*means, strict=True))
    stub: Any = SimpleNamespace(
        beta=2.5,
        simpo_gamma=0.6,
        loss_type="simpo",
        label_smoothing=0.0,
        alpha=0.0,
        accelerator=SimpleNamespace(device="cpu"),
    )
    theirs, _, _ = CPOTrainer.cpo_loss(stub, chosen, rejected)
    assert loss_of(SimPOLoss(beta=2.5, gamma=0.6), rows)[0] == pytest.approx(theirs.sum().item(), abs=1e-5)
    stub.beta = 0.4
    ratios = ORPOTrainer.odds_ratio_loss(stub, chosen, rejected)[0]
    assert loss_of(ORPOLoss(beta=0.4), rows)[0] == pytest.approx((-chosen - ratios).sum().item(), abs=1e-5)


def test_trl_has_the_same_dpo_loss(tmp_path: Path) -> None:
    """Its own trainer, on a batch that it made itself."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    tokenizer = train_tokenizer(["a question and an answer"] * 4, vocab_size=280, cache_dir=tmp_path / "cache")
    policy, reference = tiny_llama(seed=3).eval(), tiny_llama(seed=7).eval()
    for model in (policy, reference):
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    rows = [
        {"prompt": "a question", "chosen": " and an answer", "rejected": " and"},
        {"prompt": "an", "chosen": " an", "rejected": " question and"},
    ]
    args = DPOConfig(output_dir=str(tmp_path / "trl"), beta=0.3, use_cpu=True, bf16=False, report_to=[])
    theirs = DPOTrainer(policy, reference, args, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    batch = theirs.data_collator([theirs.train_dataset[number] for number in range(len(rows))])
    labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, IGNORED_LABEL)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    expected = theirs.compute_loss(policy, batch).item()
    own = DPOLoss(beta=0.3, reference=reference)
    own.prepare(policy, None)  # type: ignore[arg-type]  # it needs no arguments
    assert own(policy, inputs, labels).loss_sum.item() / len(rows) == pytest.approx(expected, abs=1e-5)
    assert abs(expected - math.log(2)) > 1e-4, "the reference plays a part"


def test_a_resumed_dpo_run_keeps_the_reference_of_the_first_step(
    make_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    def trained(output: str, **resume: str) -> dict[str, torch.Tensor]:
        trainer = make_trainer(
            output_dir=tmp_path / output,
            loss=DPOLoss(beta=1.0),
            data_collator=DataCollatorForPreference(),
            train_dataset=pairs(8),
            max_steps=4,
            save_strategy="steps",
            save_steps=2,
            **resume,
        )
        trainer.train()
        return trainer.model.state_dict()

    straight = trained("straight")
    (checkpoint,) = tmp_path.glob("straight/runs/*/checkpoints/checkpoint-2")
    resumed = trained("resumed", resume_from_checkpoint=str(checkpoint))
    assert all(torch.equal(weight, resumed[name]) for name, weight in straight.items())


@pytest.fixture
def encoder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> ChatEncoder:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tokenizer = train_tokenizer(["a question and an answer"] * 4, vocab_size=280, cache_dir=tmp_path / "cache")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    return ChatEncoder(tokenizer, chat_template="chatml")


def learnt(encoder: ChatEncoder, example: dict[str, torch.Tensor], side: str) -> str:
    labels = example[f"{side}_labels"]
    return str(encoder._tokenizer.decode(labels[labels != IGNORED_LABEL]))


def test_only_what_differs_is_learnt(encoder: ChatEncoder) -> None:
    row = {
        "prompt": [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": "earlier"},
            {"role": "user", "content": "more"},
        ],
        "chosen": "good",
        "rejected": [{"role": "assistant", "content": "bad"}],
    }
    whole = {
        side: [*row["prompt"], {"role": "assistant", "content": word}]
        for side, word in (("chosen", "good"), ("rejected", "bad"))
    }
    data = PreferenceDataset(
        [as_preference(row), as_preference(whole, prompt=None)], encoder._tokenizer, 99, encoder=encoder
    )
    for example in (data[0], data[1]):
        assert learnt(encoder, example, "chosen") == "good<|im_end|>"
        assert learnt(encoder, example, "rejected") == "bad<|im_end|>"


def test_pairs_are_encoded_once_and_read_by_other_processes(
    encoder: ChatEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["a", "question", "and", "an", "answer"]
    rows = [as_preference({"prompt": "q " * n, "chosen": words[n], "rejected": words[n - 1]}) for n in range(5)]
    first = PreferenceDataset(rows, encoder._tokenizer, 60, encoder=encoder)
    monkeypatch.setattr(ChatEncoder, "encode", None)
    second = PreferenceDataset(rows, encoder._tokenizer, 60, encoder=encoder)
    assert len(first) == len(second) == 5 and first.fingerprint == second.fingerprint
    shorter = PreferenceDataset(rows, encoder._tokenizer, 40, encoder=encoder)  # what is cut off is no part of the key
    assert all(torch.equal(shorter[0][name], value[:40]) for name, value in first[0].items())
    with pytest.raises(TypeError):  # other pairs are encoded
        PreferenceDataset(rows[:4], encoder._tokenizer, 60, encoder=encoder)


def test_pairs_that_teach_nothing_are_left_out_aloud(encoder: ChatEncoder, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        as_preference({"prompt": "q", "chosen": "same", "rejected": "same"}),
        as_preference({"prompt": "long " * 40, "chosen": "a", "rejected": "b"}),
        as_preference({"prompt": "q", "chosen": "a", "rejected": "b"}),
    ]
    assert len(PreferenceDataset(rows, encoder._tokenizer, 60, encoder=encoder)) == 1
    told = capsys.readouterr()
    assert "1 of 3 pairs are left out: the same answer twice" in told.out + told.err
    assert "1 of 3 pairs are left out: an answer that begins behind max_length (60)" in told.out + told.err
    with pytest.raises(ValueError, match="texts hold no pair to learn from: all 2 are left out"):
        PreferenceDataset(rows[:2], encoder._tokenizer, 60, encoder=encoder)


def test_what_is_no_pair_is_told_with_its_place(encoder: ChatEncoder) -> None:
    good = as_preference({"prompt": "q", "chosen": "a", "rejected": "b"})
    with pytest.raises(TypeError, match=r"texts, document 2: a pair must be a list of two conversations"):
        PreferenceDataset([good, "text"], encoder._tokenizer, 60, encoder=encoder)  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"column \('rejcted'\) must be one of: prompt, chosen"):
        as_preference({"prompt": "q", "chosen": "a"}, rejected="rejcted")
