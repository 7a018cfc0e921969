"""Convert a tree of Forgather configurations to fgc.

Rewrites templates, and imports in Python files and notebooks, line by line: callables and their arguments, old forms of
tags, templates of the library that have another name in fgc. Comments and layout are kept; an argument without a
counterpart becomes a comment. Everything without a counterpart is listed with line and column. Each file is replaced as
a whole; nothing outside TREE is changed; a second run changes nothing.
"""

import difflib
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fgc.cli.migrating import MigratedFile

EXAMPLES = (
    "fgc migrate --diff .            what would change, and what has no counterpart",
    "fgc migrate ../my_experiments   then: fgc check ../my_experiments",
)
USES_A_PROJECT = False


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc migrate`."""
    parser.add_argument("tree", metavar="TREE", help="a folder with workspaces and projects")
    parser.add_argument("--diff", action="store_true", help="print the changes as a diff, and write nothing")


def run(arguments: Namespace) -> int:
    """Migrate; 1 if a file could not be read or written, 2 if there is no such folder."""
    from fgc.cli.migrating import migrated_files

    tree = Path(arguments.tree)
    if not tree.is_dir():
        what = "a file" if tree.is_file() else "not there"
        print(f"fgc: `{tree}` is {what}: name the folder of a tree", file=sys.stderr)
        return 2
    files = list(migrated_files(tree))
    problems = [f"{item.path}: {item.problem}" for item in files if item.problem]
    if arguments.diff:
        sys.stdout.writelines(line for item in files for line in _diff(item, tree))
    else:
        problems += _write(files)
    _tell(files, problems, is_written=not arguments.diff)
    return 1 if problems else 0


def _write(files: Iterable["MigratedFile"]) -> list[str]:
    from fgc.cli.formatting import replace_file

    problems = []
    for item in files:
        if item.is_changed:
            try:
                replace_file(item.path, item.result.text)
            except OSError as error:
                problems.append(f"{item.path}: cannot be written: {error.strerror or error}")
    return problems


def _diff(item: "MigratedFile", tree: Path) -> Iterable[str]:
    name = item.path.relative_to(tree).as_posix()
    before, after = item.before.splitlines(keepends=True), item.result.text.splitlines(keepends=True)
    for line in difflib.unified_diff(before, after, f"a/{name}", f"b/{name}"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _tell(files: list["MigratedFile"], problems: list[str], *, is_written: bool) -> None:
    """Prints what is left to do, then the summary, on standard error beside a diff."""
    stream = sys.stdout if is_written else sys.stderr
    left = [(item.path, each) for item in files for each in item.result.left]
    for path, each in left:
        print(f"{path}:{each.line}:{each.column}: {each.message}", file=stream)
    for problem in problems:
        print(f"fgc: {problem}", file=sys.stderr)
    changed = [item for item in files if item.is_changed]
    edits = sum(item.result.num_edits for item in changed)
    verb = "changed" if is_written else "would change"
    print(f"{verb} {_count(edits, 'place')} in {len(changed)} of {_count(len(files), 'file')}", end="", file=stream)
    print(f"; {_count(len(left), 'place')} left to you" if left else "; nothing is left to you", file=stream)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
