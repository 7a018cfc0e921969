"""Reads the tree of modules of a model from its generated modeling file, without running it."""

import ast
from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

_LIST = "ModuleList"


class ModuleNode(Struct, frozen=True, eq=False):
    """A module with its construction and its parts. The only part of a `ModuleList` is called `0`.

    `other` is the alternative in other layers: `A(...) if layer_idx < n else B(...)`.
    """

    path: str
    kind: str  # the class as written: `Attention`, `nn.Linear`
    definition: ast.ClassDef | None
    parts: "Mapping[str, ModuleNode]"
    other: "ModuleNode | None" = None

    @property
    def is_list(self) -> bool:
        return self.kind.rpartition(".")[2] == _LIST

    def walk(self) -> "Iterator[ModuleNode]":
        """Yields this module and all inside it in the order of construction, including alternatives."""
        yield self
        for part in self.parts.values():
            yield from part.walk()
        if self.other is not None:
            yield from self.other.walk()

    def method(self, name: str) -> ast.FunctionDef | None:
        """A method that the class itself defines."""
        body = self.definition.body if self.definition is not None else []
        return next((item for item in body if isinstance(item, ast.FunctionDef) and item.name == name), None)


def module_tree(text: str, class_name: str) -> ModuleNode:
    """Returns the tree below a class of the file; its own path is empty."""
    classes = {item.name: item for item in ast.parse(text).body if isinstance(item, ast.ClassDef)}
    return _node("", class_name, classes)


def _node(path: str, kind: str, classes: Mapping[str, ast.ClassDef]) -> ModuleNode:
    definition = classes.get(kind)
    parts: dict[str, ModuleNode] = {}
    for name, value in _attributes(definition, classes):
        below = f"{path}.{name}" if path else name
        made: ModuleNode | None = None
        for call in reversed(_constructed(value)):
            written = ast.unparse(call.func)
            if written.rpartition(".")[2] == _LIST:
                made = ModuleNode(below, written, None, _elements(below, call, classes), made)
            elif written in classes or written.startswith(("nn.", "torch.nn.")) or written[:1].isupper():
                made = replace(_node(below, written, classes), other=made)
        if made is not None:
            parts[name] = made
    return ModuleNode(path, kind, definition, parts)


def _elements(path: str, call: ast.Call, classes: Mapping[str, ast.ClassDef]) -> dict[str, ModuleNode]:
    """Returns the element of a list: that of a comprehension, or the first written one."""
    for argument in call.args:
        match argument:
            case ast.GeneratorExp(elt=element) | ast.ListComp(elt=element) | ast.List(elts=[element, *_]):
                if made := _constructed(element):
                    return {"0": _node(f"{path}.0", ast.unparse(made[0].func), classes)}
            case _:
                pass
    return {}


def _attributes(definition: ast.ClassDef | None, classes: Mapping[str, ast.ClassDef]) -> Iterator[tuple[str, ast.expr]]:
    """Yields the attributes that the constructor assigns; for a class without one, its base's."""
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


def _constructed(value: ast.expr) -> list[ast.Call]:
    """Returns the constructions in an assigned value, both for `X(...) if condition else Y(...)`."""
    match value:
        case ast.Call():
            return [value]
        case ast.IfExp(body=body, orelse=orelse):
            return [*_constructed(body), *_constructed(orelse)]
        case _:
            return []
