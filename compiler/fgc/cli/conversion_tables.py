"""Conversion tables of the library and of projects, and the template of a converted model: plain data in, text out."""

import json
import keyword
import math
import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct, ValidationError, convert

from fgc.cli.arguments import CannotRun
from fgc.diagnostics import did_you_mean
from fgc.emit.model.foreign_types import foreign_model_types
from fgc.installed import package_folder
from fgc.reading import read_text

Table = Mapping[str, Any]
FOLDER = "conversions"


class TemplateFolder(Struct, frozen=True):
    """A folder laid out like the template library, with tables in `conversions/`; `project` is what it belongs to."""

    path: Path
    project: Path


class _Switch(Struct, forbid_unknown_fields=True):
    block: str
    tensors: str
    argument: str | None = None
    template: str | None = None

    def __post_init__(self) -> None:
        if (self.argument is None) is (self.template is None):
            raise ValueError("a switch has either `argument` or `template`")


class _Derived(Struct, forbid_unknown_fields=True):
    factor: float
    of: str


class _Fields(Struct, forbid_unknown_fields=True):
    same: list[str] | None = None
    renamed: dict[str, str] | None = None
    fixed: dict[str, Any] | None = None
    ignored: list[str] | None = None
    implied: list[str] | None = None
    computed: list[str] | None = None
    dropped: dict[str, Any] | None = None
    switches: dict[str, _Switch] | None = None
    derived: dict[str, _Derived] | None = None


class _Part(Struct, forbid_unknown_fields=True):
    block: str
    templates: dict[str, str | None]


class _TensorRule(Struct, forbid_unknown_fields=True):
    ours: str
    theirs: str
    transposed: bool = False
    in_files: bool = False


class _WholeTable(Struct, forbid_unknown_fields=True):
    """A table that has taken over what it extends."""

    architecture: str
    model_type: str
    template: str
    modules: list[str]
    config: _Fields
    file: str
    parts: dict[str, _Part | None] | None = None
    tensors: list[_TensorRule] | None = None
    skipped: list[str] | None = None
    skips_further_layers: bool = False
    prefix: str = ""


class _Taken(Struct, frozen=True):
    without: list[str] | None = None


class _Head(Struct):
    """The part of a table that is read before it is whole."""

    extends: str | None = None
    config: _Taken = _Taken()


def read_tables(own: TemplateFolder | None = None) -> dict[str, Table]:
    """All tables by the `model_type` of their architecture: the library's, and those of a folder, which come first.

    Each is a file, and `file` its path. A table of the folder extends others there, or the library's; one that has the
    name of a library's extends that. Raises CannotRun for a table of the folder that cannot be read.
    """
    library = package_folder("fgc_stdlib")
    assert library is not None, "the template library is part of the distribution"
    known = _whole_tables(library / FOLDER, {})
    return {**_by_type(known), **_by_type({} if own is None else _whole_tables(own.path / FOLDER, known))}


def _by_type(tables: Mapping[str, Table]) -> dict[str, Table]:
    found: dict[str, Table] = {}
    for table in tables.values():
        other = found.setdefault(table["model_type"], table)
        if other is not table:
            raise CannotRun(f"`{other['file']}` and `{table['file']}` are both a table of `{table['model_type']}`")
    return found


def _whole_tables(folder: Path, library: Mapping[str, Table]) -> dict[str, Table]:
    """The tables of a folder by the names of their files, with what each takes over. Raises CannotRun."""
    tables = {file.stem: _read(file) for file in sorted(folder.glob("*.yaml"))}
    return {name: _whole(name, tables, library) for name in tables}


def _read(file: Path) -> Table:
    """A table as its file has it. Raises CannotRun."""
    try:
        found = yaml.load(read_text(file), _Loader)
        convert(found, _Head)
        json.dumps(found)  # it is sent to the process that converts
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise CannotRun(f"the table `{file}` cannot be read: {error}") from None
    return {**found, "file": str(file)}


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping: the first would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if (key.tag, str(key.value)) in keys:
                raise yaml.constructor.ConstructorError(None, None, f"`{key.value}` stands twice", key.start_mark)
            keys.add((key.tag, str(key.value)))
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def _whole(name: str, tables: Mapping[str, Table], library: Mapping[str, Table], above: tuple[str, ...] = ()) -> Table:
    """A table with what it takes over from the one it extends; not the fields `without`, and no parts of null."""
    table = dict(tables[name])
    base_name = table.pop("extends", None)
    if base_name is not None:
        table = _extended(table, _base(base_name, tables[name], tables, library, (*above, name)))
    try:
        convert(table, _WholeTable)
    except ValidationError as error:
        raise CannotRun(f"the table `{table['file']}` cannot be read: {error}") from None
    return {**table, "parts": {field: part for field, part in (table.get("parts") or {}).items() if part is not None}}


