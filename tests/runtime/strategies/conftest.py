"""Several processes without the seconds that importing torch takes in each: forked from the one that runs the tests."""

import multiprocessing
import os
import pickle
import socket
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from fgc_runtime.callbacks import NormCallback, TrainerCallback
from fgc_runtime.trainers import Strategy, Trainer, TrainingArguments
from torch.optim import SGD
from transformers import LlamaForCausalLM

_TIMEOUT_S = 90


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _child(rank: int, size: int, port: int, function: Callable[..., Any], arguments: tuple[Any, ...], answer: Any):
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"LOCAL_WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    if "accelerate" in sys.modules:  # remembers the processes of tests before this one
        sys.modules["accelerate.state"].AcceleratorState._reset_state(reset_partial_state=True)
    try:
        answer.send_bytes(pickle.dumps((function(*arguments), None)))  # tensors by value: this process ends
    except BaseException:
        answer.send_bytes(pickle.dumps((None, traceback.format_exc())))
    else:
        if dist.is_initialized():  # the others may still be meeting at this process's port; who waits is ended
            dist.barrier()
    finally:
        answer.close()
        if dist.is_initialized():
            dist.destroy_process_group()
        os._exit(0)  # pytest's own exit handlers are not this process's


def run_in_processes(size: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Returns what `function(*arguments)` does on each of `size` processes, by rank. Fails with the first traceback."""
    context = multiprocessing.get_context("fork")
    port = _free_port()
    ends = [context.Pipe(duplex=False) for _ in range(size)]
    children = [
        context.Process(target=_child, args=(rank, size, port, function, arguments, ends[rank][1]))
        for rank in range(size)
    ]
    for child in children:
        child.start()
    for _, sender in ends:
        sender.close()
    try:
        answers = [_answer(receiver, rank) for rank, (receiver, _) in enumerate(ends)]
    finally:
        for child in children:
            child.kill() if child.is_alive() else None
            child.join()
    for rank, (_, error) in enumerate(answers):
        assert error is None, f"process {rank}: {error}"
    return [value for value, _ in answers]


def _answer(receiver: Any, rank: int) -> tuple[Any, str | None]:
    if not receiver.poll(_TIMEOUT_S):
        return None, "no answer in time"
    try:
        value, error = pickle.loads(receiver.recv_bytes())
        return value, error
    except EOFError:
        return None, "ended without an answer"


@pytest.fixture
def in_processes() -> Callable[..., list[Any]]:
    return run_in_processes


class Outcome:
    """Holds what a run showed: plain numbers, so that it travels between processes."""

    def __init__(self, trainer: Trainer, steps: list[dict[str, float]]) -> None:
        self.losses = [step["loss"] for step in steps]
        self.norms = [step.get("grad_norm", 0.0) for step in steps]
        self.group_norms = {
            (number, name): value for number, step in enumerate(steps) for name, value in step.items() if "/" in name
        }
        self.evaluation = trainer.evaluate()
        self.examples = trainer.state.num_examples
        self.tokens = trainer.state.num_tokens
        full = trainer.strategy.full_model()
        self.weights = None if full is None else {name: tensor.clone() for name, tensor in full.state_dict.items()}


class Run:
    """A training of a tiny Llama on 19 ragged examples; the last step of an epoch has three."""

    def __init__(self, model: Callable[..., LlamaForCausalLM], examples: Callable[..., Any], folder: Path) -> None:
        self.model, self.examples, self.folder = model, examples, folder

    def __call__(
        self, strategy: Callable[[], Strategy], *, is_tied: bool = False, num_layers: int = 2, **arguments: Any
    ) -> Outcome:
        optimizer = arguments.pop("optimizer", partial(SGD, lr=0.5, momentum=0.9))
        train_dataset = arguments.pop("train_dataset", None) or self.examples(19)
        records: list[dict[str, float]] = []

        class Record(TrainerCallback):
            def on_log(self, run: Any, logs: Any) -> None:
                records.append(dict(logs))

        trainer = Trainer(
            self.model(is_tied=is_tied, num_layers=num_layers),
            TrainingArguments(
                output_dir=self.folder,
                logging_steps=1,
                save_strategy="no",
                use_cpu=True,
                **{"max_grad_norm": 0.7, **arguments},
            ),
            train_dataset=train_dataset,
            eval_dataset=self.examples(7, seed=3),
            callbacks=[NormCallback({"mlp": "mlp", "ends": "embed|lm_head", "all": ""}), Record()],
            optimizer_factory=optimizer,
            strategy=strategy(),
        )
        trainer.train()
        steps = [record for record in records if "learning_rate" in record]
        return Outcome(trainer, steps)


@pytest.fixture
def run(tiny_model: Callable[..., Any], examples: Callable[..., Any], tmp_path: Path) -> Run:
    return Run(tiny_model, examples, tmp_path)


def _assert_equal(outcomes: list[Outcome], reference: Outcome, tolerance: float = 1e-6) -> None:
    main = outcomes[0]
    assert main.losses == pytest.approx(reference.losses, abs=tolerance)
    assert len(main.losses) == 5
    assert main.norms == pytest.approx(reference.norms, abs=tolerance)
    group_norms = {name: reference.group_norms[name] for name in main.group_norms}  # in backward there are no gradients
    assert len(group_norms) >= 15 and main.group_norms == pytest.approx(group_norms, rel=1e-5)
    assert main.evaluation["eval_loss"] == pytest.approx(reference.evaluation["eval_loss"], abs=tolerance)
    assert main.evaluation["eval_tokens"] == reference.evaluation["eval_tokens"]
    assert (main.examples, main.tokens) == (reference.examples, reference.tokens)
    assert main.weights is not None and reference.weights is not None
    assert main.weights.keys() == reference.weights.keys()
    for name, weight in reference.weights.items():
        torch.testing.assert_close(main.weights[name], weight, rtol=0, atol=tolerance, msg=name)
    assert all(outcome.evaluation == main.evaluation for outcome in outcomes)  # every process knows the result
    assert all(outcome.weights is None for outcome in outcomes[1:])


@pytest.fixture
def assert_equal() -> Callable[..., None]:
    return _assert_equal
