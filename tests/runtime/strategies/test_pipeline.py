"""Pipelines: every schedule trains and evaluates the model that one process does, or says why it cannot."""

import inspect
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.distributed import World
from fgc_runtime.trainers import NextTokenLoss, Pipeline, SingleDevice, TrainingArguments
from fgc_runtime.trainers.strategies.pipeline.stages import layers_by_stage, make_stages
from fgc_runtime.trainers.strategies.pipeline.strategy import SCHEDULES

InProcesses = Callable[..., list[Any]]

GOLDEN = Path(__file__).parents[2] / "golden/library/models"
FIVE_STEPS = {"per_device_train_batch_size": 8, "max_steps": 5, "num_layers": 5}


@pytest.mark.parametrize("is_tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_trains_like_one_process(
    run: Any, in_processes: InProcesses, assert_equal: Any, schedule: str, is_tied: bool
) -> None:
    given = partial(run, is_tied=is_tied, **FIVE_STEPS)
    assert_equal(in_processes(2, given, partial(Pipeline, schedule=schedule)), given(SingleDevice))


@pytest.mark.parametrize(
    ("strategy", "processes", "arguments"),
    [
        pytest.param(
            Pipeline, 2, {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}, id="accumulation"
        ),
        pytest.param(
            partial(Pipeline, schedule="ZBVZeroBubble", n_microbatches=2),
            2,
            {"fused_loss": "chunked", "fused_loss_chunk_size": 7},
            id="fused-loss",
        ),
        pytest.param(
            partial(Pipeline, schedule="Interleaved1F1B"), 2, {"gradient_checkpointing": True}, id="checkpointing"
        ),
        pytest.param(partial(Pipeline, pp_size=2), 4, {"per_device_train_batch_size": 4}, id="two-pipelines"),
        pytest.param(partial(Pipeline, layers_per_stage=[1, 1, 3]), 3, {}, id="three-stages"),
    ],
)
def test_it_trains_like_one_process(
    run: Any, in_processes: InProcesses, assert_equal: Any, strategy: Any, processes: int, arguments: Any
) -> None:
    outcomes = in_processes(processes, partial(run, is_tied=True, **{**FIVE_STEPS, **arguments}), strategy)
    assert_equal(outcomes, run(SingleDevice, is_tied=True, **FIVE_STEPS))


