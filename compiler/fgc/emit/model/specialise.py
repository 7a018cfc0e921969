"""Rewrites one component class for one model: known parameters become values, and dead branches disappear.

The plan of this example says `size = config.hidden_size` and `gate = False`:

    class MLP(nn.Module):                                   class TinyMLP(nn.Module):
        def __init__(self, size, *, gate=False):                def __init__(self, config: TinyConfig):
            super().__init__()                                      super().__init__()
            self.gate = gate                                        self.up = nn.Linear(config.hidden_size, 8)
            self.up = nn.Linear(size, 8)            ->
            if gate:                                            def forward(self, x):
                self.more = nn.Linear(size, 8)                      h = self.up(x)
                                                                    return h
        def forward(self, x):
            h = self.up(x)
            if self.gate:
                h = h * self.more(x)
            return h

The steps, in the order of `specialise`:

1. Facts about parameters. A constant is known in full; a field of the configuration that is always set, or a part, is
   known not to be None (`_parameter_facts`).
2. `fold` removes from the constructor every test that these facts decide.
3. Facts about attributes. An attribute that the folded constructor sets exactly once, to an expression of written
   parameters, has a known value too: `self.gate` is False (`_attribute_facts`).
4. `fold` again, over the whole class: tests of `self.gate` are decided.
5. An attribute that was read before step 4 and is not read after it is *unread*: its assignment is removed.
6. The constructor is rewritten (`_rewrite_constructor`): names of written parameters become expressions, calls of a
   part become its construction, and the parameter list shrinks to `config` and what stays a parameter. A parameter
   that the body assigns again cannot be replaced by an expression, so it becomes a local variable.
7. The docstring loses sentences about features that are off (`_without_sentences_on`), and return annotations are
   narrowed to what the remaining `return` statements give.

Invariant: only code whose outcome the plan decides is changed. A class that inherits its constructor is not rewritten.
"""

import ast
from collections.abc import Mapping, Sequence
from typing import cast

import libcst as cst

from fgc.emit.model.fold import LAYOUT, NOT_NONE, WITHOUT_CODE, Facts, Known, evaluate, fold
from fgc.emit.model.plan import ClassPlan
from fgc.emit.model.render import ClassWriter
from fgc.emit.model.returns import narrow_returns
from fgc.emit.model.values import Constant, Field, PartConstruction, Value
from fgc.patterns import regex

_NOTHING: Facts = {}
_PARAGRAPH = regex(r"(?<=\S)(?=\n\s*\n)")
_SENTENCE = regex(r"(?<=[.])(?=\s+[A-Z`])")
_WORD = regex(r"\w+")


def specialise(
    node: cst.ClassDef, plan: ClassPlan, render: ClassWriter, config_class: str, elsewhere: Facts = _NOTHING
) -> cst.ClassDef:
    """Returns the class with the plan's values written into it; `elsewhere` are facts about other objects."""
    whole, init = node, _constructor(node)
    if init is None or plan.base is not None:
        return node
    facts = _parameter_facts(plan, render)
    decided = cast(cst.FunctionDef, fold(init, {**elsewhere, **facts}))
    known_attributes = _attribute_facts(init, decided, plan.written, facts)
    node = _replace_method(node, init, decided)
    before = _reads(node)
    node = cast(cst.ClassDef, fold(node, {**elsewhere, **known_attributes}))
    unread = {name for name, known in known_attributes.items() if not known.is_object}
    unread = {name for name in unread if before[name] > 0}
    after = _reads(node) if unread else before
    unread = {name.removeprefix("self.") for name in unread if after[name] == 0}
    folded = _constructor(node)
    assert folded is not None, f"{plan.name} lost its constructor"
    node = _replace_method(node, folded, _rewrite_constructor(folded, plan, render, unread, config_class))
    absent = {name for name, value in plan.written.items() if isinstance(value, Constant) and not value.value}
    return narrow_returns(whole, _without_sentences_on(node, absent))


def _parameter_facts(plan: ClassPlan, render: ClassWriter) -> dict[str, Known]:
    facts = {name: _fact(value, render) for name, value in plan.written.items()}
    return {name: known for name, known in facts.items() if known is not None}


def _fact(value: Value, render: ClassWriter) -> Known | None:
    if isinstance(value, Constant):
        return Known(value.value)
    if isinstance(value, Field) and value.name not in render.plans.set_fields:
        return None
    return NOT_NONE


def _attribute_facts(
    init: cst.FunctionDef, decided: cst.FunctionDef, written: Mapping[str, Value], facts: Facts
) -> dict[str, Known]:
    """Returns facts about attributes that the constructor sets exactly once, from parameters that the plan writes."""
    before, after = _assignments(init), _assignments(decided)
    found: dict[str, Known] = {}
    for name, values in after.items():
        first = before[name][0]
        if len(values) != 1 or not _names(first) & set(written):
            continue
        known = evaluate(values[0], facts)
        match values[0]:
            case cst.Call(func=cst.Name(value=function)) if facts.get(function) == NOT_NONE:
                known = NOT_NONE
            case _:
                pass
        if known is not None and (known.is_object or isinstance(known.value, bool | str | None)):
            found[f"self.{name}"] = known
    return found


