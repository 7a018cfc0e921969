"""Writes values and calls of parts as Python expressions, and collects the names they mention."""

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from fgc.emit.model.components import ComponentImport, ComponentParameterKind, Definition
from fgc.emit.model.plan import ClassPlan, Plans, is_class
from fgc.emit.model.values import ConstantTable as TableValue
from fgc.emit.model.values import Items as ItemsValue
from fgc.emit.model.values import LibraryCallable, PartConstruction, Value, has_construction, static_text

_SHORT_MODULES = {"torch.nn": ("torch", "nn"), "torch.nn.functional": ("torch.nn", "functional")}


class ClassWriter(Struct):
    """Writes the expressions of one class; `parts` and `imports` collect the names they mention."""

    plans: Plans
    owner: str = "config"  # the variable with the configuration
    parts: list[ClassPlan | Definition] = field(default_factory=list)
    imports: list[ComponentImport] = field(default_factory=list)

    def value(self, value: Value) -> str:
        """Returns the expression of a value; a partial is passed as a callable."""
        if isinstance(value, PartConstruction):
            return self._partial(value) if value.is_partial else self.call(value, (), {})
        if not has_construction(value):
            return static_text(value, self.owner)
        if isinstance(value, ItemsValue):
            return "[" + ", ".join(self.value(item) for item in value.items) + "]"
        assert isinstance(value, TableValue), "operators join fields and constants only"
        return "{" + ", ".join(f"{key.text}: {self.value(item)}" for key, item in value.entries) + "}"

    def call(self, part: PartConstruction, positional: Sequence[str], keywords: Mapping[str, str]) -> str:
        """Returns the call that constructs a part, with the arguments of the enclosing class added."""
        if is_class(part):
            return self._component_call(self.plans[part], part, positional, keywords)
        arguments = [*(self.value(item) for item in part.positional), *positional]
        named = {**{name: self.value(item) for name, item in part.keywords}, **keywords}
        if isinstance(part.target, Definition) and self.plans.takes_config(part.target):
            named["config"] = self.owner
        return self._named(part) + _arguments(arguments, named)

    def _component_call(
        self, plan: ClassPlan, part: PartConstruction, positional: Sequence[str], keywords: Mapping[str, str]
    ) -> str:
        self.parts.append(plan)
        given = {name: self.value(item) for name, item in part.keywords if name not in plan.written}
        free = [p.name for p in plan.signature.positional if p.name not in part.arguments]
        given |= dict(zip(free, positional, strict=False)) | dict(keywords)
        leading: list[str] = [self.owner] if plan.takes_config else []
        named: dict[str, str] = {}
        for index, parameter in enumerate(plan.parameters):
            text = given.pop(parameter.name, None)
            if text is None:
                continue
            is_first = index == 0 and parameter.kind is ComponentParameterKind.POSITIONAL
            if is_first or (text in positional and not named):
                leading.append(text)
            else:
                named[parameter.name] = text
        return plan.name + _arguments(leading, {**named, **given})

    def _partial(self, part: PartConstruction) -> str:
        call = self.call(part, (), {})
        name = call.partition("(")[0]
        if call == f"{name}()":
            return name
        self.imports.append(ComponentImport("functools", "partial", "partial"))
        return f"partial({name}, {call[len(name) + 1 :]}"

    def _named(self, part: PartConstruction) -> str:
        target = part.target
        if isinstance(target, Definition):
            self.parts.append(target)
            return target.name
        return self._library_name(target)

    def _library_name(self, target: LibraryCallable) -> str:
        if target.module == "builtins":
            return target.attribute
        if target.module in _SHORT_MODULES:
            module, name = _SHORT_MODULES[target.module]
            self.imports.append(ComponentImport(module, name, name))
            return f"{name}.{target.attribute}"
        name = target.attribute.split(".")[0]
        self.imports.append(ComponentImport(target.module, name, name))
        return target.attribute


def _arguments(positional: Sequence[str], keywords: Mapping[str, str]) -> str:
    return "(" + ", ".join([*positional, *(f"{name}={text}" for name, text in keywords.items())]) + ")"
