"""Writes the text of a generated module: docstring, imports, constants, functions, laid out by Black."""

import ast
from collections.abc import Mapping, Sequence
from itertools import groupby

import libcst as cst
from msgspec import Struct

from fgc.emit import syntax
from fgc.emit.expression import (
    Assign,
    Attribute,
    Constant,
    Define,
    Evaluate,
    Expression,
    Invoke,
    Name,
    Statement,
)
from fgc.emit.imports import Import
from fgc.emit.layout import LINE_WIDTH, Layout
from fgc.emit.measure import width
from fgc.ir import NodeId

_PREFIXES = ("construct_", "new_")  # omitted from comments: the code shows it
_SUFFIXES = ("_definition", "_constructor", "_code_generator")
_ACRONYMS = frozenset({"bpe", "ddp", "fsdp", "lr"})


class ModuleParts(Struct, frozen=True):
    """The parts of a module. `sections` holds the comment above a statement of the last function, by its place.

    `reads_words_at_entry`: the program's last statement reads the command line, because no function does.
    """

    docstring: str
    imports: Sequence[Import]
    constants: Sequence[tuple[str, Expression]]
    functions: Sequence[Define]
    sections: Mapping[int, str]
    entry: str | None
    reads_words_at_entry: bool = False


def render(module: ModuleParts, layout: Layout | None) -> tuple[str, ast.Module]:
    """Returns the text of a module and its syntax tree."""
    text = cst.Module(body=_body(module)).code  # type: ignore[arg-type]  # of two subclasses
    text = layout(text) if layout is not None else text
    return text, ast.parse(text)


def _body(module: ModuleParts) -> list[cst.BaseStatement]:
    body: list[cst.BaseStatement] = [_docstring(module.docstring)]
    body += _imports(module.imports)
    body += [_constant(name, value) for name, value in module.constants]
    body += [_function(function, {}) for function in module.functions[:-1]]
    body += [_function(function, module.sections) for function in module.functions[-1:]]
    if module.entry is not None:
        call = syntax.statement(Evaluate(Invoke(Name(module.entry), ())))
        test = cst.Comparison(cst.Name("__name__"), [cst.ComparisonTarget(cst.Equal(), cst.SimpleString('"__main__"'))])
        before = [_command_line()] if module.reads_words_at_entry else []
        body.append(cst.If(test, cst.IndentedBlock([*before, call])))
    return body


def _command_line() -> cst.If:
    """Returns the statement that reads the command line, if it has any words."""
    words = cst.Subscript(
        syntax.expression(Attribute(Name("sys"), "argv")),
        [cst.SubscriptElement(cst.Slice(cst.Integer("1"), None))],
    )
    imported = cst.ImportFrom(syntax.dotted("fgc_runtime.settings"), [cst.ImportAlias(cst.Name("read_command_line"))])
    read = syntax.statement(Evaluate(Invoke(Name("read_command_line"), ())))
    return cst.If(words, cst.IndentedBlock([cst.SimpleStatementLine([imported]), read]))


def _constant(name: str, value: Expression) -> cst.BaseStatement:
    node = syntax.statement(Assign(name, value))
    is_text = isinstance(value, Constant) and value.text.startswith('"""')
    return node.with_changes(leading_lines=[cst.EmptyLine()]) if is_text else node


def _docstring(text: str) -> cst.SimpleStatementLine:
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return cst.SimpleStatementLine([cst.Expr(cst.SimpleString(f'"""{escaped}"""'))])


def _function(function: Define, sections: Mapping[int, str]) -> cst.BaseStatement:
    node = syntax.statement(function)
    assert isinstance(node, cst.FunctionDef)
    body = [
        syntax.statement(item, sections.get(place), is_first=place == 0) for place, item in enumerate(function.body)
    ]
    return node.with_changes(body=cst.IndentedBlock(body))


def _imports(imports: Sequence[Import]) -> list[cst.BaseStatement]:
    lines: list[cst.BaseStatement] = []
    section = imports[0].section if imports else 0
    for _, group in groupby(imports, key=lambda item: (item.module, item.name is None, item.alias)):
        items = list(group)
        above = [cst.EmptyLine()] if items[0].section != section or not lines else []
        section = items[0].section
        statement = _import(items[0]) if items[0].name is None else _from_import(items)
        lines.append(cst.SimpleStatementLine([statement], leading_lines=above))
    return lines


def _import(item: Import) -> cst.Import:
    return cst.Import([cst.ImportAlias(syntax.dotted(item.module), _alias(item))])


def _from_import(items: Sequence[Import]) -> cst.ImportFrom:
    names = [cst.ImportAlias(cst.Name(item.name or ""), _alias(item)) for item in items]
    return cst.ImportFrom(syntax.dotted(items[0].module), names)


def _alias(item: Import) -> cst.AsName | None:
    return None if item.alias is None else cst.AsName(cst.Name(item.alias))


def section_comments(function: Define, blocks: Mapping[NodeId, str | None]) -> dict[int, str]:
    """Returns a comment for each statement at which the block of origin changes; none if all come from one block.

    An empty comment means an empty line: the name below says the same, or the block has several parts. Statements of
    one line stay together.
    """
    body = function.body
    found: dict[int, str] = {}
    current: str | None = None
    for place, statement in enumerate(body):
        node = getattr(statement, "node", None)
        block = blocks.get(node) if node is not None else None
        if block is not None and title(block) != current:
            current = found[place] = title(block)
    if len(set(found.values())) < 2:
        return {}
    if isinstance(body[-1], Evaluate):
        found.setdefault(len(body) - 1, "")  # the statement that starts everything has a line before it
    ends = [*list(found)[1:], len(body)]
    titles = list(found.values())
    sections = {
        place: "" if titles.count(text) > 1 or _goes_without_saying(text, body[place:end]) else text
        for (place, text), end in zip(found.items(), ends, strict=True)
    }
    if len(body) > 1 and _starts(body[-1], body[-2]):
        sections.pop(len(body) - 1, None)
        sections[len(body) - 2] = ""
    return {place: text for place, text in sections.items() if text or not _continues(body, place, sections)}


def _starts(last: Statement, before: Statement) -> bool:
    """Returns True if the last statement calls a method of the object that the statement before made."""
    method = last.value.function if isinstance(last, Evaluate) and isinstance(last.value, Invoke) else None
    owner = method.value if isinstance(method, Attribute) else None
    return isinstance(before, Assign) and owner == Name(before.name)


def _continues(body: Sequence[Statement], place: int, sections: Mapping[int, str]) -> bool:
    """Returns True if a statement of one line follows another, and does not begin a section of several."""
    is_short = _is_line(body[place]) and place > 0 and _is_line(body[place - 1])
    return is_short and (place + 1 in sections or place + 1 == len(body))


def _is_line(statement: Statement) -> bool:
    return isinstance(statement, Assign) and len(statement.name) + width(statement.value) + 7 <= LINE_WIDTH


def _goes_without_saying(text: str, statements: Sequence[Statement]) -> bool:
    """Returns True if a comment only repeats the name below it: `# Data collator` above `data_collator = ...`."""
    if len(statements) != 1:
        return False
    name = getattr(statements[0], "name", "").replace("_", "")
    words = text.lower().split()
    return "".join(words) in name or name in "".join(words) or words[0].rstrip("s") in name


def title(block: str) -> str:
    """Returns a block's name for a comment: `Model` for `construct_new_model`, `LR scheduler` for `lr_scheduler`."""
    name = block.strip("_")
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix) or name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix) or name
    words = [word.upper() if word in _ACRONYMS else word for word in name.split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]