@pytest.mark.parametrize("family", ["gpt2", "transformer", "gemma2"])
def test_generated_models_are_divided_into_stages_that_compute_what_they_compute(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Learned positions and dropout before the layers, no norm behind them, scaled and tied embeddings."""
    monkeypatch.syspath_prepend(str(GOLDEN / family))
    package = import_module(f"tiny_{family}")
    model_class = next(getattr(package, name) for name in package.__all__ if name.endswith("ForCausalLM"))
    sizes = {"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
    sizes |= {"intermediate_size": 48, "num_hidden_layers": 4, "vocab_size": 64}
    fields = inspect.signature(model_class.config_class).parameters
    model = model_class(model_class.config_class(**{name: sizes[name] for name in sizes if name in fields}))
    args = TrainingArguments(output_dir=tmp_path, use_cpu=True)
    first, second = make_stages(model, layers_by_stage(4, 2), args, torch.device("cpu"))
    assert {name for name, _ in first.part.named_parameters() if "positions" in name} == {
        name for name, _ in model.model.named_parameters() if "positions" in name
    }
    assert not [name for name, _ in second.part.named_parameters() if name.startswith("embed")]


def test_packed_documents_stay_apart_in_every_stage(run: Any, in_processes: InProcesses, assert_equal: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    packed = [
        {
            "input_ids": torch.randint(3, 64, (16,), generator=generator),
            "position_ids": torch.tensor([*range(cut), *range(16 - cut)]),
        }
        for cut in range(1, 15)
    ]
    given = partial(run, **{**FIVE_STEPS, "train_dataset": packed})
    assert_equal(in_processes(2, given, Pipeline), given(SingleDevice))
    joined = [{"input_ids": example["input_ids"]} for example in packed]
    assert run(SingleDevice, **{**FIVE_STEPS, "train_dataset": joined}).losses != given(SingleDevice).losses


def test_a_process_keeps_its_own_layers_only(
    in_processes: InProcesses, tiny_model: Callable[..., Any], tmp_path: Path
) -> None:
    def names(schedule: str) -> list[str]:
        strategy = Pipeline(schedule=schedule)
        args = TrainingArguments(output_dir=tmp_path, use_cpu=True, per_device_train_batch_size=4)
        strategy.prepare(tiny_model(num_layers=4), NextTokenLoss(), args, World.connect(use_cpu=True))
        return sorted({name.removeprefix("model.").removesuffix(".weight") for name in strategy.model.state_dict()})

    def of_layers(*numbers: int) -> set[str]:
        return {name for name in everything if any(name.startswith(f"layers.{number}.") for number in numbers)}

    everything = {name.removeprefix("model.").removesuffix(".weight") for name in tiny_model(num_layers=4).state_dict()}
    # the head is four times as large as a sixth of a layer, so the last stage gets the fewer layers
    first, second = (set(found) for found in in_processes(2, names, "1F1B"))
    assert first | second == everything
    assert not first & second
    assert "embed_tokens" in first and {"norm", "lm_head"} <= second
    ends, middle = (set(found) for found in in_processes(2, names, "ZBVZeroBubble"))
    assert ends == {"embed_tokens", "norm", "lm_head"} | of_layers(0, 3)
    assert middle == of_layers(1, 2)


@pytest.mark.parametrize(
    ("num_layers", "num_stages", "head_cost", "wanted", "expected"),
    [
        (4, 1, 0.0, None, [4]),
        (4, 2, 0.0, None, [2, 2]),
        (5, 2, 0.0, None, [3, 2]),
        (8, 2, 2.0, None, [5, 3]),
        (8, 4, 6.0, None, [3, 2, 2, 1]),
        (3, 3, 9.0, None, [1, 1, 1]),
        (5, 2, 0.0, [1, 4], [1, 4]),
    ],
)
def test_layers_are_dealt_out_evenly(
    num_layers: int, num_stages: int, head_cost: float, wanted: Any, expected: list[int]
) -> None:
    stages = layers_by_stage(num_layers, num_stages, head_cost=head_cost, wanted=wanted)
    assert [len(stage) for stage in stages] == expected
    assert [layer for stage in stages for layer in stage] == list(range(num_layers))


@pytest.mark.parametrize(
    ("strategy", "arguments", "message"),
    [
        (
            partial(Pipeline, n_microbatches=3),
            {},
            r"n_microbatches \(3\) must divide per_device_train_batch_size",
        ),
        (partial(Pipeline, n_microbatches=1), {}, r"n_microbatches \(1\) must be at least pp_size \(2\) for 1F1B"),
        (partial(Pipeline, pp_size=3), {}, r"pp_size \(3\) must divide the number of processes \(2\)"),
        (
            partial(Pipeline, schedule="LoopedBFS", stages_per_rank=3),
            {},
            r"num_hidden_layers \(5\) must be at least the number of stages \(6\)",
        ),
        (partial(Pipeline, layers_per_stage=[5, 1]), {}, r"layers_per_stage \(\[5, 1\]\) must hold 2 counts"),
        (Pipeline, {"optimizer_in_backward": True, "max_grad_norm": None}, "optimizer_in_backward"),
        (partial(Pipeline, schedule="ZBVZeroBubble"), {"torch_compile": True}, "torch_compile"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_step(
    run: Any, in_processes: InProcesses, strategy: Any, arguments: Any, message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        in_processes(2, partial(run, **{**FIVE_STEPS, **arguments}), strategy)


def test_one_process_is_told_how_to_start_more(run: Any) -> None:
    with pytest.raises(ValueError, match=r"Pipeline needs at least two processes.* torchrun --nproc-per-node 2"):
        run(Pipeline, **FIVE_STEPS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"schedule": "Fast"}, r"schedule \('Fast'\) must be one of GPipe, 1F1B"),
        ({"n_microbatches": 0}, r"n_microbatches \(0\) must be at least 1"),
        ({"stages_per_rank": 2}, r"stages_per_rank \(2\) must be 1 for the schedule 1F1B"),
        ({"schedule": "ZBVZeroBubble", "stages_per_rank": 3}, r"stages_per_rank \(3\) must be 2"),
    ],
)
def test_wrong_values_are_refused_with_their_name(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pipeline(**given)
