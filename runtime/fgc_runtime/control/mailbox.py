"""A job's mailbox: a folder of files beside its logs, for terminals on other machines that see the same disk.

`NAME.request.json` is one request, `NAME.answer.json` the newest answer to it: the job removes the first, who asked the
second. `status.json` is written every few seconds, and its age says whether the job lives. Only the owner of the folder
can enter it; requests of anybody else are removed unread.
"""

import json
import os
import stat
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from fgc_runtime.control.jobs import Job, require_private
from fgc_runtime.control.server import LONGEST_REQUEST_BYTES, Answer, ControlServer

FOLDER = "control"  # in the folder of a run's logs
STATUS, REQUEST, ANSWER = "status.json", ".request.json", ".answer.json"
_BETWEEN_LOOKS_S = 1
_LOOKS_PER_STATUS = 5
_LONGEST_FAREWELL_S = 2


class Mailbox:
    """Looks into a folder from construction until `close`, and answers as the server of the job would.

    Raises UnsafeFolder if others could reach into the folder, OSError if it cannot be made.
    """

    def __init__(self, folder: Path, job: Job, server: ControlServer) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_private(folder, instead="remove it")
        self.folder = folder
        self._server = server
        self._is_closed = threading.Event()
        self._conversations: list[threading.Thread] = []
        self._clear()
        self._job = replace(job, folder=folder, pids=[])
        self.write_job([])
        self._write_status()
        self._thread = threading.Thread(target=self._look, name="fgc control files", daemon=True)
        self._thread.start()

    def write_job(self, pids: list[int]) -> None:
        """Records the job, with its processes as far as they are known."""
        self._job.pids[:] = pids
        self._job.write()

    def close(self) -> None:
        """Looks no longer; what came too late is answered by the server's farewell. Leaves the answers."""
        self._is_closed.set()
        self._thread.join()
        with suppress(OSError):  # a folder that somebody removed meanwhile does not end a training
            self._collect()
        for conversation in self._conversations:
            conversation.join(_LONGEST_FAREWELL_S)
        with suppress(OSError):
            self._clear()
        with suppress(OSError):
            self.folder.rmdir()  # stays while somebody has an answer to read

    def _look(self) -> None:
        looks = 0
        while not self._is_closed.wait(_BETWEEN_LOOKS_S):
            looks += 1
            with suppress(OSError):  # a disk that does not answer for a while is no reason to end
                self._collect()
                if looks % _LOOKS_PER_STATUS == 0:
                    self._write_status()

    def _collect(self) -> None:
        self._conversations = [thread for thread in self._conversations if thread.is_alive()]
        for path in sorted(self.folder.glob(f"*{REQUEST}")):
            line = _read_own(path)
            path.unlink(missing_ok=True)
            if line is not None:
                answer = self.folder / (path.name.removesuffix(REQUEST) + ANSWER)
                thread = threading.Thread(target=self._converse, args=(line, answer), daemon=True)
                self._conversations.append(thread)
                thread.start()

    def _converse(self, line: bytes, path: Path) -> None:
        with suppress(OSError):  # the disk has gone, and with it whoever asked
            self._server.converse(line, lambda answer: write_file(path, answer))

    def _write_status(self) -> None:
        write_file(self.folder / STATUS, self._server.questions["status"]())

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if not path.name.endswith(ANSWER):
                path.unlink(missing_ok=True)


def write_file(path: Path, content: Answer) -> None:
    """Writes JSON that is there as a whole or not at all, for the owner alone."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, default=str)
    unfinished.replace(path)


def _read_own(path: Path) -> bytes | None:
    """Returns the content of a plain file of this user's; None for all else.

    The folder says nothing of that: who may write into the run's folder may put another one in its place.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        is_own = stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid()
        return file.read(LONGEST_REQUEST_BYTES) if is_own else None
