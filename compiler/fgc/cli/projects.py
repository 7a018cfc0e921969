"""The project that a command line means, and what a command makes of it."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from fgc.cli.arguments import CannotRun
from fgc.cli.memo import PrintedAnswer, Questions
from fgc.diagnostics import render_text
from fgc.workspace import FileStore, ProjectDescription, ProjectError, find_project, open_project


def chosen_project(arguments: Namespace, store: FileStore) -> ProjectDescription:
    """The project of `-p`, or the one around the current folder. Raises CannotRun or ProjectError."""
    folder = Path(arguments.project) if arguments.project else find_project(Path.cwd(), store.questions)
    if folder is None:
        raise CannotRun("there is no project here: give `-p PROJECT`, or run this inside a project")
    return open_project(folder, store)


def project_answer(
    arguments: Namespace, questions: Questions, has_color: bool, show: Callable[[ProjectDescription], str]
) -> PrintedAnswer:
    """Returns what `show` makes of the project, with the findings about it."""
    try:
        project = chosen_project(arguments, FileStore(questions, checks_calls=False))
    except CannotRun as problem:
        return PrintedAnswer("", f"fgc: {problem}\n", 2)
    except ProjectError as error:
        return PrintedAnswer("", render_text(error.diagnostics, use_color=has_color) + "\n", 2)
    found = project.diagnostics
    return PrintedAnswer(show(project), render_text(found, use_color=has_color) + "\n" if found else "", 0)
