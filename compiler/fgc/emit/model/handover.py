"""Finds the arguments that a component passes to its parts: the calls of factory parameters in its constructor."""

import ast
from collections.abc import Mapping

from msgspec import Struct

from fgc.emit.model.components import ComponentLibrary, ComponentSignature, Definition, constructor


class CallShape(Struct, frozen=True):
    """The form of a call of a part: its number of positional arguments, and its keywords."""

    num_positional: int
    keywords: frozenset[str]

    def bind(self, signature: ComponentSignature, given: Mapping[str, object]) -> list[str]:
        """Returns the parameters that the call fills, apart from those that the template gives."""
        free = [parameter.name for parameter in signature.positional if parameter.name not in given]
        return [*free[: self.num_positional], *sorted(self.keywords - {"config"})]

    def problem(self, signature: ComponentSignature, given: Mapping[str, object]) -> str | None:
        """Returns why a component with this signature cannot be called so, or None."""
        num_free = len([parameter for parameter in signature.positional if parameter.name not in given])
        if self.num_positional > num_free:
            count = f"{self.num_positional} positional argument{'s' if self.num_positional > 1 else ''}"
            return f"is constructed with {count}, but can take {num_free}"
        for name in sorted(self.keywords - {"config"}):
            if name not in signature.accepted and not signature.takes_any_keyword:
                return f"is constructed with `{name}`, but has no such parameter"
        return None


def call_shapes(definition: Definition, library: ComponentLibrary) -> dict[str, list[CallShape]]:
    """Returns, for each parameter that the constructor calls, the shapes of the calls."""
    shapes: dict[str, list[CallShape]] = {}
    signature = library.signature(definition)
    if signature.handed_on and signature.owner is not None:
        of_base = call_shapes(library.bases(signature.owner)[0], library)
        shapes = {item.name: of_base[item.name] for item in signature.handed_on if item.name in of_base}
    names = signature.by_name
    owner = signature.owner.node if signature.owner is not None else None
    init = constructor(owner) if isinstance(owner, ast.ClassDef) else None
    for node in ast.walk(init) if init is not None else ():
        match node:
            case ast.Call(func=ast.Name(id=name), args=positional, keywords=keywords) if name in names:
                handed = [argument for argument in positional if not _is_config(argument)]
                shape = CallShape(len(handed), frozenset(k.arg for k in keywords if k.arg is not None))
                shapes.setdefault(name, []).append(shape)
            case _:
                pass
    return shapes


def _is_config(argument: ast.expr) -> bool:
    """Returns True for the argument `config`, which the generator passes itself."""
    return isinstance(argument, ast.Name) and argument.id == "config"
