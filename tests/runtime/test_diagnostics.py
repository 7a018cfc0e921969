"""Callbacks that measure: norms, memory, throughput, profiles; those that stop; and a loss that is not a number."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fgc_runtime.callbacks import (
    DivergenceCallback,
    ExpertBalanceCallback,
    JsonLogCallback,
    MemoryCallback,
    NormCallback,
    ProfilerCallback,
    ThroughputCallback,
    TrainerCallback,
    TrainerControl,
    TrainingRun,
    read_log,
)
from fgc_runtime.callbacks.throughput import flops_per_token, multiplied_weights
from fgc_runtime.data.windows import shuffled_order
from fgc_runtime.trainers import Trainer
from transformers import Glm4MoeConfig, Glm4MoeForCausalLM

MakeTrainer = Callable[..., Trainer]


# ---- experts that are kept busy


def glm() -> Glm4MoeForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "moe_intermediate_size": 8, "head_dim": 8}
    heads = {"num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 2}
    config = Glm4MoeConfig(vocab_size=64, n_routed_experts=4, num_experts_per_tok=1, **sizes, **heads)
    model = Glm4MoeForCausalLM(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def test_the_bias_of_a_router_moves_against_the_load_of_the_step(make_trainer: MakeTrainer, recorder: Any) -> None:
    model, chosen = glm(), []
    gates = [layer.mlp.gate for layer in model.model.layers[1:]]  # the first layer is dense
    gates[1].register_forward_hook(lambda module, args, output: chosen.extend(output[2].flatten().tolist()))
    callbacks = [ExpertBalanceCallback(update_rate=0.25), recorder]
    make_trainer(model=model, callbacks=callbacks, max_steps=1, learning_rate=0.0).train()
    counts = [chosen.count(expert) for expert in range(4)]
    mean = len(chosen) / 4
    assert gates[1].e_score_correction_bias.tolist() == [0.25 * ((mean > count) - (mean < count)) for count in counts]
    assert recorder.logs[0]["expert_load_max"] >= max(counts) / mean


def test_biases_even_out_the_load_of_experts(make_trainer: MakeTrainer, recorder: Any) -> None:
    callbacks = [ExpertBalanceCallback(update_rate=0.02), recorder]
    settings = {"max_steps": 40, "learning_rate": 0.0, "per_device_train_batch_size": 24}  # a step has all examples
    make_trainer(model=glm(), callbacks=callbacks, **settings).train()
    loads = [log["expert_load_max"] for log in recorder.logs if "expert_load_max" in log]
    assert sum(loads[-5:]) / 5 < 0.75 * loads[0]


def test_routers_that_are_kept_in_eval_mode_are_left_alone(make_trainer: MakeTrainer, recorder: Any) -> None:
    model = glm()
    gates = [layer.mlp.gate for layer in model.model.layers[1:]]

    class Frozen(TrainerCallback):
        def on_train_begin(self, run: TrainingRun) -> None:
            for gate in gates:
                gate.eval()

    make_trainer(model=model, callbacks=[Frozen(), ExpertBalanceCallback(), recorder], max_steps=1).train()
    assert recorder.logs[0]["expert_load_max"] == 1.0
    assert not any(gate.e_score_correction_bias.any() for gate in gates)


def test_a_model_without_such_routers_is_refused(make_trainer: MakeTrainer) -> None:
    with pytest.raises(ValueError, match="no router of LlamaForCausalLM has a bias that balances experts"):
        make_trainer(callbacks=[ExpertBalanceCallback()]).train()
    with pytest.raises(ValueError, match="update_rate is 0; it must be above 0"):
        ExpertBalanceCallback(update_rate=0)
    model = glm()
    model.model.layers[1].mlp.register_buffer("e_score_correction_bias", torch.zeros(4))  # where MiniMax-M2 has it
    with pytest.raises(ValueError, match=r"`model.layers.1.mlp` cannot be balanced: Glm4MoeMoE has e_score"):
        make_trainer(model=model, callbacks=[ExpertBalanceCallback()]).train()


# ---- what is measured


class Snapshots(TrainerCallback):
    """The gradients and weights of every step, as they were."""

    def __init__(self) -> None:
        self.gradients: list[dict[str, torch.Tensor]] = []
        self.weights: list[dict[str, torch.Tensor]] = []

    def on_pre_optimizer_step(self, run: Any) -> None:
        self.gradients.append({name: p.grad.clone() for name, p in run.model.named_parameters()})

    def on_step_end(self, run: Any) -> None:
        self.weights.append({name: p.detach().clone() for name, p in run.model.named_parameters()})


def norm(tensors: dict[str, torch.Tensor], part: str) -> float:
    return math.sqrt(sum(float((t.double() ** 2).sum()) for name, t in tensors.items() if part in name))


def test_norms_are_those_of_the_groups_and_of_the_logged_step(make_trainer: MakeTrainer, recorder: Any) -> None:
    snapshots = Snapshots()
    norms = NormCallback({"attention": "self_attn", "mlp": r"mlp\.", "all": ""})
    make_trainer(callbacks=[norms, snapshots, recorder], logging_steps=2, max_grad_norm=0.1).train()
    records = [record for record in recorder.logs if "loss" in record]
    assert [record["step"] for record in records] == [2, 4, 6]
    for record in records:
        gradients, weights = snapshots.gradients[record["step"] - 1], snapshots.weights[record["step"] - 1]
        for group, part in (("attention", "self_attn"), ("mlp", "mlp."), ("all", "")):
            assert record[f"grad_norm/{group}"] == pytest.approx(norm(gradients, part), rel=1e-5)
            assert record[f"weight_norm/{group}"] == pytest.approx(norm(weights, part), rel=1e-5)
        assert record["grad_norm/all"] <= 0.1 * (1 + 1e-5) < record["grad_norm"]  # behind clipping, and before it


class Sets(TrainerCallback):
    """Changes logging_steps in the middle of a run, as `fgc control set` does."""

    def on_poll(self, run: TrainingRun) -> None:
        if run.state.global_step == 2:
            run.control.intervals["logging_steps"] = 3


@pytest.mark.parametrize("how", ["resume", "set"])
def test_each_record_has_norms_whatever_decides_when_to_log(make_trainer: MakeTrainer, recorder: Any, how: str) -> None:
    settings: dict[str, Any] = {"logging_steps": 2, "max_steps": 6, "save_strategy": "no"}
    if how == "resume":
        make_trainer(logging_steps=4, max_steps=2, save_strategy="steps", save_steps=2).train()
        settings |= {"resume_from_checkpoint": True, "resume_anyway": True}
    make_trainer(callbacks=[*([Sets()] if how == "set" else []), NormCallback(), recorder], **settings).train()
    records = [record for record in recorder.logs if "loss" in record]
    assert len(records) >= 2
    assert all("grad_norm/all" in record and "weight_norm/all" in record for record in records)


def test_a_pattern_without_parameters_is_named(make_trainer: MakeTrainer) -> None:
    with pytest.raises(ValueError, match=r"patterns: no parameter matches 'q_prj'; did you mean q_proj"):
        make_trainer(callbacks=[NormCallback({"queries": "q_prj"})]).train()
    with pytest.raises(ValueError, match=r"'\(' is no regular expression"):
        NormCallback({"x": "("})


def test_memory_is_that_of_the_process(make_trainer: MakeTrainer, recorder: Any) -> None:
    import resource

    make_trainer(callbacks=[MemoryCallback(), recorder]).train()
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    assert 0.05 < recorder.logs[0]["peak_memory_gib"] <= gib * 1.001


def test_throughput_is_the_formulas(make_trainer: MakeTrainer, recorder: Any, tiny_model: Any) -> None:
    """By hand, for 2 layers of 2 heads of 16 channels, hidden 32, intermediate 64, vocabulary 64, 10 tokens."""
    weights = 2 * (4 * 32 * 32 + 3 * 32 * 64 + 2 * 32) + 32 + 64 * 32  # layers, last norm, head
    for model in (tiny_model(), tiny_model(is_tied=True)):
        assert multiplied_weights(model.num_parameters(), model.config) == weights
    flops = 6 * weights + 12 * 2 * 2 * 16 * 10
    assert flops_per_token(tiny_model().config, weights, 10) == flops
    make_trainer(callbacks=[ThroughputCallback(peak_flops=1e9, sequence_length=10), recorder]).train()
    for record in (record for record in recorder.logs if "loss" in record):
        assert record["tflops_per_second"] == pytest.approx(flops * record["tokens_per_second"] / 1e12)
        assert record["mfu"] == pytest.approx(flops * record["tokens_per_second"] / 1e9)


def test_experts_that_a_token_is_not_sent_to_do_no_work(make_trainer: MakeTrainer, recorder: Any) -> None:
    model = glm()
    make_trainer(model=model, callbacks=[ThroughputCallback(sequence_length=8), recorder], max_steps=1).train()
    log = recorder.logs[0]
    idle = 2 * 3 * (3 * 16 * 8)  # in two layers, three of four experts of three matrices
    weights = model.num_parameters() - 64 * 16 - idle
    flops = 6 * weights + 12 * 3 * 2 * 8 * 8
    assert log["tflops_per_second"] * 1e12 == pytest.approx(flops * log["tokens_per_second"], rel=1e-6)


def test_without_a_peak_there_is_no_share_of_it(make_trainer: MakeTrainer, recorder: Any) -> None:
    make_trainer(callbacks=[ThroughputCallback(), recorder]).train()
    assert "mfu" not in recorder.logs[0] and recorder.logs[0]["tflops_per_second"] > 0
    with pytest.raises(ValueError, match=r"peak_flops \(0\) must be above 0"):
        ThroughputCallback(peak_flops=0)


def test_a_profile_holds_the_steps_that_were_asked_for(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    profiler = ProfilerCallback(first_step=3, num_steps=2)
    make_trainer(callbacks=[profiler], logging_dir=tmp_path).train()
    events = json.loads((tmp_path / "trace_steps_3_to_4.json").read_text())["traceEvents"]
    steps = {event["name"] for event in events if event["name"].startswith("ProfilerStep")}
    assert len(steps) == 2
    assert sum(event["name"].startswith("Optimizer.step") for event in events) == 2
    assert "aten::mm" in (tmp_path / "trace_steps_3_to_4.txt").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, r"num_steps \(0\) must be at least 1"),
        ({"first_step": 2}, r"warmup_steps \(1\) must leave a step before first_step \(2\)"),
    ],
)
def test_profiles_without_room_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ProfilerCallback(**options)


# ---- what stops


def judged(callback: DivergenceCallback, losses: list[float]) -> list[bool]:
    """After which records the run would end."""
    asked = []
    for step, loss in enumerate(losses, start=1):
        control = TrainerControl()
        run = SimpleNamespace(control=control, is_main=False, state=SimpleNamespace(global_step=step))
        callback.on_log(run, {"loss": loss})  # type: ignore[arg-type]
        asked.append(control.should_stop or control.should_abort)
    return asked


def test_divergence_is_the_formulas() -> None:
    losses = [5.0, 4.0, 3.0, 3.1, 3.0, 9.0, 9.0, 9.0, 9.0, 3.0, 3.0, 9.0]
    smoothed, best, strikes, expected = losses[0], math.inf, 0, []
    for number, loss in enumerate(losses, start=1):
        smoothed = 0.5 * smoothed + 0.5 * loss
        strikes = strikes + 1 if number > 4 and smoothed > best + 2 else 0
        best = min(best, smoothed)
        expected.append(strikes >= 3)
    options = {"smoothing": 0.5, "threshold": 2.0, "patience": 3, "warmup": 4}
    assert judged(DivergenceCallback(**options), losses) == expected  # type: ignore[arg-type]
    assert expected.index(True) == 7


def test_noise_and_the_warm_up_do_not_stop_a_run() -> None:
    generator = torch.Generator().manual_seed(0)
    noisy = [4 * 0.99**n + 0.3 * float(torch.randn((), generator=generator)) for n in range(300)]
    assert not any(judged(DivergenceCallback(), noisy))
    assert not any(judged(DivergenceCallback(warmup=10), [1.0, *[50.0] * 9]))
    assert any(judged(DivergenceCallback(relative_threshold=0.5, warmup=0, patience=1), [1.0, 1.0, 4.0]))


def test_a_resumed_run_judges_as_one_that_never_stopped() -> None:
    losses = [3.0, 2.9, 2.8, 8.0, 8.0, 8.0]
    whole = judged(DivergenceCallback(warmup=1), losses)
    for cut in range(len(losses)):
        first, second = DivergenceCallback(warmup=1), DivergenceCallback(warmup=1)
        before = judged(first, losses[:cut])
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        assert before + judged(second, losses[cut:]) == whole


@pytest.mark.parametrize("action", ["stop", "abort"])
def test_a_diverging_run_ends_with_or_without_a_checkpoint(
    make_trainer: MakeTrainer, tmp_path: Path, capsys: pytest.CaptureFixture[str], action: Any
) -> None:
    from fgc_runtime.trainers import TrainingInterrupted

    watch = DivergenceCallback(warmup=2, patience=1, threshold=0.5, smoothing=1.0, action=action)
    trainer = make_trainer(
        callbacks=[watch], learning_rate=30.0, max_grad_norm=None, max_steps=60, save_strategy="steps", save_steps=99
    )
    try:
        trainer.train()
        ended_by = "stop"
    except TrainingInterrupted:
        ended_by = "abort"
    assert ended_by == action
    assert trainer.state.global_step < 60
    assert f"Diverging at step {trainer.state.global_step}: the smoothed loss" in capsys.readouterr().out
    assert len(list((tmp_path / "out").glob("checkpoints/checkpoint-*"))) == (action == "stop")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smoothing": 0}, r"smoothing \(0\) must be above 0 and at most 1"),
        ({"patience": 0}, r"patience \(0\) must be at least 1"),
        ({"action": "kill"}, r"action \('kill'\) must be one of stop, abort"),
    ],
)
def test_divergence_settings_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DivergenceCallback(**options)


class Poison(TrainerCallback):
    """Makes a weight infinite before the loss of a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, run: Any) -> None:
        if run.state.global_step == self.step - 1:
            with torch.no_grad():
                run.model.model.norm.weight[0] = torch.inf


