"""Template names to templates: files through a loader, and the inline templates of the files loaded so far."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from fgc.diagnostics import Diagnostic, Outcome, Related, Severity, did_you_mean, misspelt
from fgc.syntax import ast
from fgc.text import Span


class Loader(Protocol):
    """Gives parsed files by name; the only way to other templates."""

    @property
    def searchpath(self) -> Sequence[str]:
        """Returns where names are looked up, first hit first."""

    def load(self, name: str) -> Outcome[ast.ParsedFile | None]:
        """The file of a name, or None; diagnostics are those of its syntax."""

    def exists(self, name: str) -> bool:
        """Returns True if there is a file of a name, which need not be read."""

    def names(self) -> Iterable[str]:
        """All names that could be loaded, for suggestions."""

    def mentioning(self, word: str) -> Iterable[ast.ParsedFile]:
        """All files that could be loaded and hold a word, parsed; what is compiled does not depend on them."""


class Library:
    """The templates of one configuration. Names of inline templates are flat and hide files."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._files: dict[str, ast.ParsedFile | None] = {}
        self._inline: dict[str, ast.Template] = {}
        self._used: set[str] = set()
        self.diagnostics: list[Diagnostic] = []

    def add(self, file: ast.ParsedFile) -> None:
        """Make a file's inline templates known."""
        for part in file.parts:
            earlier = self._inline.get(part.name)
            if earlier is not None and part.name_span is not None and earlier.name_span is not None:
                self._warn_twice(part.name, part.name_span, earlier.name_span)
            if part.name not in self._used:
                self._inline[part.name] = part

    def find(self, name: str) -> ast.Template | None:
        """The template of a name, or None."""
        if name in self._inline:
            self._used.add(name)
            return self._inline[name]
        if name not in self._files:
            outcome = self._loader.load(name)
            self.diagnostics += outcome.diagnostics
            self._files[name] = outcome.value
            if outcome.value is not None:
                self.add(outcome.value)
        file = self._files[name]
        return None if file is None else file.main

    def has(self, name: str) -> bool:
        """Returns True if a template of that name is known already, or is a file; reads none."""
        if name in self._inline or self._files.get(name) is not None:
            return True
        return ".." not in name.split("/") and self._loader.exists(name)

    def peek(self, name: str) -> set[str] | None:
        """The inline templates that loading a file would make known; None if there is no template of that name."""
        if name in self._inline:
            return set()
        if ".." in name.split("/"):
            return None
        file = self._files[name] if name in self._files else self._loader.load(name).value
        return None if file is None else {part.name for part in file.parts}

    def mentioning(self, word: str) -> Iterable[ast.Template]:
        """The templates of this search path whose file holds a word, also those that this configuration never reads."""
        for file in self._loader.mentioning(word):
            yield from (file.main, *file.parts)

    def is_misspelt(self, name: str) -> bool:
        """Returns True if a name is a slip of one that could be loaded."""
        return misspelt(name, [*self._inline, *self._loader.names()]) is not None

    def not_found(self, name: str, span: Span, severity: Severity = Severity.ERROR) -> Diagnostic:
        """The finding that there is no template of a name."""
        if ".." in name.split("/"):
            message = f"template name `{name}` leaves the search path"
            help = "names are looked up on the search path, and `..` is refused"
            return Diagnostic("FGC213", message, span, severity, help)
        known = [*self._inline, *self._loader.names()]
        searched = ", ".join(self._loader.searchpath) or "nothing"
        suggestion = did_you_mean(name, known)
        help = f"searched: {searched}"
        message = f"template `{name}` is not found"
        return Diagnostic("FGC201", message, span, severity, f"{suggestion}\n{help}" if suggestion else help)

    def _warn_twice(self, name: str, span: Span, earlier: Span) -> None:
        help = "names of inline templates are shared by all files of a configuration: rename one"
        message = f"inline template `{name}` is defined a second time"
        related = (Related(earlier, "the first one is here"),)
        self.diagnostics.append(Diagnostic("FGC210", message, span, Severity.WARNING, help, related))
