"""`collections.namedtuple(...)` to the parameters of the class that it makes."""

import ast

from fgc.signatures.signature import Parameter, ParameterKind


def namedtuple_parameters(call: ast.Call, home: str) -> tuple[Parameter, ...] | None:
    """The fields that are written in a call of `namedtuple`; None if they are not."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    try:
        fields = ast.literal_eval(call.args[1] if len(call.args) > 1 else given["field_names"])
        defaults = ast.literal_eval(given["defaults"]) if "defaults" in given else ()
    except (KeyError, ValueError, TypeError):
        return None
    names = fields.replace(",", " ").split() if isinstance(fields, str) else fields
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return None
    defaults = () if defaults is None else defaults
    required = len(names) - len(defaults) if isinstance(defaults, (list, tuple)) else -1
    if required < 0 or "rename" in given:
        return None
    return tuple(
        Parameter(name, ParameterKind.ANY, None if index < required else repr(defaults[index - required]), home=home)
        for index, name in enumerate(names)
    )
