"""`fgc train --dry-run=deep`: what would go wrong on many processes, found in one, without weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from fgc_runtime.rehearsal.memory import Ledger
from fgc_runtime.rehearsal.run import rehearsed

PROGRAM = """
from functools import partial
import torch
from fgc_runtime.script import TrainingScript
from fgc_runtime.trainers import DDP, FSDP2, Pipeline, Trainer, TrainingArguments
from transformers import LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

def main():
    config = LlamaConfig(
        vocab_size=1000, hidden_size={hidden_size}, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=64,
    )
    args = TrainingArguments(output_dir="nowhere", per_device_train_batch_size=8, {arguments})
    trainer = Trainer(
        args=args, model={model}, train_dataset={dataset}, strategy={strategy},
        processing_class={tokenizer},
    )
    print("constructed")
    TrainingScript(trainer=trainer).run(resume=None)

if __name__ == "__main__":
    main()
"""
DATASET = "[{'input_ids': torch.arange(32)}] * 64"

Write = Callable[..., Path]


@pytest.fixture
def program(tmp_path: Path) -> Write:
    def write(**given: Any) -> Path:
        model = "partial(LlamaForCausalLM, config)"
        sizes = {"model": model, "dataset": DATASET, "hidden_size": 64}
        blanks = {"arguments": "", "strategy": "None", "tokenizer": "None", **sizes}
        path = tmp_path / "train.py"
        path.write_text(PROGRAM.format(**{**blanks, **given}))
        return path

    return write


def test_it_counts_the_memory_of_a_step(program: Write) -> None:
    report = rehearsed(program(), world_size=1)
    assert report.problems == []
    (rank,) = report.ranks
    weights = report.num_parameters * 4
    assert weights <= rank.parameters < weights + 1000  # and the frequencies of the positions
    assert rank.gradients == weights
    assert 2 * weights <= rank.optimizer < 2 * weights + 1000  # and Adam's step counts
    logits = 8 * 32 * 1000 * 4
    assert rank.activations > 2 * logits
    together = rank.parameters + rank.gradients + rank.optimizer + rank.activations
    assert together - rank.gradients <= rank.peak <= together  # most is alive before the gradients are
    assert (report.batch_shape, report.label_tokens, report.max_steps) == ([8, 32], 8 * 31, 8)
    assert "8 x 32 tokens" in report.as_text() and report.as_text().endswith("no problems")
    assert json.loads(report.as_json())["ranks"][0]["peak"] == rank.peak
    assert not dist.is_initialized()


def test_the_peak_is_that_of_what_was_alive_at_once() -> None:
    with Ledger() as ledger:
        first = torch.zeros(1000)
        second = first + 1
        view = first[10:]
        del first
        assert ledger.peak_bytes == 8000
        del view
        third = second * 2
        assert ledger.peak_bytes == 8000
        fourth = third + second
        assert ledger.peak_bytes == 12000
        third.untyped_storage().resize_(0)  # as fully_shard drops gathered weights
        fifth = fourth.clone()
        assert ledger.peak_bytes == 12000
        third.untyped_storage().resize_(4000)
        assert ledger.peak_bytes == 16000
        fifth.add_(1)
        assert ledger.peak_bytes == 16000


def test_shards_take_their_share_and_a_fused_loss_less_than_logits(program: Write) -> None:
    whole = rehearsed(program(), world_size=1).ranks[0]
    sharded = rehearsed(program(strategy="FSDP2()"), world_size=4)
    assert sharded.problems == []
    assert sharded.ranks[0].plan == "weights in 4 shards"
    assert sharded.ranks[0].optimizer == pytest.approx(whole.optimizer / 4, rel=0.02)
    fused = rehearsed(program(arguments="fused_loss='chunked', fused_loss_chunk_size=16"), world_size=1).ranks[0]
    assert whole.activations - fused.activations > 8 * 32 * 1000 * 4


MIXTURE = """partial(MixtralForCausalLM, MixtralConfig(
            vocab_size=1000, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=4, num_local_experts=4, max_position_embeddings=64,
        ))"""


@pytest.mark.parametrize("arguments", ["", "bf16=True"])
def test_mixtures_of_experts_are_rehearsed_in_any_dtype(program: Write, arguments: str) -> None:
    report = rehearsed(program(model=MIXTURE, arguments=arguments), world_size=2)
    assert report.problems == []
    # of each token and its two experts: gate, up, what the activation makes of them, and the result
    assert report.ranks[0].activations > 2 * 8 * 32 * 2 * (3 * 128 + 64) * (2 if arguments else 4)


WIDE = {"hidden_size": 512, "dataset": "[{'input_ids': torch.arange(4)}] * 8192"}  # weights count, activations do not


@pytest.mark.parametrize("world_size", [8, 64, 512])
def test_the_peak_of_shards_is_the_hand_figure(program: Write, world_size: int) -> None:
    layer, ends = 4 * (4 * 512 * 512 + 3 * 512 * 128), 4 * 2 * 1000 * 512
    report = rehearsed(program(strategy="FSDP2()", **WIDE), world_size=world_size)
    # weight, gradient and two moments; two layers gathered and a third on its way, gradients of one, twice to be summed
    expected = 16 * report.num_parameters / world_size + 5 * layer + ends
    assert report.ranks[0].peak == pytest.approx(expected, rel=0.15)


def test_whole_layers_and_shards_on_the_host_change_the_peak(program: Write) -> None:
    layer = 4 * (4 * 512 * 512 + 3 * 512 * 128)
    plain, whole, on_host = (
        rehearsed(program(strategy=f"FSDP2({option})", **WIDE), world_size=64).ranks[0]
        for option in ("", "reshard_after_forward=False", "cpu_offload=True")
    )
    assert whole.peak - plain.peak == pytest.approx(2 * layer, rel=0.25)  # of four layers, two are gathered anyway
    assert on_host.host == on_host.parameters + on_host.gradients + on_host.optimizer
    assert on_host.peak < plain.peak
    assert plain.host == 0


def test_activations_on_the_host_leave_the_device(program: Write) -> None:
    plain, offloaded = (
        rehearsed(program(arguments=f"activation_offloading={is_on}"), world_size=1).ranks[0] for is_on in (False, True)
    )
    rows = 8 * 32 * 4  # bytes of one number for each token
    kept = rows * 4 * (2 * 64 + 3 * 128)  # of four layers: what goes into the norms, and the three products of each MLP
    assert plain.host == 0
    assert offloaded.host > kept
    assert plain.peak - offloaded.peak > kept / 2  # the loss at the end needs its logits on the device all the same
    assert offloaded.activations >= 2 * rows * 1000  # the logits and their gradient
    assert "in the host's memory" in rehearsed(program(arguments="activation_offloading=True"), world_size=1).as_text()


def test_replicas_keep_their_gradients_from_step_to_step(program: Write) -> None:
    alone, replica = (rehearsed(program(), world_size=size).ranks[0] for size in (1, 2))
    assert replica.peak - alone.peak == pytest.approx(alone.gradients, rel=0.1)


def test_a_pipeline_is_reported_stage_by_stage(program: Write) -> None:
    report = rehearsed(program(strategy="Pipeline(schedule='GPipe')"), world_size=2)
    assert report.problems == []
    assert [rank.rank for rank in report.ranks] == [0, 1]
    first, last = report.ranks
    assert "GPipe, 4 micro-batches" in first.plan
    assert first.parameters + last.parameters >= report.num_parameters * 4


@pytest.mark.parametrize(
    ("given", "world_size", "problem"),
    [
        ({"strategy": "FSDP2(tp_size=8)"}, 8, "tp_size (8) must divide num_attention_heads (4)"),
        ({"strategy": "FSDP2(tp_size=2)"}, 3, "must divide the number of processes (3)"),
        ({"strategy": "Pipeline(schedule='LoopedBFS')"}, 4, "num_hidden_layers (4) must be at least"),
        ({"strategy": "Pipeline(n_microbatches=3)"}, 2, "must divide per_device_train_batch_size (8)"),
        ({"strategy": "Pipeline()"}, 1, "Pipeline needs at least two processes"),
        ({"dataset": "[{'input_ids': torch.arange(65)}] * 9"}, 1, "max_position_embeddings of the model is 64"),
        ({"dataset": "[{'input_ids': torch.tensor([1, 1000])}] * 9"}, 1, "token id 1000 is beyond the model's vocab"),
        ({"dataset": "[]"}, 1, "empty"),
        ({"dataset": "open('no_such_file.txt')"}, 1, "No such file or directory: 'no_such_file.txt'"),
        ({"hidden_size": 62}, 1, ""),
        ({"arguments": "learning_rate=-1"}, 1, "learning_rate (-1) must not be negative"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_would_fail_is_said_in_one_line(program: Write, given: Any, world_size: int, problem: str) -> None:
    report = rehearsed(program(**given), world_size=world_size)
    assert len(report.problems) == 1
    assert problem in report.problems[0]
    assert "\n" not in report.problems[0]


def test_a_pad_token_that_is_eos_is_found(program: Write) -> None:
    fields = "{'pad_token_id': 2, 'eos_token_id': 2, 'pad_token': '</s>', 'eos_token': '</s>', '__len__': lambda _: 3}"
    report = rehearsed(program(tokenizer=f"type('T', (), {fields})()"), world_size=1)
    (problem,) = report.problems
    assert "'</s>'" in problem and "pad" in problem and "eos" in problem


def test_nothing_is_written(program: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rehearsed(program(), world_size=1)
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["train.py"]


def test_cut_matrices_are_rehearsed_too(program: Write) -> None:
    report = rehearsed(program(strategy="FSDP2(tp_size=2)"), world_size=4)
    assert report.problems == []
    assert report.ranks[0].plan == "weights in 2 shards, matrices cut in 2"
