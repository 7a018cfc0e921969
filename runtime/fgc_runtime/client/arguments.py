"""The command line of `python -m fgc_runtime.client`; loads nothing heavy, so that --help comes at once."""

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_EXAMPLES = """\
examples:
  fgc inf client                                     chat, while `fgc serve DIR` runs in another terminal
  fgc inf client --message 'Who are you?'            one answer
  fgc inf client --completion 'def ' --echo          go on with a text
  fgc inf client --completion - < prompt.txt         go on with a file
  cat question.txt | fgc inf client --max-tokens 64  what comes through a pipe is one message
  git diff | fgc inf client --message 'Is this right?' --file - --file README.md    or follows one, as files do
  fgc inf client --health && fgc inf client --list-models

in a chat: /help lists the commands; Ctrl-C stops an answer; Ctrl-D ends
exit codes: 0, 1 if the server refuses or an answer breaks off, 2 if it cannot be reached, 130 after Ctrl-C
"""


@dataclass(frozen=True, slots=True)
class Options:
    """Holds what the command line says. `sampling` holds the request's fields that were given, by their API names."""

    url: str
    api_key: str | None
    model: str | None
    message: str | None
    texts: tuple[str, ...]  # that follow a question
    completion: str | None
    system: str | None
    is_interactive: bool | None
    is_streamed: bool
    is_echoed: bool
    shows_usage: bool
    is_health: bool
    is_model_list: bool
    timeout_s: float
    sampling: Mapping[str, object]


def parse(arguments: list[str] | None = None) -> Options:
    """Read the command line; exits with 2 if it is wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.echo and given.completion is None:
        parser.error("--echo repeats the text of --completion: pass that too")
    if given.interactive and (given.message or given.completion):
        parser.error("--interactive chats; without it, --message and --completion ask once")
    if given.files and (given.interactive or given.completion is not None):
        parser.error("--file follows a question: it goes with --message or a pipe")
    if [given.message, given.completion, *given.files].count("-") > 1:
        parser.error("standard input can be read only once: `-` is used several times")
    stops = [text.replace("\\n", "\n").replace("\\t", "\t") for text in given.stop]
    sampling = {name: value for name in _SAMPLING if (value := getattr(given, name)) is not None}
    if stops:
        sampling["stop"] = stops
    return Options(
        url=given.url,
        api_key=given.api_key or os.environ.get("FGC_API_KEY") or None,
        model=given.model,
        message=_text(given.message),
        texts=tuple(filter(str.strip, (_text(file) or "" for file in given.files))),
        completion=_text(given.completion),
        system=given.system,
        is_interactive=given.interactive,
        is_streamed=not given.no_stream,
        is_echoed=given.echo,
        shows_usage=given.show_usage,
        is_health=given.health,
        is_model_list=given.list_models,
        timeout_s=given.timeout,
        sampling=sampling,
    )


_SAMPLING = (
    *("max_tokens", "temperature", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty"),
    *("ignore_eos",),
)


def _text(given: str | None) -> str | None:
    """An argument; `-` is what comes through standard input, which nothing else reads: it may be a script's own."""
    return sys.stdin.read() if given == "-" else given


def _named_text(given: str) -> str:
    """Returns a file's text under its name; a pipe can be read only once. `-` stays."""
    if given == "-":
        return given
    path = Path(given)
    try:
        return f"{path.name}:\n{path.read_text(encoding='utf-8')}"
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{given} cannot be read: {error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fgc inf client",
        description="Chat with a served model, or let it continue a text.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    url = os.environ.get("FGC_URL") or "http://127.0.0.1:8000"
    add("--url", default=url, help="the server (default: $FGC_URL, or http://127.0.0.1:8000)")
    add("--api-key", metavar="KEY", help="API key of the server (default: $FGC_API_KEY)")
    add("--model", metavar="NAME", help="which model (default: the server's first)")
    add(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=10.0,
        help="how long to wait for a connection (default: %(default)s)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--message", metavar="TEXT", help="ask one question and print the answer; `-` reads it from stdin"
    )
    what.add_argument("--completion", metavar="TEXT", help="print a continuation of the text; `-` reads it from stdin")
    what.add_argument("--health", action="store_true", help="print the state of the server, and end")
    what.add_argument("--list-models", action="store_true", help="print the names of the models")
    add("--interactive", action=argparse.BooleanOptionalAction, help="chat (default: on a terminal)")
    add("--system", metavar="TEXT", help="system message")
    help = "a text that follows the question, under its name; `-` is stdin; may be repeated"
    add("--file", dest="files", metavar="FILE", type=_named_text, action="append", default=[], help=help)
    _add_answer_options(parser)
    return parser


def _add_answer_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--max-tokens", metavar="N", type=int, default=512, help="longest answer (default: %(default)s)")
    add("--temperature", metavar="T", type=float, help="0: always the most likely token; 1: the model's distribution")
    add("--top-p", metavar="P", type=float, help="only the most likely tokens that together have this probability")
    add("--top-k", metavar="K", type=int, help="only the K most likely tokens")
    add("--frequency-penalty", metavar="X", type=float, help="-2 to 2: penalty for frequent tokens")
    add("--presence-penalty", metavar="X", type=float, help="-2 to 2: penalty for tokens that have occurred")
    add("--seed", metavar="N", type=int, help="the same answer again")
    add(
        "--stop",
        metavar="TEXT",
        action="append",
        default=[],
        help="end the answer before this text (`\\n`: a new line); may be repeated",
    )
    add("--ignore-eos", action="store_true", default=None, help="continue after the end of the text")
    add("--echo", action="store_true", help="print the text of --completion before its continuation")
    add("--show-usage", action="store_true", help="print the number of tokens and the speed")
    add("--no-stream", action="store_true", help="print the answer when it is complete")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if value > 0:
        return value
    raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
