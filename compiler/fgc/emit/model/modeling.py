"""Writes the modeling file from a model's plans: its classes and functions, leaves first, and their imports."""

import ast
from collections.abc import Collection, Iterable, Sequence
from typing import cast

import libcst as cst
from msgspec import Struct, field
from msgspec.structs import replace

from fgc.emit.model.components import ComponentImport, ComponentLibrary, ComponentModule, Definition, constant
from fgc.emit.model.fold import ANY_OBJECT, LAYOUT, NOT_NONE, Facts, Known, fold
from fgc.emit.model.imports import import_block
from fgc.emit.model.initial_rules import InitialRule
from fgc.emit.model.initial_weights import with_rules
from fgc.emit.model.names import ModelNames, reserved_name
from fgc.emit.model.narrowing import narrowed
from fgc.emit.model.plan import ClassPlan, Plans
from fgc.emit.model.render import ClassWriter
from fgc.emit.model.specialise import specialise
from fgc.emit.model.values import PartConstruction

_LAYER_BASE = "GradientCheckpointingLayer"
_NO_SPLIT = "_no_split_modules"
_RECORDS = "_can_record_outputs"
_RECORDED_AS = "recorded_as"
_IN_FLOAT32 = "_keep_in_fp32_modules_strict"
_KEPT_IN_FLOAT32 = "kept_in_float32"
_FILLS_BUFFERS = "init_buffers"
_FLAGS = {
    "_supports_sdpa": "sdpa",
    "_supports_flash_attn": "flash_attention_2",
    "_supports_flex_attn": "flex_attention",
    "_supports_attention_backend": "others",
}
Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement


class ModelPiece(Struct, frozen=True):
    """A generated class, function or constant; `is_rewritten` if it differs from its component file."""

    name: str
    origin: Definition
    is_rewritten: bool
    code: str


