"""Options that a configuration declares to options of its program's command line, where that is exact.

An option is offered if its variable reaches nothing but scalars of the program, perhaps computed: then running with a
value is the same as building with it. Everything else is closed, with the reason.
"""

import keyword
import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from fgc.emit.expression import (
    Argument,
    Assign,
    Attribute,
    Define,
    Evaluate,
    Expression,
    Invoke,
    ListDisplay,
    Name,
    Return,
    Statement,
)
from fgc.emit.imports import Imports
from fgc.emit.literal import literal, non_finite, string
from fgc.ir import Call, CallKind, Graph, Literal, NodeId, Scalar, Var, children, reachable
from fgc.text import (
    TEXT,
    DeferredArgument,
    DeferredConstant,
    DeferredOperation,
    FromOutside,
    Origin,
    Span,
    arguments_in,
    results_in,
)
from fgc.yaml.scalars import scalar_type

PARSE, ARGUMENTS = "parse_arguments", "arguments"
_OPTIONS_MODULE = "fgc_runtime.options"
_SETTINGS_MODULE = "fgc_runtime.settings"
_TAKEN = frozenset({"-h", "--help", "--resume", "--set"})
_ACTIONS = ("store", "store_true", "store_false")
_ARITHMETIC = frozenset({"+", "-", "*", "/", "//", "%"})
_TEXT_TYPES = ("str", "path")
_CONVERTERS = {"bool": "boolean", "path": "absolute_path"}
_SET_HELP = "set a value of the configuration, as in optimizer.lr=0.1; may be repeated"
_RESUME_HELP = "go on from this checkpoint, or from the latest one"
_OF_TRAININGS = {
    "--output-dir": ("FOLDER", "where the model goes, with a folder for each run"),
    "--run-name": ("NAME", "what the folder of the run is called, before its time"),
}


class Option(Struct, frozen=True):
    """An option as it is declared: the template variable that it sets, how it is spelt, what it takes."""

    variable: str
    names: tuple[str, ...]
    type: str = "str"
    choices: tuple[str | int | float, ...] = ()
    help: str | None = None
    action: str = "store"
    metavar: str | None = None
    takes_many: bool = False


class Closed(Struct, frozen=True):
    """Says why an option is none of the program: the place that decides it, if there is one."""

    option: Option
    reason: str
    span: Span | None = None


class Options(Struct, frozen=True):
    """The options of one program with the values that they have in it, and those that it does not offer."""

    offered: Mapping[str, tuple[Option, Scalar]] = field(default_factory=dict)
    closed: tuple[Closed, ...] = ()


def settle(
    graph: Graph, before: Graph, targets: Sequence[str], declared: Iterable[Option], known: Iterable[Closed]
) -> tuple[Graph, Options]:
    """Decide what is offered; in the graph that comes back, only literals of offered options name an argument.

    `before` is the graph with its build-time calls, whose parts go into files; `known` are closed already.
    """
    closed = {item.option.variable: item for item in known}
    roots = [before.targets[name] for name in targets]
    reasons = dict(_structural(before, graph, roots))
    offered: dict[str, tuple[Option, Scalar]] = {}
    for option in declared:
        if option.variable in closed:
            continue
        leaves = _leaves(graph, [graph.targets[name] for name in targets], option.variable)
        found = reasons.get(option.variable) or _unfit(option, leaves)
        if found is None:
            offered[option.variable] = (option, leaves[0].argument.value)
        else:
            closed[option.variable] = Closed(option, *found)
    nodes = {
        node_id: replace(node, argument=_fixed(node.argument, offered))
        if isinstance(node, Literal) and node.argument is not None
        else node
        for node_id, node in graph.nodes.items()
    }
    ordered = tuple(closed[option.variable] for option in declared if option.variable in closed)
    return replace(graph, nodes=nodes), Options(offered, ordered)


class _Leaf(Struct, frozen=True):
    """A mention of an option in a value of the program."""

    argument: DeferredArgument
    expression: FromOutside
    origin: Origin


def _leaves(graph: Graph, roots: Iterable[NodeId], variable: str) -> list[_Leaf]:
    return [
        _Leaf(argument, node.argument, node.origin)
        for node_id in reachable(graph, roots)
        if isinstance(node := graph[node_id], Literal) and node.argument is not None
        for argument in arguments_in(node.argument)
        if argument.name == variable
    ]


def _fixed(expression: FromOutside, offered: Container[str]) -> FromOutside | None:
    """An expression in which what is no option of the program has its value; None if nothing is left to compute."""
    fixed = _operand(expression, offered)
    return None if isinstance(fixed, DeferredConstant) else fixed


