"""Compare two configurations, builds or runs, value by value.

A and B are configuration files, names of the project's configurations, folders that `fgc build` wrote, or folders of
runs. If you name only one, it is compared with the project's configuration (`-t`, or the default one): `fgc diff out`
shows what has changed since a build. Each difference is a line with both values and both places; a value that many
objects share is one difference. `--program` compares the generated programs instead. Exit code 0 if there are no
differences, 1 if there are, 2 if something could not be compared.
"""

import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from fgc.cli.arguments import CannotRun, add_variables
from fgc.printing import use_color

if TYPE_CHECKING:
    from fgc.cli.comparing import Compared

EXAMPLES = (
    "fgc diff small.yaml large.yaml",
    "fgc diff out                            what has changed since the build",
    "fgc diff output_models/tiny/runs/train_1 output_models/tiny/runs/train_2",
    "fgc -t CONFIG diff out --program        how the generated program would change",
)
_RED, _GREEN, _BLUE, _RESET = "\033[31m", "\033[32m", "\033[36m", "\033[0m"


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc diff`."""
    parser.add_argument("sides", nargs="+", metavar="A [B]", help="file, configuration, build or run")
    add_variables(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    parser.add_argument("--program", action="store_true", help="the unified difference of the generated programs")


def run(arguments: Namespace) -> int:
    """Prints the differences. Returns 1 if there are any."""
    from fgc.cli.comparing import chosen  # the compiler's stages: 0.15 s
    from fgc.cli.select import report
    from fgc.workspace import ProjectError

    try:
        if len(arguments.sides) > 2:
            raise CannotRun(f"two sides are compared, not {len(arguments.sides)}")
        if arguments.program and arguments.format == "json":
            raise CannotRun("`--program` prints text only")
        second = arguments.sides[1] if len(arguments.sides) == 2 else None
        old, new = chosen(arguments, arguments.sides[0]), chosen(arguments, second)
        return _programs(old, new) if arguments.program else _values(old, new, arguments.format)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
    except ProjectError as error:
        report(error.diagnostics)
    return 2


def _values(old: "Compared", new: "Compared", form: str) -> int:
    from fgc.compare import compare, differences_to_json, differences_to_text

    found = compare(old.snapshot(), new.snapshot())
    if form == "json":
        print(differences_to_json(found, old.name, new.name))
    else:
        sys.stdout.write(differences_to_text(found, use_color=use_color(sys.stdout)))
        if not found:
            print(f"no differences: {old.name} and {new.name}")
    return int(bool(found))


def _programs(old: "Compared", new: "Compared") -> int:
    from fgc.cli.comparing import program_difference

    lines = list(program_difference(old, new))
    tints = {"-": _RED, "+": _GREEN, "@": _BLUE} if use_color(sys.stdout) else {}
    for line in lines:
        tint = tints.get(line[:1])
        text = line if line.endswith("\n") else f"{line}\n\\ no newline at the end\n"
        sys.stdout.write(f"{tint}{text[:-1]}{_RESET}\n" if tint else text)
    return int(bool(lines))
