"""Format templates without changing what they mean.

Statements get uniform spaces and indentation; comments and the lines of the document are not changed. Files with syntax
errors are skipped, and so are `.jinja` and `.j2` files that no template uses. Exit code 0, or 1 if `--check` finds
files to format, or 2 if a file could not be read.
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from fgc.cli.drawn import is_drawn_on
from fgc.cli.formatting import FormattedFile, format_file, format_text, replace_file, template_files
from fgc.cli.select import report
from fgc.text import JINJA_SUFFIXES

EXAMPLES = ("fgc fmt templates", "fgc fmt --check --diff .", "fgc fmt - < config.yaml")
USES_A_PROJECT = False


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc fmt`."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files, folders, or `-` for standard input")
    parser.add_argument("--check", action="store_true", help="write nothing; list the files that would change")
    parser.add_argument("--diff", action="store_true", help="write nothing; print what would change")


def run(arguments: Namespace) -> int:
    """Format files; see the exit codes above."""
    if not arguments.paths:
        print("fgc: name what to format: files, folders (`.`), or `-` for standard input", file=sys.stderr)
        return 2
    if arguments.paths == ["-"]:
        return _standard_input(arguments)
    missing = [path for path in arguments.paths if not Path(path).exists()]
    for path in missing:
        print(f"fgc: there is no file or folder `{path}`", file=sys.stderr)
    named = [Path(path) for path in arguments.paths if path not in missing]
    files = dict.fromkeys(template_files(named))
    for path in [path for path in files if path.suffix in JINJA_SUFFIXES and not is_drawn_on(path, named)]:
        if str(path) in arguments.paths:
            print(f"fgc: `{path}` is not formatted: no template uses it", file=sys.stderr)
        del files[path]
    results = [_one(format_file(path), arguments) for path in files]
    _summarise(results, arguments)
    if missing or "failed" in results:
        return 2
    return int(arguments.check and "changed" in results)


def _standard_input(arguments: Namespace) -> int:
    """Prints the formatted text, or its changes; a text with errors is printed unchanged."""
    result = format_text(sys.stdin.read())
    if not arguments.check and not arguments.diff:
        sys.stdout.write(result.after)
    report(result.diagnostics)
    if result.diagnostics:
        return 2
    _show(result, arguments)
    return int(arguments.check and result.is_changed)


def _one(result: FormattedFile, arguments: Namespace) -> str:
    """Write or show one file: `changed`, `unchanged` or `failed`."""
    if result.diagnostics:
        report(result.diagnostics)
        return "failed"
    if not result.is_changed:
        return "unchanged"
    _show(result, arguments)
    if not arguments.check and not arguments.diff:
        try:
            replace_file(result.path, result.after)
        except OSError as error:
            print(f"fgc: `{result.path}` cannot be written: {error.strerror or error}", file=sys.stderr)
            return "failed"
    return "changed"


def _show(result: FormattedFile, arguments: Namespace) -> None:
    """Prints what `--diff` or `--check` say of a file that would change."""
    if not result.is_changed:
        return
    if arguments.diff:
        from difflib import unified_diff  # 7 ms; only wanted here

        before, after = (text.splitlines(keepends=True) for text in (result.before, result.after))
        for line in unified_diff(before, after, str(result.path), str(result.path)):
            sys.stdout.write(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    elif arguments.check:
        print(result.path)


def _summarise(results: list[str], arguments: Namespace) -> None:
    """`2 files formatted, 1 unchanged`, to standard error."""
    is_dry = arguments.check or arguments.diff
    words = {"changed": "would change" if is_dry else "formatted", "unchanged": "unchanged", "failed": "left alone"}
    counts = [(results.count(result), word) for result, word in words.items()]
    parts = [f"{count} {'file' if count == 1 else 'files'} {word}" for count, word in counts if count]
    print(", ".join(parts) or "no templates found", file=sys.stderr)
