"""Writes the method `_init_weights` from the rules for initial weights, as a person would write it.

The first rule whose pattern matches a parameter's name applies. The method tests names in the same order, but is
simplified: the pattern `*.bias` becomes `name.endswith(".bias")`, and a function that only calls another is inlined.
"""

import ast
from collections.abc import Mapping, Sequence
from itertools import groupby

import libcst as cst

from fgc.emit.model.components import ComponentImport, Definition
from fgc.emit.model.initial_rules import METHOD, InitialRule
from fgc.emit.model.render import ClassWriter
from fgc.emit.model.values import PartConstruction

_PATHS = "_paths: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()"
_METHOD = """\
if module not in self._paths:  # the first one of a model
    self._paths.update((item, path) for path, item in self.named_modules())
# resize_token_embeddings asks for a new embedding or head that is not in the model yet
new = "embed_tokens" if isinstance(module, nn.Embedding) else "lm_head"
path = self._paths.get(module, new).removeprefix("model.")
for name, parameter in module.named_parameters(path, recurse=False):
{branches}
if isinstance(module, nn.Embedding) and module.padding_idx is not None:
    is_loaded = getattr(module.weight, "_is_hf_initialized", False)
    if not is_loaded:
        init.zeros_(module.weight[module.padding_idx])
"""


def with_rules(node: cst.ClassDef, rules: Sequence[InitialRule], render: ClassWriter) -> cst.ClassDef:
    """Returns the class whose `_init_weights` follows the rules instead of calling that of its base."""
    methods = [item for item in node.body.body if isinstance(item, cst.FunctionDef) and item.name.value == METHOD]
    if not rules or not methods:
        return node
    (method,) = methods
    module = cst.parse_module(_METHOD.format(branches=_branches(rules, render)))
    first, *rest = module.body
    written = [first.with_changes(leading_lines=module.header), *rest]
    render.imports.append(ComponentImport("transformers", "initialization", "init"))
    render.imports.append(ComponentImport("weakref", "WeakKeyDictionary", "WeakKeyDictionary"))
    statements = [new for old in method.body.body for new in (written if _calls_base(old) else [old])]
    changed = method.with_changes(body=method.body.with_changes(body=statements))
    paths = cst.parse_module(_PATHS).body
    body = [new for item in node.body.body for new in ([*paths, changed] if item is method else [item])]
    return node.with_changes(body=node.body.with_changes(body=body))


def _calls_base(statement: cst.CSTNode) -> bool:
    """Returns True if a statement is `super()._init_weights(...)`."""
    match statement:
        case cst.SimpleStatementLine(
            body=[cst.Expr(value=cst.Call(func=cst.Attribute(value=cst.Call(), attr=cst.Name(value=name))))]
        ):
            return name == METHOD
        case _:
            return False


def _branches(rules: Sequence[InitialRule], render: ClassWriter) -> str:
    """Returns the chain of tests; neighbouring rules with the same action share a branch."""
    lines: list[str] = []
    actions = [(_action(rule.fill, render), rule.pattern) for rule in rules]
    for action, group in groupby(actions, key=lambda pair: pair[0]):
        patterns = [pattern for _, pattern in group]
        if "*" in patterns:
            return "\n".join([*lines, *([f"    else:\n        {action}"] if lines else [f"    {action}"])])
        lines.append(f"    {'elif' if lines else 'if'} {_condition(patterns, render)}:\n        {action}")
    message = 'f"no rule of the initializer matches the parameter {name}"'
    return "\n".join([*lines, f"    else:\n        raise ValueError({message})"])


def _condition(patterns: Sequence[str], render: ClassWriter) -> str:
    """Returns the expression that tests if `name` matches one of the patterns."""
    found: list[str] = []
    for kind, group in groupby(map(_test, patterns), key=lambda test: test[0]):
        texts = [repr(text) for _, text in group]
        together = texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
        match kind:
            case "is":
                found.append(f"name {'==' if len(texts) == 1 else 'in'} {together}")
            case "contains":
                found += [f"{text} in name" for text in texts]
            case "fnmatchcase":
                render.imports.append(ComponentImport("fnmatch", kind, kind))
                found += [f"fnmatchcase(name, {text})" for text in texts]
            case _:
                found.append(f"name.{kind}({together})")
    return " or ".join(found)


def _test(pattern: str) -> tuple[str, str]:
    """Returns the comparison for a pattern, and the text to compare with."""
    inner = pattern.removeprefix("*").removesuffix("*")
    if any(character in inner for character in "*?["):
        return "fnmatchcase", pattern
    kinds = {(False, False): "is", (True, False): "endswith", (False, True): "startswith", (True, True): "contains"}
    return kinds[pattern.startswith("*"), pattern.endswith("*")], inner


def _action(part: PartConstruction, render: ClassWriter) -> str:
    """Returns the statement that fills a parameter."""
    own = ClassWriter(render.plans, owner="self.config")
    call = own.call(part, ("parameter",), {})
    inner = _written_out(part.target, call, own) if isinstance(part.target, Definition) else None
    render.parts += own.parts
    render.imports += own.imports
    return inner or call


def _written_out(target: Definition, called: str, render: ClassWriter) -> str | None:
    """Returns the body of a function that is a single call, with its parameters filled in; None for others."""
    inner = _only_call(target.node)
    if inner is None or not isinstance(target.node, ast.FunctionDef):
        return None
    values = _bound(target.node, called)
    names = [item for item in ast.walk(inner) if isinstance(item, ast.Name)]
    handed = [*inner.args, *(item.value for item in inner.keywords)]
    other = [name.id for name in names if name.id not in values]
    is_plain = all(name in handed for name in names if name.id in values)
    if not is_plain or any(name not in target.module.imports for name in other):
        return None
    render.parts.clear()
    render.imports += [target.module.imports[name] for name in other]
    for name in names:
        name.id = values.get(name.id, name.id)  # the text of an argument replaces the parameter
    return ast.unparse(inner)


def _only_call(node: ast.stmt) -> ast.Call | None:
    """Returns a copy of the only call in a function's body, apart from its docstring; None if there is more."""
    body = ast.parse(ast.unparse(node)).body[0]
    match body:
        case ast.FunctionDef(body=[ast.Expr(value=ast.Constant()), ast.Expr(value=ast.Call() as call)]):
            return call
        case ast.FunctionDef(body=[ast.Expr(value=ast.Call() as call)]):
            return call
        case _:
            return None


def _bound(function: ast.FunctionDef, called: str) -> Mapping[str, str]:
    """Returns the text of each parameter's value in a call."""
    call = ast.parse(called, mode="eval").body
    assert isinstance(call, ast.Call), "a part is called"
    arguments = function.args
    positional = [item.arg for item in (*arguments.posonlyargs, *arguments.args)]
    defaults = dict(
        zip(reversed(positional), (ast.unparse(item) for item in reversed(arguments.defaults)), strict=False)
    )
    keyword = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    defaults |= {item.arg: ast.unparse(default) for item, default in keyword if default is not None}
    given = dict(zip(positional, call.args, strict=False)) | {
        item.arg: item.value for item in call.keywords if item.arg
    }
    return {**defaults, **{name: ast.get_source_segment(called, value) or "" for name, value in given.items()}}