def _base(
    name: str, table: Table, tables: Mapping[str, Table], library: Mapping[str, Table], above: tuple[str, ...]
) -> Table:
    """The table that another extends. Raises CannotRun if there is none, or it extends that one."""
    if name in tables and name not in above:
        return _whole(name, tables, library, above)
    if name in library:
        return library[name]
    known = {**library, **tables}
    help = did_you_mean(name, known) or f"there are {', '.join(known)}"
    raise CannotRun(f"the table `{table['file']}` extends `{name}`, which it cannot; {help}")


def _extended(table: Table, base: Table) -> dict[str, Any]:
    config = dict(table.get("config", {}))
    without = config.pop("without", None) or ()
    own = {**table, "config": config}
    return _merged(
        _without(base, without), own, joined=("same", "ignored", "implied", "computed", "tensors", "skipped")
    )


def _without(table: Table, fields: Collection[str]) -> Table:
    """A table whose `config` does not speak of some fields."""
    config = {
        key: [field for field in value if field not in fields]
        if isinstance(value, list)
        else {field: entry for field, entry in value.items() if field not in fields}
        for key, value in table["config"].items()
        if value is not None
    }
    return {**table, "config": config}


def _merged(base: Table, own: Table, joined: Collection[str]) -> dict[str, Any]:
    """Mappings merged, the lists called `joined` joined, and everything else as `own` says."""
    merged = dict(base)
    for key, value in own.items():
        old = base.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = _merged(old, value, joined)
        elif isinstance(old, list) and isinstance(value, list) and key in joined:
            merged[key] = [*old, *value]
        else:
            merged[key] = value
    return merged


def table_of(tables: Mapping[str, Table], model_type: str, where: str) -> Table:
    """The table of a kind of model. Raises CannotRun."""
    if model_type in tables:
        return tables[model_type]
    help = did_you_mean(model_type, tables)
    hint = f"; {help}" if help else "."
    known = ", ".join(f"{name} ({table['architecture']})" for name, table in tables.items())
    raise CannotRun(f"{where} is `{model_type}`, which fgc does not convert{hint} Known: {known}")


def package_name(wish: str | None, folder: Path) -> str:
    """The package's name: as wished, or the folder's as a name of Python. Raises CannotRun."""
    if wish is not None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", wish) or keyword.iskeyword(wish):
            raise CannotRun(f"`--name {wish}` must be a package name: lower-case letters, digits and `_`")
        if wish in foreign_model_types():
            reason = "transformers has a class for this `model_type`, and would load that instead of the package"
            raise CannotRun(f"`--name {wish}` is taken: {reason}")
        return wish
    name = re.sub(r"[^a-z0-9]+", "_", folder.name.lower()).strip("_") or "model"
    is_taken = keyword.iskeyword(name) or name in sys.stdlib_module_names or package_folder(name) is not None
    is_taken = is_taken or name in foreign_model_types()
    return f"model_{name}" if is_taken or not name[0].isalpha() else name


def template_text(
    table: Table, name: str, source: str, fields: Table, blocks: Mapping[str, Table], includes: Mapping[str, str]
) -> str:
    """A template that extends the architecture's with the sizes of a converted model."""
    lines = [
        f"## {table['architecture']} with the sizes and weights of {source}. To train on, extend this template.",
        f"-- extends '{table['template']}'",
        *_block("model_config", fields),
    ]
    for block, arguments in blocks.items():
        lines += _block(block, arguments)
    for block, template in includes.items():
        lines += ["", f"[{block}]", f"    -- include '{template}'"]
    lines += _block("model_code_generator", {"name": name})
    return "\n".join(lines) + "\n"


def _block(name: str, entries: Table) -> list[str]:
    return ["", f"[{name}]", "    == super()", *(f"    {key}: {_yaml(value)}" for key, value in entries.items())]


def _yaml(value: Any) -> str:
    """A value as YAML 1.1 reads it back: a float has a point."""
    match value:
        case bool() | None | int():
            return json.dumps(value)
        case float():
            return _float(value)
        case str():
            return value if re.fullmatch(r"[a-z][a-z0-9_]*", value) and _is_text(value) else json.dumps(value)
        case list() | tuple():
            return f"[ {', '.join(map(_yaml, value))} ]" if value else "[ ]"
        case dict():
            return f"{{ {', '.join(f'{_yaml(key)}: {_yaml(item)}' for key, item in value.items())} }}"
        case _:
            raise TypeError(f"{type(value).__name__} is not a JSON value")


def _is_text(word: str) -> bool:
    return isinstance(yaml.safe_load(word), str)


def _float(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    mantissa, e, exponent = repr(value).partition("e")
    if not e:
        return mantissa
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent if exponent[0] in '+-' else '+' + exponent}"
