"""Completes statements, prints and headers."""

import re
from collections.abc import Iterator
from pathlib import Path

from fgc.ide.enclosing import blocks_around
from fgc.ide.families import TemplateId
from fgc.ide.marks import Mark, MarkKind
from fgc.ide.offers import Completion, Spot
from fgc.ide.words import FILTERS, LOOP, STATEMENTS, SUPER, TESTS, filter_text, global_texts, test_text
from fgc.patterns import regex
from fgc.text import TEMPLATE_SUFFIXES

_IMPORTED = regex(r"\bfrom\s+[\"'](?P<from>[^\"'\n]+)[\"']\s+import\s+[^\n]*?(?<!\w)(?P<word>\w*)\Z")
_TEMPLATE = regex(r"\b(?:extends|include|import|from)\s+(?:[^\"'\n]*[\[(,]\s*)?(?P<quote>[\"']?)(?P<word>[^\"'\n]*)\Z")
_END = regex(r"\bendblock\s+(?P<word>\w*)\Z")
BLOCK = regex(r"(?:^\s*\[|\bblock\s+)(?P<word>\w*)\Z")
_STATEMENT = regex(r"(?:^\s*(?:--|<<|>>)\s|\{%[-+]?)\s*(?P<word>\w*)\Z")
_FILTER = regex(r"(?:\||^\s*(?:--|<<|>>)\s+filter)\s*(?P<word>\w*)\Z")
_TEST = regex(r"\bis\s+(?:not\s+)?(?P<word>\w*)\Z")
_ATTRIBUTE = regex(r"(?<!\w)(?P<base>[A-Za-z_]\w*)\.(?P<word>\w*)\Z")
_WORD = regex(r"(?<!\w)(?P<word>\w*)\Z")
INSIDE = regex(r"(?:\{\{|\{%)(?:(?!\}\}|%\}).)*\Z|^\s*(?:--|<<|>>|==|=>)\s.*\Z")
_OPENING = regex(
    r"(?m)^[ \t]*(?:--|<<|>>)[ \t]+(?P<word>[a-z]+)(?:[ \t]+(?P<name>\w+))?"
    r"|\{%[-+]?\s*(?P<inner>[a-z]+)(?:\s+(?P<inner_name>\w+))?"
)
_PAIRED = {name.removeprefix("end") for name in STATEMENTS if name.startswith("end")} - {"set"}
_IN_STRING = regex(r"(?:[^\"']|\"[^\"]*\"|'[^']*')*[\"'][^\"']*\Z")
_MAX_SHOWN = 12  # lines of a block


def inside(spot: Spot) -> Iterator[Completion]:
    """Yields what a statement or a print may go on with."""
    before = spot.before
    if found := _IMPORTED.search(before):
        yield from spot.words(_exported(spot, found["from"]), "macro", found)
    elif found := _TEMPLATE.search(before):
        quote = "" if found["quote"] else '"'
        yield from spot.words(sorted(_template_names(spot)), "template", found, (quote, quote))
    elif found := _STATEMENT.search(before):
        yield from _statements(spot, found)
    elif found := _END.search(before):
        yield from spot.words((name for word, name in _open(spot) if word == "block"), "block", found)
    elif found := BLOCK.search(before):
        yield from blocks(spot, found)
    elif _IN_STRING.match(before[_start_of_code(before) :]):
        return
    elif found := _FILTER.search(before):
        yield from spot.told(((name, filter_text(name)) for name in FILTERS), "filter", found)
    elif found := _TEST.search(before):
        yield from spot.told(((name, test_text(name)) for name in TESTS), "test", found)
    elif found := _ATTRIBUTE.search(before):
        yield from _attributes(spot, found)
    elif found := _WORD.search(before):
        yield from _names(spot, found)


def blocks(spot: Spot, found: re.Match[str]) -> Iterator[Completion]:
    """Yields the blocks of ancestors that the template has not overridden yet, each with what it holds."""
    families = spot.editor.families
    own = {mark.name for mark in families.marks(spot.path) if mark.kind is MarkKind.BLOCK}
    for _, mark in spot.blocks_above():
        if mark.name not in own or mark.name == found["word"]:
            place = f"{Path(mark.span.source.display_name).name}:{mark.span.first.line}"
            yield Completion(mark.name, "block", spot.replaced(found["word"]), f"overrides {place}", shows=_held(mark))


