"""Reads component files: classes and functions, their signatures, imports and places.

Files are parsed, never imported. Knows nothing of graphs or models.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from pathlib import PurePosixPath

from msgspec import Struct
from msgspec.structs import replace

from fgc.text import Source, Span

Reader = Callable[[str], Source | None]
Defining = ast.ClassDef | ast.FunctionDef | ast.Assign | ast.AnnAssign


class ComponentParameterKind(Enum):
    """The ways a parameter takes its argument."""

    POSITIONAL = "positional"
    KEYWORD = "keyword"


class ComponentParameter(Struct, frozen=True):
    """A named parameter; `default` and `annotation` are expressions."""

    name: str
    kind: ComponentParameterKind
    default: ast.expr | None
    annotation: str | None
    span: Span


class ComponentSignature(Struct, frozen=True):
    """The parameters of a callable, without `self`.

    `handed_on` are those of a base to which the constructor passes its `**kwargs`; `takes_any_keyword` if these are
    unknown.
    """

    parameters: tuple[ComponentParameter, ...]
    takes_any_keyword: bool
    owner: "Definition | None"  # the class with the constructor: itself, or a base
    handed_on: tuple[ComponentParameter, ...] = ()

    @property
    def by_name(self) -> dict[str, ComponentParameter]:
        return {parameter.name: parameter for parameter in self.parameters}

    @property
    def accepted(self) -> dict[str, ComponentParameter]:
        """Returns the parameters that a caller can name, including those of the base."""
        return {parameter.name: parameter for parameter in (*self.handed_on, *self.parameters)}

    @property
    def positional(self) -> list[ComponentParameter]:
        return [p for p in self.parameters if p.kind is ComponentParameterKind.POSITIONAL and p.name != "config"]


class ComponentImport(Struct, frozen=True):
    """`from module import name`, or `import module` if `name` is None."""

    module: str
    name: str | None
    alias: str


class ComponentModule(Struct, frozen=True, eq=False, dict=True):
    """A component file: the folder it was found in, its dotted name there, and what it defines and imports."""

    folder: str
    name: str
    source: Source
    definitions: Mapping[str, Defining]
    imports: Mapping[str, ComponentImport]

    def span(self, node: ast.expr | ast.stmt | ast.arg) -> Span:
        """Returns the place of a node; for a class or function, the line of its name."""
        start = self._offset(node.lineno, node.col_offset)
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            start = self.source.text.index(node.name, start)
            return Span(self.source, start, start + len(node.name))
        if isinstance(node, ast.arg):
            return Span(self.source, start, start + len(node.arg))
        return Span(self.source, start, self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0))

    def _offset(self, line: int, column_bytes: int) -> int:
        text = self.source.line(line)
        return self.source.line_starts[line - 1] + len(text.encode()[:column_bytes].decode(errors="ignore"))


class Definition(Struct, frozen=True):
    """A name that a component file defines."""

    module: ComponentModule
    name: str

    @property
    def node(self) -> Defining:
        return self.module.definitions[self.name]

    @property
    def span(self) -> Span:
        return self.module.span(self.node)

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)


class BrokenModule(Struct, frozen=True):
    """A component file that Python cannot parse."""

    span: Span
    message: str


class ComponentLibrary:
    """Finds component modules in folders; every file is read and parsed once."""

    def __init__(self, read: Reader, folders: Sequence[str]) -> None:
        self._read = read
        self._folders = tuple(folders)
        self._modules: dict[str, ComponentModule | BrokenModule | None] = {}
        self._signatures: dict[tuple[int, str], ComponentSignature] = {}

    def find(self, name: str, searchpath: Sequence[str] = ()) -> ComponentModule | BrokenModule | None:
        """Returns the module with a dotted name, from the first folder that has it."""
        for folder in (*searchpath, *self._folders):
            module = self._load(folder, name)
            if module is not None:
                return module
        return None

    def file(self, path: str, searchpath: Sequence[str] = ()) -> ComponentModule | BrokenModule | None:
        """Returns the module in the file `path`; a relative path is tried in each folder."""
        pure = PurePosixPath(path)
        if pure.is_absolute():
            return self._load(str(pure.parent), pure.stem)
        return self.find(".".join(pure.with_suffix("").parts), searchpath)

    def installed(self, name: str) -> ComponentModule | BrokenModule | None:
        """Returns the module with the import path `name` (`fgc_models.norms`), if its package is one of the folders."""
        package_name, _, rest = name.partition(".")
        found = [self._load(folder, rest) for folder in self._folders if PurePosixPath(folder).name == package_name]
        return found[0] if found and rest else None

    def module_names(self, searchpath: Sequence[str] = ()) -> list[str]:
        """Returns the modules that the folders' `__init__.py` list in `__all__`."""
        names: list[str] = []
        for folder in (*searchpath, *self._folders):
            module = self._load(folder, "__init__")
            node = module.definitions.get("__all__") if isinstance(module, ComponentModule) else None
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.List | ast.Tuple):
                names += [str(item.value) for item in node.value.elts if isinstance(item, ast.Constant)]
        return names

    def definition(self, module: ComponentModule, name: str) -> Definition | None:
        """Returns the definition of `name` in a module, if it is in a component file."""
        if name in module.definitions:
            return Definition(module, name)
        imported = module.imports.get(name)
        if imported is None or imported.name is None:
            return None
        target = self._imported(module, imported.module)
        return self.definition(target, imported.name) if target is not None else None

    def signature(self, definition: Definition) -> ComponentSignature:
        """Returns the parameters of a function, or of a class's constructor, which may be that of a component base."""
        key = (id(definition.module), definition.name)  # modules live as long as the library
        if key not in self._signatures:
            self._signatures[key] = self._read_signature(definition)
        return self._signatures[key]

    def _read_signature(self, definition: Definition) -> ComponentSignature:
        node = definition.node
        if isinstance(node, ast.FunctionDef):
            return _signature(definition, node, num_skipped=0)
        for base in (definition, *self.bases(definition)):
            assert isinstance(base.node, ast.ClassDef), f"base {base.name} is not a class"
            init = constructor(base.node)
            if init is not None:
                return self._with_handed_on(base, init, _signature(base, init, num_skipped=1))
        return ComponentSignature((), takes_any_keyword=not isinstance(node, ast.ClassDef), owner=None)

    def _with_handed_on(self, owner: Definition, init: ast.FunctionDef, own: ComponentSignature) -> ComponentSignature:
        """Returns a signature with the parameters of the base that receives the constructor's `**kwargs`, if known."""
        call = handed_on_call(init)
        if call is None:
            return own
        bases = self.bases(owner)
        if not bases:
            assert isinstance(owner.node, ast.ClassDef), "a constructor stands in a class"
            is_bare = [ast.unparse(base) for base in owner.node.bases] in (["nn.Module"], ["Module"])
            return replace(own, takes_any_keyword=not is_bare)
        base = self.signature(bases[0])
        named = {keyword.arg for keyword in call.keywords}
        positional = [p.name for p in base.parameters if p.kind is ComponentParameterKind.POSITIONAL]
        gone = {*positional[: len(call.args)], *named, *own.by_name}
        rest = tuple(parameter for parameter in base.accepted.values() if parameter.name not in gone)
        return replace(own, takes_any_keyword=base.takes_any_keyword, handed_on=rest)

    def bases(self, definition: Definition) -> list[Definition]:
        """Returns the base classes that are components, nearest first."""
        found: list[Definition] = []
        node = definition.node
        for expression in node.bases if isinstance(node, ast.ClassDef) else ():
            if isinstance(expression, ast.Name):
                base = self.definition(definition.module, expression.id)
                if base is not None and base.is_class:
                    found += [base, *self.bases(base)]
        return found

    def _load(self, folder: str, name: str) -> ComponentModule | BrokenModule | None:
        path = f"{folder.rstrip('/')}/{name.replace('.', '/')}.py"
        if path not in self._modules:
            source = self._read(path)
            self._modules[path] = None if source is None else _parse(folder, name, source)
        return self._modules[path]

    def _imported(self, module: ComponentModule, imported: str) -> ComponentModule | None:
        if imported.startswith("."):
            level = len(imported) - len(imported.lstrip("."))
            package = module.name.split(".")[:-level]
            found = self._load(module.folder, ".".join((*package, imported.lstrip("."))))
            return found if isinstance(found, ComponentModule) else None
        found = self.installed(imported)
        return found if isinstance(found, ComponentModule) else None


def constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    """Returns the class's own `__init__`."""
    return next((item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)


def handed_on_call(init: ast.FunctionDef) -> ast.Call | None:
    """Returns the call `super().__init__(..., **kwargs)`, if it is the only use of the constructor's `**kwargs`."""
    kwargs = init.args.kwarg
    if kwargs is None:
        return None
    reads = [node for node in ast.walk(init) if isinstance(node, ast.Name) and node.id == kwargs.arg]
    for node in ast.walk(init):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__")):
                is_handed = any(keyword.arg is None and keyword.value in reads for keyword in node.keywords)
                is_plain = not any(isinstance(argument, ast.Starred) for argument in node.args)
                return node if is_handed and is_plain and len(reads) == 1 else None
            case _:
                pass
    return None


def constant(definition: Definition, name: str) -> object:
    """Returns the value of a class attribute that is a literal; None otherwise."""
    for item in definition.node.body if isinstance(definition.node, ast.ClassDef) else ():
        match item:
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.Constant(value=value)) if target == name:
                return value
            case _:
                pass
    return None


@lru_cache(maxsize=512)
def _parse(folder: str, name: str, source: Source) -> ComponentModule | BrokenModule:
    try:
        tree = ast.parse(source.text)
    except SyntaxError as error:
        line = min(error.lineno or 1, len(source.line_starts))
        start = source.line_starts[line - 1] + max((error.offset or 1) - 1, 0)
        return BrokenModule(Span(source, start, start), error.msg)
    definitions: dict[str, Defining] = {}
    imports: dict[str, ComponentImport] = {}
    for node in tree.body:
        match node:
            case ast.ClassDef() | ast.FunctionDef():
                definitions[node.name] = node
            case ast.Assign(targets=[ast.Name(id=target)]) | ast.AnnAssign(target=ast.Name(id=target)):
                definitions[target] = node
            case ast.Import():
                imports |= {a.asname or a.name.split(".")[0]: _plain_import(a) for a in node.names}
            case ast.ImportFrom():
                origin = "." * node.level + (node.module or "")
                imports |= {a.asname or a.name: ComponentImport(origin, a.name, a.asname or a.name) for a in node.names}
            case _:
                pass  # the docstring, and statements that no component needs
    return ComponentModule(folder, name, source, definitions, imports)


def _plain_import(alias: ast.alias) -> ComponentImport:
    return ComponentImport(alias.name, None, alias.asname or alias.name)


def _signature(owner: Definition, node: ast.FunctionDef, *, num_skipped: int) -> ComponentSignature:
    given = node.args
    positional = [*given.posonlyargs, *given.args]
    defaults = [*[None] * (len(positional) - len(given.defaults)), *given.defaults]
    first = [
        _parameter(owner.module, *pair, ComponentParameterKind.POSITIONAL)
        for pair in zip(positional, defaults, strict=True)
    ]
    keywords = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    rest = [_parameter(owner.module, *pair, ComponentParameterKind.KEYWORD) for pair in keywords]
    return ComponentSignature((*first[num_skipped:], *rest), takes_any_keyword=given.kwarg is not None, owner=owner)


def _parameter(
    module: ComponentModule, arg: ast.arg, default: ast.expr | None, kind: ComponentParameterKind
) -> ComponentParameter:
    annotation = None if arg.annotation is None else ast.unparse(arg.annotation)
    return ComponentParameter(arg.arg, kind, default, annotation, module.span(arg))
