"""Finds the templates that a configuration uses, by resolving it once more with a trace."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from fgc.api.hierarchies import Branch
from fgc.diagnostics import Outcome
from fgc.explain.instrument import instrument
from fgc.explain.trace import RECORD, Trace
from fgc.resolve import resolve
from fgc.syntax import ast, parse
from fgc.workspace.hierarchy import TemplateEntry, Use, UseKind, entries_of
from fgc.workspace.replay import ReadSources, facts_of
from fgc.workspace.selection import Selected


class Reference(Struct, frozen=True):
    """One use of a template by another."""

    user: TemplateEntry
    kind: UseKind
    used: TemplateEntry


class References(Struct, frozen=True):
    """The configuration's own template, and every reference in the order in which the templates name them."""

    entry: TemplateEntry
    references: tuple[Reference, ...]

    @property
    def templates(self) -> list[TemplateEntry]:
        """Returns all templates, each once, the configuration first."""
        return list(dict.fromkeys([self.entry, *(reference.used for reference in self.references)]))

    def of(self, user: TemplateEntry) -> list[Reference]:
        return [reference for reference in self.references if reference.user is user]

    def tree(self) -> Branch:
        """Returns the tree of templates below the configuration; a template that was already shown is not expanded."""
        opened: set[TemplateEntry] = set()

        def branch(template: TemplateEntry, word: str) -> Branch:
            note = f"inline in {Path(template.file).name}" if template.is_inline else ""
            if template in opened:
                return Branch(template.name, word, "see above" if self.of(template) else note)
            opened.add(template)
            inner = tuple(branch(reference.used, reference.kind.value) for reference in self.of(template))
            return Branch(template.name, word, note, inner)

        return branch(self.entry, "")


def references_of(selected: Selected) -> References:
    """Returns the references between the templates that a configuration used when it was resolved."""
    trace = Trace()
    loader = _WatchedLoader(selected, trace)
    entry = loader.watch(parse(selected.compilation.entry).value)
    resolve(entry, loader, {**selected.variables, RECORD: trace.record}, facts_of(selected))
    values: dict[tuple[str, int], list[str]] = {}
    for event in trace.events:
        names = event.value if isinstance(event.value, (list, tuple)) else [event.value]
        place = event.site.span.source.display_name, event.site.span.start
        values.setdefault(place, []).extend("".join(name) for name in names if isinstance(name, str))
    templates = [template for file in loader.files for template in entries_of(file)]
    return References(templates[0], tuple(_reachable(templates, values)))


def _reachable(templates: list[TemplateEntry], values: dict[tuple[str, int], list[str]]) -> Iterator[Reference]:
    known = {template.name: template for template in reversed(templates)}
    known |= {template.name: template for template in reversed(templates) if template.is_inline}
    waiting, seen = [templates[0]], {templates[0]}
    while waiting:
        user = waiting.pop(0)
        for use in user.uses:
            for name in dict.fromkeys(_names(use, values)):
                used = known.get(name)
                if used is None:
                    continue
                yield Reference(user, use.kind, used)
                if used not in seen:
                    seen.add(used)
                    waiting.append(used)


def _names(use: Use, values: dict[tuple[str, int], list[str]]) -> Iterable[str]:
    """Returns the names that a statement had when it ran; imports are not traced, so their written names are used."""
    if use.kind is UseKind.IMPORTS:
        return use.names
    return values.get((use.span.source.display_name, use.span.start), ())


class _WatchedLoader:
    """A loader of the templates that compiling read, instrumented for the trace; `files` has the original ones."""

    def __init__(self, selected: Selected, trace: Trace) -> None:
        self._loader = ReadSources(selected.sources)
        self._trace = trace
        self.files: list[ast.ParsedFile] = []
        self.searchpath: list[str] = []

    def watch(self, file: ast.ParsedFile) -> ast.ParsedFile:
        self.files.append(file)
        return instrument(file, self._trace)

    def load(self, name: str) -> Outcome[ast.ParsedFile | None]:
        found = self._loader.load(name)
        return found if found.value is None else Outcome(self.watch(found.value))

    def exists(self, name: str) -> bool:
        return self._loader.exists(name)

    def names(self) -> Iterable[str]:
        return self._loader.names()

    def mentioning(self, word: str) -> Iterable[ast.ParsedFile]:
        return self._loader.mentioning(word)
