"""Jobs on other machines, found by the mailboxes beside their logs, on a disk that both machines see."""

import json
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fgc_runtime.control.jobs import RECORD, Job, NoSuchJob, find_jobs
from fgc_runtime.control.mailbox import ANSWER, FOLDER, REQUEST, STATUS, write_file
from fgc_runtime.control.server import Answer

_DEEPEST = 5  # folders between the one that is named and a mailbox: output_models/<model>/runs/<run>
_SILENT_AFTER_S = 120  # a network disk may show a file as it was a minute ago
_BETWEEN_LOOKS_S = 0.2


@dataclass(frozen=True, slots=True)
class DistantJob(Job):
    """A job that is asked through its mailbox."""

    @property
    def is_alive(self) -> bool:
        """Returns True if the job has written its status of late, by the clock of the disk."""
        try:
            return self.silent_s() < _SILENT_AFTER_S
        except OSError:
            return False

    def silent_s(self) -> float:
        """Seconds since the job has written. Raises OSError if it has left, or the mailbox is another user's."""
        probe = self.folder / f".{secrets.token_hex(8)}.probe"
        probe.touch(mode=0o600)
        now = probe.stat().st_mtime
        probe.unlink()
        return now - (self.folder / STATUS).stat().st_mtime

    def watch(self, command: str, *, timeout_s: float | None = None, **options: object) -> Iterator[Answer]:
        """Every answer as it comes. Raises TimeoutError, and ConnectionError where the job ends without one."""
        if command == "status":
            status = _read(self.folder / STATUS)
            if "phase" not in status:
                raise ConnectionError(f"job `{self.job_id}` has left no status that can be read")
            yield {"state": "done", **status}
            return
        name, end_s = secrets.token_hex(8), None if timeout_s is None else time.monotonic() + timeout_s
        request = self.folder / f"{name}{REQUEST}"
        try:
            write_file(request, {"command": command, **options})
            yield from self._answers(self.folder / f"{name}{ANSWER}", end_s)
        except OSError as error:
            if isinstance(error, (TimeoutError, ConnectionError)):
                raise
            raise ConnectionError(f"job `{self.job_id}` cannot be asked: {error}") from error
        finally:
            with suppress(OSError):
                request.unlink(missing_ok=True)

    def _answers(self, path: Path, end_s: float | None) -> Iterator[Answer]:
        newest: Answer = {}
        while newest.get("state") in (None, "accepted"):
            has_left = not (self.folder / RECORD).exists() or not self.is_alive
            answer = _read(path)
            if answer and answer != newest:
                newest = answer
                yield newest
            elif has_left:
                raise ConnectionError(f"job `{self.job_id}` ended before it answered")
            elif end_s is not None and time.monotonic() > end_s:
                raise TimeoutError(f"job `{self.job_id}` did not answer in time")
            else:
                time.sleep(_BETWEEN_LOOKS_S)
        with suppress(OSError):
            path.unlink()
            if not (self.folder / RECORD).exists():
                self.folder.rmdir()


def jobs_below(folder: Path) -> list[Job]:
    """All jobs whose runs lie in or below a folder, the oldest first; those of this machine are asked directly.

    Raises NoSuchJob if there is no such folder.
    """
    if not folder.is_dir():
        raise NoSuchJob(f"`{folder}` is no folder of a run, or of runs")
    own = {(job.job_id, job.pid): job for job in find_jobs()}
    found: list[Job] = []
    for depth in range(_DEEPEST + 1):
        for path in folder.glob("*/" * depth + f"{FOLDER}/{RECORD}"):
            with suppress(ValueError, TypeError):  # not complete, or no record
                distant = DistantJob(folder=path.parent, **_read(path))  # type: ignore[arg-type]  # as Job.write wrote
                is_here = distant.host == socket.gethostname()
                found.append(own.get((distant.job_id, distant.pid), distant) if is_here else distant)
    return sorted(found, key=lambda job: job.started_at)


def job_below(folder: Path) -> Job:
    """The one job whose run lies in or below a folder. Raises NoSuchJob if there are several, or none."""
    jobs = jobs_below(folder)
    alive = [job for job in jobs if job.is_alive]
    if len(alive) == 1 or len(jobs) == 1:
        return (alive or jobs)[0]
    if not alive:
        raise NoSuchJob(f"no job is running in `{folder}`")
    raise NoSuchJob(
        f"several jobs are running in `{folder}`, name one: {', '.join(str(j.folder.parent) for j in alive)}"
    )


def _read(path: Path) -> Answer:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
