"""Callables of Python for an editor: signatures, docstrings, places, and the names in a module. Nothing is imported."""

import ast
import textwrap
from collections.abc import Sequence

from msgspec import Struct

from fgc.ide.editor import Editor
from fgc.ide.marks import Mark
from fgc.ir import Symbol, SymbolKind
from fgc.pipeline.fitting import possible_values
from fgc.resolve.environment import as_flow_item, to_yaml
from fgc.signatures import Answer, DefinitionPlace
from fgc.signatures.signature import Parameter, ParameterKind, Signature
from fgc.text import Origin, Source, Span

_MAX_LINE = 88


class Described(Struct, frozen=True):
    """A callable as a person reads it: its signature as Python writes it, the first paragraph of its docstring."""

    text: str
    summary: str
    place: DefinitionPlace | None


def symbol_of(text: str, span: Span) -> Symbol:
    """Returns a callable by its name in a tag."""
    origin = Origin(span)
    container, colon, attribute = text.rpartition(":")
    if not colon:
        if "." not in text:
            return Symbol(text, SymbolKind.BUILTIN, "", text, origin)
        container, _, attribute = text.rpartition(".")
        return Symbol(text, SymbolKind.MODULE, container, attribute, origin)
    if container.startswith("."):
        return Symbol(text, SymbolKind.COMPONENT, container, attribute, origin)
    is_file = container.endswith(".py") or "/" in container
    return Symbol(text, SymbolKind.FILE if is_file else SymbolKind.MODULE, container, attribute, origin)


def answer_of(editor: Editor, path: str, text: str, span: Span) -> Answer | None:
    """Returns what is known of a callable; None for a component that only a model's own folders may hold."""
    symbol = symbol_of(text, span)
    files = editor.python_files(path)
    if symbol.kind is SymbolKind.COMPONENT:
        place = files.component(symbol.container)
        if place is None:
            return None
        symbol = Symbol(text, SymbolKind.FILE, place, symbol.attribute, symbol.origin)
    if symbol.has_dots_only:
        module = files.longest_module(text)
        if module is not None:
            symbol = Symbol(text, SymbolKind.MODULE, module, text[len(module) + 1 :], symbol.origin)
    return files.look_up(symbol)


def describe(editor: Editor, path: str, mark: Mark) -> Described | None:
    """Returns a callable as a hover shows it; None if nothing is known of it."""
    answer = answer_of(editor, path, mark.name, mark.span)
    if answer is None or (not answer.signatures and answer.place is None):
        return None
    name = mark.name.rpartition(":")[2].rpartition(".")[2]
    shown = [signature_text(name, signature) for signature in answer.signatures]
    text = "\n".join(shown) or name
    return Described(text, _summary(editor, path, answer.place), answer.place)


def callable_place(editor: Editor, path: str, mark: Mark) -> Span | None:
    """Returns the place of a callable's name in its Python file."""
    answer = answer_of(editor, path, mark.name, mark.span)
    if answer is None or answer.place is None:
        return None
    source = editor.python_files(path).definition(answer.place.path)
    return None if source is None else _span(source, answer.place)


def names_in_module(editor: Editor, path: str, module: str) -> list[str]:
    """Returns the names that a module, a component or a file of the project shows."""
    files = editor.python_files(path)
    place = files.component(module) if module.startswith(".") else module
    return [] if place is None else files.names_in(place)


def parameters_of(editor: Editor, path: str, text: str, span: Span) -> Sequence[Parameter]:
    """Returns the parameters that a call of a callable can name."""
    answer = answer_of(editor, path, text, span)
    return () if answer is None else named_parameters(answer)


def named_parameters(answer: Answer) -> Sequence[Parameter]:
    """Returns the parameters that a call can name, of all signatures, each once."""
    found: dict[str, Parameter] = {}
    for signature in answer.signatures:
        for parameter in (*signature.parameters, *(signature.behind_kwargs or ())):
            if parameter.kind in (ParameterKind.ANY, ParameterKind.KEYWORD_ONLY):
                found.setdefault(parameter.name, parameter)
    return [*found.values()]


def signature_text(name: str, signature: Signature) -> str:
    """Returns a signature as Python writes it, one parameter a line if it is long."""
    words: list[str] = []
    had_star = False
    for parameter in signature.parameters:
        if parameter.kind is ParameterKind.KEYWORD_ONLY and not had_star:
            words.append("*")
            had_star = True
        had_star = had_star or parameter.kind is ParameterKind.VAR_POSITIONAL
        words.append(parameter_text(parameter))
    line = f"{name}({', '.join(words)})"
    return line if len(line) <= _MAX_LINE else f"{name}(\n" + "".join(f"    {word},\n" for word in words) + ")"


def parameter_text(parameter: Parameter) -> str:
    """Returns a parameter as Python writes it."""
    stars = {ParameterKind.VAR_POSITIONAL: "*", ParameterKind.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    note = "" if parameter.annotation is None else f": {parameter.annotation}"
    equals = " = " if note else "="
    default = "" if parameter.default is None else f"{equals}{parameter.default}"
    return f"{stars}{parameter.name}{note}{default}"


def _summary(editor: Editor, path: str, place: DefinitionPlace | None) -> str:
    source = None if place is None else editor.python_files(path).definition(place.path)
    if source is None or place is None:
        return ""
    return editor.store.questions.ask(("summary", place.path, place.line), lambda: _docstring(source, place.line))


def _docstring(source: Source, line: int) -> str:
    """Returns the first paragraph of the docstring of a definition; of `__init__` where the class has none."""
    try:
        tree = ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError):
        return ""
    node = next((node for node in ast.walk(tree) if _is_definition(node) and getattr(node, "lineno", 0) == line), None)
    if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return ""
    start = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), node)
    text = ast.get_docstring(node) or ast.get_docstring(start) or ""
    return textwrap.dedent(text).strip().partition("\n\n")[0]


def _is_definition(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)


def _span(source: Source, place: DefinitionPlace) -> Span | None:
    if not 1 <= place.line <= len(source.line_starts):
        return None
    start = source.line_starts[place.line - 1] + place.column - 1
    return Span(source, start, start + place.length)


def literal_values(editor: Editor, path: str, parameter: Parameter) -> list[str]:
    """Returns the values that a parameter takes as its annotation lists them, as YAML writes them."""
    found = [*possible_values(parameter.annotation or "", parameter.home, editor.python_files(path))]
    found += [None] if parameter.default == "None" else []
    found += [True, False] if parameter.default in ("True", "False") else []
    return list(dict.fromkeys(_as_yaml(value) for value in found if isinstance(value, str | int | float | None)))


def _as_yaml(value: str | float | None) -> str:
    return str(value).lower() if isinstance(value, bool) else as_flow_item(to_yaml(value))
