"""The `fgc` command: finds the command's module, loads only that, and runs it."""

import atexit
import errno
import gc
import io
import os
import signal
import sys
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from fgc import __version__
from fgc.cli.arguments import selection_group
from fgc.cli.words import CommandParser, HelpFormatter, split_at_dashes, split_dynamic
from fgc.printing import only_visible

EXIT_CLEAN, EXIT_FINDINGS, EXIT_COULD_NOT_RUN, EXIT_INTERRUPTED = 0, 1, 2, 130
_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_COMMANDS_FOLDER = Path(__file__).with_name("commands")
_PRINTING_DOCUMENTS = frozenset({"code", "completion", "fmt", "graph", "pp"})
_EXAMPLES = """\
examples:
  fgc build config.yaml -o out     compile a configuration; then: python out/train.py
  fgc check config.yaml            find mistakes without running anything
  fgc -p PROJECT -t CONFIG pp      print the text that a project's configuration becomes
  fgc -p PROJECT -i                a shell in the project, with completion and history
  fgc help COMMAND                 options and examples of one command
"""
_FAMILIAR = {  # what other tools call it
    "chat": "inf client",
    "compile": "build",
    "init": "ws init",
    "lint": "check",
    "list": "ls",
    "new": "ws project",
    "render": "pp",
    "run": "train",
    "validate": "check",
}