def _held(mark: Mark) -> str:
    lines = mark.whole.text.rstrip().split("\n")
    return "\n".join([*lines[:_MAX_SHOWN], *(["..."] if len(lines) > _MAX_SHOWN else [])])


def _start_of_code(before: str) -> int:
    """Returns where a print, an inner statement or the words of a line statement begin."""
    opened = max(before.rfind("{{"), before.rfind("{%"))
    return opened + 2 if opened >= 0 else len(before) - len(before.lstrip()) + 2


def _statements(spot: Spot, found: re.Match[str]) -> Iterator[Completion]:
    """Yields the end of what is open first, then everything that can begin."""
    ends = [f"end{word}" for word, _ in _open(spot)][:1]
    words = dict.fromkeys([*ends, *STATEMENTS])
    yield from spot.told(((word, STATEMENTS[word]) for word in words), "statement", found)


def _open(spot: Spot) -> list[tuple[str, str]]:
    """Returns the statements around that wait for their end, the innermost first, each with the name behind it."""
    waiting: list[tuple[str, str]] = []
    for match in _OPENING.finditer(spot.source.text, 0, spot.offset - len(spot.before)):
        word, name = match["word"] or match["inner"], match["name"] or match["inner_name"] or ""
        if word in _PAIRED:
            waiting.append((word, name))
        elif word.startswith("end"):
            place = next((n for n in reversed(range(len(waiting))) if waiting[n][0] == word[3:]), None)
            del waiting[len(waiting) if place is None else place :]
    return waiting[::-1]


def _attributes(spot: Spot, found: re.Match[str]) -> Iterator[Completion]:
    base = found["base"]
    if base == "loop":
        yield from spot.words(LOOP, "attribute", found)
    names = (n.partition(".")[2] for n in spot.names(MarkKind.ATTRIBUTE) if n.startswith(f"{base}."))
    yield from spot.words(names, "attribute", found)
    for link in spot.editor.families.closure(spot.path).links.get(TemplateId(spot.path), ()):
        if link.target is not None and re.search(rf"\bas\s+{base}\b", link.span.text):
            yield from spot.words(_exported(spot, link.name), "macro", found)


def _names(spot: Spot, found: re.Match[str]) -> Iterator[Completion]:
    """Yields variables, macros, and the names that every template sees."""
    words = [word for word, _ in _open(spot)]
    if blocks_around(spot.editor, spot.path, spot.offset):
        yield Completion("super()", "macro", spot.replaced(found["word"]), SUPER)
    if "for" in words:
        yield Completion("loop", "variable", spot.replaced(found["word"]), "how far the loop is")
    yield from spot.words(spot.names(MarkKind.VARIABLE), "variable", found)
    yield from spot.words(spot.names(MarkKind.MACRO), "macro", found)
    given = ((name, "given from outside") for name in spot.free_names())
    yield from spot.told(given, "variable", found)
    yield from spot.told(global_texts().items(), "variable", found)


def _template_names(spot: Spot) -> list[str]:
    families = spot.editor.families
    inline = (mark.name for mark in families.marks(spot.path) if mark.kind is MarkKind.TEMPLATE and mark.is_definition)
    files = (name for name in families.names(spot.path) if name.endswith(TEMPLATE_SUFFIXES))
    return [*dict.fromkeys([*inline, *files])]


def _exported(spot: Spot, name: str) -> list[str]:
    """Returns the macros and the variables that a template sets outside of blocks."""
    families = spot.editor.families
    targets = {
        link.target
        for closure in spot.closures
        for link in closure.links.get(TemplateId(spot.path), ())
        if link.name == name and link.target is not None
    }
    found = families.target(spot.path, name)
    targets |= {found} if found is not None else set()
    kinds = (MarkKind.MACRO, MarkKind.VARIABLE)
    marks = (mark for target in targets for mark in families.marks(target.path) if mark.part == target.part)
    return sorted({mark.name for mark in marks if mark.kind in kinds and mark.is_definition and _is_outer(mark)})


def _is_outer(mark: Mark) -> bool:
    """Returns False for the parameter of a macro: its statement is the macro's."""
    return mark.kind is MarkKind.MACRO or re.match(r"\W*macro\b", mark.whole.text) is None
