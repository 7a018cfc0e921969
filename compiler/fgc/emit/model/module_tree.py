"""A generated modeling file to the tree of modules that its model will be made of; read, never run."""

import ast
from collections.abc import Iterator, Mapping

from msgspec import Struct

_LIST = "ModuleList"


class ModuleNode(Struct, frozen=True, eq=False):
    """A module: what it is constructed of, and its parts. The one part of a `ModuleList` is called `0`."""

    path: str
    kind: str  # the class as written: `Attention`, `nn.Linear`
    definition: ast.ClassDef | None
    parts: "Mapping[str, ModuleNode]"

    @property
    def is_list(self) -> bool:
        return self.kind.rpartition(".")[2] == _LIST

    def walk(self) -> "Iterator[ModuleNode]":
        """This module and all inside it, in the order of construction."""
        yield self
        for part in self.parts.values():
            yield from part.walk()

    def method(self, name: str) -> ast.FunctionDef | None:
        """A method that the class itself defines."""
        body = self.definition.body if self.definition is not None else []
        return next((item for item in body if isinstance(item, ast.FunctionDef) and item.name == name), None)


def module_tree(text: str, class_name: str) -> ModuleNode:
    """The tree below a class of the file; its own path is empty."""
    classes = {item.name: item for item in ast.parse(text).body if isinstance(item, ast.ClassDef)}
    return _node("", class_name, classes)


def _node(path: str, kind: str, classes: Mapping[str, ast.ClassDef]) -> ModuleNode:
    definition = classes.get(kind)
    parts: dict[str, ModuleNode] = {}
    for name, value in _attributes(definition, classes):
        below = f"{path}.{name}" if path else name
        call = _constructed(value)
        if call is None:
            continue
        written = ast.unparse(call.func)
        if written.rpartition(".")[2] == _LIST:
            parts[name] = ModuleNode(below, written, None, _elements(below, call, classes))
        elif written in classes or written.startswith(("nn.", "torch.nn.")) or written[:1].isupper():
            parts[name] = _node(below, written, classes)
    return ModuleNode(path, kind, definition, parts)


def _elements(path: str, call: ast.Call, classes: Mapping[str, ast.ClassDef]) -> dict[str, ModuleNode]:
    """Returns what a list is made of: the element of a comprehension, or the first of those written out."""
    for argument in call.args:
        match argument:
            case ast.GeneratorExp(elt=element) | ast.ListComp(elt=element) | ast.List(elts=[element, *_]):
                made = _constructed(element)
                if made is not None:
                    return {"0": _node(f"{path}.0", ast.unparse(made.func), classes)}
            case _:
                pass
    return {}


def _attributes(definition: ast.ClassDef | None, classes: Mapping[str, ast.ClassDef]) -> Iterator[tuple[str, ast.expr]]:
    """Returns what the constructor assigns to attributes; of a class without one, its base's."""
    if definition is None:
        return
    init = next((i for i in definition.body if isinstance(i, ast.FunctionDef) and i.name == "__init__"), None)
    if init is None:
        for base in definition.bases:
            yield from _attributes(classes.get(ast.unparse(base)), classes)
        return
    for item in ast.walk(init):
        match item:
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)], value=value):
                yield name, value
            case _:
                pass


def _constructed(value: ast.expr) -> ast.Call | None:
    """The construction in an assigned value, also in `X(...) if condition else None`."""
    match value:
        case ast.Call():
            return value
        case ast.IfExp(body=ast.Call() as made) | ast.IfExp(orelse=ast.Call() as made):
            return made
        case _:
            return None
