"""List a project's configurations, or all projects below a folder.

Each configuration is compiled separately to show its name and description. A configuration that cannot be parsed is
listed as PARSE ERROR with its first error, and the others are still listed; `fgc check` finds all errors. `*` marks the
default configuration. Exit code 0, or 1 if something listed is broken, or 2 if there is nothing to list.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from fgc.cli.arguments import add_cache_switch
from fgc.cli.layout import BOLD, DIM, RED, paint, terminal_columns, two_columns
from fgc.cli.memo import PrintedAnswer, Questions, answer
from fgc.printing import use_color

if TYPE_CHECKING:
    from fgc.api.listing import ListedConfiguration, ListedProject
    from fgc.diagnostics import Diagnostic

EXAMPLES = (
    "fgc ls                          the project around the current folder",
    "fgc ls -r experiments           all projects below a folder",
    "fgc ls -r --format json         the same for a program to read",
)


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc ls`."""
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="project, or with -r the folder to search")
    parser.add_argument("-r", "--recursive", action="store_true", help="all projects in the folder and below it")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    add_cache_switch(parser)


def run(arguments: Namespace) -> int:
    """Print the list; see the exit codes above."""
    columns, has_color = terminal_columns(), use_color(sys.stdout)
    question = ["ls", arguments.folder, arguments.project, arguments.recursive, arguments.format, columns, has_color]

    def compute(questions: Questions) -> PrintedAnswer:
        from fgc.api.listing import project_json  # the compiler's stages: 0.15 s

        projects, problems = _projects(arguments, questions)
        notes = "".join(_note(warning) for project in projects for warning in project.warnings)
        if arguments.format == "json":
            text = json.dumps([project_json(project) for project in projects], indent=2, ensure_ascii=False) + "\n"
        else:
            text = "\n\n".join("\n".join(_as_text(project, columns, has_color)) for project in projects) + "\n"
        if not projects:
            return PrintedAnswer("[]\n" if arguments.format == "json" else "", "".join(problems), 2)
        code = int(bool(problems) or any(project.is_broken for project in projects))
        return PrintedAnswer(text, "".join(problems) + notes, code)

    return answer(question, not arguments.no_cache, compute).give()


def _projects(arguments: Namespace, questions: Questions) -> "tuple[list[ListedProject], list[str]]":
    """Returns the projects to list, and messages about those that cannot be."""
    from fgc.api.listing import list_folder  # the compiler's stages: 0.15 s
    from fgc.workspace import FileStore, find_project
    from fgc.workspace.discovery import projects_below

    store = FileStore(questions, checks_calls=False, shows_text=False)
    problems: list[str] = []
    named = arguments.folder or arguments.project
    if arguments.recursive:
        start = Path(named or ".")
        folders = list(projects_below(start, store, lambda error: problems.append(_unreadable(error))))
        if not folders:
            problems.append(f"fgc: there is no project in `{start}`: no folder below it holds a `meta.yaml`\n")
    else:
        found = Path(named) if named else find_project(Path.cwd(), questions)
        folders = [found] if found is not None and (found / "meta.yaml").is_file() else []
        if not folders:
            where = f"in `{named}`" if named else "here: name a FOLDER, or list all below a folder with -r"
            problems.append(f"fgc: there is no project {where}\n")
    return [list_folder(folder.resolve(), store) for folder in folders], problems


def _unreadable(error: OSError) -> str:
    return f"fgc: `{Path(error.filename)}` cannot be read: {error.strerror or error}\n"


def _note(warning: "Diagnostic") -> str:
    help = f"; {warning.help}" if warning.help else ""
    return f"warning: {warning.message}{help} ({_where(warning)})\n"


def _as_text(project: "ListedProject", columns: int | None, has_color: bool) -> Iterator[str]:
    title = f"{project.name}: {project.description}" if project.description else project.name
    first, *rest = wrap(title, columns) if columns is not None else [title]
    yield paint(first, BOLD, has_color)
    yield from rest
    yield "  " + paint(project.folder, DIM, has_color)
    if project.error is not None:
        yield from two_columns([(f"    {_place(project.error)}", RED, _error_text(project.error))], columns, has_color)
    elif not project.configurations:
        yield "    no configurations"
    rows = [(f"  {'*' if item.is_default else ' '} {item.file}", *_words(item)) for item in project.configurations]
    yield from two_columns(rows, columns, has_color)


def _place(error: "Diagnostic") -> str:
    return Path(error.span.source.display_name).name


def _words(item: "ListedConfiguration") -> tuple[str, str]:
    """Returns the colour and the text beside a configuration."""
    if item.error is not None:
        return RED, _error_text(item.error)
    return "", ": ".join(text for text in (item.config_name, item.description) if text)


def _error_text(error: "Diagnostic") -> str:
    return f"PARSE ERROR {error.message} ({_where(error)})"


def _where(found: "Diagnostic") -> str:
    """Returns the place of a finding, or the file if it is about a whole file."""
    return str(found.span) if found.span.source.text else found.span.source.display_name
