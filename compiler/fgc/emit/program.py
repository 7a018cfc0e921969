"""Turns a graph into a Python program: plan, build, lay out, check (language.md, section 8).

Nothing here runs what it generates, and nothing reads the disk except through the given functions.
"""

import ast
from collections.abc import Callable, Container, Iterator, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Outcome, did_you_mean, has_errors
from fgc.emit.build_functions import BuildContext, Expanded, expand
from fgc.emit.construct import Construction
from fgc.emit.deferred import CONSTANTS, DeferredTexts
from fgc.emit.expression import (
    Argument,
    Assign,
    Attribute,
    Define,
    DictDisplay,
    Evaluate,
    Expression,
    FunctionParameter,
    Invoke,
    Name,
    Return,
    Statement,
)
from fgc.emit.imports import OWN_NAMES, Imports
from fgc.emit.layout import LINE_WIDTH, Layout, black_layout
from fgc.emit.linemap import import_areas, node_areas, option_areas, value_areas
from fgc.emit.literal import string, text
from fgc.emit.measure import is_atom, width
from fgc.emit.module import ModuleParts, render, section_comments
from fgc.emit.names import Names
from fgc.emit.options import ARGUMENTS, PARSE, Closed, Options, parser_function, settle
from fgc.emit.parameters import Parameters
from fgc.emit.paths import TargetPaths
from fgc.emit.places import Area, GeneratedPlace, innermost
from fgc.emit.refusals import misplaced_component, unset_variable
from fgc.emit.scope import FunctionScope
from fgc.emit.settable import Settable, settable
from fgc.emit.sharing import Sharing
from fgc.emit.source_files import LocalFile, SourceFiles
from fgc.emit.steps import Steps, finish
from fgc.emit.variables import MISSING
from fgc.ir import Call, Deferred, Graph, NodeId, Option, Symbol, SymbolKind, Var, reachable, steps
from fgc.passes import run
from fgc.text import Origin, Source, Span

_RUNTIME = "fgc_runtime"
DECLARATIONS = "dynamic_args"  # the target that declares a configuration's options
_RESERVED = (*OWN_NAMES, *CONSTANTS, MISSING, ARGUMENTS, PARSE, "args", "kwargs", "main", "construct")
_SCRIPTS = ("fgc_runtime.script:TrainingScript", "fgc_runtime.script:TransformersScript")  # they take `resume`


class EmitOptions(Struct, frozen=True):
    """Says how a program is written.

    `summary` and `template` make the docstring. `read` gives the text of a file that the configuration names, by its
    path there; without it local files are listed and not copied. `pinned` replaces deferred names by values.
    `workspace_root` is relative to the project's folder. `annotations` are what the receivers of variables ask for.
    `declared` are the options of the configuration, `closed` those of which its templates need the values. `beside`
    names packages that will lie beside the program. `numbers` are the integers that may become numbers with a point.
    `layout` lays texts out; without it lines break anywhere.
    """

    summary: str = "Construct the objects of a configuration."
    template: str = "a configuration"
    run_method: str | None = None
    layout: Layout | None = black_layout
    read: Callable[[str], Source | None] | None = None
    component_folders: Sequence[str] = ()
    pinned: Mapping[str, str] = field(default_factory=dict)
    workspace_root: str = "."
    annotations: Mapping[str, str] = field(default_factory=dict)
    declared: Sequence[Option] = ()
    closed: Sequence[Closed] = ()
    beside: Sequence[str] = ()
    numbers: Container[NodeId] = ()


class Program(Struct, frozen=True):
    """A generated module.

    `function` is what to call, with `parameters` by their names in the configuration. `files` are to be written
    beside the program; `local_files` lists the files of the configuration that it imports. `places` say where parts
    of the text come from, `file_places` where parts of the files do.
    """

    text: str
    function: str
    targets: tuple[str, ...]
    places: tuple[GeneratedPlace, ...]
    file_places: Mapping[str, tuple[GeneratedPlace, ...]]
    imports: tuple[str, ...]
    parameters: Mapping[str, str]
    files: Mapping[str, str]
    local_files: tuple[LocalFile, ...]
    options: Options
    settable: Settable

    def place(self, line: int, column: int | None = None) -> GeneratedPlace | None:
        """Returns the origin of a character of the text, or of the beginning of a line."""
        return innermost(self.places, line, column)


