"""The conversion tables of the library, and the template of a converted model: plain data in, text out."""

import json
import keyword
import math
import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from fgc.cli.arguments import CannotRun
from fgc.diagnostics import did_you_mean
from fgc.emit.model.foreign_types import foreign_model_types
from fgc.installed import package_folder

Table = Mapping[str, Any]


def read_tables() -> dict[str, Table]:
    """All tables of the library, by the `model_type` of their architecture; each is a file of its own."""
    library = package_folder("fgc_stdlib")
    assert library is not None, "the template library is part of the distribution"
    files = sorted((library / "conversions").glob("*.yaml"))
    tables = {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}
    return {table["model_type"]: table for table in (_whole(name, tables) for name in tables)}


def _whole(name: str, tables: Mapping[str, Table]) -> Table:
    """A table with what it takes over from the one it extends; not the fields `without`, and no parts of null."""
    table = tables[name]
    if "extends" not in table:
        return table
    config = dict(table.get("config", {}))
    base = _without(_whole(table["extends"], tables), config.pop("without", ()))
    own = {**{key: value for key, value in table.items() if key != "extends"}, "config": config}
    whole = _merged(base, own, joined=("same", "ignored", "implied", "computed", "tensors", "skipped"))
    return {**whole, "parts": {field: part for field, part in whole.get("parts", {}).items() if part is not None}}


def _without(table: Table, fields: Collection[str]) -> Table:
    """A table whose `config` does not speak of some fields."""
    config = {
        key: [field for field in value if field not in fields]
        if isinstance(value, list)
        else {field: entry for field, entry in value.items() if field not in fields}
        for key, value in table["config"].items()
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
            raise TypeError(f"{type(value).__name__} is no value of JSON")


def _is_text(word: str) -> bool:
    return isinstance(yaml.safe_load(word), str)


def _float(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    mantissa, e, exponent = repr(value).partition("e")
    if not e:
        return mantissa
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent if exponent[0] in '+-' else '+' + exponent}"
