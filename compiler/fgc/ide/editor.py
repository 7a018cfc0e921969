"""Holds what an editor has open, and answers for it: the session of a language server.

Nothing here knows a protocol. Places are offsets in code points, paths are absolute.
"""

from collections.abc import Iterable
from pathlib import Path

from fgc.diagnostics import Diagnostic, unique
from fgc.ide.buffers import BufferStore, absolute
from fgc.ide.families import Families
from fgc.text import Source
from fgc.workspace.files import real_path
from fgc.workspace.project import META_FILE, ProjectError, open_project
from fgc.workspace.python_files import PythonFiles
from fgc.workspace.rules import Rules, read_rules
from fgc.workspace.selection import NoSuchFile, Selected, select_config, select_file
from fgc.workspace.settings import SettingsError

_MAX_CONTEXTS = 3  # configurations in whose light an open template is checked
_MAX_COMPILED = 40  # configurations that are kept; one takes 2 MB, and a large tree has hundreds


class Editor:
    """Open files over folders of projects. `problem` says why the settings cannot be read."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.folders = [absolute(folder) for folder in folders]
        self.problem: str | None = None
        self._open: dict[str, None] = {}
        self.store = BufferStore()
        self._whole: dict[str, Selected] = {}
        self._compiled: dict[str, None] = {}  # the one that was asked for last comes last
        self.refresh()

    def refresh(self) -> None:
        """Reads everything from disk again: files came, went, or changed outside of the editor."""
        texts = self.store.open_texts()
        self.store = BufferStore()
        for path, text in texts.items():
            self.store.lay(Path(path), text)
        self.families = Families(self.folders, self.store)
        self.store.rules = self._rules()

    def open(self, path: Path, text: str) -> bool:
        """Opens a file, or changes its text; returns False if that changes nothing."""
        self._open.pop(str(absolute(path)), None)
        self._open[str(absolute(path))] = None
        return self.store.lay(absolute(path), text)

    def close(self, path: Path) -> None:
        """Closes a file: what is on disk holds."""
        self._open.pop(str(absolute(path)), None)
        self.store.lift(absolute(path))

    def changed(self, paths: Iterable[Path]) -> None:
        """Reads files from disk again, of which only the content is another."""
        self.store.questions.forget([absolute(path) for path in paths])

    def source(self, path: Path | str) -> Source:
        """Returns the text of a file as the editor shows it; empty if it cannot be read."""
        found = absolute(path)
        return self.store.read(found, found.name)[0]

    def open_files(self) -> list[str]:
        """Returns the open files, the one edited last first."""
        return [*reversed(self._open)]

    def contexts(self, path: Path | str) -> list[str]:
        """Returns the configurations in whose light a file is read: itself, or open ones that draw on it, or others."""
        own = str(absolute(path))
        if self.families.configuration(own) is not None:
            return [own]
        users = self.families.users(own)
        is_open = [user for user in self.open_files() if user in users]
        return [*is_open, *(user for user in users if user not in is_open)][:_MAX_CONTEXTS]

    def selected(self, config: Path | str) -> Selected | None:
        """Returns a configuration, compiled; None if there is no such file."""
        path = str(absolute(config))
        found = self.store.questions.ask(("selected", path), lambda: self._selected(path))
        self._compiled.pop(path, None)
        self._compiled[path] = None
        if len(self._compiled) > _MAX_COMPILED:
            oldest = next(iter(self._compiled))
            del self._compiled[oldest]
            self._whole.pop(oldest, None)
            self.store.questions.drop(("selected", oldest))
        return found

    def context(self, path: Path | str) -> Selected | None:
        """Returns the first configuration in whose light a file is read, or the file itself, compiled."""
        found = self.contexts(path)
        return self.selected(found[0] if found else path)

    def whole(self, path: Path | str) -> Selected | None:
        """Returns the same as it was when YAML last understood it: while a line is half written, nothing else does."""
        found = self.contexts(path)
        config = str(absolute(found[0] if found else path))
        selected = self.selected(config)
        if selected is not None and (not selected.compilation.composition.is_partial or config not in self._whole):
            self._whole[config] = selected
        return self._whole.get(config)

    def findings(self, path: Path | str) -> dict[str, list[Diagnostic]]:
        """Returns what is to be said about an open file and the templates behind it, by file.

        A template that no configuration draws on is only read: what it needs from others is not known.
        """
        own = absolute(path)
        if own.name == META_FILE:
            return by_file(self._of_project(own))
        contexts = self.contexts(own)
        if contexts:
            return by_file(unique(finding for context in contexts for finding in self._of(context)))
        is_alone = self.families.project_of(own) is None and not self.families.is_shared(own)
        if is_alone and own.suffix in (".yaml", ".yml"):
            return by_file(self._of(str(own)))
        return by_file(self.store.parse(own, own.name).diagnostics)

    def python_files(self, path: str) -> PythonFiles:
        """Returns the Python files that a template may name: those of its project, else of one that draws on it."""
        project = self.families.project_of(Path(path))
        if project is None and self.families.users(path):
            project = self.families.configurations()[self.families.users(path)[0]][0]
        folder = Path(path).parent if project is None else project.folder
        modules = [] if project is None or project.system_path is None else [Path(project.system_path)]
        question = ("Python files of an editor", folder, *modules)
        return self.store.questions.ask(question, lambda: PythonFiles(folder, self.store, modules))

    def _of(self, config: str) -> tuple[Diagnostic, ...]:
        selected = self.selected(config)
        return () if selected is None else selected.diagnostics

    def _of_project(self, meta: Path) -> tuple[Diagnostic, ...]:
        try:
            return open_project(meta.parent, self.store).diagnostics
        except ProjectError as error:
            return error.diagnostics

    def _selected(self, path: str) -> Selected | None:
        known = self.families.configuration(path)
        try:
            if known is not None:
                return select_config(known[0], known[1], {})
            return select_file(Path(path), (), {}, self.store)
        except (NoSuchFile, ProjectError, OSError):
            return None

    def _rules(self) -> Rules:
        try:
            start = self.folders[0] if self.folders else Path.cwd()
            return read_rules(start, self.store.questions)
        except SettingsError as error:
            self.problem = str(error)
            return Rules()


def by_file(findings: Iterable[Diagnostic]) -> dict[str, list[Diagnostic]]:
    """Returns findings by the absolute paths of their files."""
    found: dict[str, list[Diagnostic]] = {}
    for finding in findings:
        path = path_of(finding.span.source)
        if path is not None:
            found.setdefault(path, []).append(finding)
    return found


def path_of(source: Source) -> str | None:
    """Returns the absolute path of a text; None if it is no file's."""
    return None if source.path is None else str(absolute(source.path))


def is_same_file(source: Source, path: str) -> bool:
    """Returns True if a text is that of a file."""
    found = path_of(source)
    return found is not None and (found == path or real_path(Path(found)) == real_path(Path(path)))
