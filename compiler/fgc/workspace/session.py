"""Templates on a search path, each read and parsed once: what the compiler's stages see of the disk."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Outcome, Severity
from fgc.pipeline import Compilation, compile_template
from fgc.resolve import Facts
from fgc.syntax import ast
from fgc.text import TEMPLATE_SUFFIXES, Source, Span
from fgc.workspace.clock import moving_texts, needs_clock
from fgc.workspace.facts import PACKAGES
from fgc.workspace.files import display_path, real_path
from fgc.workspace.other_projects import OtherProjects
from fgc.workspace.store import FileStore

if TYPE_CHECKING:
    from fgc.workspace.python_files import PythonFiles

_MAX_LISTED_FILES = 5_000  # a search path that holds a data set must not stall a suggestion


class Session:
    """A search path; `sources` were read from it, `missing` looked for before another file was found.

    `imported` are the files of other projects from which a configuration takes objects, `system_paths` their folders of
    Python modules; `chain` are the configurations that take objects from this one. `project` is the folder of the
    project that is compiled, `system_path` its folders of modules; without a project, all templates are the user's own.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        store: FileStore | None = None,
        chain: tuple[Path, ...] = (),
        project: Path | None = None,
        system_path: str | None = None,
    ) -> None:
        self._folders = [folder for folder in folders if folder.is_dir()]
        self._path = tuple(map(str, self._folders))
        self._store = store or FileStore()
        self.sources: dict[Path, Source] = {}
        self.missing: dict[Path, Path | None] = {}
        self.imported: dict[Path, Source] = {}
        self.system_paths: dict[str, None] = {}
        self._chain = chain
        self._project = project
        self._module_folders = [Path(folder) for folder in (system_path or "").split(os.pathsep) if folder]
        for folder in folders:
            if not folder.is_dir():
                self._store.questions.saw(folder)
        self.diagnostics = [_missing_folder(folder) for folder in folders if not folder.is_dir()]

    @property
    def searchpath(self) -> list[str]:
        return [display_path(folder) for folder in self._folders]

    def load(self, name: str) -> Outcome[ast.ParsedFile | None]:
        """The first file of a name on the search path."""
        path = self.find(name)
        if path is None:
            return Outcome(None)
        outcome = self.parse(path, name)
        return Outcome(outcome.value, outcome.diagnostics)

    def exists(self, name: str) -> bool:
        """Returns True if a template of that name is on the search path."""
        return self.find(name) is not None

    def find(self, name: str) -> Path | None:
        """The path of a template, or None."""
        if not name or name.startswith("/") or ".." in name.split("/"):
            return None
        found, before = self._store.questions.ask(("template", *self._path, name), lambda: self._look(name))
        self.missing.update(dict.fromkeys(before, found))
        return found

    def _look(self, name: str) -> tuple[Path | None, list[Path]]:
        """The first file of a name, and where it was looked for before."""
        before: list[Path] = []
        for folder in self._folders:
            path = folder / name
            if self._store.is_file(path):
                return path, before
            before.append(path)
        return None, before

    def parse(self, path: Path, name: str) -> Outcome[ast.ParsedFile]:
        """A file's templates; one that cannot be read is empty and says why."""
        outcome = self._store.parse(path, name)
        self.sources[path] = outcome.value.main.source
        return outcome

    def names(self) -> Iterable[str]:
        """Names of the files on the search path, for suggestions."""
        return self._store.questions.ask(("names", *map(str, self._folders)), lambda: [*self._names()])

    def _names(self) -> Iterator[str]:
        count = 0
        for folder in self._folders:
            for root, files in self._store.walk(folder, lambda name: not name.startswith((".", "__"))):
                for file in files:
                    count += 1
                    if count > _MAX_LISTED_FILES:
                        return
                    yield str((root / file).relative_to(folder))

    def mentioning(self, word: str) -> Iterator[ast.ParsedFile]:
        """The templates of the search path that hold a word, parsed; they are no sources of what is compiled."""
        names = (name for name in self.names() if name.endswith(TEMPLATE_SUFFIXES))
        for path in [path for name in names if (path := self._look(name)[0]) is not None]:
            if word in self._store.read(path, path.name)[0].text:
                yield self._store.parse(path, path.name).value

    def compile(
        self,
        path: Path,
        name: str,
        variables: Mapping[str, Any],
        facts: Facts,
        *,
        is_for_list: bool = False,
        is_description: bool = False,
    ) -> Compilation:
        """Compile a file of this search path.

        `is_for_list`: leave out findings about a graph that is whole. `is_description`: the file describes a project,
        and values that are set from outside (`--set`) are none of it.
        """
        project = Path(facts.folders["project_dir"])
        files = self._files_of(project) if self._store.checks_calls else None
        workspace = facts.folders.get("workspace_root")
        others = OtherProjects(project, workspace, self._store, (*self._chain, real_path(path)))
        entry = self.parse(path, name)
        change = None if self._chain or is_description else self._store.change
        compilation = compile_template(
            entry,
            self,
            variables,
            facts,
            files=files,
            projects=others,
            is_own=self._is_own,
            change=change,
            is_for_list=is_for_list,
        )
        self.imported |= others.sources
        self.missing |= others.missing
        self.system_paths |= others.system_paths
        checks = [*self._store.enforced, *([] if compilation.has_errors else self._store.checks)]
        if files is not None and checks:
            found = [finding for check in checks for finding in check(compilation.graph, files)]
            places = {finding.span for finding in found}  # of two findings at one place, the one that was asked for
            kept = [finding for finding in compilation.diagnostics if finding.span not in places]
            compilation = replace(compilation, diagnostics=(*kept, *found))
        self._note(facts, compilation)
        return compilation

    def _note(self, facts: Facts, compilation: Compilation) -> None:
        """Note what a template asked for that is no file."""
        shows = self._store.shows_text
        if needs_clock(compilation) or (shows and (moving_texts(compilation) or facts.variables)):
            self._store.questions.changes_by_itself()
        for name in facts.variables:
            self._store.questions.saw_variable(name)
        if "versions" in facts.used:
            for package in PACKAGES:
                self._store.questions.saw_version(package)

    def _is_own(self, source: Source) -> bool:
        """Returns True for a template in the folder of a project that is compiled or checked."""
        if self._project is None or source.path is None:
            return True
        path = real_path(Path(source.path))
        return any(path.is_relative_to(folder) for folder in (self._project, *self._store.projects))

    def _files_of(self, project: Path) -> "PythonFiles":
        from fgc.workspace.python_files import PythonFiles  # what reads signatures: 0.02 s

        folders = self._module_folders
        return self._store.questions.ask(
            ("Python files", project, *folders), lambda: PythonFiles(project, self._store, folders)
        )


def _missing_folder(folder: Path) -> Diagnostic:
    source = Source(str(folder), "", display_path(folder))
    message = f"search path folder `{display_path(folder)}` does not exist"
    return Diagnostic("FGC004", message, Span(source, 0, 0), Severity.WARNING)
