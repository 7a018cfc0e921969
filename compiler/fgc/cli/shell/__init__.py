"""The interactive shell, `fgc -i`: a folder, a configuration, and all commands, until the user ends it."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence

from fgc.cli.arguments import CannotRun
from fgc.cli.shell.run import Shell
from fgc.cli.shell.state import ShellState, StateError
from fgc.cli.shell.terminal import line_reader

Main = Callable[[Sequence[str]], int]


def interact(
    words: Sequence[str], main: Main, summaries: Mapping[str, str], *, project: str | None, config: str | None
) -> int:
    """Run a shell in a project, with a first command if `words` holds one; the exit code of the last command."""
    state = ShellState()
    try:
        if project is not None:
            state.go(project)
        if config is not None:
            state.use(config)
        read = line_reader(state, summaries)
    except (StateError, CannotRun) as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    shell = Shell(state, main)
    if sys.stdin.isatty():
        print("Commands of fgc without `fgc`; `use CONFIG`, `cd PROJECT`; Tab completes, `help` lists, Ctrl-D ends.")
    if words:
        shell.take(shlex.join(words))
    return shell.run(read)