def _operand(expression: FromOutside | DeferredConstant, offered: Container[str]) -> FromOutside | DeferredConstant:
    match expression:
        case DeferredArgument(name=name, value=value):
            return expression if name in offered else DeferredConstant(value)
        case DeferredOperation(operands=operands, value=value):
            parts = tuple(_operand(operand, offered) for operand in operands)
            if any(isinstance(part, FromOutside) for part in parts):
                return replace(expression, operands=parts)
            return DeferredConstant(value)
        case _:
            return expression


def _structural(before: Graph, after: Graph, roots: Sequence[NodeId]) -> Iterator[tuple[str, tuple[str, Span]]]:
    """Arguments that are needed to build: in generated files, in search paths, as defaults of variables."""
    remaining = set(reachable(after, after.targets.values()))
    for node_id in reachable(before, roots):
        node = before[node_id]
        if node_id not in remaining:
            yield from _arguments_in(before, [node_id], "it is written into a generated file")
        if isinstance(node, Call) and node.kind is CallKind.META:
            yield from _arguments_in(before, data_of(before, node_id), "it is written into a generated file")
        if isinstance(node, Call) and node.searchpath is not None:
            yield from _arguments_in(before, reachable(before, [node.searchpath]), "it says where files are found")
        if isinstance(node, Var) and node.default is not None:
            yield from _arguments_in(before, [node.default], "it is the default of a `!var`")
    meta = before.targets.get("meta")
    for key, value in _entries(before, meta) if meta is not None else ():
        if key in ("config_name", "config_description", "config_class"):
            yield from _arguments_in(before, [value], f"it is the program's `{key}`")


def _arguments_in(graph: Graph, nodes: Iterable[NodeId], reason: str) -> Iterator[tuple[str, tuple[str, Span]]]:
    for node_id in nodes:
        node = graph[node_id]
        if isinstance(node, Literal) and node.argument is not None:
            for argument in arguments_in(node.argument):
                yield argument.name, (reason, node.origin.span)


def data_of(graph: Graph, root: NodeId) -> Iterator[NodeId]:
    """Returns what a build-time call is given as it stands; objects that it mentions are the program's."""
    stack = [root]
    seen: set[NodeId] = set()
    while stack:
        node_id = stack.pop()
        node = graph[node_id]
        is_object = isinstance(node, Call) and node.kind in (CallKind.SINGLETON, CallKind.FACTORY)
        if node_id not in seen and not (is_object and node_id != root):
            seen.add(node_id)
            yield node_id
            stack.extend(children(node))


def _entries(graph: Graph, node_id: NodeId) -> Iterator[tuple[object, NodeId]]:
    node = graph[node_id]
    if isinstance(node, Call):
        yield from ((item.name, item.value) for item in node.keywords)
    else:
        yield from ((entry.key, entry.value) for entry in getattr(node, "entries", ()))


def _unfit(option: Option, leaves: Sequence[_Leaf]) -> tuple[str, Span | None] | None:
    """Returns why an option cannot be one of a program in which it reaches these literals."""
    if not leaves:
        return "nothing that the program constructs has it as a value", None
    first = leaves[0].argument
    place = leaves[0].origin.span
    if option.takes_many:
        return "it takes several values", place
    if option.action not in _ACTIONS:
        return f"`action: {option.action}` is for builds only", place
    if keyword.iskeyword(option.variable):
        return f"`{option.variable}` is a word of Python", place
    if taken := _TAKEN.intersection(option.names):
        return f"`{min(taken)}` is an option of every program", place
    for leaf in leaves[1:]:
        if repr(leaf.argument.value) != repr(first.value):
            return f"it has two defaults: {first.value!r} and {leaf.argument.value!r}", leaf.origin.span
    if isinstance(first.value, str) and option.type not in _TEXT_TYPES:
        return f"its default {first.value!r} is no {option.type}", place
    if option.type == "path" and isinstance(first.value, str) and not first.value.startswith("/"):
        return "its default is no absolute path, and a path that is given becomes one", place
    for leaf in leaves:
        if (reason := _misused(option, leaf)) is not None:
            return reason, leaf.origin.span
    if option.type in _TEXT_TYPES and option.action == "store" and not _is_exact(option, leaves):
        write = f"{{{{ {option.variable} | toyaml }}}}"
        return f"YAML may read a text as something else: write `{write}`", place
    return None


def _misused(option: Option, leaf: _Leaf) -> str | None:
    """Returns why an operation does something else at run time than in a template, if the option has another type."""
    is_number = option.type in ("int", "float") and option.action == "store"
    for operation in _operations(leaf.expression):
        if leaf.argument not in operation.operands:
            continue
        if operation.operator in _ARITHMETIC and not is_number:
            return f"`{operation.operator}` computes with it, and it is no number"
        if operation.operator == TEXT and option.type == "float":
            return "it is a part of a text, in which a number such as 1e-05 is written as 1.0e-05"
    return None


