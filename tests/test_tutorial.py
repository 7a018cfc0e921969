"""The tutorial, typed: every command of `docs/guide/tutorial.md` in two terminals, and what it prints.

Numbers that measure something may differ; `...` stands for anything.
"""

import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs/guide/tutorial.md"
_BLOCK = re.compile(r"^```console( other)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MEASURED = re.compile(r"\d+(?:[.,:]\d+)+(?:e[+-]\d+)?")
_PROMPT = "<ready>"
_LOOKED_AT_AGAIN = ("fgc control list",)  # a training that has just said hello may not be listed yet
_PATIENCE_S = 240  # of a machine that does other things too


@dataclass(frozen=True, slots=True)
class Step:
    """A command of one of the two terminals, and the lines that it prints; without a command, what comes next."""

    is_other: bool
    command: str | None
    expected: tuple[str, ...]


def steps(text: str) -> Iterator[Step]:
    """The commands of the document, in order."""
    for is_other, block in _BLOCK.findall(text):
        first, *commands = re.split(r"(?m)^\$ ", block)
        if first:
            yield Step(bool(is_other), None, tuple(first.splitlines()))
        for entry in commands:
            command, *lines = entry.splitlines()
            while lines and (lines[0] == ">" or lines[0].startswith("> ")):
                command += "\n" + lines.pop(0)[2:]
            yield Step(bool(is_other), command, tuple(lines))


class Terminal:
    """A shell in which lines are typed."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        settings = {**environment, "PS1": _PROMPT, "PS2": "", "TERM": "dumb"}
        self._folder = folder
        self.shell = pexpect.spawn(
            "bash",
            ["--norc", "--noprofile"],
            env=settings,  # type: ignore[arg-type]
            cwd=str(folder),
            encoding="utf-8",
            echo=False,
            timeout=_PATIENCE_S,
            dimensions=(50, 400),
        )
        self.shell.expect_exact(_PROMPT)

    def type(self, command: str) -> None:
        self.shell.sendline(command)

    def answer(self, command: str) -> list[str]:
        """What a command prints, until the shell is ready again."""
        self.type(command)
        self.shell.expect_exact(_PROMPT)
        return self._plain(str(self.shell.before)).splitlines()

    def wait_for(self, line: str) -> None:
        """Go on when a line has come that begins as this one does."""
        head = re.escape(line.partition("...")[0].replace("/home/you", str(self._folder)).rstrip())
        self.shell.expect(_MEASURED.sub(r"[\\d.,:e+-]+", head.replace(r"\.", ".").replace(r"\-", "-")))

    def _plain(self, text: str) -> str:
        for path, shown in ((str(ROOT / "stdlib/fgc_stdlib"), ".../fgc_stdlib"), (str(self._folder), "/home/you")):
            text = text.replace(path, shown)
        return text.replace("\r\n", "\n")


def matches(expected: tuple[str, ...], printed: list[str]) -> bool:
    """Whether the printed lines are those of the document, apart from what it leaves out and what was measured."""
    lines = [re.escape(_MEASURED.sub("#", line.rstrip())).replace(r"\.\.\.", ".*") for line in expected]
    pattern = "".join("(?:.*\n)*?" if line == ".*" else f"{line}\n" for line in lines)
    if lines and lines[-1].endswith(".*") and lines[-1] != ".*":  # a text that a model writes may have several lines
        pattern += "(?:.*\n)*"
    return re.fullmatch(pattern, "".join(f"{_MEASURED.sub('#', line.rstrip())}\n" for line in printed)) is not None


@contextmanager
def two_terminals(folder: Path) -> Iterator[tuple[Terminal, Terminal]]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {name: str(folder / f".{name}") for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "HF_HOME")}
    jobs = tempfile.mkdtemp(prefix="fgc-jobs-")  # the path of a socket is short
    environment = {
        **os.environ,
        **own,
        "FGC_JOBS_DIR": jobs,
        "PATH": path,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "NO_COLOR": "1",
    }
    for name in ("COLUMNS", "FGC_URL", "FGC_API_KEY", "FGC_CACHE_DIR"):
        environment.pop(name, None)
    terminals = Terminal(environment, folder), Terminal(environment, folder)
    try:
        yield terminals
    finally:
        for terminal in terminals:
            terminal.shell.sendintr()
            terminal.shell.close(force=True)
        shutil.rmtree(jobs, ignore_errors=True)


@pytest.mark.slow
def test_every_command_of_the_tutorial_prints_what_it_says(tmp_path: Path) -> None:
    with two_terminals(tmp_path) as (first, second):
        for step in steps(TUTORIAL.read_text(encoding="utf-8")):
            if not step.is_other:
                assert step.command is not None
                printed = first.answer(step.command)
                until_s = time.monotonic() + _PATIENCE_S / 4
                while step.command in _LOOKED_AT_AGAIN and not matches(step.expected, printed):
                    assert time.monotonic() < until_s, (step.command, printed)
                    printed = first.answer(step.command)
                assert matches(step.expected, printed), (step.command, step.expected, printed)
                continue
            if step.command is not None:
                second.shell.sendintr()  # what ran there, if it still does
                second.type(f"cd {tmp_path}/experiments/first_try; {step.command}")
            for line in step.expected:
                if line != "...":
                    second.wait_for(line)


def test_what_differs_in_more_than_a_measurement_is_seen() -> None:
    expected = ("step 10/100  loss 7.5  1,234 tokens/s", "...", "end")
    assert matches(expected, ["step 10/100  loss 1.25  9 tokens/s".replace("9 ", "9,999 "), "x", "y", "end"])
    assert not matches(expected, ["step 11/100  loss 7.5  1,234 tokens/s", "end"])
    assert not matches(expected, ["step 10/100  loss 7.5  1,234 tokens/s", "x"])