class ModelingFile(Struct):
    """Collects the pieces of one modeling file; `clashes` are names that would have two meanings."""

    library: ComponentLibrary
    plans: Plans
    names: ModelNames
    attention: Sequence[str] = tuple(_FLAGS.values())  # the implementations that the model supports
    derived: Collection[str] = ()  # fields that the configuration class fills in
    rules: Sequence[InitialRule] = ()  # for initial weights; without rules, transformers' own
    pieces: dict[str, ModelPiece] = field(default_factory=dict)
    imports: dict[str, ComponentImport] = field(default_factory=dict)
    clashes: list[tuple[str, list[Definition]]] = field(default_factory=list)
    _trees: dict[ComponentModule, dict[str, Statement]] = field(default_factory=dict)
    _known: Facts = field(default_factory=dict)

    def text(self, model: PartConstruction, header: str) -> str:
        """Returns the file's text, before formatting."""
        plan = self.plans[model]
        self._known = {**self._config_facts(), **self._method_facts()}
        self._add_class(plan)
        if self._recorded():
            self._import(ComponentImport("transformers.utils.output_capturing", "OutputRecorder", "OutputRecorder"))
        self._import(ComponentImport(f".{self.names.config_module}", self.names.config_class, self.names.config_class))
        self.clashes += [(name, [piece.origin]) for name, piece in self.pieces.items() if name in self.imports]
        skeleton = [piece for piece in self.pieces.values() if piece.origin.module is plan.definition.module]
        leaves = [piece for piece in self.pieces.values() if piece.origin.module is not plan.definition.module]
        exported = [piece.name for piece in skeleton if piece.name.startswith(self.names.title)]
        top = f"{header}\n\n{import_block(self.imports.values())}"
        blocks = [top, *(piece.code for piece in (*leaves, *skeleton))]
        return "\n\n\n".join([*blocks, self._registration(exported)])

    def _config_facts(self) -> Facts:
        """Returns facts about fields of the configuration that are never None."""
        fields = sorted(self.plans.set_fields)
        return {f"{owner}.{name}": NOT_NONE for owner in ("self.config", "config") for name in fields}

    def _method_facts(self) -> Facts:
        """Returns the fact that no class of the model has the method `init_buffers`, if that is certain."""
        modules = dict.fromkeys(plan.definition.module for plan in self.plans)
        names = ((module, name) for module in modules for name in (*module.definitions, *module.imports))
        found = (self.library.definition(*place) for place in names)
        if any(self._has_method(item, _FILLS_BUFFERS) for item in found if item is not None):
            return {}
        return {f"{ANY_OBJECT}.{_FILLS_BUFFERS}": Known(None)}

    def _has_method(self, definition: Definition, name: str) -> bool:
        nodes = (item.node for item in (definition, *self.library.bases(definition)))
        bodies = (node.body for node in nodes if isinstance(node, ast.ClassDef))
        return any(isinstance(item, ast.FunctionDef) and item.name == name for body in bodies for item in body)

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
        is_rewritten = bool(plan.written) or plan.takes_config
        if self._is_taken(plan.name, plan.definition, is_rewritten):
            return
        render = ClassWriter(self.plans)
        node = self._tree(plan.definition)
        assert isinstance(node, cst.ClassDef), f"{plan.definition.name} is not a class"
        node = specialise(node, plan, render, self.names.config_class, self._known)
        self._add(ModelPiece(plan.name, plan.definition, is_rewritten, ""), node, render, plan.base)

    def _add_definition(self, definition: Definition, base: ClassPlan | None) -> None:
        """Adds a base class, a function or a constant without rewriting it."""
        name = reserved_name(definition, self.names)
        if not self._is_taken(name, definition, False):
            render = ClassWriter(self.plans)
            node = cast(Statement, fold(self._tree(definition), self._known))
            if isinstance(node, cst.ClassDef):
                node = with_rules(node, self.rules, render)
            self._add(ModelPiece(name, definition, False, ""), node, render, base)

    def _add(self, piece: ModelPiece, node: Statement, render: ClassWriter, base: ClassPlan | None) -> None:
        """Adds the definitions that the code mentions, then the piece; `base` plans the class with its constructor."""
        inserted = {part.name for part in render.parts} | {imported.alias for imported in render.imports}
        mentioned = [*_used_names(node)]
        used = [name for name in mentioned if name not in inserted]
        self.pieces[piece.name] = piece  # reserves the name while its parts are added
        for part in render.parts:
            self._add_class(part) if isinstance(part, ClassPlan) else self._add_definition(part, None)
        for imported in render.imports:
            if imported.alias in mentioned:  # otherwise only a removed branch mentioned it
                self._import(imported)
        renames = {name: self._add_used(piece.origin, name, base) for name in used}
        del self.pieces[piece.name]
        self.pieces[piece.name] = replace(piece, code=self._code(node, {**renames, piece.origin.name: piece.name}))

    def _add_used(self, user: Definition, name: str, base: ClassPlan | None) -> str:
        """Adds the definition of a name in a component file, and returns its name in the generated file."""
        target = self.library.definition(user.module, name)
        if target is not None and base is not None and target == base.definition:
            self._add_class(base)
            return base.name
        if target is not None and target != user:
            self._add_definition(target, base if target in self.library.bases(user) else None)
            return reserved_name(target, self.names)
        if name == "PreTrainedConfig":
            return self.names.config_class
        if target is None and name in user.module.imports:
            self._import(user.module.imports[name])
        return name

    def _code(self, node: Statement, renames: dict[str, str]) -> str:
        changes = {old: new for old, new in renames.items() if old != new}
        renamed = _plain_lead(node).visit(_Renamer(changes, self._class_attributes()))
        assert isinstance(renamed, Statement), "renaming removes nothing"
        renamed = narrowed(renamed, self.derived) if isinstance(renamed, cst.ClassDef) else renamed
        return cst.Module([renamed]).code.strip()

    def _is_taken(self, name: str, definition: Definition, is_rewritten: bool) -> bool:
        other = self.pieces.get(name)
        if other is not None and (other.origin != definition or other.is_rewritten is not is_rewritten):
            self.clashes.append((name, list(dict.fromkeys((other.origin, definition)))))
        return other is not None

    def _import(self, imported: ComponentImport) -> None:
        if self.imports.setdefault(imported.alias, imported) != imported:
            self.clashes.append((imported.alias, []))

    def _class_attributes(self) -> dict[str, object]:
        """Returns what the skeleton leaves open: classes that must stay on one device (those with a residual stream),
        the attention implementations that do not work, and what components declare; None takes an attribute out."""
        layers = [plan.name for plan in self.plans if _is_layer(plan.definition, self.library)]
        refused = {flag: False for flag, name in _FLAGS.items() if name not in self.attention}
        return {_NO_SPLIT: layers, **refused, _RECORDS: self._recorded(), _IN_FLOAT32: self._kept_in_float32()}

    def _recorded(self) -> dict[str, str]:
        """Returns the outputs that transformers can record, as declared by the components: key to class."""
        found: dict[str, str] = {}
        for plan in self.plans:
            if isinstance(key := constant(plan.definition, _RECORDED_AS), str):
                found[key] = plan.name
        return found

    def _kept_in_float32(self) -> list[str] | None:
        """Returns the tensors that components declare as float32 for transformers to load; None if there are none."""
        found = {constant(plan.definition, _KEPT_IN_FLOAT32) for plan in self.plans}
        return sorted(name for name in found if isinstance(name, str)) or None

    def _tree(self, definition: Definition) -> Statement:
        module = definition.module
        if module not in self._trees:
            self._trees[module] = dict(_named_statements(cst.parse_module(module.source.text)))
        return self._trees[module][definition.name]