def emit_script(graph: Graph, target: str = "main", *, options: EmitOptions | None = None) -> Outcome[Program | None]:
    """Returns a program that constructs one target when it starts, and calls its `options.run_method` if it has one."""
    return _emit(graph, [target], options or EmitOptions(), is_script=True)


def emit_program(
    graph: Graph, targets: Sequence[str], *, options: EmitOptions | None = None
) -> Outcome[Program | None]:
    """Returns a module whose function `construct` returns one target, or a mapping of several, in document order."""
    return _emit(graph, targets, options or EmitOptions(), is_script=False)


def _emit(graph: Graph, targets: Sequence[str], options: EmitOptions, *, is_script: bool) -> Outcome[Program | None]:
    unknown = [_unknown_target(graph, name) for name in targets if name not in graph.targets]
    if unknown:
        return Outcome(None, tuple(unknown))
    ordered = [name for name in graph.targets if name in set(targets)]
    read = options.read or (lambda path: None)
    expanded = expand(
        graph, ordered, BuildContext(read, options.component_folders, options.template, options.layout or str)
    )
    misplaced = [misplaced_component(node) for node in _components(expanded.value.graph, ordered)]
    found = expanded.diagnostics if has_errors(expanded.diagnostics) else (*expanded.diagnostics, *misplaced)
    if has_errors(found):
        return Outcome(None, found)
    paths = TargetPaths(graph, ordered)
    declared = options.declared if is_script else ()
    settled, offered = settle(run(expanded.value.graph), graph, ordered, declared, options.closed)
    emitter = _Emitter(settled, ordered, options, expanded.value, paths, offered, graph, is_script=is_script)
    program = emitter.emit(is_script)
    return Outcome(program.value, (*found, *program.diagnostics))


