"""Which configuration a command line means: a file, or a project's, with its variables; compiled."""

import shlex
import sys
from argparse import Namespace
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fgc.cli.arguments import OF_TRAININGS, CannotRun, settings_of, variables_of
from fgc.cli.dynamic import dynamic_values
from fgc.cli.memo import Questions
from fgc.diagnostics import Diagnostic, nearest, render_text, summary
from fgc.pipeline.dynamic import dynamic_arguments
from fgc.printing import use_color
from fgc.workspace import FileStore, ProjectError, find_project, open_project
from fgc.workspace.rules import read_rules
from fgc.workspace.selection import NoSuchFile, Selected, project_of, select_config, select_file
from fgc.workspace.settings import SettingsError
from fgc.yaml import Composition

if TYPE_CHECKING:
    from fgc.explain.settings import Doubt

__all__ = ["Selected", "configuration_hint", "hidden_options", "project_of", "report", "select"]

_MOST_NAMES = 8  # of configurations in an error


def select(arguments: Namespace, questions: Questions | None = None, *, checks_calls: bool = True) -> Selected:
    """Compile what a command line names, with the options that it declares. Raises CannotRun or ProjectError.

    Without `checks_calls`, what the configuration calls is not looked up: enough for whoever shows only templates.
    """
    variables = variables_of(arguments)
    store = FileStore(questions, checks_calls=checks_calls)
    try:
        store.rules = read_rules(Path.cwd(), store.questions)
    except SettingsError as problem:
        raise CannotRun(str(problem)) from None
    changes = _Changes(settings_of(arguments))
    if changes.settings:
        store.change, store.settings = changes.apply, changes.settings
    selected = _select(arguments, variables, store)
    words = getattr(arguments, "dynamic", None)
    declared = dynamic_arguments(selected.compilation.graph).value if words is not None else ()
    words = [*(words or ()), *_own_words(arguments, [name for argument in declared for name in argument.names])]
    if words or any(argument.is_required for argument in declared):
        try:
            variables |= dynamic_values(selected.name, declared, words, arguments.known_options, variables)
        except CannotRun as problem:
            raise CannotRun(f"{problem}\n{hidden_options(arguments, selected)}".rstrip("\n")) from None
        selected = _select(arguments, variables, store)
    if problems := [*changes.problems, *changes.confirmed(selected.compilation.diagnostics)]:
        raise CannotRun("\nfgc: ".join(problems))
    return selected


def _own_words(arguments: Namespace, declared: Container[str]) -> Iterator[str]:
    """The options of a training that the configuration declares too: they are its own then."""
    for option in OF_TRAININGS:
        name = option.removeprefix("--").replace("-", "_")
        value = getattr(arguments, name, None)
        if option in declared and value is not None:
            setattr(arguments, name, None)
            yield from (option, value)


def hidden_options(arguments: Namespace, selected: Selected) -> str:
    """Returns a line for each option that the command took, although the configuration declares it too."""
    typed = getattr(arguments, "typed", ())
    return "".join(
        f"warning: `{name}` is an option of this command, so the configuration's `{name}` is not set; "
        f"`-D {argument.variable}=VALUE` sets that one\n"
        for argument in dynamic_arguments(selected.compilation.graph).value
        for name in argument.names
        if name.startswith("--") and name in typed and name not in OF_TRAININGS
    )


class _Changes:
    """Sets values of a configuration; `problems` are those of its last compilation."""

    def __init__(self, settings: dict[str, str]) -> None:
        self.settings = settings
        self.problems: list[str] = []
        self._doubts: list[Doubt] = []

    def apply(self, composition: Composition) -> None:
        from fgc.explain.settings import set_values  # only where something is set

        self.problems, self._doubts = set_values(composition, self.settings)

    def confirmed(self, found: Iterable[Diagnostic]) -> list[str]:
        """Returns the problems of values that what they are given to does not take, as a check has found."""
        refused = {finding.span for finding in found if finding.code == "FGC508"}
        return [doubt.problem for doubt in self._doubts if doubt.span in refused]


def _select(arguments: Namespace, variables: dict[str, Any], store: FileStore) -> Selected:
    if arguments.file is not None and arguments.project is None:
        try:
            return select_file(Path(arguments.file), arguments.include, variables, store)
        except NoSuchFile as problem:
            hint = configuration_hint(arguments.file, store)
            raise CannotRun(f"there is no file `{arguments.file}`{hint}" if hint else str(problem)) from None
    folder = Path(arguments.project) if arguments.project else find_project(Path.cwd(), store.questions)
    if folder is None:
        raise CannotRun("no configuration is named: give a FILE, or `-p PROJECT`, or run this inside a project")
    return select_config(open_project(folder, store), arguments.file or arguments.config, variables)


def configuration_hint(word: str, store: FileStore) -> str:
    """Returns what to write if a word that is no file may have meant a configuration of the project here."""
    folder = find_project(Path.cwd(), store.questions)
    try:
        names = list(open_project(folder, store).configurations) if folder is not None else []
    except ProjectError:
        names = []
    stem = word if word.endswith(".yaml") else f"{word}.yaml"
    found = stem if stem in names else nearest(stem, names)
    if found:
        return f"; for the configuration `{found}` of this project write `fgc -t {shlex.quote(found)} ...`"
    shown = ", ".join([*names[:_MOST_NAMES], *(["..."] if len(names) > _MOST_NAMES else [])])
    return f"; this project's configurations, for `fgc -t CONFIG ...`, are {shown}" if names else ""


def report(diagnostics: Iterable[Diagnostic]) -> None:
    """Findings, with their lines and carets, and a count, to standard error."""
    found = list(diagnostics)
    if found:
        print(render_text(found, use_color=use_color(sys.stderr)), file=sys.stderr)
        print(f"{summary(found)}", file=sys.stderr)
