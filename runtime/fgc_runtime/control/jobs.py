"""Jobs on disk: a folder that only its owner can enter, in it one folder per job with a record and a socket.

Whether a job is alive is asked of its socket, which the kernel closes with the process: the number of a process may
belong to another one by now, and a file outlives `kill -9`.
"""

import json
import os
import re
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
RECORD = "job.json"
_SOCKET = "control.sock"
_LONGEST_ADDRESS_BYTES = 100  # the kernel's limit is 108, on some systems 104


class UnsafeFolder(Exception):
    """The folder of jobs is not a folder that belongs to this user alone."""


class NoSuchJob(Exception):
    """No job has this name."""


@dataclass(frozen=True, slots=True)
class Job:
    """A training that can be asked things, or what is left of one."""

    job_id: str
    folder: Path
    pid: int  # of the main process
    started_at: str  # ISO 8601
    program: str
    output_dir: str
    logging_dir: str
    pids: list[int] = field(default_factory=list)  # of all processes of the run on this machine
    host: str = ""  # the machine's name

    @property
    def address(self) -> str:
        """Returns where the socket lies."""
        return str(self.folder / _SOCKET)

    @property
    def is_alive(self) -> bool:
        """Returns True if somebody listens on the socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            try:
                probe.connect(self.address)
            except (TimeoutError, BlockingIOError):
                return True  # the queue of callers is full, at once or for long: a process holds the socket
            except OSError:
                return False
        return True

    def write(self) -> None:
        """Record the job for others to find."""
        values = {name: value for name, value in asdict(self).items() if name != "folder"}
        unfinished = self.folder / f"{RECORD}.unfinished"
        unfinished.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(self.folder / RECORD)


def jobs_folder() -> Path:
    """The folder of this user's jobs, made where it is missing. Raises UnsafeFolder if others could reach into it.

    `$FGC_JOBS_DIR`, by default `/tmp/fgc-jobs-<user>`: a terminal and a job must come to the same one, so it depends
    neither on TMPDIR nor on a login session.
    """
    folder = Path(os.environ.get("FGC_JOBS_DIR") or f"/tmp/fgc-jobs-{os.getuid()}").absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UnsafeFolder(f"the folder of jobs cannot be made: {error} (FGC_JOBS_DIR chooses another)") from error
    require_private(folder, instead="set FGC_JOBS_DIR to another folder")
    return folder


def require_private(folder: Path, *, instead: str) -> None:
    """Raises UnsafeFolder, saying what else can be done, if a folder is not this user's alone."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise UnsafeFolder(f"{folder} is not a folder of yours: {instead}")
    if status.st_mode & 0o077:
        raise UnsafeFolder(f"{folder} is open to other users: chmod 700 it, or {instead}")


def job_folder(job_id: str) -> Path:
    """The folder of a job's own. Raises ValueError for a name that is none."""
    if not _NAME.fullmatch(job_id):
        raise ValueError(f"job_id ({job_id!r}) must be 1 to 63 letters, digits, dots, dashes and underscores")
    folder = jobs_folder() / job_id
    length = len(os.fsencode(folder / _SOCKET))
    if length > _LONGEST_ADDRESS_BYTES:
        raise ValueError(f"the path of the socket is too long ({length} bytes): set FGC_JOBS_DIR to a shorter one")
    return folder


def find_jobs() -> list[Job]:
    """All jobs that left a record, alive or dead, the oldest first."""
    found = []
    for folder in sorted(path for path in jobs_folder().iterdir() if path.is_dir()):
        try:
            found.append(Job(folder=folder, **json.loads((folder / RECORD).read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):  # not complete yet, or going
            continue
    return sorted(found, key=lambda job: job.started_at)


def find_job(job_id: str) -> Job:
    """A job by its name, or by a beginning that fits only one. Raises NoSuchJob with names that come near."""
    jobs = {job.job_id: job for job in find_jobs()}
    if job_id in jobs:
        return jobs[job_id]
    beginning = [name for name in jobs if name.startswith(job_id)]
    if len(beginning) == 1:
        return jobs[beginning[0]]
    if beginning:
        raise NoSuchJob(f"`{job_id}` may be any of {', '.join(beginning)}")
    near = get_close_matches(job_id, jobs, n=1)
    hint = f"did you mean `{near[0]}`?" if near else _what_there_is(list(jobs))
    raise NoSuchJob(f"there is no job `{job_id}`; {hint}")


def _what_there_is(names: list[str]) -> str:
    return f"there are {', '.join(names)}" if names else "no job is running"


def remove_job(job: Job) -> None:
    """Remove what a job has left on disk."""
    shutil.rmtree(job.folder, ignore_errors=True)


@contextmanager
def claimed_folder(job_id: str) -> Iterator[Path]:
    """An empty folder for a job; what a dead one of the same name left goes. Raises ValueError if it is taken.

    If the body fails, the folder goes again.
    """
    folder = job_folder(job_id)
    earlier = next((job for job in find_jobs() if job.job_id == job_id), None)
    if earlier is not None and earlier.is_alive:
        raise ValueError(f"job_id ({job_id!r}) is that of a running job (process {earlier.pid}): choose another")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
