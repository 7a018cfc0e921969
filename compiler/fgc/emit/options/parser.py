"""Writes the function that reads a program's command line from its options."""

import math
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fgc.emit.deferred import ARGUMENTS, DeferredTexts
from fgc.emit.expression import (
    Argument,
    Assign,
    Attribute,
    Binary,
    Branch,
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
from fgc.emit.options.records import Offered, Options
from fgc.ir import Scalar
from fgc.text import DeferredArgument, DeferredExpression, DeferredOption, arguments_in, has_options

PARSE = "parse_arguments"
_OPTIONS_MODULE = "fgc_runtime.options"
_SETTINGS_MODULE = "fgc_runtime.settings"
_CONVERTERS = {"bool": "boolean", "path": "absolute_path"}
_SET_HELP = "set a value of the configuration, as in optimizer.lr=0.1; may be repeated"
_RESUME_HELP = "go on from this checkpoint, or from the latest one"
_OF_TRAININGS = {
    "--output-dir": ("FOLDER", "where the model goes, with a folder for each run"),
    "--run-name": ("NAME", "what the folder of the run is called, before its time"),
}


def parser_function(options: Options, imports: Imports, texts: DeferredTexts, *, has_resume: bool) -> Define:
    """Returns the function that reads the command line; the runtime handles `--set`."""
    argparse = imports.module("argparse")
    words = (Argument(Name("__doc__"), "description"), Argument(literal(False), "allow_abbrev"))
    body: list[Statement] = [Assign("parser", Invoke(Name(f"{argparse}.ArgumentParser"), words))]
    body += [Evaluate(_added(offered, options, imports, texts)) for offered in options.offered.values()]
    if has_resume:
        resume = {"nargs": string("?"), "const": literal(True), "metavar": string("CHECKPOINT")}
        body.append(Evaluate(_add_argument(("--resume",), {**resume, "help": string(_RESUME_HELP)})))
        body += _of_trainings(options, imports)
    setting = imports.function(_SETTINGS_MODULE, "SetValue")
    set_words = {"action": setting, "metavar": string("PATH=VALUE"), "help": string(_SET_HELP)}
    body.append(Evaluate(_add_argument(("--set",), set_words)))
    parsed: Expression = Invoke(Attribute(Name("parser"), "parse_args"), ())
    late = _late(options)
    if late:
        body.append(Assign(ARGUMENTS, parsed))
        body += [_filled(options.offered[variable], default, texts) for variable, default in late.items()]
        parsed = Name(ARGUMENTS)
    body.append(Return(parsed))
    return Define(PARSE, (), f"{argparse}.Namespace", tuple(body))


def _late_default(offered: Offered) -> DeferredExpression | None:
    """Returns a default to set after parsing: one that mentions another option, or that argparse would convert."""
    default = offered.default
    if isinstance(default, Scalar):
        return None
    return default if offered.is_read or has_options(default) else None


def _late(options: Options) -> dict[str, DeferredExpression]:
    """Returns the defaults to set after parsing, each after those that it mentions."""
    found: dict[str, DeferredExpression] = {}

    def visit(variable: str) -> None:
        default = _late_default(options.offered[variable])
        if variable in found or default is None:
            return
        for item in arguments_in(default):
            visit(item.name)
        found[variable] = default

    for variable in options.offered:
        visit(variable)
    return found


def _filled(offered: Offered, default: DeferredExpression, texts: DeferredTexts) -> Statement:
    variable = offered.option.variable
    if offered.is_read:
        is_left_out = Binary(string(variable), "not in", Name(ARGUMENTS))
    else:
        is_left_out = Binary(Attribute(Name(ARGUMENTS), variable, is_pure=True), "is", literal(None))
    return Branch(is_left_out, (Assign(f"{ARGUMENTS}.{variable}", texts.outside(default)),))


def _of_trainings(options: Options, imports: Imports) -> Iterator[Statement]:
    """Yields the options of every training, except names and variables that the configuration uses itself."""
    declared = [*(item.option for item in options.offered.values()), *(item.option for item in options.closed)]
    taken = {name for option in declared for name in (*option.names, _destination((option.variable,)))}
    for name, (metavar, help) in _OF_TRAININGS.items():
        if not taken & {name, _destination((name,))}:
            action = imports.function(_SETTINGS_MODULE, "TrainingArgument")
            words = {"action": action, "metavar": string(metavar), "help": string(help)}
            yield Evaluate(_add_argument((name,), words))


def _added(offered: Offered, options: Options, imports: Imports, texts: DeferredTexts) -> Expression:
    option, default = offered.option, offered.default
    words: dict[str, Expression] = {}
    is_switch = option.action in ("store_true", "store_false")
    if option.variable != _destination(option.names):
        words["dest"] = string(option.variable)
    if option.action != "store":
        words["action"] = string(option.action)
        words |= {"const": literal(option.const)} if option.action == "store_const" else {}
    else:
        words |= _converter(offered, imports)
    if option.choices and option.action == "store":
        words["choices"] = ListDisplay(tuple(map(literal, option.choices)))
    if _late_default(offered) is not None and offered.is_read:
        words["default"] = Name(f"{imports.module('argparse')}.SUPPRESS")  # None is what `null` stands for
    elif _late_default(offered) is not None:
        words |= {"default": literal(None)} if is_switch else {}
    elif default is not (option.action == "store_false" if is_switch else None):
        words["default"] = _default(default, imports, texts)
    if option.nargs is not None:
        const = default if option.const is None else option.const
        words |= {"nargs": literal(option.nargs), "const": _default(const, imports, texts)}
    if option.metavar and option.action == "store":
        words["metavar"] = string(option.metavar)
    if help := _help(offered, options, is_switch):
        words["help"] = string(help)
    return _add_argument(option.names, words)


def _converter(offered: Offered, imports: Imports) -> dict[str, Expression]:
    """Returns the keywords that convert a word to a value. argparse would also convert a default that is a text."""
    option, default = offered.option, offered.default
    if offered.is_read:
        is_item = any(form.startswith("[") for form in offered.forms)
        return {"type": imports.function(_OPTIONS_MODULE, "item_value" if is_item else "plain_value")}
    if offered.forms:
        forms = [Argument(string(form)) for form in offered.forms]
        if option.type == "path":
            forms.append(Argument(imports.function(_OPTIONS_MODULE, "absolute_path"), "convert"))
        return {"action": Invoke(imports.function(_OPTIONS_MODULE, "part_of"), tuple(forms))}
    if option.type == "str":
        return {}
    is_kept = default is None or isinstance(default, bool | int | float) or _is_absolute(default) or option.choices
    if option.type == "path" and not is_kept:
        return {"action": imports.function(_OPTIONS_MODULE, "StorePath")}
    converter = _CONVERTERS.get(option.type)
    return {"type": imports.function(_OPTIONS_MODULE, converter) if converter else Name(option.type)}


def _is_absolute(default: Scalar | DeferredExpression) -> bool:
    return isinstance(default, str) and default.startswith("/") and posixpath.normpath(default) == default


def _default(default: Scalar | DeferredExpression, imports: Imports, texts: DeferredTexts) -> Expression:
    if isinstance(default, float) and not math.isfinite(default):
        return non_finite(default, imports.module("math"))
    if isinstance(default, Scalar):
        return string(default) if isinstance(default, str) else literal(default)
    return texts.outside(default)


def _help(offered: Offered, options: Options, is_switch: bool) -> str:
    option, default = offered.option, offered.default
    text = (option.help or "").replace("%", "%%")
    if isinstance(default, DeferredArgument | DeferredOption):
        shown = f"that of {options.offered[default.name].option.names[0]}"
    elif is_switch or default in (None, "") or _late_default(offered) is not None:
        return text
    else:
        shown = "%(default)s"
    return f"{text} (default: {shown})" if text else f"default: {shown}"


def _add_argument(names: Iterable[str], words: Mapping[str, Expression]) -> Expression:
    given = [Argument(string(name)) for name in names]
    given += [Argument(value, word) for word, value in words.items()]
    return Invoke(Attribute(Name("parser"), "add_argument"), tuple(given))


def _destination(names: Sequence[str]) -> str:
    """Returns the attribute that argparse derives from an option's names."""
    long = next((name for name in names if name.startswith("--")), names[0])
    return long.lstrip("-").replace("-", "_")
