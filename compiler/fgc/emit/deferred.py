"""Translates deferred texts to run-time expressions: folders, the clock, the host, versions.

A value that is the same for the whole run (the clock, the project's folder) becomes a constant of the module.
"""

import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy

from msgspec.structs import replace

from fgc.emit.expression import (
    Argument,
    Attribute,
    Binary,
    Conditional,
    Constant,
    Expression,
    Formatted,
    Invoke,
    Item,
    Name,
    Unary,
    parts,
)
from fgc.emit.imports import Imports
from fgc.emit.literal import literal, string
from fgc.emit.names import Names
from fgc.ir import Deferred, Graph, Node, NodeId, expressions_of
from fgc.text import (
    OF_ONE_NUMBER,
    OF_PATHS,
    OF_SEVERAL_NUMBERS,
    DeferredArgument,
    DeferredCall,
    DeferredConstant,
    DeferredExpression,
    DeferredFolder,
    DeferredName,
    DeferredOperation,
    DeferredOption,
    DeferredPart,
    as_call,
    has_options,
    inner_parts,
    is_secret_variable,
    variables_required,
)

ARGUMENTS = "arguments"  # the variable with the values of a program's options
_FUNCTIONS = OF_ONE_NUMBER | OF_SEVERAL_NUMBERS
_MOMENTS = {"now": "NOW", "utcnow": "UTC_NOW"}
_CLOCKS = {
    "filetime": ("STARTED", "%Y-%m-%dT%H-%M-%S", False),
    "isotime": ("STARTED_ISO", "%Y-%m-%dT%H:%M:%S", False),
    "utcfiletime": ("STARTED_UTC", "%Y-%m-%dT%H-%M-%S", True),
    "utcisotime": ("STARTED_UTC_ISO", "%Y-%m-%dT%H:%M:%S", True),
}
_USER_FOLDERS = {  # by the XDG Base Directory Specification
    "user_data_dir": ("USER_DATA_DIR", "XDG_DATA_HOME", "~/.local/share"),
    "user_cache_dir": ("USER_CACHE_DIR", "XDG_CACHE_HOME", "~/.cache"),
    "user_config_dir": ("USER_CONFIG_DIR", "XDG_CONFIG_HOME", "~/.config"),
}
_SITE_FOLDERS = {"site_data_dir": "/usr/local/share", "site_config_dir": "/etc/xdg"}
CONSTANTS = (
    *("PROJECT_DIR", "WORKSPACE_ROOT", "RESOLVED_CONFIGURATION"),
    *(name for name, _, _ in (*_CLOCKS.values(), *_USER_FOLDERS.values())),
    *_MOMENTS.values(),
)
_NAMED = frozenset({*OF_PATHS, "concat"})  # these become a constant if they are needed twice


