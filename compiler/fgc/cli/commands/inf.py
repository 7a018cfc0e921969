"""Serve a model, or chat with a model that is being served.

`fgc inf server` is `fgc serve`, with the additional options `-m MODEL` and `-c [CHECKPOINT]`. `fgc inf client` works
with any server that has the OpenAI API. Without arguments, it starts a chat in the terminal; piped input is sent as one
message.
"""

import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path

from fgc.cli.arguments import CannotRun
from fgc.cli.commands import serve
from fgc.cli.runtime_words import option_words
from fgc.installed import package_folder

EXAMPLES = (
    "fgc inf server output_models/tiny              its newest checkpoint, if it is a run's folder",
    "fgc inf server -m output_models/tiny -c        the newest checkpoint, also beside a finished model",
    "fgc inf client                                 chat with it, in another terminal",
    "fgc inf client --message 'Who are you?'",
    "fgc inf client --completion 'def ' --echo --max-tokens 64",
)


def run_words(words: Sequence[str]) -> int:
    """Become the server or the client; 2 if something that it needs is not installed."""
    action, *rest = words or ("",)
    if action == "client":
        return _become_client(rest)
    if action == "server":
        try:
            return serve.run_words(_server_words(rest))
        except CannotRun as problem:
            print(f"fgc: {problem}", file=sys.stderr)
            return 2
    _parser().parse_args(words)
    raise AssertionError("argparse ends the process")


def completion_words() -> list[str]:
    """Returns what a shell may complete behind `fgc inf`."""
    server, client = (
        option_words("fgc_runtime", "serve/arguments.py"),
        option_words("fgc_runtime", "client/arguments.py"),
    )
    return ["server", "client", *sorted({*server, *client, "-m", "-c"})]


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="fgc inf",
        description=__doc__,
        epilog="examples:\n" + "\n".join(f"  {example}" for example in EXAMPLES),
        formatter_class=RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    actions.add_parser("server", help="serve a model folder; `fgc inf server --help` lists its options")
    actions.add_parser("client", help="ask a server, or chat; `fgc inf client --help` lists its options")
    return parser


def _become_client(words: Sequence[str]) -> int:
    missing = [package for package in ("fgc_runtime", "httpx") if package_folder(package) is None]
    if missing:
        print(f"fgc: the client needs {', '.join(missing)}: pip install 'fgc[client]'", file=sys.stderr)
        return 2
    return os.execv(sys.executable, [sys.executable, "-P", "-m", "fgc_runtime.client", *words])


def _server_words(words: Sequence[str]) -> list[str]:
    """Returns the words with `-m MODEL` as the folder; `-c CHECKPOINT` replaces it, a bare `-c` by its newest one."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-m", "--model", metavar="MODEL")
    parser.add_argument("-c", "--checkpoint", nargs="?", const="", metavar="CHECKPOINT")
    given, rest = parser.parse_known_args(words)
    if given.checkpoint is None and given.model is None:
        return list(words)
    if given.checkpoint:
        return [given.checkpoint, *rest]
    if given.checkpoint is None:
        return [given.model, *rest]
    if given.model is None:
        raise CannotRun("`-c` alone: name the run's folder, `-m FOLDER -c`, or the checkpoint, `-c CHECKPOINT`")
    from fgc.cli.outputs import choose  # the compiler's stages: 0.15 s

    return [str(choose(Path(given.model), "latest").folder), *rest]
