"""Completes what may be written at a place. Works on the text before the cursor, so that a line need not be whole."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct

from fgc.ide.calls import call_around
from fgc.ide.editor import Editor
from fgc.ide.families import TemplateId
from fgc.ide.marks import Mark, MarkKind
from fgc.ide.python_names import files_for, names_in_module, parameter_text
from fgc.ide.words import FILTERS, META_KEYS, STATEMENTS, TAGS, TESTS
from fgc.signatures.signature import Parameter
from fgc.text import Source, Span
from fgc.workspace.project import META_FILE

ItemKind: TypeAlias = Literal[
    "statement", "block", "template", "variable", "attribute", "anchor", "tag", "module", "callable", "keyword",
    "value", "filter", "test", "macro", "key",
]  # fmt: skip


class Completion(Struct, frozen=True):
    """Something that may be written: the text takes the place of `span`. `detail` is one line about it."""

    label: str
    kind: ItemKind
    span: Span
    detail: str = ""
    text: str | None = None

    @property
    def new_text(self) -> str:
        return self.label if self.text is None else self.text


_TEMPLATE = re.compile(r"\b(?:extends|include|import|from)\s+[^\n]*?[\"'](?P<word>[^\"'\n]*)\Z")
_BLOCK = re.compile(r"(?:^\s*\[|\b(?:end)?block\s+)(?P<word>\w*)\Z")
_STATEMENT = re.compile(r"(?:^\s*(?:--|<<|>>)\s|\{%[-+]?)\s*(?P<word>\w*)\Z")
_FILTER = re.compile(r"\|\s*(?P<word>\w*)\Z")
_TEST = re.compile(r"\bis\s+(?:not\s+)?(?P<word>\w*)\Z")
_ATTRIBUTE = re.compile(r"(?P<base>[A-Za-z_]\w*)\.(?P<word>\w*)\Z")
_WORD = re.compile(r"(?P<word>[A-Za-z_]?\w*)\Z")
_ALIAS = re.compile(r"(?<![^\s\[{,])\*(?P<word>[\w.-]*)\Z")
_TAG = re.compile(r"(?<![^\s\[{,])(?P<word>!(?P<kind>\w*))\Z")
_CALLABLE = re.compile(r"(?<![^\s\[{,])!\w+:(?P<before>(?:[\w./-]+:)?)(?P<word>[\w./]*)\Z")
_KEY = re.compile(r"^(?P<indent>\s*)(?:- )*(?P<word>[\w]*)\Z")
_VALUE = re.compile(r"^(?P<indent>\s*)(?:- )*(?P<key>\w+):\s+(?P<word>[^\s#]*)\Z")
_INSIDE = re.compile(r"(?:\{\{|\{%)(?:(?!\}\}|%\}).)*\Z|^\s*(?:--|<<|>>|==|=>)\s.*\Z")


def complete(editor: Editor, path: str, offset: int) -> list[Completion]:
    """Returns what may be written at a place, the likeliest first; the editor filters by what is written already."""
    source = editor.source(path)
    before = source.text[source.text.rfind("\n", 0, offset) + 1 : offset]
    return [*dict.fromkeys(_Completer(editor, path, source, offset, before).items())]


class _Completer:
    """Completes at one place. `before` is the line up to it."""

    def __init__(self, editor: Editor, path: str, source: Source, offset: int, before: str) -> None:
        self._editor = editor
        self._path = path
        self._source = source
        self._offset = offset
        self._before = before

    def items(self) -> Iterator[Completion]:
        before = self._before
        if found := _TEMPLATE.search(before):
            yield from self._words(sorted(self._template_names()), "template", found)
        elif _INSIDE.search(before):
            yield from self._in_expression(before)
        elif found := _CALLABLE.search(before):
            yield from self._callables(found)
        elif found := _TAG.search(before):
            yield from self._words(TAGS, "tag", found)
        elif found := _ALIAS.search(before):
            yield from self._words(self._names(MarkKind.ANCHOR), "anchor", found)
        elif found := _BLOCK.search(before):
            yield from self._blocks(found)
        elif found := _VALUE.search(before):
            yield from self._of_value(found)
        elif found := _KEY.search(before):
            yield from self._keys(found)

    def _in_expression(self, before: str) -> Iterator[Completion]:
        """Yields what a statement or a print may go on with."""
        if found := _STATEMENT.search(before):
            yield from self._words(STATEMENTS, "statement", found)
        elif found := _BLOCK.search(before):
            yield from self._blocks(found)
        elif found := _FILTER.search(before):
            yield from self._words(FILTERS, "filter", found)
        elif found := _TEST.search(before):
            yield from self._words(TESTS, "test", found)
        elif found := _ATTRIBUTE.search(before):
            names = [n.partition(".")[2] for n in self._names(MarkKind.ATTRIBUTE) if n.startswith(f"{found['base']}.")]
            yield from self._words(names, "attribute", found)
        elif found := _WORD.search(before):
            yield from self._words(self._names(MarkKind.VARIABLE), "variable", found)
            yield from self._words(self._names(MarkKind.MACRO), "macro", found)

    def _callables(self, found: re.Match[str]) -> Iterator[Completion]:
        """Yields modules in front of the colon, and names behind it."""
        files = files_for(self._editor, self._path)
        if found["before"]:
            module = found["before"][:-1]
            yield from self._words(names_in_module(self._editor, self._path, module), "callable", found)
            return
        package, dot, _ = found["word"].rpartition(".")
        if dot:
            names = (f"{package}.{name}" for name in files.modules_in(package))
            yield from self._words(names, "module", found)
        used = self._callables_in_use()
        yield from self._words((name for name in used if name.startswith(f"{package}{dot}")), "callable", found)

    def _blocks(self, found: re.Match[str]) -> Iterator[Completion]:
        """Yields the blocks of ancestors that the template has not overridden yet."""
        families = self._editor.families
        own = {m.name for m in families.marks(self._path) if m.kind is MarkKind.BLOCK}
        closures = [families.closure(self._path), *families.family(self._path)]
        seen: dict[str, Mark] = {}
        for closure in closures:
            for template in closure.ancestors(TemplateId(self._path)):
                for mark in families.marks(template.path):
                    if mark.kind is MarkKind.BLOCK and mark.part == template.part:
                        seen.setdefault(mark.name, mark)
        for name, mark in seen.items():
            place = f"{Path(mark.span.source.display_name).name}:{mark.span.first.line}"
            if name not in own or name == found["word"]:
                yield Completion(name, "block", self._replaced(found), f"overrides {place}")

    def _keys(self, found: re.Match[str]) -> Iterator[Completion]:
        """Yields the keywords of the call around a line that it does not have yet; keys of `meta.yaml`."""
        if Path(self._path).name == META_FILE:
            yield from self._words(META_KEYS, "key", found, ": ")
            return
        around = call_around(self._editor, self._path, self._offset, len(found["indent"]))
        parameters, given = around.parameters, around.given
        for parameter in parameters:
            if parameter.name not in given:
                shown = parameter_text(parameter)
                name = parameter.name
                yield Completion(name, "keyword", self._replaced(found), shown, f"{name}: ")

    def _of_value(self, found: re.Match[str]) -> Iterator[Completion]:
        """Yields the values that an argument may have: truth values, literals, None, its default."""
        around = call_around(self._editor, self._path, self._offset, len(found["indent"]))
        parameter = next((p for p in around.parameters if p.name == found["key"]), None)
        if parameter is not None:
            yield from self._words(literal_values(parameter), "value", found)

    def _template_names(self) -> list[str]:
        inline = (m.name for m in self._editor.families.marks(self._path) if m.kind is MarkKind.TEMPLATE)
        return [*dict.fromkeys([*inline, *self._editor.families.names(self._path)])]

    def _names(self, kind: MarkKind) -> list[str]:
        """Returns the names of a kind that the templates around define."""
        families = self._editor.families
        files = families.sources([families.closure(self._path), *families.family(self._path)[:20]])
        found = (m.name for file in files for m in families.marks(file) if m.kind is kind and m.is_definition)
        return sorted(dict.fromkeys(found))

    def _callables_in_use(self) -> list[str]:
        """Returns the callables that templates of the workspace name."""
        families = self._editor.families
        files = families.sources(families.closure(config) for config in families.configurations())
        found = (m.name for file in files or [self._path] for m in families.marks(file) if m.kind is MarkKind.CALLABLE)
        return sorted(dict.fromkeys(found))

    def _words(
        self, words: Iterable[str], kind: ItemKind, found: re.Match[str], behind: str = ""
    ) -> Iterator[Completion]:
        span = self._replaced(found)
        for word in words:
            yield Completion(word, kind, span, "", f"{word}{behind}" if behind else None)

    def _replaced(self, found: re.Match[str]) -> Span:
        return Span(self._source, self._offset - len(found["word"]), self._offset)


def literal_values(parameter: Parameter) -> list[str]:
    """Returns the values that an annotation lists, as YAML writes them."""
    found: list[str] = []
    note = parameter.annotation or ""
    for inside in re.findall(r"\bLiteral\[([^\[\]]*)\]", note):
        found += [word.strip().strip("\"'") for word in inside.split(",") if word.strip()]
    if re.search(r"\bbool\b", note) or parameter.default in ("True", "False"):
        found += ["true", "false"]
    if re.search(r"\bNone\b|\bOptional\[", note) or parameter.default == "None":
        found.append("null")
    return list(dict.fromkeys(found))
