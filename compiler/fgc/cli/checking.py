"""Compiles everything that `fgc check` names and collects the findings."""

from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from fgc.cli.arguments import CannotRun, variables_of
from fgc.cli.memo import Questions
from fgc.cli.select import Selected, configuration_hint, hidden_options, project_of, select
from fgc.cli.sweeping.checking import SweepPaths
from fgc.diagnostics import Diagnostic
from fgc.lint.allowed import check_allowed
from fgc.lint.findings import Finding, FindingCollector, Selection
from fgc.pipeline import Compilation
from fgc.pipeline.coverage import Coverage, joined
from fgc.questions import here
from fgc.text import Source, Span
from fgc.workspace import (
    FileStore,
    ProjectDescription,
    ProjectError,
    Session,
    collect_facts,
    display_path,
    find_project,
    open_project,
    template_library,
)
from fgc.workspace.clock import moving_texts, shows_any
from fgc.workspace.discovery import projects_below
from fgc.workspace.files import real_path
from fgc.workspace.kept_findings import keep_with_texts
from fgc.workspace.launch_profiles import read_profiles
from fgc.workspace.project import META_FILE
from fgc.workspace.rules import read_baseline_of
from fgc.workspace.settings import CheckSettings, check_severity, read_settings
from fgc.workspace.store import Check


class CheckResult(Struct, frozen=True):
    """All findings, the configurations and calls that were checked, and whether some could not be.

    `hidden_options` are lines about options of the configuration that the command interpreted as its own.
    """

    findings: list[Finding]
    num_configurations: int
    could_not_run: bool
    coverage: Coverage = Coverage()
    hidden_options: str = ""


_Words: TypeAlias = tuple[object, ...]  # the options of the command line and the settings


class _Checked(Struct, frozen=True):
    """One configuration, or a project's own description."""

    name: str
    diagnostics: tuple[Diagnostic, ...]
    sources: tuple[Source, ...]
    is_configuration: bool = True
    could_not_run: bool = False
    coverage: Coverage = Coverage()


def check_all(arguments: Namespace, questions: Questions) -> CheckResult:
    """Check what the command line names. Raises CannotRun, SettingsError or ProjectError."""
    settings = read_settings(Path.cwd(), questions)
    selection = _selection(arguments, settings)
    baseline_file = Path(arguments.baseline) if arguments.baseline else settings.baseline
    baseline = {} if arguments.write_baseline else read_baseline_of(baseline_file, questions)
    collector = FindingCollector(selection, baseline)
    count, failed, coverages = 0, False, []
    store = FileStore(questions, shows_text=False)
    paths = SweepPaths()
    store.change = paths.see
    store.checks += _more_checks(arguments)
    store.enforced.append(paths.check)
    allowed = settings.allow if not arguments.allow else tuple(arguments.allow)
    if allowed is not None:
        store.enforced.append(lambda graph, files: check_allowed(graph, allowed, files))
    words = (arguments.vllm, arguments.tensor_parallel_size, allowed)
    selected = _with_options(arguments, questions)
    variables = variables_of(arguments) if selected is None else dict(selected.variables)
    for checked in _everything(arguments, store, variables, words):
        collector.add(checked.diagnostics, checked.sources, checked.name)
        count += checked.is_configuration
        failed = failed or checked.could_not_run
        coverages.append(checked.coverage)
    hidden = "" if selected is None else hidden_options(arguments, selected)
    return CheckResult(collector.finish(), count, failed, joined(coverages), hidden)


def _more_checks(arguments: Namespace) -> list[Check]:
    """The checks of a configuration that is to become a program. Raises CannotRun."""
    from fgc.pipeline.program_checks import check_script  # what reads Python: 0.06 s

    script: list[Check] = [lambda graph, files: check_script(graph)]
    if not arguments.vllm:
        if arguments.tensor_parallel_size is not None:
            raise CannotRun("`--tensor-parallel-size` is for `--vllm`")
        return script
    from fgc.pipeline.serving import check_serving  # the emitter: 0.4 s

    return [*script, partial(check_serving, tensor_parallel_size=arguments.tensor_parallel_size or 1)]


def _with_options(arguments: Namespace, questions: Questions) -> Selected | None:
    """Returns the configuration whose own options are given; None without any. Raises CannotRun or ProjectError."""
    if not arguments.dynamic:
        return None
    if len(arguments.paths) > 1 or (arguments.paths and Path(arguments.paths[0]).is_dir()):
        raise CannotRun(f"`{arguments.dynamic[0]}` is an option of a configuration: name one")
    file = arguments.paths[0] if arguments.paths else None
    return select(Namespace(**{**vars(arguments), "file": file}), questions)


def _selection(arguments: Namespace, settings: CheckSettings) -> Selection:
    severity = dict(settings.severity)
    for item in arguments.severity:
        code, _, level = item.partition("=")
        check_severity("--severity: ", code, level)
        severity[code] = level
    return Selection(arguments.select or settings.select, [*settings.ignore, *arguments.ignore], severity)


