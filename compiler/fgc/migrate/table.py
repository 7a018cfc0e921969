"""`table.yaml` to what templates and Python files ask of it."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec
import yaml
from msgspec import Struct


class CallableEntry(Struct, frozen=True):
    """A callable of the reference: `to` is None where there is none here.

    `inside`: arguments that are mappings, with the entry that their own keys belong to. `beside`:
    arguments that need others where they are true, which get the lines below.
    """

    modules: tuple[str, ...] = msgspec.field(name="from")
    to: str | None = None
    tag: str | None = None
    note: str | None = None
    rename: dict[str, str] = {}
    drop: dict[str, str] = {}
    tell: dict[str, str] = {}
    inside: dict[str, str] = {}
    beside: dict[str, list[str]] = {}


class MigratedTemplate(Struct, frozen=True):
    """A template of the reference's library; `to` is None where there is none here.

    `blocks`: blocks of it with another name here. `arguments`: blocks that hold arguments of one callable, where a
    child writes them without a tag. `keys`: by block, entries with another name here.
    """

    to: str | None = None
    note: str | None = None
    blocks: dict[str, str] = {}
    arguments: dict[str, str] = {}
    keys: dict[str, dict[str, str]] = {}


class MigrationTable(Struct, frozen=True, forbid_unknown_fields=True):
    """All that is known of the reference."""

    callables: Mapping[str, CallableEntry]
    templates: Mapping[str, MigratedTemplate]
    parts: Mapping[str, str]
    lost_blocks: Mapping[str, str]
    blocks: Mapping[str, str]
    search_folders: tuple[str, ...]

    def callable(self, module: str, attribute: str) -> CallableEntry | None:
        """Returns the entry of `module:attribute`; None for one that the table does not know."""
        entry = self.callables.get(attribute)
        return entry if entry is not None and module in entry.modules else None


@cache
def read_table() -> MigrationTable:
    """Returns the table that belongs to this compiler."""
    text = (files("fgc.migrate") / "table.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.load(text, yaml.CSafeLoader), MigrationTable)
