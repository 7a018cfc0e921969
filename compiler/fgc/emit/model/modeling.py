"""The plans of a model to its modeling file: the classes and functions it needs, leaves first, and their imports."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

import libcst as cst

from fgc.emit.model.components import ComponentLibrary, ComponentModule, Definition, ImportedName
from fgc.emit.model.imports import import_block
from fgc.emit.model.plan import ClassPlan, Plans
from fgc.emit.model.render import Renderer
from fgc.emit.model.specialise import specialise
from fgc.emit.model.values import Construction

_LAYER_BASE = "GradientCheckpointingLayer"
_NO_SPLIT = "_no_split_modules"


@dataclass(frozen=True, slots=True)
class ModelNames:
    """What the generated classes and files are called; `prefix` is replaced by `title` in the skeleton's names."""

    package: str
    title: str
    prefix: str

    @property
    def config_class(self) -> str:
        return f"{self.title}Config"

    @property
    def causal_lm_class(self) -> str:
        return f"{self.title}ForCausalLM"

    @property
    def base_class(self) -> str:
        return f"{self.title}Model"

    @property
    def config_module(self) -> str:
        return f"configuration_{self.package}"

    @property
    def modeling_module(self) -> str:
        return f"modeling_{self.package}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A generated class, function or constant."""

    name: str
    origin: Definition
    code: str


@dataclass(slots=True)
class ModelingFile:
    """Collects the pieces of one modeling file; `clashes` are names that would mean two things."""

    library: ComponentLibrary
    plans: Plans
    names: ModelNames
    pieces: dict[str, Piece] = field(default_factory=dict)
    imports: dict[str, ImportedName] = field(default_factory=dict)
    clashes: list[tuple[str, Definition, Definition]] = field(default_factory=list)
    _trees: dict[ComponentModule, dict[str, cst.BaseStatement]] = field(default_factory=dict)

    def text(self, model: Construction, header: str) -> str:
        """The file's text, before formatting."""
        plan = self.plans[model]
        self._add_class(plan)
        config = ImportedName(f".{self.names.config_module}", self.names.config_class, self.names.config_class)
        self._import(config)
        skeleton = [piece for piece in self.pieces.values() if piece.origin.module is plan.definition.module]
        leaves = [piece for piece in self.pieces.values() if piece.origin.module is not plan.definition.module]
        exported = [piece.name for piece in skeleton if piece.name.startswith(self.names.title)]
        blocks = [header, import_block(self.imports.values()), *(piece.code for piece in (*leaves, *skeleton))]
        return "\n\n\n".join([*blocks, self._registration(exported)])

    def _registration(self, exported: list[str]) -> str:
        names = self.names
        return (
            f"__all__ = {sorted(exported)!r}\n\n"
            "# save_pretrained copies these files beside the weights, so that they load anywhere\n"
            f"{names.config_class}.register_for_auto_class()\n"
            f'{names.base_class}.register_for_auto_class("AutoModel")\n'
            f'{names.causal_lm_class}.register_for_auto_class("AutoModelForCausalLM")\n'
        )

    def _add_class(self, plan: ClassPlan) -> None:
        if self._is_taken(plan.name, plan.definition):
            return
        render = Renderer(self.plans)
        node = self._tree(plan.definition)
        assert isinstance(node, cst.ClassDef), f"{plan.definition.name} is not a class"
        node = specialise(node, plan, render, self.names.config_class)
        node = node.with_changes(name=cst.Name(plan.name))
        self._add(plan.name, plan.definition, node, render)

    def _add_definition(self, definition: Definition) -> None:
        """A class that is only inherited from, a function or a constant: taken as it is."""
        name = self._renamed(definition)
        if not self._is_taken(name, definition):
            node = self._tree(definition)
            if isinstance(node, cst.ClassDef):
                node = node.with_changes(name=cst.Name(name))
            self._add(name, definition, node, Renderer(self.plans))

    def _add(self, name: str, definition: Definition, node: cst.BaseStatement, render: Renderer) -> None:
        node = _plain_lead(node)
        inserted = {part.name for part in render.parts} | {imported.alias for imported in render.imports}
        used = [item for item in _used_names(node) if item not in inserted]
        renames = {"PreTrainedConfig": self.names.config_class} if "PreTrainedConfig" in used else {}
        self.pieces[name] = Piece(name, definition, "")  # holds the name while its parts are added
        for part in render.parts:
            self._add_class(part) if isinstance(part, ClassPlan) else self._add_definition(part)
        for imported in render.imports:
            self._import(imported)
        for item in used:
            target = self.library.definition(definition.module, item)
            if target is not None:
                renames |= {item: self._renamed(target)}
                self._add_definition(target)
            elif item in definition.module.imports and item not in renames:
                self._import(definition.module.imports[item])
        del self.pieces[name]
        renamed = node.visit(_Renamer({old: new for old, new in renames.items() if old != new}, self._layer_names()))
        assert isinstance(renamed, cst.CSTNode), "renaming removes nothing"
        self.pieces[name] = Piece(name, definition, cst.Module([renamed]).code.strip())  # type: ignore[list-item]

    def _is_taken(self, name: str, definition: Definition) -> bool:
        other = self.pieces.get(name)
        if other is not None and other.origin != definition:
            self.clashes.append((name, other.origin, definition))
        return other is not None

    def _import(self, imported: ImportedName) -> None:
        self.imports[imported.alias] = imported

    def _renamed(self, definition: Definition) -> str:
        return reserved_name(definition, self.names)

    def _layer_names(self) -> list[str]:
        """The classes that must stay on one device: those with a residual stream."""
        return [plan.name for plan in self.plans if _is_layer(plan.definition, self.library)]

    def _tree(self, definition: Definition) -> cst.BaseStatement:
        module = definition.module
        if module not in self._trees:
            self._trees[module] = dict(_named_statements(cst.parse_module(module.source.text)))
        return self._trees[module][definition.name]


