"""Runs a job on hosts reached by SSH: torchrun on each, one log, and all end together.

Each host runs `node.py` of the job, which starts torchrun and ends it when the connection ends. Ctrl-C here, a lost
connection or a killed launcher therefore leave nothing running there.
"""

import json
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from types import FrameType
from typing import IO

from fgc.cli.arguments import CannotRun
from fgc.cli.building import PROGRAM
from fgc.cli.clusters.job import BUILD, Job, LaunchPlan
from fgc.cli.clusters.node import NO_COMMAND, NO_FOLDER, NOT_SHARED, READY

LOG, NODE, _PROBE = "launch.log", "node.py", ".probe"
_NODE = Path(__file__).with_name(NODE)
_SSH_FAILED = 255
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
_PASSED_ON = {signal.SIGINT: signal.SIGTERM, signal.SIGHUP: signal.SIGTERM}  # SIGTERM for a program without a terminal


def plan(job: Job) -> LaunchPlan:
    """Returns the commands: rsync to hosts without the project's disk, then one command for each host."""
    hosts = _hosts(job)
    commands = [_rsync(job, host) for host in hosts if not _is_shared(job)]
    commands += [[*_ssh(job, host), _remote(job)] for host in hosts]
    each = "".join(
        f"on {host}, in {_folder(job)}: {shlex.join(_start(job, number, len(hosts)))}\n"
        for number, host in enumerate(hosts)
    )
    return LaunchPlan({NODE: _NODE.read_text(encoding="utf-8")}, commands, each.rstrip("\n"))


def start(job: Job, made: LaunchPlan) -> int:
    """Runs the job to its end and returns the highest exit code. Raises CannotRun if a host does not answer in time."""
    hosts = _hosts(job)
    for tool in ("ssh", *(() if _is_shared(job) else ("rsync",))):
        if shutil.which(tool) is None:
            raise CannotRun(f"`{tool}` is not on the PATH")
    if not _is_shared(job):
        for host, command in zip(hosts, made.commands, strict=False):
            _copy(job, host, command)
    with (job.folder / LOG).open("a", encoding="utf-8", errors="replace") as log, _probe(job) as probe:
        group = _Group(job, hosts, log)
        group.start([*probe])
        return group.wait(float(job.profile.get("timeout_s", 60)))


def _hosts(job: Job) -> list[str]:
    hosts: list[str] = job.profile.get("hosts", [])
    wanted = job.profile.nodes[1] if "nodes" in job.profile.values else len(hosts)
    if wanted > len(hosts):
        raise CannotRun(f"the profile `{job.profile.name}` has {len(hosts)} hosts, and `nodes` says {wanted}")
    return hosts[:wanted]


def _is_shared(job: Job) -> bool:
    return bool(job.profile.get("shared", True))


def _folder(job: Job) -> str:
    """Returns the working folder on a host; a relative one, or one below `~`, is in the user's home there."""
    if _is_shared(job):
        return str(job.project)
    folder = str(job.profile.get("folder"))
    if folder == "~" or folder.startswith("~/"):
        folder = folder.removeprefix("~").strip("/")
    return str(PurePosixPath(folder, job.name))


def _ssh(job: Job, host: str) -> list[str]:
    options = ["-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", *job.profile.get("ssh_options", ())]
    return ["ssh", *options, host]


def _remote(job: Job) -> str:
    """Returns the line for the host's shell, with every word quoted."""
    node = shlex.quote(str(job.folder / NODE) if _is_shared(job) else f"{_folder(job)}/{NODE}")
    setup = "".join(f"{line} && " for line in job.profile.get("setup", ()))
    return f"test -f {node} || exit {NOT_SHARED}; {setup}exec {shlex.quote(job.python)} {node}"


def _rsync(job: Job, host: str) -> list[str]:
    shell = shlex.join(["ssh", "-o", "BatchMode=yes", *job.profile.get("ssh_options", ())])
    target = f"{host}:{_folder(job)}/"
    return ["rsync", "-a", "--mkpath", "-e", shell, f"{job.folder / BUILD}/", str(job.folder / NODE), target]


def _copy(job: Job, host: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"rsync ended with {done.returncode}"])[0]
        raise CannotRun(f"{host}: the build could not be copied into {_folder(job)}: {reason}")


def _start(job: Job, number: int, count: int) -> list[str]:
    """Returns the words that a host starts. Without a shared disk, the bundle contains the runtime."""
    address = str(job.profile.get("address") or _hosts(job)[0].rpartition("@")[2])
    port = str(job.profile.get("port", job.port))
    if job.profile.is_elastic:
        nodes = f"{job.profile.nodes[0]}:{count}"
        meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{address}:{port}", "--rdzv-id", job.name]
    else:
        nodes = str(count)
        meeting = ["--node-rank", str(number), "--master-addr", address, "--master-port", port]
    words = job.torchrun(nodes, meeting)
    program = job.program if _is_shared(job) else PROGRAM
    if not _is_shared(job):
        words = [job.python, "-m", "torch.distributed.run", *words[5:]]
    return [*words, program, *job.program_words]


