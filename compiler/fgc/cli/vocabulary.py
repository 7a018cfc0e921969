"""`fgc update-vocab`: reads which tokens are wanted, then a runtime process changes the model."""

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from fgc.cli.arguments import CannotRun
from fgc.cli.model_folders import source_config, target_folder
from fgc.cli.runtime_process import require_runtime, wait_for
from fgc.diagnostics import did_you_mean
from fgc.reading import read_text

_MODULE = "fgc_runtime.convert.update_vocab"
_ROLES = ("bos", "eos", "pad", "unk")
_LISTS = {"special_tokens": "special", "regular_tokens": "regular"}
_MAX_SHARD_BYTES = 5 * 10**9

Token = dict[str, Any]


def update_vocabulary(arguments: Namespace) -> int:
    """Update, or say what would be; the exit code. Raises CannotRun."""
    source = Path(arguments.source)
    source_config(source)
    target = source if arguments.target is None else target_folder(arguments, source)
    tokens = [*_from_file(arguments.add_tokens), *_from_options(arguments)]
    if not tokens and arguments.pad_to_multiple_of == 1:
        raise CannotRun("nothing to add: pass `--add-tokens FILE.yaml`, tokens as options, or `--pad-to-multiple-of`")
    texts = [token["text"] for token in tokens if token["role"] in _LISTS.values()]
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice:
        raise CannotRun(f"token `{twice[0]}` is given twice")
    require_runtime()
    message = {
        "source": str(source),
        "target": str(target),
        "tokens": tokens,
        "multiple": arguments.pad_to_multiple_of,
        "is_dry_run": arguments.dry_run,
        "trust_remote_code": arguments.trust_remote_code,
        "max_shard_bytes": _MAX_SHARD_BYTES,
    }
    return wait_for(subprocess.Popen([sys.executable, "-P", "-m", _MODULE, json.dumps(message)]))


def _from_options(arguments: Namespace) -> Iterator[Token]:
    for role in _ROLES:
        if getattr(arguments, role) is not None:
            yield _token(f"--{role}", getattr(arguments, role), role, arguments.init)
    for role, texts in (("special", arguments.special), ("regular", arguments.token)):
        for text in texts:
            yield _token(f"--{role}", text, role, arguments.init)


def _from_file(name: str | None) -> list[Token]:
    """The tokens of a YAML file. Raises CannotRun."""
    if name is None:
        return []
    try:
        wanted = yaml.safe_load(read_text(Path(name)))
    except OSError as error:
        raise CannotRun(f"`{name}` cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CannotRun(f"`{name}` is not valid YAML: {error}") from None
    if not isinstance(wanted, dict):
        raise CannotRun(f"`{name}` must be a mapping of {', '.join((*_ROLES, *_LISTS))}")
    tokens: list[Token] = []
    for key, value in wanted.items():
        role = str(key).removesuffix("_token")
        if role in _ROLES:
            tokens.append(_described(f"`{key}` in `{name}`", value, role))
        elif key in _LISTS and isinstance(value, list):
            tokens += [_described(f"`{key}` in `{name}`", item, _LISTS[key]) for item in value]
        elif key in _LISTS:
            raise CannotRun(f"`{key}` in `{name}` must be a list of tokens")
        else:
            known = (*_ROLES, *_LISTS)
            raise CannotRun(f"`{name}` has no key `{key}`; {did_you_mean(str(key), known) or ', '.join(known)}")
    return tokens


def _described(where: str, value: Any, role: str) -> Token:
    """A text, or `{token, init, if_missing}`."""
    if not isinstance(value, dict):
        return _token(where, value, role, "mean")
    unknown = sorted(set(value) - {"token", "init", "if_missing"})
    if unknown or "token" not in value:
        problem = f"has no key `{unknown[0]}`" if unknown else "needs `token`"
        raise CannotRun(f"{where} {problem}: write {{ token: TEXT, init: mean|zero, if_missing: true|false }}")
    if value.get("init", "mean") not in ("mean", "zero"):
        raise CannotRun(f"{where}: `init` is `{value['init']}`, and must be `mean` or `zero`")
    if not isinstance(value.get("if_missing", False), bool):
        raise CannotRun(f"{where}: `if_missing` must be true or false")
    return _token(where, value["token"], role, value.get("init", "mean"), value.get("if_missing", False))


def _token(where: str, text: Any, role: str, init: str, if_missing: bool = False) -> Token:
    if not isinstance(text, str) or not text:
        raise CannotRun(f"{where}: a token is a text that is not empty, not {text!r}")
    return {"text": text, "role": role, "init": init, "if_missing": if_missing}