def _everything(arguments: Namespace, store: FileStore, variables: dict[str, Any], words: _Words) -> Iterator[_Checked]:
    if not arguments.paths:
        folder = Path(arguments.project) if arguments.project else find_project(Path.cwd(), store.questions)
        if folder is None:
            raise CannotRun("nothing to check: give a FILE or FOLDER, or run this inside a project")
        yield from _project(open_project(folder, store), arguments.config, variables, words)
    for name in arguments.paths:
        path = Path(name)
        if arguments.project and not path.exists():
            yield from _project(open_project(Path(arguments.project), store), name, variables, words)
        elif path.is_dir() and not arguments.include:
            yield from _folder(path, store, variables, words)
        else:
            yield _file(path, arguments.include, store, variables, words)


def _folder(folder: Path, store: FileStore, variables: dict[str, Any], words: _Words) -> Iterator[_Checked]:
    """Yields the results of all projects in a tree; one that cannot be read gives a finding and stops no other."""
    unreadable: list[OSError] = []
    folders = list(projects_below(folder, store, unreadable.append))
    store.projects.update(map(real_path, folders))
    for project_folder in folders:
        try:
            project = open_project(project_folder, store)
        except ProjectError as error:
            name = display_path(project_folder / META_FILE)
            yield _Checked(name, error.diagnostics, (), is_configuration=False, could_not_run=True)
            continue
        yield from _project(project, None, variables, words)
    yield from map(_unreadable, unreadable)
    if not folders and not unreadable:
        raise CannotRun(f"there is no project in `{folder}`: no folder below it contains a `{META_FILE}`")


def _unreadable(error: OSError) -> _Checked:
    """Returns the result for a folder that cannot be searched, so its contents were not checked."""
    name = display_path(Path(error.filename))
    message = f"`{name}` cannot be read: {error.strerror or error}"
    finding = Diagnostic("FGC001", message, Span(Source(name, "", name), 0, 0))
    return _Checked(name, (finding,), (), is_configuration=False, could_not_run=True)


def _project(
    project: ProjectDescription, config: str | None, variables: dict[str, Any], words: _Words
) -> Iterator[_Checked]:
    yield _Checked(display_path(project.folder / META_FILE), project.diagnostics, (), is_configuration=False)
    profiles = read_profiles(project.workspace, project.store)
    yield _Checked(display_path(profiles.path), profiles.diagnostics, profiles.sources, is_configuration=False)
    names = [project.resolve_name(config)] if config else list(project.configurations)
    prefix = display_path(project.folder)
    for name in names:
        shown = name if prefix == "." else f"{prefix}/{name}"
        yield _configuration(project, name, shown, variables, words)


def _configuration(
    project: ProjectDescription, name: str, shown: str, variables: dict[str, Any], words: _Words
) -> _Checked:
    """Returns the result for a configuration, from the cache if none of its inputs has changed."""
    folder, store = project.folder, project.store

    def compute() -> _Checked:
        compilation = open_project(folder, store).compile(name, variables)
        _note_time(compilation, store)
        return _Checked(shown, compilation.diagnostics, compilation.sources, coverage=compilation.coverage)

    projects = sorted(map(str, store.projects))
    question = ["checked", *here(), str(folder), name, sorted(variables.items()), words, projects]
    return keep_with_texts(store, question, _Checked, compute)


def _file(path: Path, include: list[str], store: FileStore, variables: dict[str, Any], words: _Words) -> _Checked:
    if not include and path.is_file():
        project = project_of(path, store)
        if project is not None:
            name = next(n for n, file in project.configurations.items() if real_path(file) == real_path(path))
            checked = _configuration(project, name, name, variables, words)
            return replace(checked, diagnostics=(*project.diagnostics, *checked.diagnostics))
    library = template_library()
    folders = [Path(folder) for folder in include] or [path.parent]
    session = Session([*folders, *([library] if library else [])], store)
    found = session.find(str(path)) if include and not path.is_absolute() else None
    found = found or path
    if not found.exists():
        raise CannotRun(f"there is no file `{path}`{configuration_hint(str(path), store)}")
    facts = collect_facts((folders[0] if include else path.parent).resolve(), None)
    name = str(path) if include else path.name
    compilation = session.compile(found, name, variables, facts)
    _note_time(compilation, store)
    diagnostics = (*session.diagnostics, *compilation.diagnostics)
    return _Checked(name, diagnostics, compilation.sources, coverage=compilation.coverage)


def _note_time(compilation: Compilation, store: FileStore) -> None:
    """Notes a dependency on the clock if a finding shows the time."""
    shown = [text for found in compilation.diagnostics for text in (found.message, found.help)]
    if shows_any(moving_texts(compilation), shown):
        store.questions.changes_by_itself()
