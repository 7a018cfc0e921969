"""Every strategy trains the model that one process trains: losses, norms, evaluations and weights, to 1e-6."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fgc_runtime.trainers import DDP, FSDP2, Accelerate, SingleDevice, Trainer, TrainingArguments
from torch.optim import AdamW
from transformers import LlamaForCausalLM

InProcesses = Callable[..., list[Any]]

FIVE_STEPS = {"per_device_train_batch_size": 8, "max_steps": 5}
HALF = {**FIVE_STEPS, "per_device_train_batch_size": 4}
QUARTERS = {**HALF, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}


@pytest.mark.parametrize("is_tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize(
    ("strategy", "processes", "arguments"),
    [
        pytest.param(DDP, 2, HALF, id="ddp"),
        pytest.param(DDP, 2, QUARTERS, id="ddp-accumulation"),
        pytest.param(Accelerate, 1, FIVE_STEPS, id="accelerate-alone"),
        pytest.param(Accelerate, 2, QUARTERS, id="accelerate-accumulation"),
        pytest.param(FSDP2, 2, HALF, id="fsdp2"),
        pytest.param(FSDP2, 2, QUARTERS, id="fsdp2-accumulation"),
        pytest.param(FSDP2, 1, FIVE_STEPS, id="fsdp2-alone"),
        pytest.param(partial(FSDP2, dp_replicate_size=2), 2, HALF, id="hsdp"),
        pytest.param(
            partial(FSDP2, reshard_after_forward=False), 2, {**HALF, "gradient_checkpointing": True}, id="checkpointing"
        ),
        pytest.param(partial(FSDP2, cpu_offload=True), 2, HALF, id="cpu-offload"),
        pytest.param(FSDP2, 2, {**HALF, "fused_loss": "chunked", "fused_loss_chunk_size": 7}, id="fused-loss"),
        pytest.param(partial(FSDP2, tp_size=2), 2, FIVE_STEPS, id="tensor-parallel"),
    ],
)
def test_the_strategy_trains_like_one_process(
    run: Any, in_processes: InProcesses, assert_equal: Any, strategy: Any, processes: int, arguments: Any, is_tied: bool
) -> None:
    reference = run(SingleDevice, is_tied=is_tied, **FIVE_STEPS)
    assert_equal(in_processes(processes, partial(run, is_tied=is_tied, **arguments), strategy), reference)


def test_shards_and_cut_matrices_together_train_like_one_process(
    run: Any, in_processes: InProcesses, assert_equal: Any
) -> None:
    arguments = {"optimizer": partial(AdamW, lr=1e-3, eps=1e-3), **FIVE_STEPS}
    outcomes = in_processes(4, partial(run, **{**arguments, **HALF}), partial(FSDP2, tp_size=2))
    assert_equal(outcomes, run(SingleDevice, **arguments))


def test_a_strategy_for_one_process_refuses_two(run: Any, in_processes: InProcesses) -> None:
    with pytest.raises(AssertionError, match="SingleDevice trains on one process, not on 2: use DDP, FSDP2"):
        in_processes(2, run, SingleDevice)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (partial(FSDP2, tp_size=3), r"tp_size \(3\) must divide the number of processes \(2\)"),
        (partial(FSDP2, dp_replicate_size=4), r"dp_replicate_size \(4\) x tp_size \(1\) must divide"),
    ],
)
def test_sizes_that_do_not_fit_the_world_are_refused(
    run: Any, in_processes: InProcesses, strategy: Any, message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        in_processes(2, run, strategy)


def test_heads_that_do_not_divide_are_refused(run: Any, in_processes: InProcesses) -> None:
    with pytest.raises(AssertionError, match=r"tp_size \(4\) must divide num_attention_heads \(2\)"):
        in_processes(4, run, partial(FSDP2, tp_size=4))


@pytest.mark.parametrize("given", [{"tp_size": 0}, {"reduce_dtype": "fp8"}, {"param_dtype": "half"}])
def test_wrong_values_are_refused_with_their_name(given: Any) -> None:
    (name,) = given
    with pytest.raises(ValueError, match=rf"{name} \("):
        FSDP2(**given)


@pytest.mark.parametrize("strategy", [DDP, FSDP2], ids=["ddp", "fsdp2"])
def test_an_exported_model_is_the_users_class_and_loads(
    run: Any, in_processes: InProcesses, tmp_path: Path, strategy: Any
) -> None:
    def train_and_save(folder: Path) -> None:
        trainer = Trainer(
            run.model(is_tied=True),
            TrainingArguments(output_dir=folder, use_cpu=True, max_steps=2, save_strategy="no", logging_strategy="no"),
            train_dataset=run.examples(8),
            callbacks=[],
            strategy=strategy(),
        )
        trainer.train()
        trainer.save_model()

    in_processes(2, train_and_save, tmp_path / "shared")
    in_processes(1, train_and_save, tmp_path / "alone")
    shared, alone = (LlamaForCausalLM.from_pretrained(tmp_path / name) for name in ("shared", "alone"))
    assert shared.config.architectures == ["LlamaForCausalLM"]
    assert shared.generation_config.to_dict() == alone.generation_config.to_dict()
    assert {path.name for path in (tmp_path / "shared").iterdir()} == {
        path.name for path in (tmp_path / "alone").iterdir()
    }


def test_shards_step_in_backward(run: Any, in_processes: InProcesses, assert_equal: Any) -> None:
    given = {"max_grad_norm": None, "optimizer": partial(AdamW, lr=1e-3, eps=1e-3)}
    outcomes = in_processes(2, partial(run, optimizer_in_backward=True, **HALF, **given), FSDP2)
    assert_equal(outcomes, run(SingleDevice, **FIVE_STEPS, **given))


@pytest.mark.parametrize("strategy", [DDP, Accelerate], ids=["ddp", "accelerate"])
def test_replicas_refuse_to_step_in_backward(run: Any, in_processes: InProcesses, strategy: Any) -> None:
    with pytest.raises(AssertionError, match=r"optimizer_in_backward \(True\) must be False with"):
        in_processes(2, partial(run, optimizer_in_backward=True, max_grad_norm=None, **HALF), strategy)
