"""Explain which line set a value, what it overrode and where its inputs come from; or what a finding means.

`KEY` is a path such as `trainer_args.max_steps`, `callbacks[2].prompts[0]` or `&optimizer.lr`. `fgc explain FGC204`
prints the page of a finding; without arguments, all findings are listed. Exit code 2 if there is nothing to explain.
"""

import json
import sys
from argparse import ArgumentParser, Namespace

from fgc.cli.arguments import add_variables
from fgc.patterns import regex

EXAMPLES = (
    "fgc -t CONFIG explain trainer_args.max_steps",
    "fgc explain config.yaml optimizer.lr -D lr=0.1",
    "fgc explain FGC204",
)
_CODE = regex(r"(?i:fgc)\d*|[A-Z]{3}\d{3}")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc explain`."""
    parser.add_argument("words", nargs="*", metavar="[FILE] KEY | CODE", help="what to explain")
    add_variables(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")


def run(arguments: Namespace) -> int:
    """Explain a path or a code; see the exit codes above."""
    words = arguments.words
    is_configured = arguments.config is not None or arguments.project is not None
    if not words and not is_configured:
        return _list_codes(arguments.format)
    if len(words) == 1 and _CODE.fullmatch(words[0]):
        return _explain_code(words[0].upper())
    if len(words) not in (1, 2):
        print("fgc: name one path: `fgc explain FILE KEY` or `fgc -t CONFIG explain KEY`", file=sys.stderr)
        return 2
    from fgc.cli.explaining import explain_path  # the compiler's stages: 0.15 s

    arguments.file = words[0] if len(words) == 2 else None
    return explain_path(arguments, words[-1])


def _list_codes(form: str) -> int:
    from fgc.diagnostics import CODES

    if form == "json":
        print(json.dumps([{"code": entry.code, "title": entry.title} for entry in CODES.values()], indent=2))
        return 0
    for entry in CODES.values():
        print(f"{entry.code}  {entry.title}")
    return 0


def _explain_code(code: str) -> int:
    from fgc.diagnostics import CODES, did_you_mean
    from fgc.diagnostics.pages import page_of

    if code not in CODES:
        print(f"fgc: there is no finding `{code}`; {did_you_mean(code, CODES) or 'see `fgc explain`'}", file=sys.stderr)
        return 2
    print(page_of(code) or f"{code}: {CODES[code].title}")
    return 0