class DeferredTexts:
    """Turns deferred texts into expressions, and collects the constants they need."""

    def __init__(
        self, imports: Imports, names: Names, workspace_root: str, pinned: Mapping[str, str], *, is_script: bool
    ) -> None:
        """`is_script`: the program exits with a message if a secret that it needs is not set."""
        self._imports = imports
        self._names = names
        self._is_script = is_script
        self._workspace_root = workspace_root
        self._pinned = pinned
        self._constants: dict[str, Expression] = {}
        self._variables: dict[str, Expression] = {}
        self._shared: dict[DeferredCall, str] = {}
        self._required: dict[DeferredCall, str] = {}
        self._folders: dict[str, str] = {}

    @property
    def constants(self) -> list[tuple[str, Expression]]:
        """Returns the module's constants, each after those it mentions."""
        return list(self._constants.items())

    @property
    def variables(self) -> list[tuple[str, Expression]]:
        """Returns common parts of several texts that mention options: variables set after options are parsed."""
        return list(self._variables.items())

    def without_variables(self) -> "DeferredTexts":
        """Returns the same texts for code that runs before the variables are set; the constants are shared."""
        texts = copy(self)
        texts._shared = {call: name for call, name in self._shared.items() if not has_options(call)}
        return texts

    def share(self, graph: Graph, order: Iterable[NodeId], names: Names) -> None:
        """Names common parts of several texts, if possible after the key of a text that is just that part."""
        counts: Counter[DeferredCall] = Counter()
        hints: dict[DeferredCall, str] = {}
        for node_id in order:
            expressions = expressions_of(graph[node_id])
            _count(expressions, counts)
            for path in _folders(expressions):
                if path not in self._folders:
                    self._folders[path] = names.fresh_constant(f"{posixpath.basename(path).strip('.')}_dir")
            if (call := _whole_call(graph[node_id])) is not None:
                hints.setdefault(call, graph.hints.get(node_id, "path"))
        for call, count in counts.items():
            if count > 1:
                hint = hints.get(call, "path")
                self._shared[call] = names.fresh(hint) if has_options(call) else names.fresh_constant(hint)

    def text(self, node: Deferred, node_id: NodeId) -> Expression:
        """Returns the expression of a text with deferred parts."""
        made = self._joined(node.parts, node_id)
        if node.number is not None:
            return self._converted(made, type(node.number), node_id)
        return replace(made, node=node_id) if isinstance(made, Attribute | Binary | Formatted | Invoke) else made

    def outside(self, expression: DeferredPart, node: NodeId | None = None) -> Expression:
        """Returns the expression of a value that is computed from options of the program."""
        match expression:
            case DeferredArgument(name=name) | DeferredOption(name=name):
                return Attribute(Name(ARGUMENTS), name, node, is_pure=True)
            case DeferredOperation(operator="text", operands=operands):
                parts = [str(o.value) if isinstance(o, DeferredConstant) else self.outside(o) for o in operands]
                if len(parts) == 1 and not isinstance(parts[0], str):
                    is_text = isinstance(operands[0].value, str)
                    return replace(parts[0], node=node) if is_text else _printed(parts[0], node)
                return self._text(parts, node)
            case DeferredOperation(operator="if", operands=(then, test, other)):
                return Conditional(self.outside(then), self.outside(test), self.outside(other), node)
            case DeferredOperation(operator=operator, operands=operands) if operator in _FUNCTIONS:
                return Invoke(Name(operator), tuple(Argument(self.outside(o)) for o in operands), node, True)
            case DeferredOperation() if expression.is_function:
                made = self._value(as_call(expression))
                return replace(made, node=node) if isinstance(made, Attribute | Invoke | Item) else made
            case DeferredOperation(operator=operator, operands=(only,)):
                return Unary(operator, self.outside(only))
            case DeferredOperation(operator=operator, operands=(left, right)):
                return Binary(self.outside(left), operator, self.outside(right), node)
            case _:
                return self._argument(expression)

    def _converted(self, text: Expression, to: type, node: NodeId) -> Expression:
        """Returns an expression that converts a text to the number or boolean that YAML would read."""
        convert = self._imports.function("fgc_runtime.options", "boolean") if to is bool else Name(to.__name__)
        return Invoke(convert, (Argument(text),), node)

    def _joined(self, pieces: tuple[DeferredPart, ...], node: NodeId | None) -> Expression:
        some = [piece for piece in pieces if piece != ""]
        if not some:
            return string("", node)
        if len(some) == 1:
            return string(some[0], node) if isinstance(some[0], str) else self._argument(some[0])
        return self._text([piece if isinstance(piece, str) else self._part(piece) for piece in some], node)

    def _text(self, values: Sequence[str | Expression], node: NodeId | None) -> Expression:
        """Returns one expression that joins texts and expressions."""
        if all('"' not in value if isinstance(value, str) else _fits_in_braces(value) for value in values):
            return Formatted(tuple(values), node)
        total: Expression | None = None
        for value in values:
            is_number = isinstance(value, Attribute | Unary | Binary | Conditional)  # `str` changes no string
            term = string(value) if isinstance(value, str) else _printed(value, None) if is_number else value
            total = term if total is None else Binary(total, "+", term, node)
        assert total is not None, "a text has at least one part"
        return total

    def _value(self, expression: DeferredExpression | DeferredConstant) -> Expression:
        if isinstance(expression, DeferredCall) and any(map(is_secret_variable, variables_required(expression))):
            return self._secret(expression)
        match expression:
            case DeferredConstant(value=value):
                return string(value) if isinstance(value, str) else literal(value)
            case DeferredName(name):
                return self._name(name)
            case DeferredArgument() | DeferredOperation() | DeferredOption():
                return self.outside(expression)
            case DeferredFolder(path):
                return self._constant(self._folders[path], path, lambda: self._from_start(path))
            case DeferredCall() if expression in self._shared:
                return self._common(expression)
            case _:
                return self._computed(expression)

    def _secret(self, call: DeferredCall) -> Expression:
        """Returns the expression of a secret that must be set, which the program checks when it starts."""
        names = variables_required(call)
        if call not in self._required:
            name = self._required[call] = self._names.fresh_constant(names[0])
            known = " and ".join(names)
            lacks = f"{known} {'are' if len(names) > 1 else 'is'} not set in the environment"
            end = self._invoke("sys", "sys.exit", string(lacks)) if self._is_script else None
            self._constants[name] = Binary(self._computed(call), "or", end) if end else self._demanded(call)
        return Name(self._required[call])

    def _demanded(self, expression: DeferredPart) -> Expression:
        """Returns a part of a text, in which an environment variable without a default must be set."""
        match expression:
            case DeferredCall("getenv", (str() as name,)):
                return Item(Name(self._imports.module("os") + ".environ"), string(name))
            case DeferredCall("or", (first, second)):
                return Binary(self._looked_up(first), "or", self._demanded(second))
            case _:
                return self._argument(expression)

    def _looked_up(self, expression: DeferredPart) -> Expression:
        """Returns an operand of `or`, or a value of a variable, which may be missing."""
        return self._computed(expression) if isinstance(expression, DeferredCall) else self._argument(expression)

    def _common(self, call: DeferredCall) -> Name:
        name = self._shared[call]
        known = self._variables if has_options(call) else self._constants
        if name not in known:
            value = self._computed(call)
            known[name] = value
        return Name(name)

    def _computed(self, call: DeferredCall) -> Expression:
        match call:
            case DeferredCall("concat", arguments):
                return self._joined(arguments, None)
            case DeferredCall("or", operands):
                return Binary(self._looked_up(operands[0]), "or", self._looked_up(operands[1]))
            case DeferredCall("getenv", (name, DeferredConstant(None))):
                return self._invoke("os", "os.environ.get", self._argument(name))
            case DeferredCall("getenv", arguments):
                return self._invoke("os", "os.environ.get", *map(self._looked_up, arguments))
            case DeferredCall(function, ()) if function in _CLOCKS:
                return self._clock(function)
            case DeferredCall(function, arguments) if function in OF_PATHS:
                return self._invoke("os", f"os.path.{OF_PATHS[function].__name__}", *map(self._part, arguments))
            case DeferredCall("version", (str() as package,)):
                return self._version(package)
            case DeferredCall("strftime", (str() as moment, str() as layout)):
                return Invoke(
                    Attribute(self._moment(moment), "strftime", is_pure=True), (_positional(layout),), None, True
                )
            case DeferredCall("splitext", (path, str() as part)):
                return Item(self._invoke("os", "os.path.splitext", self._argument(path)), Constant(part))
            case DeferredCall("modname_from_path", (path,)):
                made = Invoke(self._imports.function("pathlib", "Path"), (Argument(self._argument(path)),), None, True)
                return Attribute(made, "stem", is_pure=True)
            case DeferredCall("repr", (value,)):
                return Invoke(Name("repr"), (Argument(self._argument(value)),), is_pure=True)
            case DeferredCall("uname", (str() as part,)):
                return Attribute(self._invoke("platform", "platform.uname"), part, is_pure=True)
            case DeferredCall(function, arguments):
                return self._folder(function, arguments)

    def _part(self, part: DeferredPart) -> Expression:
        """Returns a part of a text or a path, which must not be None."""
        return self._demanded(part) if self._is_needed(part) else self._argument(part)

    def _is_needed(self, part: DeferredPart) -> bool:
        names = variables_required(part)
        return bool(names) and not any(map(is_secret_variable, names))

    def _argument(self, argument: DeferredPart) -> Expression:
        return string(argument) if isinstance(argument, str) else self._value(argument)

    def _name(self, name: str) -> Expression:
        if name == "project_dir":
            return self._constant("PROJECT_DIR", name, lambda: self._invoke("os", "os.getcwd"))
        if name == "workspace_root":
            return self._constant("WORKSPACE_ROOT", name, lambda: self._from_start(self._workspace_root))
        if name == "hostname":
            return self._invoke("socket", "socket.gethostname")
        if name == "pp_config":
            return self._constant("RESOLVED_CONFIGURATION", name, self._text_beside)
        raise ValueError(f"deferred name {name!r} has no run-time expression")

    def _text_beside(self) -> Expression:
        """Returns the expression that reads the resolved configuration, which a build writes beside the program."""
        here = Invoke(self._imports.function("pathlib", "Path"), (Argument(Name("__file__")),), is_pure=True)
        file = Invoke(Attribute(here, "with_name", is_pure=True), (Argument(string("config.yaml")),), is_pure=True)
        read = Attribute(file, "read_text", is_pure=True)
        return Invoke(read, (Argument(string("utf-8"), "encoding"),), is_pure=True)

    def _from_start(self, path: str) -> Expression:
        joined = self._invoke("os", "os.path.join", self._name("project_dir"), string(path))
        return self._invoke("os", "os.path.normpath", joined)

    def _clock(self, function: str) -> Expression:
        constant, layout, is_utc = _CLOCKS[function]
        utc = (self._invoke("time", "time.gmtime"),) if is_utc else ()
        return self._constant(constant, function, lambda: self._invoke("time", "time.strftime", string(layout), *utc))

    def _moment(self, name: str) -> Name:
        """Returns the constant for the start time of the program; it has no time zone, like `now()`."""
        now = f"{self._imports.module('datetime')}.datetime.now"
        if name == "now":
            return self._constant(_MOMENTS[name], name, lambda: Invoke(Name(now), (), is_pure=True))
        zone = Name(f"{self._imports.module('datetime')}.UTC")
        return self._constant(_MOMENTS[name], name, lambda: Invoke(Name(now), (Argument(zone),), is_pure=True))

    def _version(self, package: str) -> Expression:
        if package == "python":
            return self._invoke("platform", "platform.python_version")
        return Invoke(
            self._imports.function("importlib.metadata", "version"), (Argument(string(package)),), is_pure=True
        )

    def _folder(self, function: str, arguments: tuple[DeferredPart, ...]) -> Expression:
        if function == "getcwd":
            return self._invoke("os", "os.getcwd")
        if function == "user_home_dir":
            return self._invoke("os", "os.path.expanduser", string("~"))
        if function == "forgather_config_dir":
            return self._invoke("os", "os.path.join", self._user_folder("user_config_dir"), string("forgather"))
        if function in _USER_FOLDERS:
            path: Expression = self._user_folder(function)
        elif function in _SITE_FOLDERS:
            name = arguments[0] if arguments else ""
            return string("/".join(filter(None, (_SITE_FOLDERS[function], str(name)))))
        else:
            raise ValueError(f"deferred function {function!r} has no run-time expression")
        if not arguments:
            return path
        return self._invoke("os", "os.path.join", path, self._argument(arguments[0]))

    def _user_folder(self, function: str) -> Name:
        constant, variable, default = _USER_FOLDERS[function]

        def make() -> Expression:
            set_by_user = self._invoke("os", "os.environ.get", string(variable))
            return Binary(set_by_user, "or", self._invoke("os", "os.path.expanduser", string(default)))

        return self._constant(constant, function, make)

    def _invoke(self, module: str, function: str, *values: Expression) -> Expression:
        bound = self._imports.module(module)
        name = Name(bound + function.removeprefix(module))
        return Invoke(name, tuple(Argument(value) for value in values), is_pure=True)

    def _constant(self, constant: str, name: str, make: Callable[[], Expression]) -> Name:
        if constant not in self._constants:
            pinned = self._pinned.get(name)
            value = make() if pinned is None else string(pinned)
            self._constants[constant] = value
        return Name(constant)


