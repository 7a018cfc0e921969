"""A compiled configuration to a folder on disk, and what to say about it."""

import json
from pathlib import Path

from fgc.builds.manifest import BuildRecord
from fgc.builds.places import Places
from fgc.builds.writing import write_build
from fgc.cli.select import Selected, report
from fgc.emit import Program
from fgc.pipeline.program import make_script, resolved_text
from fgc.text import Source
from fgc.workspace import display_path
from fgc.workspace.library import root_folders

PROGRAM = "train.py"
_MAP = f"{PROGRAM}.map.json"


def build_folder(selected: Selected, folder: Path, *, target: str, force: bool) -> int:
    """Write a build and say what it holds; 1 if there are errors, and then the folder is as it was."""
    files = write_folder(selected, folder, target=target, force=force)
    if files is None:
        return 1
    print(f"built {selected.name} into {display_path(folder)}/")
    for name in files:
        print(f"  {name}")
    print(f"run it:  python {display_path(folder / PROGRAM)}")
    return 0


def write_folder(selected: Selected, folder: Path, *, target: str, force: bool) -> list[str] | None:
    """Write a build and report what was found; the names of its files, or None if there are errors."""
    if selected.has_errors:
        report(selected.diagnostics)
        return None
    outcome = make_script(selected.compilation.graph, target, selected.surroundings)
    program = outcome.value
    if program is None:
        report((*selected.diagnostics, *outcome.diagnostics))
        return None
    files = {
        PROGRAM: program.text,
        _MAP: _line_map(selected, program),
        "config.yaml": resolved_text(selected.compilation.document, selected.template),
        **program.files,
    }
    record = _record(selected, target)
    written = write_build(folder, files, record, force=force)
    report((*selected.diagnostics, *outcome.diagnostics, *written.diagnostics))
    return sorted(files) if written.value is not None else None


def _line_map(selected: Selected, program: Program) -> str:
    """Generated lines to template lines, and to the path of the object in the configuration."""
    lines = {}
    for number, place in program.lines.items():
        span = place.origin.span
        first = span.first
        lines[str(number)] = {
            "file": _portable_name(selected, span.source),
            "line": first.line,
            "column": first.column,
            "path": place.path,
        }
    return json.dumps({"version": 1, "program": PROGRAM, "lines": lines}, indent=1, ensure_ascii=False) + "\n"


def _record(selected: Selected, target: str) -> BuildRecord:
    """What the build rests on, by names that are the same everywhere."""
    places = Places(selected.folder, root_folders())
    read = {**selected.files, **selected.python_files.read}
    missing = {**dict.fromkeys(selected.python_files.missing), **selected.missing}
    return BuildRecord(
        targets=[target],
        inputs={places.name(path): source.text for path, source in read.items()},
        arguments=dict(selected.variables),
        configuration=selected.template,
        absent={places.name(path): None if other is None else places.name(other) for path, other in missing.items()},
    )


def _portable_name(selected: Selected, source: Source) -> str:
    """A file's name that is the same wherever the project and the library lie."""
    if source.path is not None:
        path = Path(source.path).resolve()
        if path.is_relative_to(selected.folder):
            return path.relative_to(selected.folder).as_posix()
    name = source.name if not Path(source.name).is_absolute() else "/".join(Path(source.name).parts[-2:])
    return f"library/{name}"
