"""Text of others on a terminal: seen, not obeyed."""

import io
import sys

import pytest
from fgc_runtime.output import run_command
from fgc_runtime.terminal import visible, visible_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\ttext", "plain\n\ttext"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x1b]52;c;aGk=\x07", r"\x1b]52;c;aGk=\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("hidden\rshown", r"hidden\rshown"),
        ("a\x08b\x00", r"a\x08b\x00"),
        ("abc\u202edcb", r"abc\u202edcb"),
        ("half \ud800", r"half \ud800"),
        ("Käse 你好 🙂\u200d👧 שלום\u200f", "Käse 你好 🙂\u200d👧 שלום\u200f"),
    ],
)
def test_what_a_terminal_would_obey_is_written_as_an_escape(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\r 50%|█████| 1/2", None),
        ("\n\n\x1b[A\x1b[A", None),
        ("\r         \r", None),
        ("fgc: no \x1b]0;title\x07\rmodel\n", "fgc: no \\x1b]0;title\\x07\\rmodel\n"),
    ],
)
def test_errors_obey_nothing_but_bars_of_progress(
    text: str, shown: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = _Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    assert run_command(lambda: sys.stderr.write(text)) == len(text)
    assert stream.getvalue() == (shown or text) and sys.stderr is stream


def test_a_line_stays_one() -> None:
    assert visible_line("a\nb\tc") == r"a\nb\tc"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "shown"),
    [(_Terminal(), "\x1b[36mblue\x1b[0m " + r"\x1b]0;title\x07 \x1b[2J \x1b[8mhidden\x1b[1;7m"), (io.StringIO(), None)],
    ids=["terminal", "pipe"],
)
def test_what_a_command_prints_is_obeyed_by_no_terminal(
    stream: io.StringIO, shown: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", stream)
    text = "\x1b[36mblue\x1b[0m \x1b]0;title\x07 \x1b[2J \x1b[8mhidden\x1b[1;7m"

    def command() -> int:
        print(text)
        return 3

    assert run_command(command) == 3
    assert stream.getvalue() == f"{shown or text}\n"