class _Emitter:
    """The state of one emission."""

    def __init__(
        self,
        graph: Graph,
        targets: Sequence[str],
        options: EmitOptions,
        expanded: Expanded,
        paths: TargetPaths,
        offered: Options,
        before: Graph,
        *,
        is_script: bool,
    ) -> None:
        """`before` is the graph with its build-time calls."""
        self.before = before
        self.graph = graph
        self.targets = targets
        self.options = options
        self.files = expanded.files
        self.file_places = expanded.places
        self.paths = paths
        self.offered = offered
        self.names = Names()
        self.sharing = Sharing(graph, targets)
        self.sources = SourceFiles(_text_reader(options.read))
        packages = frozenset((*(path.partition("/")[0] for path in self.files), *options.beside))
        self.imports = Imports(self.names, self.sources.module, packages)
        root, pinned = options.workspace_root, options.pinned
        self.texts = DeferredTexts(self.imports, self.names, root, pinned, is_script=is_script)

    def emit(self, is_script: bool) -> Outcome[Program | None]:
        self._reserve()
        parameters = Parameters(self.graph, self.sharing.order, self.names, self.options.annotations)
        construction = Construction(
            self.sharing, names=self.names, imports=self.imports, texts=self.texts, parameters=parameters
        )
        scope = FunctionScope()
        last = finish(self._script(construction, scope) if is_script else self._module(construction, scope))
        signature = [self._parameter(construction, name) for name in parameters.by_name]
        signature.sort(key=lambda parameter: parameter.default is not None)
        body: list[Statement] = [*scope.statements, last]
        returns = "None" if is_script else "Any" if len(self.targets) == 1 else "dict[str, Any]"
        recorder = self._recorder() if is_script else None
        name = "main" if is_script else "construct"
        parser = self._parser() if is_script else None
        if parser is not None:
            body[:0] = [
                Assign(ARGUMENTS, Invoke(Name(parser.name), ())),
                *(Assign(name, value) for name, value in self.texts.variables),
            ]
        function = Define(name, tuple(signature), returns, tuple(body), decorator=recorder)
        texts = [(name, text(value)) for value, name in construction.long_texts.items()]
        functions = [function] if parser is None else [parser, function]
        return self._program(functions, parameters, texts, is_script)

    def _parser(self) -> Define | None:
        """Returns the function that reads the command line; None without options."""
        if not self.offered.offered and not self._takes_resume:
            return None
        texts = self.texts.without_variables()
        return parser_function(self.offered, self.imports, texts, has_resume=self._takes_resume)

    @property
    def _takes_resume(self) -> bool:
        root = self.graph[self.sharing.roots[0]]
        return self.options.run_method is not None and isinstance(root, Call) and root.callee.text in _SCRIPTS

    def _reserve(self) -> None:
        """Reserves the names of imports and builtins that the program uses, before variables are named."""
        for name in _RESERVED:
            self.names.reserve(name)
        self.sources.add_all(self.graph, self.sharing.order)
        self.imports.register(
            node.callee for node_id in self.sharing.document_order if isinstance(node := self.graph[node_id], Call)
        )
        self.texts.share(self.graph, self.sharing.document_order, self.names)

    def _recorder(self) -> Name | None:
        """Returns the function that adds template lines to errors; None for a program without the runtime."""
        symbols = (node.callee for item in self.sharing.order if isinstance(node := self.graph[item], Call))
        if any(symbol.container.partition(".")[0] == _RUNTIME for symbol in symbols):
            return self.imports.function(f"{_RUNTIME}.errors", "record")
        return None

    def _script(self, construction: Construction, scope: FunctionScope) -> Steps[Statement]:
        root = self.sharing.roots[0]
        value = yield construction.value(root, scope)
        method = self.options.run_method
        if method is None:
            return Evaluate(value)
        resume = (Argument(Attribute(Name(ARGUMENTS), "resume"), "resume"),) if self._takes_resume else ()
        run = Invoke(Attribute(value, method), resume, root)
        if width(run) > LINE_WIDTH - 4 and not is_atom(value):
            run = Invoke(Attribute(construction.assign(value, root, scope), method), resume, root)
        return Evaluate(run)

    def _module(self, construction: Construction, scope: FunctionScope) -> Steps[Statement]:
        if len(self.sharing.roots) == 1:
            return Return((yield construction.value(self.sharing.roots[0], scope)))
        values = yield construction.ordered(self.sharing.roots, scope, wishes=self.targets)
        return Return(DictDisplay(tuple(zip(map(string, self.targets), values, strict=True))))

    def _parameter(self, construction: Construction, name: str) -> FunctionParameter:
        variable = construction.parameters[name]
        if not variable.is_optional:
            return FunctionParameter(variable.name, variable.annotation)
        if variable.default is None:
            return FunctionParameter(variable.name, variable.annotation, Name(MISSING))
        node = self.graph[variable.default]
        default = (
            self.texts.text(node, variable.default)
            if isinstance(node, Deferred)
            else construction.scalar(getattr(node, "value", None), variable.default)
        )
        return FunctionParameter(variable.name, variable.annotation, default)

    def _program(
        self,
        functions: Sequence[Define],
        parameters: Parameters,
        texts: Sequence[tuple[str, Expression]],
        is_script: bool,
    ) -> Outcome[Program | None]:
        function = functions[-1]
        module = self._parts(functions, parameters, texts, is_script)
        code, tree = render(module, self.options.layout)
        program = Program(
            text=code,
            function=function.name,
            targets=tuple(self.targets),
            places=(
                *self._places([*import_areas(code, tree, self._imported), *node_areas(code, tree, [function])]),
                *self._option_places(code, tree),
            ),
            file_places={**self.file_places, **dict(self._copies())},
            imports=tuple(dict.fromkeys(item.module for item in module.imports)),
            parameters={name: variable.name for name, variable in parameters.by_name.items()},
            files={**self.files, **self.sources.files},
            local_files=tuple(self.sources.local.values()),
            options=self.offered,
            settable=self._settable(value_areas(code, tree, [function])) if is_script else Settable(),
        )
        unset = self._unset() if is_script else ()
        return Outcome(program, (*self.sources.diagnostics, *unset))

    def _settable(self, areas: Sequence[tuple[Area, NodeId]]) -> Settable:
        return settable(self.before, areas, self.options.numbers)

    def _unset(self) -> Iterator[Diagnostic]:
        """Yields a finding for each variable without a value that the program needs."""
        for node_id in self.sharing.document_order:
            node = self.graph[node_id]
            if isinstance(node, Var) and node.default is None:
                yield unset_variable(node)

    def _parts(
        self,
        functions: Sequence[Define],
        parameters: Parameters,
        texts: Sequence[tuple[str, Expression]],
        is_script: bool,
    ) -> ModuleParts:
        function = functions[-1]
        if self._needs_any(function):
            self.imports.function("typing", "Any")
        constants: list[tuple[str, Expression]] = [*self.texts.constants, *self.imports.constants.items(), *texts]
        if parameters.needs_missing:
            constants.append((MISSING, Invoke(Name("object"), ())))
        reads_words_at_entry = is_script and len(functions) == 1
        if reads_words_at_entry:
            self.imports.module("sys")
        origin = f"Generated by fgc from {self.options.template}: edit that, then run `fgc build`."
        blocks = {node: self.graph[node].origin.block for node in self.sharing.order}
        return ModuleParts(
            docstring=f"{self.options.summary}\n\n{origin}\n",
            imports=self.imports.all(),
            constants=constants,
            functions=functions,
            sections=section_comments(function, blocks),
            entry=function.name if is_script else None,
            reads_words_at_entry=reads_words_at_entry,
        )

    def _needs_any(self, function: Define) -> bool:
        annotations = [function.returns, *(parameter.annotation for parameter in function.parameters)]
        return any("Any" in (annotation or "") for annotation in annotations) or any(map(_is_function, function.body))

    def _places(self, areas: Sequence[tuple[Area, NodeId]]) -> tuple[GeneratedPlace, ...]:
        """Returns places with their paths in the configuration, or in the program's graph for nodes not in it."""
        made = TargetPaths(self.graph, self.targets)
        paths = {node: (self.paths if node in self.paths else made).path(node) for _, node in areas}
        return tuple(GeneratedPlace(area, self.graph[node].origin, paths[node]) for area, node in areas)

    def _option_places(self, code: str, tree: ast.Module) -> Iterator[GeneratedPlace]:
        """Yields the places where the options of the program are declared."""
        declared = self.graph.targets.get(DECLARATIONS)
        entries = {} if declared is None else {label: origin for label, _, origin in steps(self.graph, declared)}
        variables = {name: option.variable for option in self.options.declared for name in option.names}
        for area, name in option_areas(code, tree):
            origin = entries.get(f".{variables.get(name)}")
            if origin is not None:
                yield GeneratedPlace(area, origin, f"{DECLARATIONS}.{variables[name]}")

    def _copies(self) -> Iterator[tuple[str, tuple[GeneratedPlace, ...]]]:
        """Yields copied files, whose lines map to the project's files, without a path of an object."""
        for file in self.sources.local.values():
            base = file.module.replace(".", "/")
            name = f"{base}.py" if f"{base}.py" in self.sources.files else f"{base}/__init__.py"
            source = self.options.read(file.path) if self.options.read is not None else None
            node = self._imported(file.module, "")
            if source is not None and node is not None:
                area = Area(1, 1, len(source.line_starts) + 1, 1)
                (place,) = self._places([(area, node)])
                yield name, (replace(place, path="", component=Origin(Span(source, 0, 0))),)

    def _imported(self, module: str, name: str) -> NodeId | None:
        """Returns the first node whose callable an import provides."""
        for node_id in self.sharing.document_order:
            node = self.graph[node_id]
            if not isinstance(node, Call) or self._container(node.callee) != module:
                continue
            if not name or node.callee.attribute.partition(".")[0] == name:
                return node_id
        return None

    def _container(self, symbol: Symbol) -> str:
        return self.sources.module(symbol) if symbol.kind is SymbolKind.FILE else symbol.container


