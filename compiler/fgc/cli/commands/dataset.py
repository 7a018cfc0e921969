"""Show examples of a data set, their lengths, and the share of label tokens.

The program that `fgc build` would write constructs the data set, in a separate process. If examples are tokens, colours
alternate from token to token, tokens that are not labels are grey, and a line announces every document of a packed
example; without colour, ⟦ ⟧ enclose tokens that are not labels. If the configuration has a target `tokenizer`, the
lengths of texts are counted in tokens.
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import Any

from fgc.cli.arguments import CannotRun, add_selection

EXAMPLES = (
    "fgc dataset",
    "fgc -t CONFIG dataset --target eval_dataset -n 1",
    "fgc dataset --tokens -n 1               a line per token, with id, position and label",
    "fgc dataset -n 0 -H lengths.png         statistics and a histogram only",
    "fgc dataset --format json | jq .statistics",
    "fgc dataset --pp                        the configuration's text, as fgc pp prints it",
)
TAKES_DYNAMIC_ARGUMENTS = True
_USUAL_TARGETS = ("train_dataset", "dataset", "train_texts", "main")
_MODULE = "fgc_runtime.data"


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc dataset`."""
    add_selection(parser)
    add = parser.add_argument
    add("--target", metavar="T", help=f"which data set (default: the first there is of {', '.join(_USUAL_TARGETS)})")
    add("-n", "--examples", type=_count, default=3, metavar="N", help="how many to show (default: 3)")
    add("--sample", type=_count, default=1000, metavar="N", help="how many to count for statistics (default: 1000)")
    add("--tokens", action="store_true", help="show a line per token")
    add("--full", action="store_true", help="do not truncate long examples")
    add("-H", "--histogram", metavar="FILE.png", help="write a histogram of the lengths (needs matplotlib)")
    add("--pp", action="store_true", help="print the configuration's text instead of its data")
    add("--format", choices=("text", "json"), default="text", help="how to print (default: text)")


def run(arguments: Namespace) -> int:
    """Print them; 1 if the configuration or its data have errors, 2 for a wrong name."""
    from fgc.cli.guard import with_selection  # the compiler's stages: 0.15 s
    from fgc.cli.select import Selected

    def show(selected: Selected) -> int:
        try:
            return _show(selected, arguments)
        except CannotRun as problem:
            print(f"fgc: {problem}", file=sys.stderr)
            return 2

    return with_selection(arguments, show)


def _show(selected: Any, arguments: Namespace) -> int:
    from fgc.cli.constructing import run_constructing
    from fgc.cli.select import report

    report(selected.diagnostics)
    if arguments.pp:
        print(selected.compilation.document.text, end="")
        return int(selected.has_errors)
    if selected.has_errors:
        return 1
    targets = selected.compilation.graph.targets
    target = _target(selected.name, arguments.target, targets)
    names = [target, "tokenizer"] if "tokenizer" in targets and target != "tokenizer" else [target]
    words = _words(arguments, target, has_tokenizer=len(names) > 1)
    return run_constructing(selected, names, _MODULE, words)


def _target(configuration: str, wanted: str | None, targets: Any) -> str:
    from fgc.diagnostics import did_you_mean

    if wanted is not None:
        if wanted in targets:
            return wanted
        help = did_you_mean(wanted, targets) or f"its targets: {', '.join(targets)}"
        raise CannotRun(f"`{configuration}` has no target `{wanted}`; {help}")
    for name in _USUAL_TARGETS:
        if name in targets:
            return name
    raise CannotRun(f"`{configuration}`: say which of its targets is the data set: `--target`, of {', '.join(targets)}")


def _words(arguments: Namespace, target: str, *, has_tokenizer: bool) -> list[str]:
    words = ["--target", target, "--examples", str(arguments.examples), "--sample", str(arguments.sample)]
    words += ["--format", arguments.format]
    words += [f"--{name}" for name in ("tokens", "full") if getattr(arguments, name)]
    if has_tokenizer:
        words += ["--tokenizer", "tokenizer"]
    if arguments.histogram:
        words += ["--histogram", str(Path(arguments.histogram).absolute())]
    return words


def _count(text: str) -> int:
    if text.isdecimal():
        return int(text)
    raise ArgumentTypeError(f"{text} is not a whole number of at least 0")