@contextmanager
def _probe(job: Job) -> Iterator[list[str]]:
    """Yields the path and content of a file that every host must see if the disk is shared."""
    if not _is_shared(job):
        yield []
        return
    path, token = job.folder / _PROBE, secrets.token_hex(8)
    path.write_text(token, encoding="ascii")
    try:
        yield [str(path), token]
    finally:
        path.unlink(missing_ok=True)


class _Group:
    """The connections to all hosts."""

    def __init__(self, job: Job, hosts: list[str], log: IO[str]) -> None:
        self._job = job
        self._hosts = hosts
        self._log = log
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[str]] = []
        self._threads: list[threading.Thread] = []
        self._ready: set[int] = set()
        self._last: dict[int, str] = {}
        self._received: list[int] = []
        self._ended_s: float | None = None  # when the first host failed, or a signal came
        self._failed: list[int] = []  # the hosts that failed first, and by themselves

    def start(self, probe: list[str]) -> None:
        """Connects to all hosts at once, and sends each its command."""
        environment = {**self._job.environment, **self._job.secrets}
        for number, host in enumerate(self._hosts):
            process = subprocess.Popen(
                [*_ssh(self._job, host), _remote(self._job)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
            )  # fmt: skip
            command = _start(self._job, number, len(self._hosts))
            task = {"command": command, "folder": _folder(self._job), "environment": environment, "probe": probe}
            self._processes.append(process)
            self._send(number, json.dumps(task))
            thread = threading.Thread(target=self._read, args=(number,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def wait(self, timeout_s: float) -> int:
        """Waits until all hosts have ended and returns the exit code."""
        earlier = {number: signal.signal(number, self._forward) for number in _FORWARDED}
        deadline_s = time.monotonic() + timeout_s
        try:
            while any(process.poll() is None for process in self._processes):
                self._require_all(deadline_s)
                self._end_with_first()
                time.sleep(0.1)
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)
            self._stop()
        codes = [process.returncode for process in self._processes]
        self._explain(codes)
        if self._received and any(codes):
            return 128 + self._received[0]
        own = [codes[number] for number in self._failed] or codes
        return next((code if code > 0 else 128 - code for code in own if code), 0)

    def _require_all(self, deadline_s: float) -> None:
        living = [number for number, process in enumerate(self._processes) if process.poll() is None]
        missing = [self._hosts[number] for number in living if number not in self._ready]
        if missing and time.monotonic() > deadline_s and self._ended_s is None:
            here = [host for number, host in enumerate(self._hosts) if number in self._ready]
            raise CannotRun(
                f"no answer from {', '.join(missing)} in time (timeout_s); {', '.join(here) or 'no host'} answered"
            )

    def _end_with_first(self) -> None:
        """Ends all hosts after one has failed, once they had time to save."""
        failed = [number for number, process in enumerate(self._processes) if process.poll()]
        if failed and self._ended_s is None and not self._job.profile.is_elastic:
            self._failed = failed
            self._ended_s = time.monotonic()
            self._signal(signal.SIGTERM)
        if self._ended_s is not None:
            for number, process in enumerate(self._processes):
                if process.poll() is None and number not in self._ready:  # still connecting
                    process.kill()

    def _forward(self, number: int, _: FrameType | None) -> None:
        self._received.append(number)
        self._ended_s = self._ended_s or time.monotonic()
        self._signal(_PASSED_ON.get(signal.Signals(number), number))

    def _signal(self, number: int) -> None:
        for at, process in enumerate(self._processes):
            if process.poll() is None:
                self._send(at, str(int(number)))

    def _send(self, number: int, line: str) -> None:
        stdin = self._processes[number].stdin
        assert stdin is not None, "a pipe was asked for"
        with suppress(OSError, ValueError):  # it has ended
            stdin.write(line + "\n")
            stdin.flush()

    def _read(self, number: int) -> None:
        stdout = self._processes[number].stdout
        assert stdout is not None, "a pipe was asked for"
        prefix = f"[{self._hosts[number]}] " if len(self._hosts) > 1 else ""
        for line in stdout:
            if line.strip() == READY:
                self._ready.add(number)
                continue
            self._last[number] = line.strip() or self._last.get(number, "")
            with self._lock, suppress(OSError):  # a closed terminal or a full disk must not stop the training
                self._log.write(prefix + line)
                self._log.flush()
                print(prefix + line, end="", flush=True)

    def _stop(self) -> None:
        """Ends hosts that are still running by closing their input."""
        for process in self._processes:
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
        for number, process in enumerate(self._processes):
            with suppress(subprocess.TimeoutExpired):
                process.wait(30 if number in self._ready else 2)
            if process.poll() is None:
                process.kill()
                process.wait()
        for thread in self._threads:
            thread.join(5)
        for process in self._processes:
            if process.stdout is not None:
                process.stdout.close()

    def _explain(self, codes: list[int]) -> None:
        told = {
            NOT_SHARED: f"does not see the files in {self._job.folder}: the disk is not shared. "
            "`shared: false` with `folder` copies the build to each host",
            NO_FOLDER: f"cannot change into {_folder(self._job)}",
            NO_COMMAND: "could not start Python: set `python` in the profile",
            _SSH_FAILED: "could not be reached, or the connection was lost",
        }
        for number, code in enumerate(codes):
            if code in told:
                print(f"fgc: {self._hosts[number]} {told[code]}", file=sys.stderr)
