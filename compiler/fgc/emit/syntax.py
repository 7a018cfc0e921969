"""Converts expressions and statements to LibCST nodes, with parentheses by precedence and without layout.

LibCST adds no parentheses and accepts keywords as names, so this module handles both. Black lays the text out.
"""

from collections.abc import Sequence

import libcst as cst

from fgc.emit.expression import (
    Argument,
    Assign,
    Attribute,
    Binary,
    Branch,
    Conditional,
    Constant,
    Define,
    DictDisplay,
    Evaluate,
    Expression,
    Formatted,
    FunctionParameter,
    Invoke,
    Item,
    Lambda,
    Lines,
    ListDisplay,
    Name,
    Return,
    Statement,
    TupleDisplay,
    Unary,
)
from fgc.emit.literal import escape
from fgc.emit.precedence import ARGUMENT, ATOM, LAMBDA, PRIMARY, level, operand_levels

_BINARY: dict[str, type[cst.BaseBinaryOp]] = {
    "+": cst.Add, "-": cst.Subtract, "*": cst.Multiply, "/": cst.Divide, "//": cst.FloorDivide, "%": cst.Modulo,
    "**": cst.Power, "@": cst.MatrixMultiply, "&": cst.BitAnd, "|": cst.BitOr, "^": cst.BitXor,
    "<<": cst.LeftShift, ">>": cst.RightShift,
}  # fmt: skip
_COMPARISONS: dict[str, type[cst.BaseCompOp]] = {
    "==": cst.Equal, "!=": cst.NotEqual, "<": cst.LessThan, "<=": cst.LessThanEqual, ">": cst.GreaterThan,
    ">=": cst.GreaterThanEqual, "is": cst.Is, "is not": cst.IsNot, "in": cst.In, "not in": cst.NotIn,
}  # fmt: skip
_UNARY: dict[str, type[cst.BaseUnaryOp]] = {"-": cst.Minus, "+": cst.Plus, "~": cst.BitInvert, "not": cst.Not}
_TIGHT = cst.SimpleWhitespace("")
_EQUAL = cst.AssignEqual(whitespace_before=_TIGHT, whitespace_after=_TIGHT)


def expression(value: Expression, minimum: int = LAMBDA) -> cst.BaseExpression:
    """Returns the node of an expression, in parentheses if it binds less tightly than `minimum`."""
    node = _expression(value)
    if level(value) >= minimum:
        return node
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _expression(value: Expression) -> cst.BaseExpression:
    match value:
        case Name(text):
            return dotted(text)
        case Constant(text):
            return _constant(text)
        case Lines(pieces):
            return _lines(pieces)
        case Formatted():
            return _formatted(value)
        case Attribute():
            return cst.Attribute(expression(value.value, PRIMARY), cst.Name(value.name))
        case Item():
            index = cst.Index(expression(value.index))
            return cst.Subscript(expression(value.value, PRIMARY), [cst.SubscriptElement(index)])
        case Invoke():
            return cst.Call(expression(value.function, PRIMARY), _arguments(value.arguments))
        case Lambda():
            free = cst.Parameters(star_arg=cst.Param(cst.Name("args")), star_kwarg=cst.Param(cst.Name("kwargs")))
            parameters = free if value.parameters else cst.Parameters()
            return cst.Lambda(parameters, expression(value.body, ARGUMENT))
        case _:
            return _compound(value)


def _compound(value: ListDisplay | TupleDisplay | DictDisplay | Unary | Binary | Conditional) -> cst.BaseExpression:
    match value:
        case ListDisplay(items):
            return cst.List([cst.Element(expression(item, ARGUMENT)) for item in items])
        case TupleDisplay(items):
            return cst.Tuple([cst.Element(expression(item, ARGUMENT)) for item in items])
        case DictDisplay(pairs):
            return cst.Dict([_pair(key, item) for key, item in pairs])
        case Unary(operator, operand):
            (lowest,) = operand_levels(value)
            return cst.UnaryOperation(_UNARY[operator](), expression(operand, lowest))
        case Binary():
            return _binary(value)
        case Conditional(then, test, other):
            lowest = level(value) + 1
            return cst.IfExp(expression(test, lowest), expression(then, lowest), expression(other, lowest))


def _binary(value: Binary) -> cst.BaseExpression:
    left, right = operand_levels(value)
    if value.operator == "or":
        return cst.BooleanOperation(expression(value.left, left), cst.Or(), expression(value.right, right))
    if value.operator in _COMPARISONS:
        target = cst.ComparisonTarget(_COMPARISONS[value.operator](), expression(value.right, right))
        return cst.Comparison(expression(value.left, left), [target])
    operator = _BINARY[value.operator]()
    return cst.BinaryOperation(expression(value.left, left), operator, expression(value.right, right))


def dotted(text: str) -> cst.Name | cst.Attribute:
    """Returns the node of a name such as `os.path.join`."""
    head, *rest = text.split(".")
    node: cst.Name | cst.Attribute = cst.Name(head)
    for name in rest:
        node = cst.Attribute(node, cst.Name(name))
    return node


def _constant(text: str) -> cst.BaseExpression:
    if text[0] in "\"'":
        return cst.SimpleString(text)
    if text[0] == "-":
        return cst.UnaryOperation(cst.Minus(), _constant(text[1:]))
    if text[0].isalpha():
        return cst.Name(text)
    is_integer = text.replace("_", "").isdigit() or text.startswith("0x")
    return cst.Integer(text) if is_integer else cst.Float(text)


