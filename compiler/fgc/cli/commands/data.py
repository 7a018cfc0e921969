"""Tokenize and pack a configuration's data once, into files of which each process reads its share.

`prepare` constructs the data sets as `fgc dataset` does, tokenizes their documents in several processes, and writes
each data set to a folder of its name below DIR: Arrow files of about `--shard-tokens` tokens, and a manifest with
hashes of the tokenizer, of the documents and of every file. After an interruption or a full disk, the same command
continues. A training reads DIR through `datasets/prepared.yaml`. `show` describes the content of DIR. `verify` reads
every file and compares it with the manifest.
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from fgc.cli.arguments import CannotRun, add_selection, add_settings

if TYPE_CHECKING:
    from collections.abc import Collection

    from fgc.cli.select import Selected

EXAMPLES = (
    "fgc data prepare -o prepared",
    "fgc data prepare config.yaml -o /scratch/web -j 16",
    "fgc data prepare config.yaml -o prepared --target train_dataset",
    "fgc data show prepared",
    "fgc data verify prepared                 read every file: is it what was prepared?",
)
TAKES_DYNAMIC_ARGUMENTS = True
_USUAL_TARGETS = ("train_dataset", "eval_dataset")
_MODULE = "fgc_runtime.data.prepared"


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc data`."""
    parser.add_argument(
        "action", choices=("prepare", "show", "verify"), metavar="ACTION", help="prepare, show or verify"
    )
    add_selection(parser)
    add_settings(parser)
    add = parser.add_argument
    add(
        "-o", "--output", metavar="DIR", help="where prepared data goes (for show and verify, name it after the action)"
    )
    add("--target", action="append", metavar="T", help=f"which data sets (default: {' and '.join(_USUAL_TARGETS)})")
    add("-j", "--jobs", type=_positive, metavar="N", help="number of processes (default: one per core)")
    add(
        "--shard-tokens", type=_positive, default=1 << 24, metavar="N",
        help="approximate tokens per file (default: 16777216, or 32 MB at two bytes per token)",
    )  # fmt: skip
    add("--force", action="store_true", help="replace data that was prepared differently")
    add("--format", choices=("text", "json"), default="text", help="how `show` prints (default: text)")


def _positive(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise ArgumentTypeError(f"{text} is not a whole number of at least 1")


def run(arguments: Namespace) -> int:
    """Do it; 1 if the configuration or its data have errors, 2 for a wrong name."""
    try:
        if arguments.action != "prepare":
            return _look(arguments)
        if arguments.output is None:
            raise CannotRun("`fgc data prepare` needs `-o DIR`, the folder that prepared data goes into")
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    from fgc.cli.guard import with_selection  # the compiler's stages: 0.15 s

    def prepare(selected: "Selected") -> int:
        try:
            return _prepare(selected, arguments)
        except CannotRun as problem:
            print(f"fgc: {problem}", file=sys.stderr)
            return 2

    return with_selection(arguments, prepare)


def _look(arguments: Namespace) -> int:
    from fgc.cli.runtime_process import run_module

    named = arguments.file or arguments.output
    if named is None:
        raise CannotRun(f"`fgc data {arguments.action}` needs the folder that `fgc data prepare` wrote into")
    words = [arguments.action, str(Path(named))]
    return run_module(_MODULE, [*words, "--format", arguments.format] if arguments.action == "show" else words)


def _prepare(selected: "Selected", arguments: Namespace) -> int:
    from fgc.cli.constructing import run_constructing
    from fgc.cli.select import report

    report(selected.diagnostics)
    if selected.has_errors:
        return 1
    targets = selected.compilation.graph.targets
    chosen = [_target(selected.name, name, targets) for name in arguments.target or ()]
    chosen = chosen or [name for name in _USUAL_TARGETS if name in targets]
    if not chosen:
        raise CannotRun(f"`{selected.name}`: say what to prepare: `--target`, of {', '.join(targets)}")
    names = [*chosen, *(["tokenizer"] if "tokenizer" in targets else [])]
    folder = Path(arguments.output).absolute()
    words = ["--folder", str(folder), "--shard-tokens", str(arguments.shard_tokens)]
    words += ["--jobs", str(arguments.jobs)] if arguments.jobs else []
    words += ["--force"] if arguments.force else []
    words += ["--targets", *chosen, "--names", *names]
    code = run_constructing(selected, names, _MODULE, words, action=["prepare"])
    if code == 0:
        _say_how(selected.folder, folder)
    return code


def _say_how(project: Path, folder: Path) -> None:
    """Print what a configuration needs to read the folder."""
    import os

    path = os.path.relpath(folder, project) if folder.is_relative_to(project.absolute()) else str(folder)
    print(f"""\
to train on it, a child of the configuration says:
  [config_metadata]
      == super()
      -- set ns.prepared = '{path}'

  [construct_tokenizer]
      -- include 'tokenizers/prepared.yaml'

  [datasets_definition]
      -- include 'datasets/prepared.yaml'""")


def _target(configuration: str, wanted: str, targets: "Collection[str]") -> str:
    from fgc.diagnostics import did_you_mean

    if wanted in targets:
        return wanted
    help = did_you_mean(wanted, targets) or f"its targets: {', '.join(targets)}"
    raise CannotRun(f"`{configuration}` has no target `{wanted}`; {help}")