def test_a_loss_that_is_no_number_is_told_where_its_batch_cannot_be_written(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    (tmp_path / "not_finite_step_2").symlink_to("/dev/full")
    trainer = make_trainer(callbacks=[Poison(2)], logging_steps=1, max_steps=3, logging_dir=tmp_path)
    with pytest.raises(FloatingPointError, match="the loss is nan at step 2") as e:
        trainer.train()
    assert e.value.__notes__ == [
        f"its batch and a report could not be written: {tmp_path / 'not_finite_step_2'}: File exists"
    ]


@pytest.mark.parametrize("logging_steps", [1, 100])  # noticed at once, and only with the last settling
def test_a_loss_that_is_no_number_leaves_its_batch_behind(
    make_trainer: MakeTrainer, examples: Any, tmp_path: Path, logging_steps: int
) -> None:
    data = examples(24)
    trainer = make_trainer(
        train_dataset=data, callbacks=[Poison(4)], logging_steps=logging_steps, logging_dir=tmp_path,
        gradient_accumulation_steps=2, per_device_train_batch_size=2, save_strategy="steps", save_steps=100,
    )  # fmt: skip
    with pytest.raises(
        FloatingPointError, match=r"the loss is .* at step 4 \(epoch 0, examples 12 to 15 of its order\)"
    ) as e:
        trainer.train()
    assert e.value.__notes__ == [f"its batch and a report are in {tmp_path / 'not_finite_step_4'}"]
    report = json.loads((tmp_path / "not_finite_step_4/report.json").read_text())
    rows = shuffled_order(24, seed=42, epoch=0)[12:16].tolist()
    assert (report["step"], report["rows"], report["loss"]) == (4, rows, "nan")
    assert "model.norm.weight" in report["parameters_not_finite"]
    batches = torch.load(tmp_path / "not_finite_step_4/batch_rank_0.pt", weights_only=True)
    assert [batch["input_ids"].shape[0] for batch in batches] == [2, 2]
    first = batches[0]["input_ids"][0]
    assert torch.equal(first[: len(data[rows[0]]["input_ids"])], data[rows[0]]["input_ids"])
    assert not list((tmp_path / "out").glob("checkpoints/checkpoint-*"))


# ---- logs


def test_a_line_that_was_cut_off_is_left_out_and_the_next_run_begins_a_new_one(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    make_trainer(callbacks=[JsonLogCallback()], logging_dir=tmp_path).train()
    path = tmp_path / "trainer_logs.json"
    whole = read_log(path)
    for size in range(len(path.read_bytes()) - 1, 0, -37):
        os.truncate(path, size)
        assert read_log(path) == whole[: len(read_log(path))]
    cut = len(read_log(path))
    make_trainer(callbacks=[JsonLogCallback()], logging_dir=tmp_path).train()
    assert [record.get("event") for record in read_log(path)[cut:]] == ["train_begin", *[None] * 7]


@pytest.mark.slow
def test_a_killed_run_loses_no_record(tmp_path: Path) -> None:
    program = Path(__file__).parent / "programs/train.py"
    arguments = json.dumps({"max_steps": 10_000})
    process = subprocess.Popen([sys.executable, str(program), str(tmp_path), "--arguments", arguments])
    log = tmp_path / "logs/trainer_logs.json"
    try:
        while not log.is_file() or len(read_log(log)) < 8:
            time.sleep(0.1)
            assert process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    records = read_log(log)
    assert [record["global_step"] for record in records[1:]] == list(range(1, len(records)))
    assert len(records) >= len(log.read_text().splitlines()) - 1


def test_progress_has_words_and_units_for_what_is_measured() -> None:
    from fgc_runtime.callbacks import readable

    line = readable({"peak_memory_gib": 1.25, "mfu": 0.412, "tflops_per_second": 3.0, "grad_norm/mlp": 0.12345})
    assert line == "1.25 GiB  MFU 41.2%  3 TFLOP/s"  # groups would fill the terminal: they are in the logs