def _printed(value: Expression, node: NodeId | None) -> Expression:
    return Invoke(Name("str"), (Argument(value),), node, True)


def _positional(text: str) -> Argument:
    return Argument(string(text))


def _count(pieces: Iterable[DeferredPart], counts: Counter[DeferredCall]) -> None:
    """Counts each path and joined text in expressions, once per expression. Defaults are not looked into."""
    for piece in pieces:
        call = _call(piece)
        if call is not None and call.function in _NAMED:
            counts[call] += 1
            if counts[call] == 1:
                _count(call.arguments, counts)


def _whole_call(node: Node) -> DeferredCall | None:
    """Returns the call that makes up a whole value, or None."""
    expressions = expressions_of(node)
    is_whole = len(expressions) == 1 and not (isinstance(node, Deferred) and len(node.parts) > 1)
    return _call(expressions[0]) if is_whole else None


def _call(piece: DeferredPart) -> DeferredCall | None:
    """Returns a part as a call of a function, or None."""
    if isinstance(piece, DeferredOperation) and piece.operator in OF_PATHS:
        return as_call(piece)
    return piece if isinstance(piece, DeferredCall) else None


def _folders(pieces: Iterable[DeferredPart]) -> Iterator[str]:
    for piece in pieces:
        if isinstance(piece, DeferredFolder):
            yield piece.path
        yield from _folders(inner_parts(piece))


def _fits_in_braces(expression: Expression) -> bool:
    """Returns True if it can be in an f-string of Python 3.11: its text has no double quote and no backslash."""
    if isinstance(expression, Constant):
        return expression.text.isalnum() or not set("\\\"'") & set(expression.text[1:-1])
    return not isinstance(expression, Formatted) and all(_fits_in_braces(part) for part in parts(expression))
