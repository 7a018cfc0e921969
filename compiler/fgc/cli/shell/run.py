"""Lines of a shell to what they do. No line ends the shell but `exit`; each command runs in a process of its own."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from fgc.cli.shell.state import ShellState, StateError

BUILTINS = {
    "use": "choose a configuration; `use -` chooses the default one, `use` lists them",
    "cd": "go to a project or folder; without a name: to the folder where the shell started",
    "help": "list the commands, or describe one",
    "exit": "end the shell (also `quit`, Ctrl-D)",
}
_ENDS = ("exit", "quit")


class Cancelled(Exception):
    """Ctrl-C while a line was typed: it counts for nothing."""


class Reader(Protocol):
    """Reads the next line: None at the end. `failed` tells that the last one failed. Raises Cancelled for Ctrl-C."""

    def __call__(self, *, failed: bool) -> str | None: ...


class Shell:
    """Takes lines. `main` runs a command line of fgc, in the process that calls it."""

    def __init__(self, state: ShellState, main: Callable[[Sequence[str]], int]) -> None:
        self.state = state
        self._main = main
        self.code = 0

    def run(self, read: Reader) -> int:
        """Take lines until the end; the exit code of the last."""
        while True:
            try:
                line = read(failed=self.code != 0)
            except Cancelled:
                continue
            if line is None or line.strip() in _ENDS:
                return self.code
            self.take(line)

    def take(self, line: str) -> None:
        """Do what a line says."""
        self.state.forget()
        line = line.strip()
        if not line or line.startswith("#"):
            return
        if line.startswith("!"):
            self.code = _waiting_for(subprocess.Popen(line[1:], shell=True))
            return
        try:
            words = shlex.split(line)
        except ValueError as error:
            self._fail(f"{str(error).lower()}: write a name with spaces in quotes")
            return
        words = words[1:] if words[0] == "fgc" and len(words) > 1 else words
        try:
            self.code = self._take_words(words)
        except StateError as problem:
            self._fail(str(problem))

    def _fail(self, message: str) -> None:
        print(f"fgc: {message}", file=sys.stderr)
        self.code = 2

    def _take_words(self, words: Sequence[str]) -> int:
        command, *rest = words
        match command:
            case "use" if not rest:
                return self._command(["ls"])
            case "use" | "cd" if len(rest) > 1:
                raise StateError(f"`{command}` takes one name; write a name with spaces in quotes")
            case "use":
                self.state.use(rest[0])
                return 0
            case "cd":
                said = self.state.go(rest[0] if rest else "")
                print(said or "", end="\n" if said else "")
                return 0
            case "help":
                return self._help(rest)
            case _:
                return self._command(self._in_place(words))

    def _in_place(self, words: Sequence[str]) -> list[str]:
        """A command line with the chosen configuration, unless it names one or is about none."""
        is_chosen = self.state.config is not None and not {"-t", "--config"} & set(words)
        is_about_one = not words[0].startswith("-") and words[0] != "ls" and tuple(words) != ("explain",)
        return ["-t", str(self.state.config), *words] if is_chosen and is_about_one else list(words)

    def _help(self, rest: Sequence[str]) -> int:
        if rest and rest[0] in BUILTINS:
            print(f"{rest[0]}: {BUILTINS[rest[0]]}")
            return 0
        if rest:
            return self._command([rest[0], "--help"])
        code = self._command(["--help"])
        width = max(map(len, BUILTINS)) + 2
        print("in this shell:")
        print("\n".join(f"  {name:<{width}}{what}" for name, what in BUILTINS.items()))
        print(f"  {'!COMMAND':<{width}}run a command of the system")
        return code

    def _command(self, argv: Sequence[str]) -> int:
        """Run a command in a process that has all that this one has loaded."""
        import fgc.cli.select  # noqa: F401 -- the compiler's stages, once for all commands: 0.15 s

        sys.stdout.flush()
        process = os.fork()
        if process == 0:
            self._become(argv)
        with _unstopped():
            return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def _become(self, argv: Sequence[str]) -> None:
        code = 1
        try:
            code = self._main(argv)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def _waiting_for(process: "subprocess.Popen[bytes]") -> int:
    with _unstopped():
        return process.wait()


@contextmanager
def _unstopped() -> Iterator[None]:
    """Ctrl-C is for the command that runs, not for the shell that waits."""
    earlier = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)
