"""Writes a compiled configuration to a folder, and reports what was written."""

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fgc.builds.bundle import LICENSE, PACKAGE, runtime_files
from fgc.builds.manifest import GRAPH, BuildRecord, Pin
from fgc.builds.places import Places
from fgc.builds.requirements import REQUIREMENTS, requirements_text
from fgc.builds.search_paths import modules_of
from fgc.builds.trust import record_packages
from fgc.builds.writing import write_build
from fgc.cli.arguments import CannotRun
from fgc.cli.select import Selected, report
from fgc.diagnostics import Diagnostic, Severity, has_errors
from fgc.emit.options import Options
from fgc.emit.places import GeneratedPlace
from fgc.explain import setters
from fgc.installed import package_folder
from fgc.ir import snapshot, snapshot_to_json
from fgc.pipeline.pins import pins_of
from fgc.pipeline.program import make_script, resolved_configuration
from fgc.syntax import parse
from fgc.text import Need, Source, Span, environment_name, expression_text, secret_at, secrets_of
from fgc.workspace import display_path
from fgc.workspace.library import root_folders
from fgc.workspace.place_map import MAP, map_text
from fgc.workspace.replay import ReadSources, facts_of

PROGRAM = "train.py"
RESOLVED = "config.yaml"


def build_folder(selected: Selected, folder: Path, *, target: str, force: bool, is_bundle: bool = False) -> int:
    """Writes a build and prints its contents. Returns 1 if there are errors; then the folder is unchanged."""
    built = write_folder(selected, folder, target=target, force=force, is_bundle=is_bundle)
    if built is None:
        return 1
    print(f"built {selected.name} into {display_path(folder)}/")
    for name in built.files:
        if not name.startswith(f"{PACKAGE}/"):
            print(f"  {name}")
    if is_bundle:
        print(f"  {PACKAGE}/: {sum(name.startswith(f'{PACKAGE}/') for name in built.files)} files of the runtime")
    for line in _option_lines(built.options):
        print(line)
    if selected.secrets:
        print(f"read from the environment, never written to a file:  {', '.join(selected.secrets)}")
    print(f"run it:  {_start(selected.folder, folder / PROGRAM)}")
    return 0


def _start(project: Path, program: Path) -> str:
    """Returns the command that starts a program with its project as the current folder."""
    if project.resolve() == Path.cwd():
        return f"python {shlex.quote(display_path(program))}"
    inside = os.path.relpath(program.resolve(), project.resolve())
    return f"cd {shlex.quote(display_path(project))} && python {shlex.quote(inside)}"


class Built(Struct, frozen=True):
    """The names of the files that were written, and the options of the program."""

    files: list[str]
    options: Options


def _option_lines(options: Options) -> Iterator[str]:
    """Yields lines about options of the configuration: those the program has too, and why it lacks the others."""
    if options.offered:
        names = ", ".join(item.option.names[0] for item in options.offered.values())
        yield f"its options:  {names}"
    for closed in options.closed:
        place = f" ({closed.span})" if closed.span is not None else ""
        yield f"fixed by the build:  {closed.option.names[0]}, because {closed.reason}{place}"


def write_folder(
    selected: Selected, folder: Path, *, target: str, force: bool, is_bundle: bool = False
) -> Built | None:
    """Writes a build and reports findings. Returns None if there are errors."""
    if selected.has_errors:
        report(selected.diagnostics)
        return None
    outcome = make_script(selected.compilation.graph, target, selected.surroundings, (PACKAGE,) if is_bundle else ())
    program, found = outcome.value, selected.diagnostics_with(map(_as_built, outcome.diagnostics))
    if program is None or has_errors(found):
        report(found if has_errors(found) else (*found, *outcome.diagnostics))
        return None
    name_of = partial(_portable_name, Places(selected.folder, root_folders()))
    resolved = resolved_configuration(selected.compilation.document, selected.template, _settings(selected))
    places = {PROGRAM: program.places, **program.file_places, RESOLVED: resolved.places}
    files = {
        PROGRAM: program.text,
        MAP: map_text(places, name_of, program.settable, set_at=_set_at(selected, program.places, name_of)),
        GRAPH: snapshot_to_json(snapshot(selected.compilation.graph, name_of)),
        RESOLVED: resolved.text,
        **program.files,
    }
    modules = modules_of((text for name, text in files.items() if name.endswith(".py")), selected.system_path)
    if taken := [name for name in modules if name in files]:
        raise CannotRun(f"system_path: `{modules[taken[0]]}` has the name of a file that the build writes; rename it")
    files |= {name: path.read_text(encoding="utf-8") for name, path in modules.items()}
    runtime = _runtime_of(files) if is_bundle else {}
    files |= {f"{PACKAGE}/{name}": text for name, text in runtime.items()}
    files |= {f"{PACKAGE}/LICENSE": LICENSE} if runtime else {}
    files |= {REQUIREMENTS: _requirements(files)} if is_bundle else {}
    record = replace(_record(selected, target, runtime, modules), is_bundle=is_bundle)
    written = write_build(folder, files, record, force=force)
    report((*found, *written.diagnostics))
    if written.value is None:
        return None
    record_packages(program.files)
    return Built(sorted(files), program.options)


