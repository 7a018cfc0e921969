"""The measured defects T1 to T20 (training) and D1 to D8 (data) of the system that fgc replaces, each as a test.

| defect | there | here |
|---|---|---|
| T1 | training without evaluation data raises TypeError | trains |
| T2 | with `max_eval_steps`, the loss is divided by one batch too many | by what was evaluated |
| T3 | gradient accumulation divides the evaluation's loss | changes nothing |
| T4 | `evaluate` after `train` replaces the trained model by a new one | leaves it alone |
| T5 | an empty epoch loops for ever | ValueError |
| T6 | evaluation averages batch means; no batches: NameError | counts tokens; ValueError |
| T7 | a pass with accumulation 5 is epoch 0.19 | epoch 1 |
| T8 | `max_steps=1`: speeds are NaN, 0 samples | finite, all of them |
| T9 | a checkpoint holds the step alone | all counters |
| T10 | python and numpy are neither seeded nor saved | both |
| T11 | the first best checkpoint is rotated away; `map` in a name decides what is better | kept; the user says it |
| T12 | loggers of gradients find none | complete and clipped |
| T13 | each hook of the fused optimizer steps all parameters | its own |
| T14 | gradients of a broken-off accumulation leak into the next epoch | a short step of its own |
| T15 | `torch_compile_mode` None changes the backend | passes both on |
| T16 | errors when state is loaded are swallowed | end the run |
| T17 | data without a length raises TypeError | trains with `max_steps` |
| T18 | accelerate: divided twice, exchanged in each micro-batch, rate times processes | none of these |
| T19 | an optional package is needed to import any trainer | none is |
| T20 | needs Python 3.12 | runs on 3.11 |
| D1 | a block that continues a document has the position 0 up to the next document | counts on |
| D2 | from the second document on, documents begin with two bos | with one |
| D3 | cutting texts at a pattern raises NameError | cuts |
| D4 | padding with eos hides real ends of texts from the loss | refused, with the remedy |
| D5 | a negative number selects everything | counts from the end |
| D6 | greedy packing without parts of documents packs nothing | packs |
| D7 | the collator wants `return_tensors`, cuts boundaries by count, ignores labels' names | none of these |
| D8 | a stream's length is that of its documents, wrong once they are packed | it has none; blocks are counted |
"""

import ast
import copy
import math
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import fgc_runtime
import numpy
import pytest
import torch
from fgc_runtime import checkpoint
from fgc_runtime.callbacks import TrainerCallback, TrainingRun
from fgc_runtime.data import DataCollatorForCausalLM, PackedDataset, PackedStream, TextEncoder, train_bpe_tokenizer
from fgc_runtime.data.encoding import Encoded
from fgc_runtime.trainers import Accelerate, Trainer
from torch.optim import SGD
from torch.utils.data import IterableDataset

MakeTrainer = Callable[..., Trainer]
Examples = Callable[..., list[Any]]


class Stream(IterableDataset[Any]):
    """Examples without a length."""

    def __init__(self, examples: list[Any]) -> None:
        self.examples = examples

    def __iter__(self) -> Iterator[Any]:
        return iter(self.examples)


def test_t1_no_evaluation_data(make_trainer: MakeTrainer) -> None:
    assert make_trainer(eval_dataset=None).train()["train_steps"] == 6


def test_t2_max_eval_steps_divides_by_what_was_evaluated(make_trainer: MakeTrainer, examples: Examples) -> None:
    data = examples(12, seed=5)
    cut = make_trainer(eval_dataset=data, per_device_eval_batch_size=2, max_eval_steps=3).evaluate()
    whole = make_trainer(eval_dataset=data[:6], per_device_eval_batch_size=2).evaluate()
    assert cut == whole


def test_t3_accumulation_does_not_scale_the_evaluation(make_trainer: MakeTrainer, examples: Examples) -> None:
    data = examples(5, seed=5)
    losses = [
        make_trainer(eval_dataset=data, gradient_accumulation_steps=steps).evaluate()["eval_loss"] for steps in (1, 4)
    ]
    assert losses[0] == losses[1]


def test_t4_evaluate_makes_no_new_model(make_trainer: MakeTrainer, examples: Examples, tiny_model: Any) -> None:
    made = []

    def model() -> Any:
        made.append(tiny_model())
        return made[-1]

    trainer = make_trainer(model=model, eval_dataset=examples(5))
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    after = trainer.evaluate()["eval_loss"]
    assert len(made) == 1 and trainer.model is made[0]
    assert after < before and trainer.evaluate()["eval_loss"] == after


