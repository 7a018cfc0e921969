"""Secrets on a program's command line: what a record of a run says in their place. Needs nothing but Python.

`(secret:API_KEY)` stands for a value that `fgc rerun` takes from the variable `API_KEY` of the environment.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

_SERVICES = "hf|hub|hugging_?face|wandb|openai|anthropic|aws|azure|gcp|github|gh|gitlab|slack|comet|neptune|mlflow"
_KINDS = "api|access|auth|secret|private|session|security|refresh|bearer|signing|encryption|account|licen[cs]e"
_SECRET = re.compile(  # the same as the compiler's, which this does not import
    rf"(.*_)?(password|passwd|passphrase|secret|credentials?|api_?key|({_SERVICES}|{_KINDS})_(key|token))|token",
    re.IGNORECASE,
)
_NAME = re.compile(r"[^\W\d]\w*")
_SETTING = "--set"


def is_secret(name: str) -> bool:
    """Returns True for `hf_token` and `api_key`, and False for `eos_token`, `num_tokens` and `key`."""
    return _SECRET.fullmatch(name) is not None


def placeholder(name: str) -> str:
    """Returns what a record has in place of a value: the variable of the environment that holds it."""
    return f"(secret:{name.upper()})"


def secret_options(program: str) -> dict[str, str]:
    """Returns the options of a program that take secrets, with the name of each secret: `{"-k": "api_key"}`."""
    try:
        calls = [node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError, RecursionError):
        return {}
    found: dict[str, str] = {}
    for call in calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument":
            names = [str(word.value) for word in call.args if isinstance(word, ast.Constant)]
            known = [*(str(_constant(item.value)) for item in call.keywords if item.arg == "dest"), *map(_plain, names)]
            secret = next(filter(is_secret, known), None)
            found |= {} if secret is None else dict.fromkeys(names, secret)
    return found


def without_secrets(words: Sequence[str], options: Mapping[str, str] | None = None) -> list[str]:
    """The command line without the values of options that are named as secrets are, and of `options`."""
    return list(_shown(words, options or {}))


def _shown(words: Sequence[str], options: Mapping[str, str]) -> Iterator[str]:
    taking: str | None = None  # the secret whose values the next words are
    is_setting = False
    for word in words:
        if is_setting or word.startswith(f"{_SETTING}="):
            yield _setting(word)
            taking, is_setting = None, False
        elif word.startswith("-") and len(word) > 1:
            option, equals, _ = word.partition("=")
            taking = _secret_of(option, options)
            is_setting = word == _SETTING
            attached = taking is None and next((name for name in options if _is_short(name) and word[:2] == name), None)
            if attached:
                yield attached + placeholder(options[attached])
            elif equals and taking is not None:
                yield f"{option}={placeholder(taking)}"
                taking = None
            else:
                yield word
        else:
            yield word if taking is None else placeholder(taking)


def _setting(word: str) -> str:
    """`path=value` of `--set`, without the value if the path leads to a secret."""
    path, equals, _ = word.removeprefix(f"{_SETTING}=").partition("=")
    names = _NAME.findall(path)
    before = f"{_SETTING}=" if word.startswith(f"{_SETTING}=") else ""
    return f"{before}{path}={placeholder(names[-1])}" if equals and names and is_secret(names[-1]) else word


def _secret_of(option: str, options: Mapping[str, str]) -> str | None:
    """The secret that an option takes; argparse lets a long one be cut short."""
    if option in options:
        return options[option]
    if not option.startswith("--"):
        return None
    cut = next((secret for name, secret in options.items() if name.startswith(option)), None)
    return cut or (_plain(option) if is_secret(_plain(option)) else None)


def _plain(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def _is_short(option: str) -> bool:
    return len(option) == 2 and option[0] == "-"


def _constant(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else ""
