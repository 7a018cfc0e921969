"""A job's end of its socket: questions are answered at once, commands wait for the training loop.

One JSON object per line. A request is `{"command": NAME, ...}`; the answers are `{"state": "accepted" | "done" |
"failed", "message": TEXT, ...}`, the last of which is not "accepted".
"""

import json
import os
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

COMMANDS = ("save", "stop", "save-stop", "abort", "set")
LONGEST_REQUEST_BYTES = 64 * 1024
_LONGEST_SILENCE_S = 10
_LONGEST_FAREWELL_S = 2

Answer = dict[str, object]
Question = Callable[[], Answer]


@dataclass(slots=True)
class Command:
    """Holds what somebody wants of the loop; whoever carries it out answers."""

    name: str
    options: Mapping[str, object]
    answer: Answer | None = None
    _answered: threading.Event = field(default_factory=threading.Event)
    sent: threading.Event = field(default_factory=threading.Event)  # the caller has been told, or has gone

    def done(self, message: str, **more: object) -> None:
        """It has been carried out."""
        self._set({"state": "done", "message": message, **more})

    def failed(self, message: str) -> None:
        """It cannot be carried out."""
        self._set({"state": "failed", "message": message})

    def wait(self) -> Answer:
        """The answer, when there is one."""
        self._answered.wait()
        assert self.answer is not None, "an answered command has an answer"
        return self.answer

    def _set(self, answer: Answer) -> None:
        if self.answer is None:
            self.answer = answer
            self._answered.set()


class ControlServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Listens from construction until `close`. `questions` are answered from its threads, by name."""

    daemon_threads = True  # a caller who waits must not keep the program from ending
    block_on_close = False

    def __init__(self, address: str, questions: Mapping[str, Question]) -> None:
        self.questions = questions
        self._lock = threading.Lock()
        self._waiting: list[Command] = []  # not taken yet
        self._open: list[Command] = []  # taken, the caller not told yet
        self._farewell: str | None = None
        super().__init__(address, _Conversation)
        os.chmod(address, 0o600)  # noqa: PTH101  # the address is a string here
        threading.Thread(target=self.serve_forever, args=(0.1,), name="fgc control", daemon=True).start()

    def verify_request(self, request: object, client_address: object) -> bool:
        """Returns True for a caller of this process's user; the folder keeps others out, but not everywhere."""
        return peer_user(cast(socket.socket, request)) in (None, os.getuid())

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that hangs up is no event for the training's output."""

    def take(self) -> list[Command]:
        """The commands that have come since the last call."""
        with self._lock:
            taken, self._waiting = self._waiting, []
            self._open = [*(command for command in self._open if not command.sent.is_set()), *taken]
        return taken

    def put(self, command: Command) -> None:
        """Leave a command for the loop; one that comes too late is answered here."""
        with self._lock:
            if self._farewell is None:
                self._waiting.append(command)
            else:
                command.failed(self._farewell)

    def converse(self, line: bytes, say: Callable[[Answer], None]) -> None:
        """Answers a request, a command when the loop has carried it out."""
        try:
            request = json.loads(line)
            name = request.pop("command")
        except (ValueError, AttributeError, KeyError):
            say({"state": "failed", "message": "a request is a JSON object with `command`, on one line"})
            return
        if name in self.questions:
            say({"state": "done", **self.questions[name]()})
        elif name in COMMANDS:
            command = Command(name, request)
            say({"state": "accepted", "message": "the job carries it out before its next step"})
            self.put(command)
            try:
                say(command.wait())
            finally:
                command.sent.set()
        else:
            known = ", ".join(sorted([*self.questions, *COMMANDS]))
            say({"state": "failed", "message": f"unknown command {name!r}; known are {known}"})

    def close(self, farewell: str) -> None:
        """Listen no longer; commands without an answer get the farewell. Returns when the answers have been sent."""
        with self._lock:
            self._farewell = farewell
        self.shutdown()
        self.server_close()
        self.take()
        for command in self._open:
            command.failed(farewell)
        for command in self._open:
            command.sent.wait(_LONGEST_FAREWELL_S)


def peer_user(connection: socket.socket) -> int | None:
    """The user at the other end, by the kernel's word; None on systems that do not say."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(user)


class _Conversation(socketserver.StreamRequestHandler):
    """One request and its answers."""

    timeout = _LONGEST_SILENCE_S
    server: ControlServer

    def handle(self) -> None:
        """Read the request, answer it."""
        line = self.rfile.readline(LONGEST_REQUEST_BYTES)
        if not line:  # somebody asked whether this job is alive
            return
        self.server.converse(line, self._say)

    def _say(self, answer: Answer) -> None:
        self.wfile.write(json.dumps(answer, default=str).encode() + b"\n")
        self.wfile.flush()