def test_t5_an_empty_epoch_is_an_error(make_trainer: MakeTrainer) -> None:
    with pytest.raises(ValueError, match="empty"):
        make_trainer(train_dataset=Stream([]), max_steps=2).train()


def test_t6_evaluation_counts_tokens(make_trainer: MakeTrainer, examples: Examples) -> None:
    data = examples(9, seed=5)
    losses = [
        make_trainer(eval_dataset=data, per_device_eval_batch_size=size).evaluate()["eval_loss"] for size in (1, 2, 9)
    ]
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-6)
    with pytest.raises(ValueError, match="no label tokens"):
        make_trainer(eval_dataset=Stream([])).evaluate()


def test_t7_an_epoch_is_a_pass_over_the_data(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(per_device_train_batch_size=1, gradient_accumulation_steps=5)
    trainer.train()
    assert trainer.state.epochs_done == 1
    assert trainer.state.global_step == math.ceil(24 / 5)


def test_t8_one_step_has_finite_speeds(make_trainer: MakeTrainer) -> None:
    totals = make_trainer(max_steps=1).train()
    assert totals["train_examples"] == 4
    assert all(math.isfinite(value) and value > 0 for value in totals.values())


def test_t9_a_checkpoint_holds_all_counters(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    first = make_trainer(save_strategy="steps", save_steps=3, max_steps=3)
    first.train()
    resumed = make_trainer(max_steps=3)
    resumed.train(resume_from_checkpoint=tmp_path / "out/checkpoints/checkpoint-3")
    for name in ("global_step", "num_micro_batches", "num_examples", "num_tokens", "epoch", "examples_in_epoch"):
        assert getattr(resumed.state, name) == getattr(first.state, name)


def test_t10_python_and_numpy_are_seeded(make_trainer: MakeTrainer) -> None:
    drawn = []
    for _ in range(2):
        make_trainer(seed=3)
        drawn.append((random.random(), numpy.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]


def test_t11_the_best_checkpoint_is_never_removed(make_trainer: MakeTrainer, examples: Examples) -> None:
    """The very first is the best, every later save removes one, and the metric's name holds `map`."""

    class Worse(TrainerCallback):
        def on_step_end(self, run: TrainingRun) -> None:
            if run.state.global_step > 1:
                run.model.lm_head.weight.data.mul_(4)

    trainer = make_trainer(
        eval_dataset=examples(3), eval_strategy="steps", eval_steps=1, save_strategy="steps", save_steps=1, max_steps=4,
        save_total_limit=1, metric_for_best_model="eval_loss", greater_is_better=False, learning_rate=1e-4,
        load_best_model_at_end=True, callbacks=[Worse()],
    )  # fmt: skip
    trainer.train()
    losses = [record["eval_loss"] for record in trainer.log_history if "eval_loss" in record]
    assert losses == sorted(losses) and losses[0] < losses[1]
    kept = {path.name for path in (trainer.output_dir / "checkpoints").iterdir()}
    assert kept == {"checkpoint-1", "checkpoint-4"}
    assert trainer.evaluate()["eval_loss"] == losses[0]
    with pytest.raises(ValueError, match="greater_is_better"):
        make_trainer(eval_strategy="steps", metric_for_best_model="eval_mape")


@pytest.mark.parametrize("part", ["scheduler", "random_states", "values", "callbacks", "tensors"])
def test_t16_a_part_that_cannot_be_loaded_ends_the_run(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Each by itself, also where the files are what was written: nothing goes on with a part of its state."""

    class Counting(TrainerCallback):
        def state_dict(self) -> dict[str, object]:
            return {"count": 1}

        def load_state_dict(self, state_dict: Any) -> None:
            if part == "callbacks":
                raise KeyError("count")

    first = make_trainer(save_strategy="steps", max_steps=2, callbacks=[Counting()], lr_scheduler_type="constant")
    first.train()
    real = checkpoint.load_training_state

    def load(folder: Path) -> checkpoint.TrainingState:
        state = real(folder)
        if part == "scheduler":
            return replace(state, scheduler=[])  # type: ignore[arg-type]  # that is the point
        if part == "values":
            return replace(state, values={})
        if part == "random_states":
            return replace(state, random_states=[replace(state.random_states[0], torch=torch.zeros(3))])
        return state

    monkeypatch.setattr(checkpoint, "load_training_state", load)
    if part == "tensors":
        monkeypatch.setattr(checkpoint, "load_tensors", lambda *_, **__: (_ for _ in ()).throw(OSError("unreadable")))
    resumed = make_trainer(
        resume_from_checkpoint=True, max_steps=4, callbacks=[Counting()], lr_scheduler_type="constant"
    )
    with pytest.raises((TypeError, ValueError, KeyError, RuntimeError, OSError, checkpoint.CheckpointMismatch)):
        resumed.train()
    assert resumed.state.global_step <= 2


def test_t12_gradients_are_there_before_the_step(make_trainer: MakeTrainer) -> None:
    norms = []

    class Gradients(TrainerCallback):
        def on_pre_optimizer_step(self, run: TrainingRun) -> None:
            norms.append(torch.nn.utils.get_total_norm([p.grad for p in run.model.parameters() if p.grad is not None]))

    make_trainer(callbacks=[Gradients()], max_steps=2).train()
    assert len(norms) == 2 and all(norm > 0 for norm in norms)


def test_t13_a_parameter_is_stepped_once_per_step(make_trainer: MakeTrainer) -> None:
    stepped = []

    class Counting(SGD):
        def step(self, closure: Any = None) -> None:
            stepped.append(sum(len(group["params"]) for group in self.param_groups))
            super().step(closure)

    trainer = make_trainer(
        optimizer_factory=partial(Counting, lr=0.1), optimizer_in_backward=True, max_grad_norm=None, max_steps=1
    )
    trainer.train()
    assert stepped == [1] * len(list(trainer.model.parameters()))


def test_t14_a_short_accumulation_leaks_nothing(make_trainer: MakeTrainer, examples: Examples) -> None:
    trainer = make_trainer(
        train_dataset=examples(5), per_device_train_batch_size=1, gradient_accumulation_steps=3, num_train_epochs=2
    )
    trainer.train()
    assert (trainer.state.global_step, trainer.state.num_micro_batches) == (4, 10)
    assert all(parameter.grad is None for parameter in trainer.model.parameters())


def test_t15_backend_and_mode_are_passed_on_as_they_are(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: given.append(options))
    make_trainer(torch_compile=True)
    make_trainer(torch_compile=True, torch_compile_backend="eager", torch_compile_mode="max-autotune")
    assert given == [{"backend": "inductor", "mode": None}, {"backend": "eager", "mode": "max-autotune"}]


def test_t17_data_without_a_length(make_trainer: MakeTrainer, examples: Examples) -> None:
    trainer = make_trainer(train_dataset=Stream(examples(9)), max_steps=4)
    assert trainer.train()["train_steps"] == 4
    with pytest.raises(ValueError, match="max_steps"):
        make_trainer(train_dataset=Stream(examples(9))).train()


def test_t18_accelerate_divides_once_and_leaves_the_rate_alone(make_trainer: MakeTrainer) -> None:
    given = {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 2, "lr_scheduler_type": "linear"}
    plain, accelerated = make_trainer(**given), make_trainer(strategy=Accelerate(), **given)
    for trainer in (plain, accelerated):
        trainer.train()
    for name in ("loss", "grad_norm", "learning_rate"):
        theirs, ours = (
            [record[name] for record in trainer.callbacks[0].logs if name in record] for trainer in (plain, accelerated)
        )
        assert ours == pytest.approx(theirs, abs=1e-6)


def test_t19_no_optional_package_is_imported_with_the_trainers() -> None:
    optional = ("aiohttp", "tensorboard", "accelerate", "liger_kernel", "cut_cross_entropy", "starlette")
    program = (
        f"import sys\nfor name in {optional}: sys.modules[name] = None\nimport fgc_runtime.trainers, fgc_runtime.script"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_t20_nothing_of_python_3_12_is_used() -> None:
    for path in Path(fgc_runtime.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(), feature_version=(3, 11))
        names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
        assert "override" not in names, path


# ---- data


def numbers(*documents: range) -> tuple[list[str], Any]:
    """Documents whose tokens are these numbers, with the encoder that makes them so."""

    class Encoder:
        key = "numbers"

        def encode(self, documents: Any) -> list[Encoded]:
            return [Encoded(numpy.array([int(word) for word in text.split()], dtype=numpy.int32)) for text in documents]

    return [" ".join(map(str, document)) for document in documents], Encoder()


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return train_bpe_tokenizer(["import os\n"] * 3, vocab_size=290, cache_dir=tmp_path_factory.mktemp("cache"))


def test_d1_a_continued_document_counts_on(tokenizer: Any, tmp_path: Path) -> None:
    texts, encoder = numbers(range(100, 115), range(200, 209))
    packed = PackedDataset(texts, tokenizer, 8, encoder=encoder, cache_dir=tmp_path)
    assert packed[1]["position_ids"].tolist() == [0, 1, 2, 3, 4, 5, 6, 0]


def test_d2_one_bos_per_document(tokenizer: Any, tmp_path: Path) -> None:
    tokens = PackedDataset(["import os\n"] * 5, tokenizer, 256, cache_dir=tmp_path)[0]["input_ids"].tolist()
    assert tokens.count(tokenizer.bos_token_id) == tokens.count(tokenizer.eos_token_id) == 5


def test_d3_texts_are_cut_at_a_pattern(tokenizer: Any) -> None:
    (encoded,) = TextEncoder(tokenizer, cut_at="#+ END", add_bos=False, add_eos=False).encode(["import os## END\nx"])
    assert tokenizer.decode(encoded.ids) == "import os"


def test_d4_padding_is_not_the_end_of_a_text(tokenizer: Any) -> None:
    eos = tokenizer.eos_token_id
    batch = DataCollatorForCausalLM(tokenizer)([{"input_ids": [5, 6, eos]}, {"input_ids": [eos]}])
    assert batch["labels"].tolist() == [[5, 6, eos], [eos, -100, -100]]
    same = copy.deepcopy(tokenizer)
    same.pad_token = same.eos_token
    with pytest.raises(ValueError, match="with_pad_token"):
        DataCollatorForCausalLM(same)


def test_d5_negative_numbers_count_from_the_end(tokenizer: Any, tmp_path: Path) -> None:
    texts, encoder = numbers(range(100, 140))
    packed = PackedDataset(texts, tokenizer, 8, encoder=encoder, cache_dir=tmp_path)
    assert packed[-1]["input_ids"].tolist() == packed[len(packed) - 1]["input_ids"].tolist() == list(range(132, 140))
    with pytest.raises(IndexError):
        packed[-len(packed) - 1]


def test_d6_greedy_packs_whole_documents(tokenizer: Any, tmp_path: Path) -> None:
    texts, encoder = numbers(range(100, 140), range(200, 203), range(300, 304), range(400, 408))
    options: dict[str, Any] = {"strategy": "greedy", "truncation": True, "encoder": encoder, "cache_dir": tmp_path}
    blocks = [example["input_ids"].tolist() for example in PackedDataset(texts, tokenizer, 16, **options)]
    assert [200, 201, 202, 300, 301, 302, 303] in [block[:7] for block in blocks] and len(blocks) == 2


def test_d7_batches_are_tensors_with_their_own_labels_and_boundaries() -> None:
    packed = {"input_ids": [5, 6, 7, 8], "labels": [-100, 6, -100, 8], "position_ids": [0, 1, 0, 1]}
    batch = DataCollatorForCausalLM(pad_to_multiple_of=6)([packed])
    assert {name: tensor.tolist() for name, tensor in batch.items()} == {
        "input_ids": [[5, 6, 7, 8, 0, 0]],
        "labels": [[-100, 6, -100, 8, -100, -100]],
        "position_ids": [[0, 1, 0, 1, 0, 0]],
    }


def test_d8_a_length_counts_blocks_or_there_is_none(make_trainer: MakeTrainer, tokenizer: Any, tmp_path: Path) -> None:
    texts, encoder = numbers(*(range(3, 9) for _ in range(20)))
    packed = PackedDataset(texts, tokenizer, 20, encoder=encoder, cache_dir=tmp_path)
    assert len(packed) == len(list(packed)) == 6 and make_trainer(train_dataset=packed).max_steps == 2
    stream = PackedStream(texts, tokenizer, 20, encoder=encoder)
    with pytest.raises(TypeError):
        len(stream)  # type: ignore[arg-type]  # that is the point
    assert len(list(stream)) == 6
    with pytest.raises(ValueError, match="max_steps"):
        make_trainer(train_dataset=stream).train()


def test_parts_that_a_user_keeps_from_training_stay_so_behind_an_evaluation(
    make_trainer: MakeTrainer, examples: Examples
) -> None:
    """Lightning and others put the whole model back into training."""

    class Keep(TrainerCallback):
        def on_train_begin(self, run: TrainingRun) -> None:
            run.model.model.layers[0].train(False)

    trainer = make_trainer(
        max_steps=2, eval_strategy="steps", eval_steps=1, eval_dataset=examples(3), callbacks=[Keep()]
    )
    trainer.train()
    layers = trainer.model.model.layers
    assert [any(part.training for part in layer.modules()) for layer in layers] == [False, True]
    assert trainer.model.training