def _is_function(statement: Statement) -> bool:
    return isinstance(statement, Define) or any(map(_is_function, getattr(statement, "body", ())))


def _components(graph: Graph, targets: Sequence[str]) -> Iterator[Call]:
    for node_id in reachable(graph, [graph.targets[name] for name in targets]):
        node = graph[node_id]
        if isinstance(node, Call) and node.callee.kind is SymbolKind.COMPONENT:
            yield node


def _unknown_target(graph: Graph, name: str) -> Diagnostic:
    known = ", ".join(f"`{target}`" for target in graph.targets)
    help = did_you_mean(name, graph.targets) or (f"the targets are {known}" if known else "it has no targets")
    return Diagnostic.at(_whole(graph), "FGC410", f"unknown target `{name}`", help=help)


def _whole(graph: Graph) -> Origin:
    """Returns a place for findings about the whole configuration: its first target."""
    for name, node in graph.targets.items():
        return graph.target_origins.get(name, graph[node].origin)
    return Origin(Span(Source("<configuration>", ""), 0, 0))


def _text_reader(read: Callable[[str], Source | None] | None) -> Callable[[str], str | None] | None:
    if read is None:
        return None

    def read_text(path: str) -> str | None:
        source = read(path)
        return None if source is None else source.text

    return read_text
