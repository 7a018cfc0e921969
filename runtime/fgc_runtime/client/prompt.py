"""Lines that a user types: edited, remembered and completed on a terminal, plain from anything else."""

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

Read = Callable[[], str | None]


class Cancelled(Exception):
    """Ctrl-C while a line was typed."""


def line_reader(words: Iterable[str]) -> Read:
    """Returns a reader of lines: None at the end; it raises Cancelled for Ctrl-C. `words` are completed."""
    if not sys.stdin.isatty():
        return _plain_line
    try:
        import prompt_toolkit  # noqa: F401 -- 0.2 s
    except ImportError:
        return _input_line
    return _edited_line(words)


def _plain_line() -> str | None:
    line = sys.stdin.readline()
    return line.rstrip("\n") if line else None


def _input_line() -> str | None:
    """Without prompt_toolkit: the line editing that Python has."""
    with suppress(ImportError):
        import readline  # noqa: F401 -- importing it is what changes `input`
    try:
        return input("> ")
    except EOFError:
        return None
    except KeyboardInterrupt:
        print()
        raise Cancelled from None


def _edited_line(words: Iterable[str]) -> Read:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    keys = KeyBindings()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    completer = WordCompleter(sorted(words), sentence=True)
    history = FileHistory(str(path)) if (path := _history_file()) is not None else None
    session: PromptSession[str] = PromptSession(
        history=history, completer=completer, complete_while_typing=False, key_bindings=keys
    )

    def read() -> str | None:
        try:
            return session.prompt("> ", prompt_continuation="… ")
        except EOFError:
            return None
        except KeyboardInterrupt:
            raise Cancelled from None

    return read


def _history_file() -> Path | None:
    """A file that only its owner can read; None where there can be none."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    path = base / "fgc" / "chat_history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return None
    return path
