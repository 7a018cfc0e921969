"""Imports of Python files and notebooks, from the reference's modules to ours; what has no counterpart stays."""

import re

from fgc.migrate.finding import Draft, Migrated
from fgc.migrate.table import MigrationTable
from fgc.patterns import regex

_NAME = r"[A-Za-z_]\w*"
_ITEM = regex(rf"({_NAME})(?:\s+as\s+({_NAME}))?")
_FROM = regex(
    rf"(?m)^(?P<indent>[ \t]*)from[ \t]+(?P<module>forgather(?:\.{_NAME})*)[ \t]+import[ \t]+"
    rf"(?:\((?P<many>[^)]*)\)|(?P<names>{_NAME}(?:[ \t]+as[ \t]+{_NAME})?"
    rf"(?:[ \t]*,[ \t]*{_NAME}(?:[ \t]+as[ \t]+{_NAME})?)*))"
)
_IN_CELL = regex(r'(?m)^(?P<open>[^\S\n]*+")(?P<code>[ ]*from forgather[^"]*?)(?P<close>(?:\\n)?",?)$')
_IMPORT = regex(rf"(?m)^[ \t]*import[ \t]+(forgather(?:\.{_NAME})*)\b")
_CELL_IMPORT = regex(rf'(?m)^\s*"[ ]*import[ ]+(forgather(?:\.{_NAME})*)\b')


def migrate_python(text: str, table: MigrationTable) -> Migrated:
    """Rewrites the imports of a Python file."""
    draft = Draft(text)
    for found in _FROM.finditer(text):
        _from(draft, found, found.start(), found.start("module"), table)
    _whole_modules(draft, _IMPORT)
    return draft.done()


def migrate_notebook(text: str, table: MigrationTable) -> Migrated:
    """Rewrites the imports in the cells of a notebook, whose JSON keeps its layout."""
    draft = Draft(text)
    for line in _IN_CELL.finditer(text):
        found = _FROM.match(line["code"])
        if found is None:
            draft.leave(line.start("code"), f"write this import in one line: {line['code'].strip()}")
            continue
        start = line.start("code")
        _from(draft, found, start, start + found.start("module"), table, line_end='\\n",\n' + line["open"].lstrip("\n"))
    _whole_modules(draft, _CELL_IMPORT)
    return draft.done()


def _from(
    draft: Draft, found: re.Match[str], start: int, place: int, table: MigrationTable, line_end: str = "\n"
) -> None:
    """Rewrites one `from ... import`: a statement for each module that the names come from here."""
    module = found["module"]
    group = "many" if found["many"] else "names"
    listed = re.sub(r"#[^\n]*", lambda comment: " " * len(comment[0]), found[group])
    by_module: dict[str, list[str]] = {}
    renamed: list[tuple[re.Match[str], str]] = []
    for item in _ITEM.finditer(listed):
        entry = table.callable(module, item[1])
        alias = f" as {item[2]}" if item[2] else ""
        if entry is None or entry.to is None:
            note = f": {entry.note}" if entry is not None and entry.note else ""
            draft.leave(place, f"`{module}.{item[1]}` has no counterpart{note}")
            by_module.setdefault(module, []).append(item[0])
            continue
        target, _, name = entry.to.partition(":")
        by_module.setdefault(target, []).append(f"{name}{alias or (f' as {item[1]}' if name != item[1] else '')}")
        renamed.append((item, by_module[target][-1]))
    if len(by_module) == 1 and module not in by_module:  # the author's layout and comments stay
        offset = start + found.start(group) - found.start()
        draft.replace(place, place + len(module), *by_module)
        for item, text in renamed:
            draft.replace(offset + item.start(), offset + item.end(), text)
    elif set(by_module) != {module}:
        lines = [f"{found['indent']}from {name} import {', '.join(names)}" for name, names in by_module.items()]
        draft.replace(start, start + len(found[0]), line_end.join(lines))


def _whole_modules(draft: Draft, pattern: re.Pattern[str]) -> None:
    for found in pattern.finditer(draft.text):
        draft.leave(found.start(1), f"the module `{found[1]}` has no counterpart: import names from modules of fgc")