def _assignments(node: cst.CSTNode) -> dict[str, list[cst.BaseExpression]]:
    """Returns the values assigned to each attribute of `self`."""

    class Collector(cst.CSTVisitor):
        def __init__(self) -> None:
            super().__init__()
            self.found: dict[str, list[cst.BaseExpression]] = {}

        def on_visit(self, node: cst.CSTNode) -> bool:
            return not isinstance(node, WITHOUT_CODE) and super().on_visit(node)

        def visit_Assign(self, node: cst.Assign) -> None:
            for target in node.targets:
                match target.target:
                    case cst.Attribute(value=cst.Name(value="self"), attr=cst.Name(value=name)):
                        self.found.setdefault(name, []).append(node.value)
                    case _:
                        pass

    collector = Collector()
    node.visit(collector)
    return collector.found


def _reads(node: cst.ClassDef) -> "_Counter":
    """Returns how often each attribute of `self` is read."""
    counter = _Counter()
    for item in ast.walk(ast.parse(cst.Module([node]).code)):
        match item:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Load()):
                counter[f"self.{name}"] += 1
            case _:
                pass
    return counter


class _Counter(dict[str, int]):
    def __missing__(self, key: str) -> int:
        return 0


def _names(node: cst.BaseExpression) -> set[str]:
    tree = ast.parse(cst.Module([]).code_for_node(node).strip(), mode="eval")
    return {item.id for item in ast.walk(tree) if isinstance(item, ast.Name)}


def _constructor(node: cst.ClassDef) -> cst.FunctionDef | None:
    return next((i for i in node.body.body if isinstance(i, cst.FunctionDef) and i.name.value == "__init__"), None)


def _replace_method(node: cst.ClassDef, old: cst.FunctionDef, new: cst.FunctionDef) -> cst.ClassDef:
    body = [new if item is old else item for item in node.body.body]
    return node.with_changes(body=node.body.with_changes(body=body))


def _rewrite_constructor(
    init: cst.FunctionDef, plan: ClassPlan, render: ClassWriter, unread: set[str], config_class: str
) -> cst.FunctionDef:
    rebound = _rebound(init) & set(plan.written)
    inlined = {name: value for name, value in plan.written.items() if name not in rebound}
    body = cast(cst.BaseSuite, init.body.visit(_Writer(inlined, render, unread)))
    assert isinstance(body, cst.IndentedBlock), "constructors are written on lines of their own"
    if plan.written:
        body = body.with_changes(body=_without_docstring(body.body))  # it explains parameters that are removed
    used = [name for name in plan.written if name in rebound]
    locals_ = [cst.parse_statement(f"{name} = {render.value(plan.written[name])}\n") for name in used]
    body = body.with_changes(body=[*locals_, *body.body])
    return init.with_changes(
        params=_parameters(init.params, plan, config_class),
        whitespace_before_params=cst.SimpleWhitespace(""),
        body=body,
    )


def _without_sentences_on(node: cst.ClassDef, absent: set[str]) -> cst.ClassDef:
    """Removes the sentences of the docstring that mention a `name` in `absent` which no longer occurs in the code."""
    match node.body.body[0]:
        case cst.SimpleStatementLine(body=[cst.Expr(value=cst.SimpleString() as docstring)]):
            pass
        case _:
            return node
    code = node.body.body[1:]
    words = set(_WORD.findall(cst.Module([*code]).code))
    gone = [f"`{name}`" for name in absent - words]
    opening = docstring.prefix + docstring.quote
    text = docstring.value.removeprefix(opening).removesuffix(docstring.quote)
    first, *others = (_without_sentences(paragraph, gone) for paragraph in _PARAGRAPH.split(text.rstrip()))
    kept = first + "".join(others) if first else "".join(others).lstrip()
    if not kept:
        return node.with_changes(body=node.body.with_changes(body=code)) if text else node
    new = opening + kept + text[len(text.rstrip()) :] + docstring.quote
    return cast(cst.ClassDef, node.deep_replace(docstring, cst.SimpleString(new)))


def _without_sentences(paragraph: str, gone: Sequence[str]) -> str:
    """Returns a paragraph without the sentences that contain a word of `gone`.

    It is on one line if it lost any, and empty if it lost all.
    """
    sentences = _SENTENCE.split(paragraph)
    kept = [sentence for sentence in sentences if not any(word in sentence for word in gone)]
    if kept == sentences:
        return paragraph
    lead = paragraph[: len(paragraph) - len(paragraph.lstrip())]
    return lead + " ".join("".join(kept).split()) if kept else ""


