"""Names of callables to right and wrong calls of them, as Python itself tells them apart.

Run as a script in the environment that has the packages: names come in as JSON, one line of JSON goes out for each.
A name without a colon is a module: some of its public callables are drawn. Knows nothing of fgc.
"""

import enum
import importlib
import inspect
import json
import random
import sys
import types
import typing
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

ANYTHING = {"anything": True}  # a value of which nothing is known
_WRONG: tuple[Any, ...] = ("fgc-wrong", 7.5, [7.5], {"fgc": 7.5})
_P = inspect.Parameter
_NAMED = (_P.POSITIONAL_OR_KEYWORD, _P.KEYWORD_ONLY)
_BY_POSITION = (_P.POSITIONAL_ONLY, _P.POSITIONAL_OR_KEYWORD)
_MOST = 3  # wrong calls of one kind for one callable


def main() -> None:
    """Answer for the names on standard input."""
    warnings.simplefilter("ignore")
    asked = json.load(sys.stdin)
    sys.stdout, answers = sys.stderr, sys.stdout
    for name in asked["names"]:
        for found in _drawn(name, asked["sample"], asked["seed"]) if ":" not in name else [name]:
            print(json.dumps(_answer(found)), file=answers, flush=True)


def _drawn(module: str, count: int, seed: int) -> list[str]:
    """Some public callables of a module, the same for the same seed."""
    try:
        home = importlib.import_module(module)
    except Exception:
        return [f"{module}:"]
    names = sorted(name for name in getattr(home, "__all__", None) or dir(home) if not name.startswith("_"))
    found = []
    for name in names:
        try:
            value = getattr(home, name, None)
        except Exception:
            continue
        if callable(value) and not isinstance(value, type(typing.List) | typing.TypeVar):  # noqa: UP006
            found.append(f"{module}:{name}")
    random.Random(f"{seed} {module}").shuffle(found)
    return found[:count]


def _answer(name: str) -> dict[str, Any]:
    module, attribute = name.split(":")
    try:
        value: Any = importlib.import_module(module)
        for part in attribute.split("."):
            value = getattr(value, part)
        signature = inspect.signature(value)
        if "self" in signature.parameters:
            raise ValueError("the signature that it shows was written by hand")
    except Exception as error:
        return {"name": name, "problem": f"{type(error).__name__}: {error}"[:80]}
    kinds = {p.kind for p in signature.parameters.values()}
    is_open = bool(kinds & {_P.VAR_KEYWORD, _P.VAR_POSITIONAL})
    return {"name": name, "calls": [*_calls(value, signature)], "is_open": is_open}


def _calls(value: Any, signature: inspect.Signature) -> Iterator[dict[str, Any]]:
    plain, positional, full = _minimal(signature), _positional(signature), _with_defaults(signature)
    for right in (plain, positional, full):
        if _is_taken(signature, right):
            yield {"kind": "right", **right}
    if _is_taken(signature, plain):
        yield from _with_names(signature, plain)
        yield from _with_less(signature, plain)
    more = {**positional, "positional": [*positional["positional"], ANYTHING]}
    if _is_taken(signature, positional) and not _is_taken(signature, more):
        yield {"kind": "surplus", **more}
    yield from _with_types(value, signature, plain)


def _is_taken(signature: inspect.Signature, call: dict[str, Any]) -> bool:
    try:
        signature.bind(*call["positional"], **call["keywords"])
    except TypeError:
        return False
    return True


def _minimal(signature: inspect.Signature) -> dict[str, Any]:
    """Returns the parameters without a default, by name where they have one."""
    needed = [p for p in signature.parameters.values() if p.default is p.empty]
    return {
        "positional": [ANYTHING for p in needed if p.kind is p.POSITIONAL_ONLY],
        "keywords": {p.name: ANYTHING for p in needed if p.kind in _NAMED},
    }


def _positional(signature: inspect.Signature) -> dict[str, Any]:
    """Whatever may come by position."""
    parameters = signature.parameters.values()
    needed = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    return {
        "positional": [ANYTHING for p in parameters if p.kind in _BY_POSITION],
        "keywords": {p.name: ANYTHING for p in needed},
    }