def _operations(expression: FromOutside | DeferredConstant) -> Iterator[DeferredOperation]:
    if isinstance(expression, DeferredOperation):
        yield expression
        for operand in expression.operands:
            yield from _operations(operand)


def _is_exact(option: Option, leaves: Sequence[_Leaf]) -> bool:
    """Returns whether YAML reads each text that may be given as that text."""
    read = [leaf.argument for leaf in leaves if leaf.argument in results_in(leaf.expression)]
    if all(argument.is_quoted for argument in read):
        return True
    return bool(option.choices) and all(
        isinstance(choice, str) and choice.isidentifier() and scalar_type(choice, True) == "str"
        for choice in option.choices
    )


def parser_function(options: Options, imports: Imports, *, has_resume: bool) -> Define:
    """The function that reads the command line. Of `--set`, the runtime sees to it."""
    argparse = imports.module("argparse")
    maker = Invoke(Name(f"{argparse}.ArgumentParser"), (Argument(Name("__doc__"), "description"),))
    body: list[Statement] = [Assign("parser", maker)]
    body += [Evaluate(_added(*offered, imports)) for offered in options.offered.values()]
    if has_resume:
        resume = {"nargs": string("?"), "const": literal(True), "metavar": string("CHECKPOINT")}
        body.append(Evaluate(_add_argument(("--resume",), {**resume, "help": string(_RESUME_HELP)})))
        body += _of_trainings(options, imports)
    setting = imports.function(_SETTINGS_MODULE, "SetValue")
    words = {"action": setting, "metavar": string("PATH=VALUE"), "help": string(_SET_HELP)}
    body.append(Evaluate(_add_argument(("--set",), words)))
    body.append(Return(Invoke(Attribute(Name("parser"), "parse_args"), ())))
    return Define(PARSE, (), f"{argparse}.Namespace", tuple(body))


def _of_trainings(options: Options, imports: Imports) -> Iterator[Statement]:
    """The options of every training, but for those whose names or variables the configuration uses itself."""
    declared = [option for option, _ in options.offered.values()] + [item.option for item in options.closed]
    taken = {name for option in declared for name in (*option.names, _destination((option.variable,)))}
    for name, (metavar, help) in _OF_TRAININGS.items():
        if not taken & {name, _destination((name,))}:
            action = imports.function(_SETTINGS_MODULE, "TrainingArgument")
            words = {"action": action, "metavar": string(metavar), "help": string(help)}
            yield Evaluate(_add_argument((name,), words))


def _added(option: Option, default: Scalar, imports: Imports) -> Expression:
    words: dict[str, Expression] = {}
    is_switch = option.action in ("store_true", "store_false")
    if option.variable != _destination(option.names):
        words["dest"] = string(option.variable)
    if is_switch:
        words["action"] = string(option.action)
    elif option.type != "str":
        converter = _CONVERTERS.get(option.type)
        words["type"] = imports.function(_OPTIONS_MODULE, converter) if converter else Name(option.type)
    if option.choices and not is_switch:
        words["choices"] = ListDisplay(tuple(map(literal, option.choices)))
    if not is_switch or default is not (option.action == "store_false"):
        words["default"] = _literal(default, imports)
    if option.metavar and not is_switch:
        words["metavar"] = string(option.metavar)
    if help := _help(option, default, is_switch):
        words["help"] = string(help)
    return _add_argument(option.names, {name: value for name, value in words.items() if not _is_none(name, value)})


def _help(option: Option, default: Scalar, is_switch: bool) -> str:
    text = (option.help or "").replace("%", "%%")
    if is_switch or default is None:
        return text
    return f"{text} (default: %(default)s)" if text else "default: %(default)s"


def _literal(value: Scalar, imports: Imports) -> Expression:
    if isinstance(value, float) and not math.isfinite(value):
        return non_finite(value, imports.module("math"))
    return literal(value)


def _is_none(name: str, value: Expression) -> bool:
    return name == "default" and value == literal(None)


def _add_argument(names: Iterable[str], words: Mapping[str, Expression]) -> Expression:
    given = [Argument(string(name)) for name in names]
    given += [Argument(value, word) for word, value in words.items()]
    return Invoke(Attribute(Name("parser"), "add_argument"), tuple(given))


def _destination(names: Sequence[str]) -> str:
    """The attribute that argparse derives from an option's names."""
    long = next((name for name in names if name.startswith("--")), names[0])
    return long.lstrip("-").replace("-", "_")
