"""Questions and commands to a job, and what it answers.

Raises ConnectionError where nobody answers: the job has ended, or hangs.
"""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing

from fgc_runtime.control.distant import DistantJob
from fgc_runtime.control.jobs import Job
from fgc_runtime.control.server import Answer

_CONNECT_S = 5
_BETWEEN_CALLS_S = 0.05


def ask(job: Job, command: str, *, timeout_s: float | None = None, **options: object) -> Answer:
    """The last answer to a question or a command. Raises TimeoutError after `timeout_s` without one."""
    return list(watch(job, command, timeout_s=timeout_s, **options))[-1]


def watch(job: Job, command: str, *, timeout_s: float | None = None, **options: object) -> Iterator[Answer]:
    """Every answer as it comes; the state of the last one is `done` or `failed`."""
    if isinstance(job, DistantJob):
        yield from job.watch(command, timeout_s=timeout_s, **options)
        return
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with closing(connection):
        connection.settimeout(_CONNECT_S)
        try:
            _connect(connection, job.address)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise ConnectionError(f"job `{job.job_id}` has ended without a goodbye") from error
        except TimeoutError as error:
            raise TimeoutError(f"job `{job.job_id}` hangs: its process {job.pid} does not answer") from error
        connection.settimeout(timeout_s)
        try:
            connection.sendall(json.dumps({"command": command, **options}).encode() + b"\n")
        except BrokenPipeError as error:
            raise ConnectionError(f"job `{job.job_id}` ended before it was asked") from error
        answer: Answer = {"state": "accepted"}
        with connection.makefile(encoding="utf-8") as lines:
            for line in lines:
                answer = json.loads(line)
                yield answer
    if answer["state"] == "accepted":
        raise ConnectionError(f"job `{job.job_id}` ended before it answered")


def _connect(connection: socket.socket, address: str) -> None:
    """Connects. Raises TimeoutError if the queue of callers stays full; the kernel refuses who will not wait in it."""
    end_s = time.monotonic() + _CONNECT_S
    while True:
        try:
            return connection.connect(address)
        except BlockingIOError as error:
            if time.monotonic() > end_s:
                raise TimeoutError from error
            time.sleep(_BETWEEN_CALLS_S)
