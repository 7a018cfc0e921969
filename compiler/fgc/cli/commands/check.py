"""Find mistakes in configurations without importing or running anything.

PATH is a configuration file, a project (all its configurations) or a folder (all projects below it); by default, the
project that contains the current folder. Each finding is shown once, at the template where it was written. Exit code 0
if there are no findings, 1 if there are, 2 if something could not be checked. Settings are in [tool.fgc.check] of
pyproject.toml.

With `--generated OUT`, it says instead if a build is what `fgc build` would write now, and if not, why. It reads the
build's manifest and compiles nothing. Exit code 0 if the build is fresh, 1 if it is stale.
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from fgc.cli.arguments import CannotRun, add_cache_switch, add_variables, variables_of
from fgc.cli.memo import PrintedAnswer, Questions, answer
from fgc.printing import use_color

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fgc.cli.checking import CheckResult
    from fgc.cli.fixing import FixedFile

EXAMPLES = (
    "fgc check config.yaml",
    "fgc check                              all configurations of this project",
    "fgc check experiments/ --format sarif  all projects below a folder, for a code scanner",
    "fgc check --ignore FGC310 --severity FGC211=error",
    "fgc check --report-unchecked           also which calls were not compared with a signature",
    "fgc check --vllm --tensor-parallel-size 2",
    "fgc check . --write-baseline fgc-baseline.json",
    "fgc check --fix --diff                 what would the exact replacements change?",
    "fgc check --generated out              is the build in out/ still what its templates say?",
)
_MAX_REPAIRS = 1_000  # writes of files in one run: edits that undo each other must end
_FORMATS = ("text", "json", "github", "sarif", "gitlab")
TAKES_DYNAMIC_ARGUMENTS = True


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc check`."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="configuration file, project or folder")
    add_variables(parser)
    parser.add_argument(
        "--generated", action="append", default=[], metavar="OUT", help="say if this build is fresh or stale, and why"
    )
    parser.add_argument("--format", choices=_FORMATS, default="text", help="how to print (default: text)")
    parser.add_argument(
        "--select", action="append", default=[], metavar="CODE", help="report only these codes or prefixes"
    )
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="CODE", help="do not report these codes or prefixes"
    )
    parser.add_argument(
        "--severity",
        action="append",
        default=[],
        metavar="CODE=LEVEL",
        help="report a code as error or warning, or turn it off",
    )
    parser.add_argument("--baseline", metavar="FILE", help="ignore the findings that are listed in this file")
    parser.add_argument("--write-baseline", metavar="FILE", help="write all findings to a baseline file and succeed")
    parser.add_argument("--fix", action="store_true", help="apply the fixes that are exact")
    parser.add_argument("--diff", action="store_true", help="with --fix: write nothing; print what would change")
    parser.add_argument(
        "--fail-on",
        choices=("error", "warning"),
        default="warning",
        help="exit with 1 for findings of this level or above",
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="PATTERN",
        help="report all other callables; for example 'torch.*'",
    )
    parser.add_argument(
        "--report-unchecked", action="store_true", help="list the calls whose arguments could not be checked, and why"
    )
    parser.add_argument("--vllm", action="store_true", help="also check if vLLM can serve the models (FGC8)")
    parser.add_argument(
        "--tensor-parallel-size", type=_positive, metavar="N", help="with --vllm: sizes must divide over N processes"
    )
    add_cache_switch(parser)


def _positive(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise ArgumentTypeError(f"{text} is not a positive whole number")


def run(arguments: Namespace) -> int:
    """Print all findings; 1 if there are any."""
    try:
        if arguments.generated:
            from fgc.cli.freshness import freshness_answer

            return freshness_answer(arguments).give()
        variables = variables_of(arguments)
        _check_combination(arguments)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    has_color = use_color(sys.stderr)
    question = ["check", sorted(vars(arguments).items()), variables, has_color]
    is_cached = not (arguments.no_cache or arguments.write_baseline or arguments.fix)
    return answer(question, is_cached, lambda questions: _compute(arguments, questions, has_color)).give()


def _check_combination(arguments: Namespace) -> None:
    if arguments.diff and not arguments.fix:
        raise CannotRun("`--diff` shows what `--fix` would change: give both")
    if arguments.fix and arguments.write_baseline:
        raise CannotRun("`--fix` repairs findings and `--write-baseline` records them: give one of them")


def _compute(
    arguments: Namespace, questions: Questions, has_color: bool, repaired: "tuple[FixedFile, ...]" = ()
) -> PrintedAnswer:
    from fgc.cli.checking import check_all  # the compiler's stages: 0.15 s
    from fgc.cli.findings import findings_answer
    from fgc.diagnostics import render_text
    from fgc.lint.baseline import baseline_text
    from fgc.workspace import ProjectError
    from fgc.workspace.settings import SettingsError

    try:
        result = check_all(arguments, questions)
    except (CannotRun, SettingsError) as problem:
        return PrintedAnswer("", f"fgc: {problem}\n", 2)
    except ProjectError as error:
        return PrintedAnswer("", render_text(error.diagnostics, use_color=has_color) + "\n", 2)
    if arguments.write_baseline:
        Path(arguments.write_baseline).write_text(baseline_text(result.findings), encoding="utf-8")
        return PrintedAnswer(f"wrote {len(result.findings)} findings to {arguments.write_baseline}\n", "", 0)
    if arguments.fix:
        from fgc.cli.fixing import fixed_files  # what writes files: only wanted here

        files = fixed_files([finding.diagnostic for finding in result.findings], arguments)
        if arguments.diff:
            return _diffs(files, result)
        if files and len(repaired) < _MAX_REPAIRS:
            return _fixed(files, arguments, has_color, repaired)
    unchecked = arguments.report_unchecked
    found = findings_answer(result, arguments.format, arguments.fail_on, has_color, reports_unchecked=unchecked)
    count = f"{_counted(repaired)} repaired\n" if repaired else ""
    return PrintedAnswer(found.out, f"{result.hidden_options}{count}{found.err}", found.code)


def _diffs(files: "Sequence[FixedFile]", result: "CheckResult") -> PrintedAnswer:
    code = 2 if result.could_not_run else int(bool(files))
    text = f"{result.hidden_options}{_counted(files)} would be repaired\n"
    return PrintedAnswer("".join(file.diff() for file in files), text, code)


def _fixed(
    files: "list[FixedFile]", arguments: Namespace, has_color: bool, repaired: "tuple[FixedFile, ...]"
) -> PrintedAnswer:
    """Writes the files, checks again, because one mistake may hide another, and prints what is left."""
    try:
        for file in files:
            file.write()
    except OSError as error:
        return PrintedAnswer("", f"fgc: `{error.filename}` cannot be written: {error.strerror or error}\n", 2)
    return _compute(arguments, Questions(None), has_color, (*repaired, *files))


def _counted(files: "Sequence[FixedFile]") -> str:
    count, num_files = sum(file.count for file in files), len({file.path for file in files})
    findings, names = "finding" if count == 1 else "findings", "file" if num_files == 1 else "files"
    return f"{count} {findings} in {num_files} {names}"