def _is_layer(definition: Definition, library: ComponentLibrary) -> bool:
    for item in (definition, *library.bases(definition)):
        assert isinstance(item.node, ast.ClassDef), f"{item.name} is not a class"
        if any(isinstance(base, ast.Name) and base.id == _LAYER_BASE for base in item.node.bases):
            return True
    return False


def _named_statements(module: cst.Module) -> Iterable[tuple[str, Statement]]:
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


def _plain_lead(node: Statement) -> Statement:
    """Returns a statement with the comments right above it, without blank lines."""
    assert isinstance(node, cst.ClassDef | cst.FunctionDef | cst.SimpleStatementLine), "a definition"
    comments = [line for line in node.leading_lines if line.comment is not None]
    return node.with_changes(leading_lines=comments)


def _used_names(node: Statement) -> list[str]:
    """Returns every name that the code mentions, in order, each once."""
    tree = ast.parse(cst.Module([node]).code)
    found = [item for item in ast.walk(tree) if isinstance(item, ast.Name)]
    found.sort(key=lambda item: (item.lineno, item.col_offset))
    return list(dict.fromkeys(item.id for item in found))


def _class_attribute(name: str, written: cst.BaseExpression, value: object) -> cst.BaseExpression:
    """Returns the value of a class attribute; outputs to record are added to the written ones."""
    if name != _RECORDS:
        return cst.parse_expression(repr(value))
    assert isinstance(written, cst.Dict) and isinstance(value, dict), "outputs to record are a dict"
    added = [(repr(key), f"OutputRecorder({class_name}, index=0)") for key, class_name in value.items()]
    pairs = [cst.DictElement(cst.parse_expression(key), cst.parse_expression(text)) for key, text in added]
    return written.with_changes(elements=[*written.elements, *pairs])


class _Renamer(cst.CSTTransformer):
    """Gives classes their generated names, and class attributes of the skeleton their values."""

    def __init__(self, renames: dict[str, str], attributes: dict[str, object]) -> None:
        super().__init__()
        self._renames = renames
        self._attributes = attributes

    def on_visit(self, node: cst.CSTNode) -> bool:
        return not isinstance(node, LAYOUT) and super().on_visit(node)

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        name = self._renames.get(updated_node.value)
        return updated_node if name is None else updated_node.with_changes(value=name)

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        return updated_node.with_changes(attr=original_node.attr)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        return updated_node.with_changes(keyword=original_node.keyword)

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.RemovalSentinel:
        match updated_node.body:
            case [cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))]) as assign] if (
                name in self._attributes
            ):
                if self._attributes[name] is None:
                    return cst.RemoveFromParent()
                value = _class_attribute(name, assign.value, self._attributes[name])
                return cst.SimpleStatementLine([assign.with_changes(value=value)])
            case _:
                return updated_node
