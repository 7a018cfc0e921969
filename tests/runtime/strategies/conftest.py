"""Several processes without the seconds that importing torch takes in each: forked from the one that runs the tests."""

import multiprocessing
import os
import pickle
import socket
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.distributed as dist

_TIMEOUT_S = 90


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _child(rank: int, size: int, port: int, function: Callable[..., Any], arguments: tuple[Any, ...], answer: Any):
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    try:
        answer.send_bytes(pickle.dumps((function(*arguments), None)))  # tensors by value: this process ends
    except BaseException:
        answer.send_bytes(pickle.dumps((None, traceback.format_exc())))
    finally:
        answer.close()
        if dist.is_initialized():
            dist.destroy_process_group()
        os._exit(0)  # pytest's own exit handlers are not this process's


def run_in_processes(size: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What `function(*arguments)` returns on each of `size` processes, by rank. Fails with the first traceback."""
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
