"""The parts of a generated module to its text: docstring, imports, constants, functions, laid out by Black."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import black
import libcst as cst
from black.mode import TargetVersion

from fgc.emit import syntax
from fgc.emit.expression import Assign, Constant, Define, Evaluate, Expression, Invoke, Name
from fgc.emit.imports import Import
from fgc.ir import NodeId

LINE_WIDTH = 88
_PREFIXES = ("construct_", "new_")  # what a block does with its subject goes without saying in a program
_SUFFIXES = ("_definition", "_constructor", "_code_generator")
_ACRONYMS = frozenset({"bpe", "ddp", "fsdp", "lr"})


@dataclass(frozen=True, slots=True)
class ModuleParts:
    """What a module consists of. `sections` holds the comment above a statement of the last function, by its place."""

    docstring: str
    imports: Sequence[Import]
    constants: Sequence[tuple[str, Expression]]
    functions: Sequence[Define]
    sections: Mapping[int, str]
    entry: str | None


def render(module: ModuleParts, *, is_formatted: bool = True) -> tuple[str, ast.Module]:
    """The text of a module and its tree; the text is checked to be Python."""
    text = cst.Module(body=_body(module)).code  # type: ignore[arg-type]  # of two subclasses
    if is_formatted:
        mode = black.Mode(line_length=LINE_WIDTH, target_versions={TargetVersion.PY311})
        text = black.format_str(text, mode=mode)
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
        body.append(cst.If(test, cst.IndentedBlock([call])))
    return body


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
    """Comments where the block changes that a statement comes from; none if all come from one.

    An empty comment is an empty line.
    """
    found: dict[int, str] = {}
    current: str | None = None
    for place, statement in enumerate(function.body):
        node = getattr(statement, "node", None)
        block = blocks.get(node) if node is not None else None
        if block is not None and title(block) != current:
            current = found[place] = title(block)
    if len(set(found.values())) < 2:
        return {}
    if isinstance(function.body[-1], Evaluate):
        found.setdefault(len(function.body) - 1, "")  # what starts it all stands alone
    return found


def title(block: str) -> str:
    """A block's name as a comment says it: `construct_new_model` is `Model`, `lr_scheduler` is `LR scheduler`."""
    name = block.strip("_")
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix) or name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix) or name
    words = [word.upper() if word in _ACRONYMS else word for word in name.split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]
