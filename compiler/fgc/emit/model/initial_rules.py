"""Finds and checks the table of rules for a model's initial weights, and takes it out of the model."""

from msgspec import Struct
from msgspec.structs import replace

from fgc.emit.model.components import ComponentLibrary, Definition, constant
from fgc.emit.model.values import ConstantTable, PartConstruction, Value, walk

METHOD = "_init_weights"
_MARK = "written_into"  # the class attribute that marks a component as a table of rules
_RULES = "rules"


class InitialRule(Struct, frozen=True):
    """A pattern of parameter names, and the function that fills the parameters."""

    pattern: str
    fill: PartConstruction


def holds_rules(value: Value, library: ComponentLibrary) -> bool:
    """Returns True if a part is a table of rules, which becomes a method of the model."""
    if not isinstance(value, PartConstruction) or not isinstance(value.target, Definition):
        return False
    return any(constant(item, _MARK) == METHOD for item in (value.target, *library.bases(value.target)))


def takes_rules(annotation: str | None) -> bool:
    """Returns True if a parameter is for such a table, by its annotation."""
    return annotation is not None and "Initializer" in annotation


def rules_problem(table: PartConstruction) -> str | None:
    """Returns the problem of a table's rules, or None."""
    rules = table.arguments.get(_RULES)
    if not isinstance(rules, ConstantTable) or not rules.entries:
        return "`rules` must be a mapping of patterns of parameter names to functions"
    for key, value in rules.entries:
        if not isinstance(key.value, str):
            return f"`{key.text}` in `rules` is not a pattern of parameter names"
        if not isinstance(value, PartConstruction) or not value.is_partial:
            return f"`rules` must map `{key.value}` to a function: `!partial:.initializers:normal` with its arguments"
    return None


def without_rules(
    model: PartConstruction, library: ComponentLibrary
) -> tuple[PartConstruction, tuple[InitialRule, ...]]:
    """Returns the model without its table of rules, and the rules; none if it has no table."""
    tables = [value for value in walk(model) if isinstance(value, PartConstruction) and holds_rules(value, library)]
    rules = tables[0].arguments[_RULES] if tables else ConstantTable(())
    assert isinstance(rules, ConstantTable), "`rules_problem` was asked"
    found = [InitialRule(str(key.value), fill) for key, fill in rules.entries if isinstance(fill, PartConstruction)]
    return _without(model, library), tuple(found)


def _without(part: PartConstruction, library: ComponentLibrary) -> PartConstruction:
    keywords = [(name, value) for name, value in part.keywords if not holds_rules(value, library)]
    below = [(name, _without(v, library) if isinstance(v, PartConstruction) else v) for name, v in keywords]
    return replace(part, keywords=tuple(below))
