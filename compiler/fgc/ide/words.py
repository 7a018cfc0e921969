"""Words of the language that an editor offers, and a line about each."""

import inspect
from functools import lru_cache
from pathlib import Path

from fgc.resolve.environment import jinja_environment, make_globals
from fgc.workspace.facts import collect_facts
from fgc.workspace.project import META_KEYS

FILTERS = tuple(sorted(jinja_environment().filters))
TESTS = tuple(sorted(name for name in jinja_environment().tests if name.isidentifier()))
LOOP = ("index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "previtem", "nextitem")

STATEMENTS = {
    "extends": "names the parent, whose blocks this template overrides",
    "include": "inserts a template, which sees the variables of this place",
    "import": "imports the macros and variables of a template under one name",
    "from": "imports macros and variables from a template",
    "block": "begins a part that a child can override",
    "endblock": "ends the block",
    "set": "sets a variable, or an attribute of a namespace",
    "endset": "ends the text that the variable gets",
    "if": "keeps the lines below if the condition is true",
    "elif": "keeps the lines below if this is the first condition that is true",
    "else": "keeps the lines below if no condition above is true",
    "endif": "ends the choice",
    "for": "repeats the lines below for each item",
    "endfor": "ends the loop",
    "macro": "begins a text with arguments",
    "endmacro": "ends the macro",
    "call": "calls a macro with the lines below as its `caller()`",
    "endcall": "ends the call",
    "filter": "sends the lines below through a filter",
    "endfilter": "ends the filter",
    "with": "sets variables for the lines below",
    "endwith": "ends the variables of `with`",
}
TAG_TEXTS = {
    "call": "the result of a call: one object, however often it is mentioned",
    "singleton": "the result of a call: one object, however often it is mentioned",
    "factory": "the result of a call, a new object for every mention",
    "partial": "a callable with arguments bound",
    "lambda": "a callable that evaluates its arguments when it is called",
    "meta": "what a function makes of its arguments when the program is built",
    "list": "a list, built once",
    "tuple": "a tuple, built once",
    "dict": "a mapping, built once",
    "dlist": "the values of a mapping as a list: a child overrides an entry by its key, and drops it with `null`",
    "var": "a value that is given to the program",
}
_GLOBALS = {
    "namespace": "namespace(name=value, ...): a value whose attributes cross the borders of blocks and loops",
    "range": "range(stop), range(start, stop, step): whole numbers",
    "dict": "dict(name=value, ...): a mapping",
    "cycler": "cycler(item, ...): returns its items in turn, by `next()`",
    "joiner": "joiner(separator): prints nothing first, and then the separator",
    "lipsum": "lipsum(n, html, min, max): filler text",
    "isotime": "isotime(): the time when the program starts, 2026-01-31T12:00:00",
    "utcisotime": "utcisotime(): as `isotime`, in UTC",
    "filetime": "filetime(): the time when the program starts, as a file can be named",
    "utcfiletime": "utcfiletime(): as `filetime`, in UTC",
    "now": "now(): the time when the program starts, with `strftime(layout)`",
    "utcnow": "utcnow(): as `now`, in UTC",
    "joinpath": "joinpath(part, ...): a path of its parts",
    "normpath": "normpath(path): a path without `..` and double slashes",
    "abspath": "abspath(path): a path from the root",
    "relpath": "relpath(path, start): a path as seen from a folder",
    "dirname": "dirname(path): the folder of a path",
    "basename": "basename(path): the last part of a path",
    "splitext": "splitext(path): a path without its ending, and the ending",
    "modname_from_path": "modname_from_path(path): the module's name of a Python file",
    "repr": "repr(value): a value as Python writes it",
    "getenv": "getenv(name, default): a variable of the environment, read when the program starts",
    "raise": "raise(message): refuses the values of this configuration",
    "assert": "assert(condition, message): reports an error unless the condition is true",
    "project_dir": "the folder of the project",
    "workspace_root": "the folder of the workspace",
    "getcwd": "getcwd(): the working folder",
    "user_home_dir": "user_home_dir(): the user's home folder",
    "user_data_dir": "user_data_dir(application): the user's folder for the data of an application",
    "user_cache_dir": "user_cache_dir(application): the user's folder for files that an application can recreate",
    "user_config_dir": "user_config_dir(application): the user's folder for the settings of an application",
    "site_data_dir": "site_data_dir(application): the folder with an application's data for all users",
    "site_config_dir": "site_config_dir(application): the folder with an application's settings for all users",
    "forgather_config_dir": "forgather_config_dir(): the user's folder for Forgather's settings and templates",
    "hostname": "the name of the machine",
    "uname": "the operating system: sysname, nodename, release, version, machine",
    "versions": "versions of Python and of packages, by their names",
}
SUPER = "super(): what the block would have held"


@lru_cache(maxsize=1)
def global_texts() -> dict[str, str]:
    """Returns the names that every template sees, each with a line about it."""
    names = make_globals(collect_facts(Path("/"), Path("/")))
    return {name: _GLOBALS.get(name, name) for name in names}


def filter_text(name: str) -> str:
    """Returns what a filter is called with, and what Jinja2 says about it; empty for an unknown one."""
    return _function_text(name, jinja_environment().filters.get(name))


def test_text(name: str) -> str:
    """Returns the same of a test."""
    return _function_text(name, jinja_environment().tests.get(name))


def _function_text(name: str, function: object) -> str:
    if not callable(function):
        return ""
    try:
        taken = [*inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):
        return name
    shown = [str(p.replace(annotation=inspect.Parameter.empty)) for p in taken if p.name not in _HIDDEN]
    words = " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split()).partition(". ")[0].rstrip(".:")
    rest = f"({', '.join(shown[1:])})" if shown[1:] else ""
    return f"{name}{rest}: {words}" if words else f"{name}{rest}"


_HIDDEN = ("environment", "eval_ctx", "context")

__all__ = ["FILTERS", "LOOP", "META_KEYS", "STATEMENTS", "SUPER", "TAG_TEXTS", "TESTS"]
__all__ += ["filter_text", "global_texts", "test_text"]