def _with_defaults(signature: inspect.Signature) -> dict[str, Any]:
    """Returns the needed arguments and every default that a configuration can write."""
    call = _minimal(signature)
    for p in signature.parameters.values():
        if p.kind in _NAMED and p.default is not p.empty and _is_written(p.default):
            call["keywords"][p.name] = list(p.default) if isinstance(p.default, tuple) else p.default
    return call


def _is_written(value: Any) -> bool:
    if type(value) in (list, tuple):
        return all(_is_written(item) for item in value)
    if type(value) is dict:
        return all(type(key) is str and _is_written(item) for key, item in value.items())
    return value is None or (type(value) in (bool, int, float, str) and value == value and abs(_size(value)) < 1e300)


def _size(value: Any) -> float:
    return float(value) if isinstance(value, float) else 0.0


def _with_names(signature: inspect.Signature, plain: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A keyword too many: a slip of a parameter's name, and one that is like none."""
    names = [p.name for p in signature.parameters.values() if p.kind in _NAMED and len(p.name) > 3]
    slips = [name[:2] + name[3:] for name in names if name[:2] + name[3:] not in signature.parameters]
    for name in [*slips[: _MOST - 1], "fgc_nothing_like_it"]:
        call = {**plain, "keywords": {**plain["keywords"], name: ANYTHING}}
        if not _is_taken(signature, call):
            yield {"kind": "keyword", **call}


def _with_less(signature: inspect.Signature, plain: dict[str, Any]) -> Iterator[dict[str, Any]]:
    calls = []
    if plain["positional"]:
        calls.append({**plain, "positional": plain["positional"][:-1]})
    for name in list(plain["keywords"]):
        calls.append({**plain, "keywords": {key: v for key, v in plain["keywords"].items() if key != name}})
    for call in calls[:_MOST]:
        if not _is_taken(signature, call):
            yield {"kind": "missing", **call}


def _with_types(value: Any, signature: inspect.Signature, plain: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One argument that its annotation has no room for."""
    hints, count = _hints(value), 0
    for p in signature.parameters.values():
        if p.kind not in _NAMED or count >= _MOST + 1:
            continue
        hint = hints.get(p.name, p.annotation)
        wrong = [item for item in _WRONG if not _accepts(hint, item)]
        if p.annotation is p.empty or not wrong:
            continue
        call = {**plain, "keywords": {**plain["keywords"], p.name: wrong[0]}}
        if _is_taken(signature, call):
            count += 1
            yield {"kind": "type", "about": f"{p.name}: {str(p.annotation)[:60]} = {wrong[0]!r}", **call}


def _hints(value: Any) -> dict[str, Any]:
    for target in (value, getattr(value, "__init__", None), getattr(value, "__new__", None)):
        try:
            found = typing.get_type_hints(target)
        except Exception:
            continue
        if found:
            return found
    return {}


def _accepts(hint: Any, value: Any) -> bool:
    """Returns True if an annotation may have room for a literal; any doubt is in favour of the literal."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_accepts(item, value) for item in arguments)
    if origin is typing.Annotated:
        return _accepts(arguments[0], value)
    if origin is typing.Literal:
        return isinstance(value, str | float) and value in arguments
    if hint in (None, type(None)):
        return False
    if (origin or hint) in (Callable, typing.Callable):
        return False
    return _class_accepts(origin or hint, value)


def _class_accepts(cls: Any, value: Any) -> bool:
    if cls in (int, float, str, bool):
        return isinstance(value, (int, float) if cls is float else cls)
    if cls in (list, tuple, set, frozenset):
        return isinstance(value, list)
    if cls in (Sequence, Iterable, Collection):
        return isinstance(value, str | list | dict)
    if cls in (dict, Mapping):
        return isinstance(value, dict)
    if isinstance(cls, type) and issubclass(cls, enum.Enum):
        return isinstance(value, str | float)
    return f"{getattr(cls, '__module__', '')}.{getattr(cls, '__name__', '')}" != "torch.Tensor"


if __name__ == "__main__":
    main()