def _without_docstring(statements: Sequence[cst.BaseStatement]) -> Sequence[cst.BaseStatement]:
    match statements[0]:
        case cst.SimpleStatementLine(body=[cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString())]):
            return statements[1:]
        case _:
            return statements


def _rebound(init: cst.FunctionDef) -> set[str]:
    """Returns the names that the constructor's body assigns, which an expression therefore cannot replace."""
    tree = ast.parse(cst.Module([init]).code)
    outer = cast(ast.FunctionDef, tree.body[0])
    names: set[str] = set()
    for statement in outer.body:
        for item in ast.walk(statement):
            if isinstance(item, ast.Name) and not isinstance(item.ctx, ast.Load):
                names.add(item.id)
            elif isinstance(item, ast.arg):
                names.add(item.arg)
    return names


def _parameters(parameters: cst.Parameters, plan: ClassPlan, config_class: str) -> cst.Parameters:
    kept = {parameter.name for parameter in plan.parameters}
    positional = [_bare(p) for p in parameters.params[1:] if p.name.value in kept]
    keyword = [_bare(p) for p in parameters.kwonly_params if p.name.value in kept]
    config = cst.Param(cst.Name("config"), annotation=cst.Annotation(cst.Name(config_class)))
    star = parameters.star_arg
    if isinstance(star, cst.ParamStar):
        star = cst.ParamStar() if keyword else cst.MaybeSentinel.DEFAULT
    return parameters.with_changes(
        params=[_bare(parameters.params[0]), *([config] if plan.takes_config else []), *positional],
        star_arg=star,
        kwonly_params=keyword,
    )


def _bare(parameter: cst.Param) -> cst.Param:
    """Returns a parameter without the comma and line break of the list that it was in."""
    blank = cst.SimpleWhitespace("")
    return parameter.with_changes(comma=cst.MaybeSentinel.DEFAULT, whitespace_after_param=blank)


class _Writer(cst.CSTTransformer):
    """Replaces names with the expressions of their values, and calls of parts with their construction."""

    def __init__(self, written: Mapping[str, Value], render: ClassWriter, unread: set[str]) -> None:
        super().__init__()
        self._written = written
        self._render = render
        self._unread = unread
        self._called: set[cst.CSTNode] = set()
        self._labels: set[cst.CSTNode | None] = set()  # names of attributes and keywords, which are not variables

    def on_visit(self, node: cst.CSTNode) -> bool:
        return not isinstance(node, LAYOUT) and super().on_visit(node)

    def visit_Call(self, node: cst.Call) -> None:
        self._called.add(node.func)

    def visit_Attribute(self, node: cst.Attribute) -> None:
        self._labels.add(node.attr)

    def visit_Arg(self, node: cst.Arg) -> None:
        self._labels.add(node.keyword)

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        value = self._written.get(original_node.value)
        is_constructed = original_node in self._called and isinstance(value, PartConstruction)
        if value is None or is_constructed or original_node in self._labels:
            return updated_node
        return self._expression(value)

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        part = self._written.get(original_node.func.value) if isinstance(original_node.func, cst.Name) else None
        if not isinstance(part, PartConstruction):
            return updated_node
        code = cst.Module([]).code_for_node
        handed = [argument for argument in updated_node.args if code(argument.value) != "config"]
        positional = [code(argument.value) for argument in handed if argument.keyword is None]
        keywords = {a.keyword.value: code(a.value) for a in handed if a.keyword is not None}
        return cst.parse_expression(self._render.call(part, positional, keywords))

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        return updated_node.with_changes(value=_unwrapped(updated_node.value))

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> cst.Assign | cst.RemovalSentinel:
        match original_node.targets[0].target:
            case cst.Attribute(value=cst.Name(value="self"), attr=cst.Name(value=name)) if name in self._unread:
                return cst.RemoveFromParent()
            case _:
                return updated_node.with_changes(value=_unwrapped(updated_node.value))

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.RemovalSentinel:
        return updated_node if updated_node.body else cst.RemoveFromParent()

    def _expression(self, value: Value) -> cst.BaseExpression:
        text = self._render.value(value)
        expression = cst.parse_expression(text)
        is_atom = isinstance(expression, cst.Attribute | cst.Name | cst.Call | cst.List | cst.Dict)
        is_literal = isinstance(expression, cst.Integer | cst.Float | cst.SimpleString)
        return expression if is_atom or is_literal else cst.parse_expression(f"({text})")


def _unwrapped(expression: cst.BaseExpression) -> cst.BaseExpression:
    """Returns an expression that stands alone without its parentheses."""
    is_wrapped = isinstance(expression, cst.BinaryOperation | cst.UnaryOperation) and len(expression.lpar) == 1
    return expression.with_changes(lpar=[], rpar=[]) if is_wrapped else expression