def _lines(pieces: Sequence[str]) -> cst.BaseExpression:
    """Returns adjacent strings, each on its own line, in parentheses."""
    nodes: list[cst.SimpleString] = [cst.SimpleString(piece) for piece in pieces]
    joined: cst.SimpleString | cst.ConcatenatedString = nodes[-1]
    for node in reversed(nodes[:-1]):
        joined = cst.ConcatenatedString(node, joined, whitespace_between=cst.ParenthesizedWhitespace())
    return joined.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _formatted(value: Formatted) -> cst.BaseExpression:
    content: list[cst.BaseFormattedStringContent] = []
    for part in value.parts:
        if isinstance(part, str):
            text = escape(part).replace('"', '\\"').replace("{", "{{").replace("}", "}}")
            content.append(cst.FormattedStringText(text))
        else:
            content.append(cst.FormattedStringExpression(expression(_single_quoted(part))))
    return cst.FormattedString(content)


def _single_quoted(value: Expression) -> Expression:
    """Returns an expression without double quotes, for the inside of an f-string."""
    match value:
        case Constant(text) if text[0] == '"':
            return Constant(f"'{text[1:-1]}'")
        case Invoke():
            arguments = (Argument(_single_quoted(item.value), item.keyword, item.star) for item in value.arguments)
            return Invoke(_single_quoted(value.function), tuple(arguments))
        case Binary(left, operator, right):
            return Binary(_single_quoted(left), operator, _single_quoted(right))
        case Unary(operator, operand):
            return Unary(operator, _single_quoted(operand))
        case Conditional(then, test, other):
            return Conditional(_single_quoted(then), _single_quoted(test), _single_quoted(other))
        case Item(inner, index):
            return Item(_single_quoted(inner), _single_quoted(index))
        case Attribute(inner, name):
            return Attribute(_single_quoted(inner), name)
        case _:
            return value


def _arguments(given: Sequence[Argument]) -> list[cst.Arg]:
    """Returns the arguments of a call; a single long text needs no parentheses of its own."""
    made = [_argument(item) for item in given]
    match given:
        case [Argument(value=Lines(), keyword=None, star="")]:
            return [made[0].with_deep_changes(made[0].value, lpar=[], rpar=[])]
        case _:
            return made


def _argument(argument: Argument) -> cst.Arg:
    value = expression(argument.value, ARGUMENT)
    if argument.keyword is not None:
        return cst.Arg(value, keyword=cst.Name(argument.keyword), equal=_EQUAL)
    return cst.Arg(value, star="**" if argument.star == "**" else "*" if argument.star else "")


def _pair(key: Expression | None, value: Expression) -> cst.BaseDictElement:
    if key is None:
        return cst.StarredDictElement(expression(value, ATOM - 1))
    return cst.DictElement(expression(key, ARGUMENT), expression(value, ARGUMENT))


def statement(value: Statement, comment: str | None = None, *, is_first: bool = False) -> cst.BaseStatement:
    """Returns the node of a statement, with its comment above and an empty line before that unless it comes first."""
    above = _above(comment, is_first)
    match value:
        case Assign():
            node = cst.Assign([cst.AssignTarget(dotted(value.name))], expression(value.value))
            return _line(node, above)
        case Return():
            return _line(cst.Return(expression(value.value)), above)
        case Evaluate():
            return _line(cst.Expr(expression(value.value)), above)
        case Branch():
            return cst.If(expression(value.test), _block(value.body))
        case Define():
            returns = None if value.returns is None else _annotation(value.returns)
            parameters = _parameters(value.parameters)
            decorators = [] if value.decorator is None else [cst.Decorator(cst.Name(value.decorator.text))]
            return cst.FunctionDef(
                cst.Name(value.name),
                parameters,
                _block(value.body),
                decorators,
                returns=returns,
                leading_lines=above,
            )


def _line(node: cst.BaseSmallStatement, above: Sequence[cst.EmptyLine]) -> cst.SimpleStatementLine:
    return cst.SimpleStatementLine([node], leading_lines=above)


def _above(comment: str | None, is_first: bool) -> list[cst.EmptyLine]:
    if comment is None:
        return []
    lines = [cst.EmptyLine(comment=cst.Comment(f"# {comment}"))] if comment else []
    return lines if is_first else [cst.EmptyLine(indent=False), *lines]


def _block(body: Sequence[Statement]) -> cst.IndentedBlock:
    return cst.IndentedBlock([statement(item) for item in body])


def _parameters(parameters: Sequence[FunctionParameter]) -> cst.Parameters:
    made = {parameter.text: _parameter(parameter) for parameter in parameters}
    leading = [made[parameter.text] for parameter in parameters if parameter.is_positional_only]
    plain = [node for text, node in made.items() if not text.startswith("*") and node not in leading]
    return cst.Parameters(
        plain,
        star_arg=made.get("*args") or cst.MaybeSentinel.DEFAULT,
        star_kwarg=made.get("**kwargs"),
        posonly_params=leading,
    )


def _parameter(parameter: FunctionParameter) -> cst.Param:
    annotation = None if parameter.annotation is None else _annotation(parameter.annotation)
    default = None if parameter.default is None else expression(parameter.default)
    return cst.Param(cst.Name(parameter.text.lstrip("*")), annotation, default=default)


def _annotation(text: str) -> cst.Annotation:
    return cst.Annotation(dotted(text) if text.replace(".", "").isidentifier() else cst.parse_expression(text))
