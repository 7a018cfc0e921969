"""Writes the import block of a generated file, in the order of ruff and isort."""

import sys
from collections.abc import Iterable

from fgc.emit.model.components import ComponentImport


def import_block(imported: Iterable[ComponentImport]) -> str:
    """Returns the imports: standard library, installed packages, then the package's own modules."""
    sections: dict[int, list[ComponentImport]] = {}
    for item in imported:
        sections.setdefault(_section(item.module), []).append(item)
    return "\n\n".join(_section_text(sections[key]) for key in sorted(sections))


def _section(module: str) -> int:
    if module.startswith("."):
        return 2
    return 0 if module.split(".")[0] in sys.stdlib_module_names else 1


def _section_text(items: list[ComponentImport]) -> str:
    plain = sorted({(item.module, item.alias) for item in items if item.name is None})
    lines = [f"import {module}" + (f" as {alias}" if alias != module else "") for module, alias in plain]
    named: dict[str, set[tuple[str, str]]] = {}
    for item in items:
        if item.name is not None:
            named.setdefault(item.module, set()).add((item.name, item.alias))
    for module in sorted(named):
        names = sorted(named[module], key=lambda pair: _member_order(pair[0]))
        same = [name for name, alias in names if name == alias]
        lines += [f"from {module} import {', '.join(same)}"] if same else []
        lines += [f"from {module} import {name} as {alias}" for name, alias in names if name != alias]
    return "\n".join(lines)


def _member_order(name: str) -> tuple[int, str]:
    """Returns the key of an imported name: constants, then classes, then the rest."""
    if name.isupper() and len(name) > 1:
        return 0, name
    return (1, name) if name[:1].isupper() else (2, name)