def _set_at(selected: Selected, places: Iterable[GeneratedPlace], name_of: Callable[[Source], str]) -> dict[Span, Span]:
    """Returns, for values that library templates print, the author's statements that set them."""

    def is_authors(source: Source) -> bool:
        return not name_of(source).startswith("@")

    printed = {place.origin.span for place in places if place.path and not is_authors(place.origin.span.source)}
    entry = parse(selected.compilation.entry).value
    loader = ReadSources(selected.sources)
    return setters(entry, loader, selected.variables, facts_of(selected), printed=printed, is_authors=is_authors)


def _as_built(finding: Diagnostic) -> Diagnostic:
    """Returns a finding with the severity it has for a program that is started without values for its variables."""
    return replace(finding, severity=Severity.ERROR) if finding.code == "FGC412" else finding


def _requirements(files: Mapping[str, str]) -> str:
    """Returns the packages that a bundle needs, without those in it."""
    own = {name.partition("/")[0].removesuffix(".py") for name in files}
    return requirements_text((text for name, text in files.items() if name.endswith(".py")), own)


def _runtime_of(files: Mapping[str, str]) -> dict[str, str]:
    """The files of the runtime that generated files need, by their paths in it."""
    package = package_folder(PACKAGE)
    if package is None:
        raise CannotRun("`--bundle` copies fgc_runtime, which is not installed: pip install 'fgc[train]'")
    found = runtime_files((text for name, text in files.items() if name.endswith(".py")), package)
    return {path.relative_to(package).as_posix(): text for path, text in found.items()}


def _portable_name(places: Places, source: Source) -> str:
    """Returns a file's name that does not depend on where the project and the library are."""
    return places.name(Path(source.path or source.name).resolve())


def _record(selected: Selected, target: str, runtime: Mapping[str, str], modules: Mapping[str, Path]) -> BuildRecord:
    """Returns the inputs of the build, by names that are the same on every machine."""
    places = Places(selected.folder, root_folders())
    read = {**selected.files, **selected.python_files.read}
    missing = {**dict.fromkeys(selected.python_files.missing), **selected.missing}
    return BuildRecord(
        targets=[target],
        inputs={
            **{places.name(path): source.text for path, source in read.items()},
            **{f"@runtime/{name}": text for name, text in runtime.items()},
            **{places.name(path.resolve()): path.read_text(encoding="utf-8") for path in modules.values()},
        },
        arguments={
            **{name: _written(name, value) for name, value in selected.variables.items()},
            **{f"--set {path}": text for path, text in _settings(selected).items()},
        },
        configuration=selected.template,
        pins=[_pin(places, need) for need in pins_of(selected.compilation.needs)],
        absent={places.name(path): None if other is None else places.name(other) for path, other in missing.items()},
    )


def _written(name: str, value: Any) -> Any:
    """Returns an argument as the manifest records it: a secret as the name of its environment variable."""
    return f"${environment_name(name)}" if secrets_of({name: value}) else value


def _settings(selected: Selected) -> dict[str, str]:
    """Returns the values that `--set` changed, without secrets."""
    return {path: _written(secret_at(path) or "", text) for path, text in selected.store.settings.items()}


def _pin(places: Places, need: Need) -> Pin:
    source, first = need.span.source, need.span.first
    name = places.name(Path(source.path or source.name).resolve())
    return Pin(expression_text(need.expression), need.value, f"{name}:{first.line}:{first.column}", need.reason)
