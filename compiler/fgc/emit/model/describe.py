"""Reads graph nodes as the values of a model, and checks them against the signatures of its components.

Every mistake becomes a diagnostic at its place in the template. A wrong value is None, and its siblings are still
checked.
"""

from collections.abc import Container, Sequence

from msgspec import Struct

from fgc.diagnostics import Diagnostic, Related, did_you_mean
from fgc.emit.model.components import BrokenModule, ComponentLibrary, ComponentModule, ComponentSignature, Definition
from fgc.emit.model.handover import CallShape, call_shapes
from fgc.emit.model.initial_rules import holds_rules, rules_problem, takes_rules
from fgc.emit.model.names import CAUSAL_LM
from fgc.emit.model.values import (
    OPERATORS,
    Constant,
    ConstantTable,
    Field,
    Items,
    LibraryCallable,
    Operation,
    PartConstruction,
    Value,
    has_construction,
    parts,
)
from fgc.ir import (
    Call,
    CallKind,
    Deferred,
    DictNode,
    Graph,
    Keyword,
    ListNode,
    Literal,
    NodeId,
    Symbol,
    SymbolKind,
    Var,
    display_type,
)
from fgc.ir.searchpath import searchpath
from fgc.text import Origin

_HAND_ON = "name `config` in its constructor, and pass it on: the generated model provides it"
_MAX_SIZE = 5000  # values: 61 layers, each written separately, have 2,000


class _Argument(Struct, frozen=True):
    """An argument with its parameter's name; `origin` is its place in the template."""

    name: str
    node: NodeId
    origin: Origin