def run() -> None:
    """The entry point of the installed command."""
    if sys.platform == "win32":
        sys.exit("fgc needs Linux or macOS. On Windows, install and run it in WSL: https://aka.ms/wsl")
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 -- closed by who started this
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names have characters that not every terminal has
    signal.signal(signal.SIGTERM, _end)  # an ordinary end: what is half made is removed
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup`
        signal.signal(signal.SIGHUP, _end)
    _leave(main(sys.argv[1:]))


def _leave(code: int) -> NoReturn:
    """End without taking apart what the process holds: syntax trees of many files cost a third of a second."""
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        code = code or EXIT_COULD_NOT_RUN
    os._exit(code)


def _end(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def main(argv: Sequence[str]) -> int:
    """Run a command line; returns the exit code: 0 clean, 1 findings, 2 could not run, 130 interrupted."""
    gc.set_threshold(4_000_000, 50, 50)  # 200 MB: to look for garbage in what a compilation keeps costs a tenth
    try:
        with _escaping(argv):
            code = _dispatch(argv)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _silence_output()
        return EXIT_CLEAN
    except Exception as error:
        return _disk_error(error) or _internal_error()


@contextmanager
def _escaping(argv: Sequence[str]) -> Iterator[None]:
    """Keep what others wrote from obeying on the terminal; what prints a document gives it to a file as it is."""
    _, command, _ = _split(argv)
    is_document = command in _PRINTING_DOCUMENTS and not sys.stdout.isatty()
    output, errors = sys.stdout, sys.stderr
    if command is not None and not is_document:
        sys.stdout = only_visible(output)
    sys.stderr = only_visible(errors)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = output, errors


def _dispatch(argv: Sequence[str]) -> int:
    before, command, rest = _split(argv)
    is_help = command is None or any(word.startswith(("-h", "--h", "-ih")) for word in before)
    parser = _global_parser(_epilog() if is_help else None)
    options = parser.parse_args(before)
    if options.interactive:
        from fgc.cli.shell import interact  # the compiler's stages: 0.15 s

        words = [] if command is None else [command, *rest]
        summaries = {name: _summary(name) for name in command_names()}
        return interact(words, main, summaries, project=options.project, config=options.config)
    if command is None:
        parser.print_help(sys.stderr)
        return EXIT_COULD_NOT_RUN
    if command == "help":
        return _dispatch([*before, *rest, "--help"])
    if command not in command_names():
        return _unknown(command)
    module = import_module(f"fgc.cli.commands.{command.replace('-', '_')}")
    if hasattr(module, "run_words"):
        return int(module.run_words(rest))
    parser = _command_parser(module, command)
    if getattr(module, "PASSES_WORDS_ON", False):
        rest, options.passed_on = split_at_dashes(rest)
    if getattr(module, "TAKES_DYNAMIC_ARGUMENTS", False):
        if {"-h", "--help"}.intersection(rest):
            from fgc.cli.declared import add_declared  # the compiler's stages: 0.15 s

            add_declared(parser, rest, options)
        rest, options.dynamic = split_dynamic(parser, rest)
        options.known_options = sorted(parser._option_string_actions)
        options.typed = [word.partition("=")[0] for word in rest if word.startswith("-")]
    return int(module.run(parser.parse_args(rest, options)))


def declared_names(words: Sequence[str]) -> list[str]:
    """The options of the configuration that a command line names, for completion."""
    from fgc.cli.declared import declared_by  # the compiler's stages: 0.15 s

    before, command, rest = _split(words)
    if command not in command_names():
        return []
    module = import_module(f"fgc.cli.commands.{command.replace('-', '_')}")
    if not getattr(module, "TAKES_DYNAMIC_ARGUMENTS", False):
        return []
    options = _global_parser(None).parse_args(before)
    _, declared = declared_by(_command_parser(module, command), rest, options)
    return [name for argument in declared for name in argument.names if name.isprintable()]


def command_names() -> list[str]:
    """All commands: one module each; `_` in its name is `-` in the command's."""
    return sorted(
        path.stem.replace("_", "-") for path in _COMMANDS_FOLDER.glob("*.py") if not path.stem.startswith("_")
    )


def _split(argv: Sequence[str]) -> tuple[list[str], str | None, list[str]]:
    """Global options, the command, and what belongs to the command."""
    position = 0
    while position < len(argv):
        word = argv[position]
        if not word.startswith("-"):
            return list(argv[:position]), word, list(argv[position + 1 :])
        position += 2 if word in ("-p", "--project", "-t", "--config") else 1
    return list(argv), None, []


def _epilog() -> str:
    """All commands and examples: 45 files to open, only for who asks for help."""
    lines = [f"  {name:<15}{_summary(name)}" for name in command_names()]
    return "commands:\n" + "\n".join(lines) + "\n\n" + _EXAMPLES


def _global_parser(epilog: str | None) -> CommandParser:
    parser = CommandParser(
        prog="fgc",
        usage="fgc [-p PROJECT] [-t CONFIG] [-i] COMMAND ...",
        description="Compiles machine-learning experiment configurations into standalone, readable Python programs.",
        epilog=epilog,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fgc {__version__}")
    parser.add_argument("-i", "--interactive", action="store_true", help="a shell in which all commands run")
    _add_project_options(parser, None)
    return parser


def _summary(command: str) -> str:
    """The first line of a command's docstring, read from its file: help must not load every command."""
    with (_COMMANDS_FOLDER / f"{command.replace('-', '_')}.py").open(encoding="utf-8") as file:
        return file.readline().strip().strip('"').rstrip(".")


def _add_project_options(parser: ArgumentParser, default: Any) -> None:
    add = selection_group(parser).add_argument
    add(
        "-p",
        "--project",
        metavar="PROJECT",
        default=default,
        help="project folder (default: the project around the current folder)",
    )
    add(
        "-t",
        "--config",
        metavar="CONFIG",
        default=default,
        help="configuration of the project (default: its default one)",
    )


def _command_parser(module: Any, command: str) -> CommandParser:
    summary, _, details = (module.__doc__ or "").partition("\n")
    parser = CommandParser(
        prog=f"fgc {command}",
        description=summary + "\n" + details.rstrip(),
        epilog="examples:\n" + "\n".join(f"  {example}" for example in module.EXAMPLES),
        formatter_class=HelpFormatter,
    )
    uses_a_project = getattr(module, "USES_A_PROJECT", True)
    if uses_a_project:
        _add_project_options(parser, SUPPRESS)
    module.configure(parser)
    _complete_actions(parser, module.EXAMPLES, uses_a_project=uses_a_project)
    return parser


def _complete_actions(parser: CommandParser, examples: Sequence[str], *, uses_a_project: bool) -> None:
    """`fgc ws init --help` shows those examples of `fgc ws` that are about it; -p and -t may follow an action too."""
    for action in parser._actions:
        for name, inner in action.choices.items() if isinstance(action.choices, dict) else ():
            own = [example for example in examples if name in example.split()]
            inner.formatter_class = HelpFormatter
            if uses_a_project:
                _add_project_options(inner, SUPPRESS)
            inner.epilog = "examples:\n" + "\n".join(f"  {example}" for example in own) if own else None


def _silence_output() -> None:
    """Nobody reads on: Python must not try once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _disk_error(error: Exception) -> int:
    """Tells what the disk refuses, which is no bug: a folder that may not be read, a full disk. 0 for other errors."""
    if isinstance(error, OSError) and error.filename is None and error.errno in _CANNOT_WRITE:
        print(f"fgc: the output cannot be written: {error.strerror}", file=sys.stderr)
        _silence_output()
        return EXIT_COULD_NOT_RUN
    if isinstance(error, FileNotFoundError) and not _has_working_folder():
        print("fgc: the current folder no longer exists: change to another one", file=sys.stderr)
        return EXIT_COULD_NOT_RUN
    if isinstance(error, OSError) and error.filename is not None:
        print(f"fgc: `{error.filename}`: {error.strerror}", file=sys.stderr)
        return EXIT_COULD_NOT_RUN
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # pathlib's own words
        print(f"fgc: a link leads to itself: {str(error).removeprefix('Symlink loop from ')}", file=sys.stderr)
        return EXIT_COULD_NOT_RUN
    return 0


def _has_working_folder() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _internal_error() -> int:
    """Our own mistake: never a clean exit, and all that a report needs."""
    import traceback

    traceback.print_exc()
    print(
        f"fgc: error[FGC090]: this is a bug in fgc {__version__}; please report it with the lines above",
        file=sys.stderr,
    )
    return EXIT_COULD_NOT_RUN


def _unknown(command: str) -> int:
    from fgc.diagnostics import did_you_mean

    meant = _FAMILIAR.get(command)
    help = f"did you mean `{meant}`?" if meant else did_you_mean(command, command_names()) or "see `fgc --help`"
    print(f"fgc: unknown command `{command}`; {help}", file=sys.stderr)
    return EXIT_COULD_NOT_RUN
