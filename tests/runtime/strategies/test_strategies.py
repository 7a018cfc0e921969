"""Every strategy trains the model that one process trains: losses, norms, evaluations and weights, to 1e-6."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.callbacks import TrainerCallback
from fgc_runtime.trainers import DDP, FSDP2, SingleDevice, Strategy, Trainer, TrainingArguments
from torch.optim import SGD, AdamW
from transformers import LlamaForCausalLM

InProcesses = Callable[..., list[Any]]

FIVE_STEPS = {"per_device_train_batch_size": 8, "max_steps": 5}
HALF = {**FIVE_STEPS, "per_device_train_batch_size": 4}
QUARTERS = {**HALF, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}


class Outcome:
    """What a run showed: plain numbers, so that it travels between processes."""

    def __init__(self, trainer: Trainer, losses: list[float], norms: list[float]) -> None:
        self.losses, self.norms = losses, norms
        self.evaluation = trainer.evaluate()
        self.examples = trainer.state.num_examples
        self.tokens = trainer.state.num_tokens
        full = trainer.strategy.full_model()
        self.weights = None if full is None else {name: tensor.clone() for name, tensor in full.state_dict.items()}


class Run:
    """A training of a tiny Llama on 19 ragged examples; the last step of an epoch has three."""

    def __init__(self, model: Callable[..., LlamaForCausalLM], examples: Callable[..., Any], folder: Path) -> None:
        self.model, self.examples, self.folder = model, examples, folder

    def __call__(self, strategy: Callable[[], Strategy], *, is_tied: bool = False, **arguments: Any) -> Outcome:
        optimizer = arguments.pop("optimizer", partial(SGD, lr=0.5, momentum=0.9))
        records: list[dict[str, float]] = []

        class Record(TrainerCallback):
            def on_log(self, run: Any, logs: Any) -> None:
                records.append(dict(logs))

        trainer = Trainer(
            self.model(is_tied=is_tied),
            TrainingArguments(
                output_dir=self.folder,
                logging_steps=1,
                save_strategy="no",
                use_cpu=True,
                max_grad_norm=0.7,
                **arguments,
            ),
            train_dataset=self.examples(19),
            eval_dataset=self.examples(7, seed=3),
            callbacks=[Record()],
            optimizer_factory=optimizer,
            strategy=strategy(),
        )
        trainer.train()
        steps = [record for record in records if "grad_norm" in record]
        return Outcome(trainer, [step["loss"] for step in steps], [step["grad_norm"] for step in steps])


@pytest.fixture
def run(tiny_model: Callable[..., Any], examples: Callable[..., Any], tmp_path: Path) -> Run:
    return Run(tiny_model, examples, tmp_path)


def assert_equal(outcomes: list[Outcome], reference: Outcome, tolerance: float = 1e-6) -> None:
    main = outcomes[0]
    assert main.losses == pytest.approx(reference.losses, abs=tolerance)
    assert len(main.losses) == 5
    assert main.norms == pytest.approx(reference.norms, abs=tolerance)
    assert main.evaluation["eval_loss"] == pytest.approx(reference.evaluation["eval_loss"], abs=tolerance)
    assert main.evaluation["eval_tokens"] == reference.evaluation["eval_tokens"]
    assert (main.examples, main.tokens) == (reference.examples, reference.tokens)
    assert main.weights is not None and reference.weights is not None
    assert main.weights.keys() == reference.weights.keys()
    for name, weight in reference.weights.items():
        torch.testing.assert_close(main.weights[name], weight, rtol=0, atol=tolerance, msg=name)
    assert all(outcome.evaluation == main.evaluation for outcome in outcomes)  # every process knows the result
    assert all(outcome.weights is None for outcome in outcomes[1:])


@pytest.mark.parametrize("is_tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize(
    ("strategy", "processes", "arguments"),
    [
        pytest.param(DDP, 2, HALF, id="ddp"),
        pytest.param(DDP, 2, QUARTERS, id="ddp-accumulation"),
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
    run: Run, in_processes: InProcesses, strategy: Any, processes: int, arguments: Any, is_tied: bool
) -> None:
    reference = run(SingleDevice, is_tied=is_tied, **FIVE_STEPS)
    assert_equal(in_processes(processes, partial(run, is_tied=is_tied, **arguments), strategy), reference)


def test_shards_and_cut_matrices_together_train_like_one_process(run: Run, in_processes: InProcesses) -> None:
    arguments = {"optimizer": partial(AdamW, lr=1e-3, eps=1e-3), **FIVE_STEPS}
    outcomes = in_processes(4, partial(run, **{**arguments, **HALF}), partial(FSDP2, tp_size=2))
    assert_equal(outcomes, run(SingleDevice, **arguments))


def test_a_strategy_for_one_process_refuses_two(run: Run, in_processes: InProcesses) -> None:
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
    run: Run, in_processes: InProcesses, strategy: Any, message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        in_processes(2, run, strategy)


def test_heads_that_do_not_divide_are_refused(run: Run, in_processes: InProcesses) -> None:
    with pytest.raises(AssertionError, match=r"tp_size \(4\) must divide num_attention_heads \(2\)"):
        in_processes(4, run, partial(FSDP2, tp_size=4))


@pytest.mark.parametrize("given", [{"tp_size": 0}, {"reduce_dtype": "fp8"}, {"param_dtype": "half"}])
def test_wrong_values_are_refused_with_their_name(given: Any) -> None:
    (name,) = given
    with pytest.raises(ValueError, match=rf"{name} \("):
        FSDP2(**given)


@pytest.mark.parametrize("strategy", [DDP, FSDP2], ids=["ddp", "fsdp2"])
def test_an_exported_model_is_the_users_class_and_loads(
    run: Run, in_processes: InProcesses, tmp_path: Path, strategy: Any
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