def reserved_name(definition: Definition, names: ModelNames) -> str:
    """The name of a definition in the generated file: the skeleton's classes take the model's name."""
    if names.prefix and definition.is_class and definition.name.startswith(names.prefix):
        return names.title + definition.name.removeprefix(names.prefix)
    return definition.name


def _is_layer(definition: Definition, library: ComponentLibrary) -> bool:
    for item in (definition, *library.bases(definition)):
        assert isinstance(item.node, ast.ClassDef), f"{item.name} is not a class"
        if any(isinstance(base, ast.Name) and base.id == _LAYER_BASE for base in item.node.bases):
            return True
    return False


def _named_statements(module: cst.Module) -> Iterable[tuple[str, cst.BaseStatement]]:
    for statement in module.body:
        match statement:
            case cst.ClassDef() | cst.FunctionDef():
                yield statement.name.value, statement
            case cst.SimpleStatementLine(body=[cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))])]):
                yield name, statement
            case cst.SimpleStatementLine(body=[cst.AnnAssign(target=cst.Name(value=name))]):
                yield name, statement
            case _:
                pass


def _plain_lead(node: cst.BaseStatement) -> cst.BaseStatement:
    """With the comments right above it, without the blank lines."""
    assert isinstance(node, cst.ClassDef | cst.FunctionDef | cst.SimpleStatementLine), "a definition"
    comments = [line for line in node.leading_lines if line.comment is not None]
    return node.with_changes(leading_lines=comments)


def _used_names(node: cst.BaseStatement) -> list[str]:
    """Every name that the code mentions, in order, each once."""
    tree = ast.parse(cst.Module([node]).code)  # type: ignore[list-item]
    found = [item for item in ast.walk(tree) if isinstance(item, ast.Name)]
    found.sort(key=lambda item: (item.lineno, item.col_offset))
    return list(dict.fromkeys(item.id for item in found))


class _Renamer(cst.CSTTransformer):
    """Gives classes their generated names, and names the layer classes where the skeleton asks for them."""

    def __init__(self, renames: dict[str, str], layers: list[str]) -> None:
        super().__init__()
        self._renames = renames
        self._layers = layers

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        return updated_node.with_changes(value=self._renames.get(updated_node.value, updated_node.value))

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        return updated_node.with_changes(attr=original_node.attr)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        return updated_node.with_changes(keyword=original_node.keyword)

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine:
        match updated_node.body:
            case [cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))]) as assign] if name == _NO_SPLIT:
                value = cst.parse_expression(repr(self._layers))
                return cst.SimpleStatementLine([assign.with_changes(value=value)])
            case _:
                return updated_node
