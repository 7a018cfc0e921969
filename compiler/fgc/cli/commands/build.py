"""Compile a configuration into a program.

Writes a folder with train.py, the model package if there is one, the resolved configuration, a map from generated lines
to template lines, and a manifest of all inputs. The folder is replaced as a whole or not changed. Files that you edited
in it, or added to it, are never overwritten without `--force`. With `--bundle`, the folder runs on machines that have
only torch and the other packages that the program imports.
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from fgc.cli.arguments import CannotRun, add_selection, add_settings

EXAMPLES = (
    "fgc build config.yaml -o out          then: python out/train.py",
    "fgc build config.yaml -D max_steps=10",
    "fgc build config.yaml --set optimizer.lr=1e-3 --set trainer_args.max_steps=10",
    "fgc -p PROJECT -t CONFIG build -o out",
    "fgc build --bundle                     a folder that needs no fgc_runtime installed",
)
TAKES_DYNAMIC_ARGUMENTS = True


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc build`."""
    add_selection(parser)
    add_settings(parser)
    parser.add_argument("-o", "--output", default="out", metavar="FOLDER", help="where to write (default: out)")
    parser.add_argument("--target", default="main", metavar="NAME", help="what the program constructs (default: main)")
    parser.add_argument(
        "--bundle", action="store_true", help="copy the parts of fgc_runtime that the program uses into the build"
    )
    parser.add_argument("--force", action="store_true", help="overwrite generated files that were edited by hand")


def run(arguments: Namespace) -> int:
    """Builds. Returns 1 if there are errors; then nothing is written."""
    from fgc.cli.guard import with_selection  # the compiler's stages: 0.15 s
    from fgc.cli.select import Selected

    def build(selected: Selected) -> int:
        from fgc.cli.building import build_folder  # the emitter: 0.4 s

        folder, is_bundle = Path(arguments.output), arguments.bundle
        try:
            return build_folder(selected, folder, target=arguments.target, force=arguments.force, is_bundle=is_bundle)
        except CannotRun as problem:
            print(f"fgc: {problem}", file=sys.stderr)
            return 2

    return with_selection(arguments, build)
