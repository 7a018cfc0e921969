"""A template of the reference to one of fgc: tags, callables, arguments, names of templates and blocks.

Works on the author's lines and needs no tree that compiles. Comments and layout stay; an argument without a counterpart
becomes a comment. What it wrote itself it leaves alone, so that a second run changes nothing.
"""

import re
from collections.abc import Container
from itertools import pairwise

from msgspec import Struct

from fgc.ir import VIEWS
from fgc.migrate.finding import Draft, Migrated
from fgc.migrate.options import without_unread_options
from fgc.migrate.table import CallableEntry, MigratedTemplate, MigrationTable
from fgc.patterns import regex
from fgc.syntax import CALL_TAGS

_PART = regex(r"(?m)^#[^\S\n]*-{3,}[^\S\n]*[\w./]+[^\S\n]*-{3,}[^\S\n]*$")
_COMMENT = regex(r"^\s*#|\s##+(?=\s|$)")
_ANCHOR = regex(r"(?<=[&*])([A-Za-z_]\w*)")
_CALLABLE = regex(r"(?<![\w.])(forgather(?:\.\w+)*|\.\w+):([A-Za-z_]\w*)((?:\.\w+)*)")
_TAG = regex(rf"!({'|'.join(CALL_TAGS)}):(?=\S)")
_BARE = regex(rf"!(?:{'|'.join(CALL_TAGS)}):((?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*)(?=[\s@,\]}}]|$)")
_STATEMENT = regex(r"^\s*(?:--|<<|>>|==|=>)\s")
_QUOTED = regex(r"([\"'])([\w./-]+\.(?:yaml|jinja))\1")
_BLOCK = regex(r"^\s*(?:\[(?P<header>\w+)!?\]\s*$|(?:--|<<|>>)\s+(?P<end>end)?block(?:\s+(?P<name>\w+))?)")
_KEY = regex(r"^(?P<indent>\s*)(?P<key>[\w.<-]+|\"[^\"]*\"|'[^']*')\s*:(?=\s|$)")
_MAPPING = regex(r"^\s*([\w.<]+):(?:\s*(&\w+))?\s*$")
_BUILTINS = frozenset((*VIEWS, "getitem", "getattr", "call", "operator"))


class _Arguments(Struct):
    """The arguments that the lines below belong to: those deeper than `indent`, at the depth of the first."""

    entry: CallableEntry
    indent: int
    depth: int | None = None


class _LostBlock(Struct):
    """A block without a counterpart: until a header that stands no deeper, or the `endblock` of its depth."""

    indent: int
    is_header: bool
    depth: int = 1


def migrate_template(text: str, table: MigrationTable, own_templates: Container[str] = ()) -> Migrated:
    """Rewrites one file with its inline templates. Names in `own_templates` are the author's, not the library's."""
    draft = Draft(text)
    cuts = [0, *(found.start() for found in _PART.finditer(text)), len(text)]
    for start, end in pairwise(cuts):
        _Part(draft, start, end, table, own_templates).run()
    return draft.with_added_lines(without_unread_options(text, draft.done()))


