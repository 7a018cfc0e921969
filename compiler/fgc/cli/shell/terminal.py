"""The lines of a shell: edited, completed and remembered on a terminal; plain lines from anything else."""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fgc.cli.arguments import CannotRun
from fgc.cli.shell.run import Cancelled, Reader
from fgc.cli.shell.state import ShellState
from fgc.installed import home_folder, package_folder

if TYPE_CHECKING:
    from prompt_toolkit.completion import CompleteEvent, Completion
    from prompt_toolkit.document import Document


def line_reader(state: ShellState, summaries: Mapping[str, str]) -> Reader:
    """Returns what reads the lines. Raises CannotRun on a terminal without prompt_toolkit."""
    if not sys.stdin.isatty():
        return _plain_line
    if package_folder("prompt_toolkit") is None:
        raise CannotRun("the interactive shell needs prompt_toolkit: pip install 'fgc[shell]'")
    return _edited_lines(state, summaries)


def _plain_line(*, failed: bool) -> str | None:
    line = sys.stdin.readline()
    return line if line else None


def _edited_lines(state: ShellState, summaries: Mapping[str, str]) -> Reader:
    from prompt_toolkit import PromptSession  # 0.2 s
    from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.history import FileHistory

    from fgc.cli.shell.words import candidates

    class Words(Completer):
        """Completes by what the shell knows of commands and of the project."""

        def get_completions(self, document: "Document", complete_event: "CompleteEvent") -> "Iterable[Completion]":
            for found in candidates(document.text_before_cursor, state, summaries):
                yield Completion(found.word, start_position=-found.length, display_meta=found.meaning)

    path = _history_file()
    session: PromptSession[str] = PromptSession(
        completer=Words(),
        complete_while_typing=False,
        history=FileHistory(str(path)) if path is not None else None,
        auto_suggest=AutoSuggestFromHistory(),
    )

    def read(*, failed: bool) -> str | None:
        try:
            return session.prompt(lambda: f"{state.place}{' !' if failed else ''}> ")
        except EOFError:
            return None
        except KeyboardInterrupt:
            raise Cancelled from None

    return read


def _history_file() -> Path | None:
    """A file that only its owner can read; None where there can be none."""
    base = Path(os.environ.get("XDG_STATE_HOME") or home_folder() / ".local/state")
    path = base / "fgc" / "shell_history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return None
    return path
