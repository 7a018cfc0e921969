"""Start TensorBoard for a configuration's runs, or for all runs of the project.

Arguments after `--` are passed to TensorBoard.
"""

import os
import shlex
import sys
from argparse import ArgumentParser, Namespace

from fgc.cli.arguments import CannotRun, add_selection

EXAMPLES = ("fgc tb", "fgc -t CONFIG tb -- --port 7007", "fgc tb --all --dry-run")
PASSES_WORDS_ON = True


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc tb`."""
    add_selection(parser)
    parser.add_argument("--all", action="store_true", help="the runs of all configurations of the project")
    parser.add_argument("--dry-run", action="store_true", help="print the command; start nothing")


def run(arguments: Namespace) -> int:
    """Become TensorBoard; 2 if there is nothing to show it."""
    from fgc.cli.outputs import all_output_folders, common_folder, output_folder  # the compiler's stages: 0.15 s
    from fgc.cli.select import report
    from fgc.installed import package_folder
    from fgc.workspace import ProjectError

    try:
        folder = common_folder(all_output_folders(arguments)) if arguments.all else output_folder(arguments)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    except ProjectError as error:
        report(error.diagnostics)
        return 2
    command = [sys.executable, "-P", "-m", "tensorboard.main", "--logdir", str(folder), *arguments.passed_on]
    if arguments.dry_run:
        print(shlex.join(command))
        return 0
    if package_folder("tensorboard") is None:
        print("fgc: this needs tensorboard: pip install 'fgc[train]'", file=sys.stderr)
        return 2
    return os.execv(sys.executable, command)