class _Part:
    def __init__(self, draft: Draft, start: int, end: int, table: MigrationTable, own: Container[str]) -> None:
        self._draft = draft
        self._start = start
        self._end = end
        self._table = table
        self._own = own
        self._parent: MigratedTemplate | None = None
        self._block: str | None = None
        self._calls: list[_Arguments] = []
        self._dropped: int | None = None  # the depth of an argument that becomes a comment, with what is below it
        self._lost_block: _LostBlock | None = None

    def run(self) -> None:
        """Reads the lines one after another."""
        at = self._start
        for line in self._draft.text[self._start : self._end].splitlines(keepends=True):
            comment = _COMMENT.search(line)
            code = line if comment is None else line[: comment.start()]
            if code.strip():
                self._line(code.rstrip("\n"), at)
            at += len(line)

    def _line(self, code: str, at: int) -> None:
        if self._lost_block is not None and self._is_lost(code, at, self._lost_block):
            return
        if _STATEMENT.match(code) and self._names(code, at):
            return
        if self._blocks(code, at) or self._search_folder(code, at):
            return
        if _STATEMENT.match(code) or not self._arguments(code, at):
            self._tags(code, at)

    def _is_lost(self, code: str, at: int, lost: "_LostBlock") -> bool:
        """Returns True for a line of a block without a counterpart, which becomes a comment."""
        found = _BLOCK.match(code)
        indent = len(code) - len(code.lstrip())
        if lost.is_header and found is not None and indent <= lost.indent:
            self._lost_block = None
            return False
        if not lost.is_header and found is not None and not found["header"]:
            lost.depth += -1 if found["end"] else 1
            self._lost_block = None if lost.depth == 0 else lost
        self._comment_out(at + min(indent, lost.indent))
        return True

    def _search_folder(self, code: str, at: int) -> bool:
        """Takes a folder of the library off a search path; of a library in the tree its base, ours is in place of."""
        item = re.match(r"\s*- ", code)
        if item is None or "config_type.yaml" in self._own:
            return False
        if not any(name in code for name in self._table.search_folders):
            return False
        if "templatelib/base" in self._own and not re.search(r"\bbase\b", code):
            return False
        self._comment_out(at + item.end() - 2)
        return True

    def _names(self, code: str, at: int) -> bool:
        """Renames templates in a statement; returns True if an include became a comment."""
        for found in _QUOTED.finditer(code):
            entry = None if found[2] in self._own else self._table.templates.get(found[2])
            if entry is None:
                continue
            if re.match(r"^\s*\S+\s+extends\b", code):
                self._parent = entry
            note = f": {entry.note}" if entry.note else ""
            if entry.to is not None:
                self._draft.replace(at + found.start(2), at + found.end(2), entry.to)
                if note:
                    self._draft.leave(at + found.start(2), f"the template `{found[2]}` is `{entry.to}` here{note}")
                continue
            self._draft.leave(at + found.start(2), f"the template `{found[2]}` has no counterpart{note}")
            if re.match(r"^\s*\S+\s+(include|import|from)\b", code):
                self._comment_out(at + len(code) - len(code.lstrip()))
                return True
        return False

    def _blocks(self, code: str, at: int) -> bool:
        """Begins a block where one is; its name may be another here."""
        found = _BLOCK.match(code)
        if found is None:
            return False
        group = "header" if found["header"] else "name"
        name = found[group]
        self._block = None if found["end"] else name
        self._calls.clear()
        self._dropped = None
        arguments = self._parent.arguments if self._parent is not None else {}
        own = self._table.blocks.get(name or "") or arguments.get(name or "")
        if own is not None and not found["end"]:
            self._calls.append(_Arguments(self._table.callables[own], -1))
        renamed = {**self._table.parts, **(self._parent.blocks if self._parent is not None else {})}
        if name in renamed:
            self._draft.replace(at + found.start(group), at + found.end(group), renamed[name])
        elif name in self._table.lost_blocks and not found["end"] and "config_type.yaml" not in self._own:
            note = self._table.lost_blocks[name]
            self._draft.leave(at + found.start(group), f"the block `{name}` has no counterpart: {note}")
            indent = len(code) - len(code.lstrip())
            self._lost_block = _LostBlock(indent, is_header=group == "header")
            self._comment_out(at + indent)
        return True

    def _tags(self, code: str, at: int) -> None:
        for found in _TAG.finditer(code):
            if found[1] == "lambda":
                self._draft.replace(at + found.start(1), at + found.end(1), "partial")
        for found in _BARE.finditer(code):
            path = found[1].split(".")
            if path[0] in _BUILTINS:
                continue
            split = next((n for n, part in enumerate(path) if n and part[0].isupper()), len(path) - 1)
            self._draft.replace(
                at + found.start(1), at + found.end(1), f"{'.'.join(path[:split])}:{'.'.join(path[split:])}"
            )
        for found in _ANCHOR.finditer(code):
            if found[1] in self._table.parts:
                self._draft.replace(at + found.start(1), at + found.end(1), self._table.parts[found[1]])
        for found in _CALLABLE.finditer(code):
            entry = self._table.callable(found[1], found[2])
            if entry is None and found[1].startswith("."):
                continue  # a component of the author's
            if entry is None or entry.to is None:
                note = f": {entry.note}" if entry is not None and entry.note else ""
                self._draft.leave(at + found.start(), f"`{found[0]}` has no counterpart{note}")
                continue
            self._draft.replace(at + found.start(), at + found.end(2), entry.to)
            if entry.note:
                self._draft.leave(at + found.start(), f"`{found[0]}` is `{entry.to}` here; {entry.note}")
            kind = re.search(r"!(\w+):$", code[: found.start()])
            if entry.tag and kind is not None:
                self._draft.replace(at + kind.start(1), at + kind.end(1), entry.tag)

    def _arguments(self, code: str, at: int) -> bool:
        """Renames or drops an argument, and opens the arguments of a call on this line; True for a dropped line."""
        indent = len(code) - len(code.lstrip())
        if self._dropped is not None:
            if indent > self._dropped:
                self._comment_out(at + self._dropped)
                return True
            self._dropped = None
        key = _KEY.match(code)
        keys = self._parent.keys.get(self._block or "", {}) if self._parent is not None else {}
        if key is not None and key["key"] in keys:
            self._draft.replace(at + key.start("key"), at + key.end("key"), keys[key["key"]])
        while self._calls and indent <= self._calls[-1].indent:
            self._calls.pop()
        if key is not None and self._calls:
            call = self._calls[-1]
            call.depth = indent if call.depth is None else call.depth
            if indent == call.depth and self._argument(key, call.entry, at):
                return True
        self._open(code, at, indent)
        return False

    def _argument(self, key: re.Match[str], entry: CallableEntry, at: int) -> bool:
        """Returns True if the argument was dropped."""
        name = key["key"].strip("\"'")
        rest = self._draft.text[at + key.end("key") :].partition("\n")[0].strip(" :").lower()
        others = [] if rest.startswith("false") else entry.beside.get(name, [])
        text = self._draft.text[self._start : self._end]
        if not any(f"{line.partition(':')[0]}:" in text for line in others):
            self._draft.add_below(at, others)
        if name in entry.rename:
            self._draft.replace(at + key.start("key"), at + key.end("key"), entry.rename[name])
        elif name in entry.drop:
            self._dropped = len(key["indent"])
            self._comment_out(at + self._dropped)
            owner = f" of `{entry.to}`" if entry.to else ""
            self._draft.leave(at + key.start("key"), f"`{name}`{owner} has no counterpart: {entry.drop[name]}")
            return True
        elif name in entry.tell and entry.to:
            self._draft.leave(at + key.start("key"), f"`{name}` of `{entry.to}`: {entry.tell[name]}")
        return False

    def _comment_out(self, at: int) -> None:
        self._draft.replace(at, at, "## ")

    def _open(self, code: str, at: int, indent: int) -> None:
        if self._calls and (inner := self._inside(self._calls[-1], code)) is not None:
            self._calls.append(_Arguments(inner, indent))
        for found in _CALLABLE.finditer(code):
            entry = self._table.callable(found[1], found[2])
            if entry is None or not code[: found.start()].rstrip("@").endswith(":") or "!" not in code[: found.start()]:
                continue
            rest = code[found.end() :].strip()
            rest = re.sub(r"^@\S+\s*", "", rest)
            if rest.startswith("{"):
                self._flow(code.index("{", found.end()), code, at, entry)
            elif not rest and not code.lstrip().startswith("- "):
                self._calls.append(_Arguments(entry, indent))

    def _inside(self, call: _Arguments, code: str) -> CallableEntry | None:
        """Returns the entry of the lines below, if they are a mapping that belongs to the call."""
        name = _MAPPING.match(code)
        if name is None:
            return None
        if name[1] in call.entry.inside:
            return self._table.callables[call.entry.inside[name[1]]]
        is_merged = name[2] is not None and (call.indent < 0 or name[1] == "<<")
        return call.entry if is_merged else None

    def _flow(self, start: int, code: str, at: int, entry: CallableEntry) -> None:
        """Arguments in braces on the line of the call: renamed in place; those to drop are the author's to take out."""
        for found in re.finditer(r"(?<=[{,])\s*([\w.]+)\s*:(?=\s)", code[start:]):
            name, place = found[1], at + start + found.start(1)
            if name in entry.rename:
                self._draft.replace(place, place + len(name), entry.rename[name])
            elif name in entry.drop:
                self._draft.leave(place, f"take out `{name}` of `{entry.to}`: {entry.drop[name]}")