class Describer:
    """Reads nodes of one model package's graph, and collects `diagnostics`."""

    def __init__(
        self, graph: Graph, library: ComponentLibrary, fields: Sequence[str], searchpath: Sequence[str]
    ) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._graph = graph
        self._library = library
        self._fields = fields
        self._searchpath = tuple(searchpath)
        self._known: dict[NodeId, Value | None] = {}
        self._checked: set[NodeId] = set()
        self._sizes: dict[int, int] = {}

    def value(self, node_id: NodeId) -> Value | None:
        """Returns the value of a node; None if it is wrong."""
        if node_id not in self._known:
            self._known[node_id] = self._bounded(node_id, self._read(node_id))
        return self._known[node_id]

    def _bounded(self, node_id: NodeId, value: Value | None) -> Value | None:
        """Returns the value, unless it is too large when everything shared in it is written out."""
        if value is None:
            return None
        size = 1 + sum(self._sizes.get(id(part), 1) for part in parts(value))
        self._sizes[id(value)] = size  # the ids stay valid: `_known` keeps the values alive
        if size <= _MAX_SIZE:
            return value
        help_text = "parts that are mentioned twice on each of many levels double with every level"
        message = f"this part of a model unfolds to more than {_MAX_SIZE:,} values"
        return self._reject(self._graph[node_id].origin, message, help_text)

    def model(self, node_id: NodeId) -> PartConstruction | None:
        """Returns the value of the node for the whole model, which is constructed with the configuration alone."""
        value = self.value(node_id)
        if value is None:
            return None
        is_component = isinstance(value, PartConstruction) and isinstance(value.target, Definition) and value.is_partial
        if not isinstance(value, PartConstruction) or not is_component or not _is_causal_lm(value):
            message = f"the model must be a component whose class name ends in `{CAUSAL_LM}`"
            help_text = "for example `!partial:.causal_lm:DecoderForCausalLM`"
            self._reject(self._graph[node_id].origin, message, help_text)
            return None
        self._check_complete(node_id, value, [CallShape(0, frozenset())])
        return value

    def _read(self, node_id: NodeId) -> Value | None:
        node = self._graph[node_id]
        match node:
            case Literal():
                return Constant.of(node.value)
            case Deferred():
                return self._reject(node.origin, "this value is known only when the program runs")
            case ListNode():
                items = [self.value(item) for item in node.items]
                return None if None in items else Items(tuple(item for item in items if item is not None))
            case DictNode():
                return self._table(node)
            case Var():
                return self._field(node)
            case Call():
                return self._call(node)

    def _table(self, node: DictNode) -> Value | None:
        entries = [(entry.key, self.value(entry.value)) for entry in node.entries]
        pairs = [(Constant.of(k), v) for k, v in entries if v is not None and not isinstance(k, tuple)]
        return ConstantTable(tuple(pairs)) if len(pairs) == len(entries) else None

    def _field(self, node: Var) -> Value | None:
        if node.name in self._fields:
            return Field(node.name)
        if node.default is not None:
            return self.value(node.default)
        message = f"`!var {node.name}` names no field of the model's configuration"
        help_text = did_you_mean(node.name, self._fields) or "its fields: " + ", ".join(self._fields)
        self.diagnostics.append(Diagnostic.at(node.origin, "FGC412", message, help=help_text))
        return None

    def _call(self, node: Call) -> Value | None:
        symbol = node.callee
        if symbol.container == "operator" and symbol.attribute in OPERATORS and len(node.positional) == 2:
            left, right = (self.value(operand) for operand in node.positional)
            if left is None or right is None:
                return None
            if has_construction(left) or has_construction(right):
                return self._reject(node.origin, f"`{symbol.text}` joins numbers and fields, not components")
            return Operation(OPERATORS[symbol.attribute], left, right)
        if display_type(node) is not None:
            return self._named_container(node)
        if node.kind is CallKind.SINGLETON:
            help_text = (
                "write `!partial`, so that every place in the model gets its own; a value that the program computes "
                "belongs in the configuration: read it with `!var`"
            )
            return self._reject(node.origin, f"`{symbol.text}` would be one object, shared by all layers", help_text)
        if node.kind is CallKind.META or node.latent is not None:
            return self._reject(node.origin, "a part of a model cannot be computed while building")
        return self._construction(node)

    def _named_container(self, node: Call) -> Value | None:
        if display_type(node) is not dict:
            return self.value(node.positional[0]) if node.positional else Items(())
        pairs = [(Constant.of(keyword.name), self.value(keyword.value)) for keyword in node.keywords]
        found = tuple((key, value) for key, value in pairs if value is not None)
        return ConstantTable(found) if len(found) == len(pairs) else None

    def _construction(self, node: Call) -> Value | None:
        own = (folder for folder, _ in searchpath(self._graph, node.searchpath))
        target = self._target(node.callee, (*own, *self._searchpath))
        values = [self.value(child) for child in (*node.positional, *(keyword.value for keyword in node.keywords))]
        if target is None:
            return None
        if isinstance(target, Definition):
            return self._component(node, target)
        found = [value for value in values if value is not None]
        if len(found) < len(values):
            return None
        positional, named = found[: len(node.positional)], found[len(node.positional) :]
        keywords = tuple(zip((keyword.name for keyword in node.keywords), named, strict=True))
        return PartConstruction(target, node.kind is CallKind.PARTIAL, tuple(positional), keywords, node.callee)

    def _component(self, node: Call, target: Definition) -> Value | None:
        signature = self._library.signature(target)
        arguments = self._arguments(node, target, signature)
        if arguments is None:
            return None
        shapes = call_shapes(target, self._library)
        bound: dict[str, Value] = {}
        is_good = True
        for argument in arguments:
            value = self.value(argument.node)
            is_good &= value is not None
            if value is not None:
                is_good &= self._is_good_part(argument, value, target, signature, shapes.get(argument.name, []))
                bound[argument.name] = value
        order = [name for name in signature.by_name if name in bound]
        order += [name for name in bound if name not in order]
        values = tuple((name, bound[name]) for name in order)
        return PartConstruction(target, node.kind is CallKind.PARTIAL, (), values, node.callee) if is_good else None

    def _arguments(self, node: Call, target: Definition, signature: ComponentSignature) -> "list[_Argument] | None":
        """Returns the arguments by the names of their parameters; None if any does not fit."""
        slots = signature.positional
        if len(node.positional) > len(slots):
            message = f"`{target.name}` takes {len(slots)} positional arguments, not {len(node.positional)}"
            self._report(node.origin, "FGC413", message, target)
            return None
        filled = {slot.name: value for slot, value in zip(slots, node.positional, strict=False)}
        fits = [self._fits(target, signature, keyword, filled) for keyword in node.keywords]
        if not all(fits):
            return None
        by_place = [_Argument(name, value, self._graph[value].origin) for name, value in filled.items()]
        return by_place + [_Argument(keyword.name, keyword.value, keyword.origin) for keyword in node.keywords]

    def _fits(
        self, target: Definition, signature: ComponentSignature, keyword: Keyword, filled: Container[str]
    ) -> bool:
        if keyword.name == "config":
            self._report(keyword.origin, "FGC413", "`config` is provided by the generated model", target)
        elif keyword.name in filled:
            self._report(keyword.origin, "FGC413", f"`{keyword.name}` is given twice: by position and by name", target)
        elif keyword.name not in signature.accepted and not signature.takes_any_keyword:
            names = [name for name in signature.accepted if name != "config"]
            help_text = did_you_mean(keyword.name, names) or "its parameters: " + ", ".join(names)
            message = f"`{target.name}` has no parameter `{keyword.name}`"
            self._report(keyword.origin, "FGC501", message, target, help_text)
        else:
            return True
        return False

    def _is_good_part(
        self,
        argument: "_Argument",
        value: Value,
        user: Definition,
        signature: ComponentSignature,
        shapes: list[CallShape],
    ) -> bool:
        """Returns True if `user` can call an argument as it does: a part must get all arguments it needs."""
        parameter = signature.accepted.get(argument.name)
        if parameter is not None and takes_rules(parameter.annotation):
            return self._is_good_table(argument, value, user)
        if isinstance(value, PartConstruction):
            if not value.is_partial and shapes:
                message = f"`{user.name}` constructs `{argument.name}` itself: write `!partial`"
                self._report(argument.origin, "FGC413", message, user)
                return False
            self._check_complete(argument.node, value, shapes if value.is_partial else [CallShape(0, frozenset())])
            return True
        is_optional = parameter is not None and "None" in (parameter.annotation or "None")
        is_absent = isinstance(value, Constant) and value.value is None and is_optional
        if shapes and not is_absent:
            self._report(argument.origin, "FGC413", f"`{argument.name}` of `{user.name}` must be a component", user)
            return False
        return True

    def _is_good_table(self, argument: "_Argument", value: Value, user: Definition) -> bool:
        """Returns True if an argument is a table of rules for initial weights, or None."""
        if isinstance(value, Constant) and value.value is None:
            return True
        if not isinstance(value, PartConstruction) or not holds_rules(value, self._library):
            message = f"`{argument.name}` of `{user.name}` must be a table of rules"
            self._report(argument.origin, "FGC413", message, user, "write `!partial:.initializers:Initializer`")
            return False
        problem = rules_problem(value)
        if problem is not None:
            self._reject(value.symbol.origin, problem)
        return problem is None

    def _check_complete(self, node_id: NodeId, part: PartConstruction, shapes: list[CallShape]) -> None:
        if not isinstance(part.target, Definition) or node_id in self._checked:
            return
        self._checked.add(node_id)
        signature = self._library.signature(part.target)
        for shape in shapes:
            problem = shape.problem(signature, part.arguments)
            if problem is not None:
                self._report(part.symbol.attribute_origin, "FGC413", f"`{part.target.name}` {problem}", part.target)
                return
            filled = {*part.arguments, *shape.bind(signature, part.arguments)}
            needed = [p for p in signature.parameters if p.name != "config"] + list(signature.handed_on)
            missing = [p for p in needed if p.default is None and p.name not in filled]
            for parameter in missing:
                message = f"`{part.target.name}` needs the argument `{parameter.name}`"
                related = Related(parameter.span, f"`{parameter.name}` has no default")
                origin = part.symbol.attribute_origin
                is_lost = parameter.name == "config"
                help_text = _HAND_ON if is_lost else None
                self.diagnostics.append(Diagnostic.at(origin, "FGC503", message, help=help_text, related=[related]))
            if missing:
                return

    def _target(self, symbol: Symbol, searchpath: Sequence[str]) -> Definition | LibraryCallable | None:
        match symbol.kind:
            case SymbolKind.COMPONENT:
                module = self._library.find(symbol.container.lstrip("."), searchpath)
            case SymbolKind.FILE:
                module = self._library.file(symbol.container, searchpath)
            case SymbolKind.MODULE:
                module = self._library.installed(symbol.container)
                if module is None:
                    return LibraryCallable(symbol.container, symbol.attribute)
            case SymbolKind.BUILTIN:
                return LibraryCallable("builtins", symbol.attribute)
        if isinstance(module, ComponentModule):
            return self._attribute(symbol, module)
        if isinstance(module, BrokenModule):
            related = Related(module.span, module.message)
            message = f"the component file of `{symbol.text}` is not valid Python"
            self.diagnostics.append(Diagnostic.at(symbol.origin, "FGC502", message, related=[related]))
            return None
        names = self._library.module_names(searchpath)
        help_text = did_you_mean(symbol.container.lstrip("."), names) or "known: " + ", ".join(names)
        message = f"there is no component file `{symbol.container.lstrip('.')}`"
        self.diagnostics.append(Diagnostic.at(symbol.origin, "FGC502", message, help=help_text))
        return None

    def _attribute(self, symbol: Symbol, module: ComponentModule) -> Definition | None:
        definition = self._library.definition(module, symbol.attribute)
        if definition is not None:
            return definition
        names = [name for name in module.definitions if not name.startswith("_")]
        help_text = did_you_mean(symbol.attribute, names) or "it defines " + ", ".join(names)
        message = f"`{module.source.display_name}` defines no component `{symbol.attribute}`"
        self.diagnostics.append(Diagnostic.at(symbol.attribute_origin, "FGC502", message, help=help_text))
        return None

    def _reject(self, origin: Origin, message: str, help_text: str | None = None) -> Value | None:
        self.diagnostics.append(Diagnostic.at(origin, "FGC413", message, help=help_text))
        return None

    def _report(
        self, origin: Origin, code: str, message: str, target: Definition, help_text: str | None = None
    ) -> None:
        related = Related(target.span, f"`{target.name}` is defined here")
        self.diagnostics.append(Diagnostic.at(origin, code, message, help=help_text, related=[related]))


def _is_causal_lm(part: PartConstruction) -> bool:
    name = part.target.name if isinstance(part.target, Definition) else part.target.attribute
    return name.endswith(CAUSAL_LM) and name != CAUSAL_LM
