"""Text of others on a terminal: seen, not obeyed."""

import pytest
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


def test_a_line_stays_one() -> None:
    assert visible_line("a\nb\tc") == r"a\nb\tc"
