"""Names of variables that hold secrets: what they are given is read from the environment, and written nowhere."""

import re
from collections.abc import Mapping
from typing import Any

from fgc.patterns import regex

_SERVICES = "hf|hub|hugging_?face|wandb|openai|anthropic|aws|azure|gcp|github|gh|gitlab|slack|comet|neptune|mlflow"
_KINDS = "api|access|auth|secret|private|session|security|refresh|bearer|signing|encryption|account|licen[cs]e"
_SECRET = regex(
    rf"(.*_)?(password|passwd|passphrase|secret|credentials?|api_?key|({_SERVICES}|{_KINDS})_(key|token))|token",
    re.IGNORECASE,
)
_IN_CAPITALS = regex(r"(?!(BOS|EOS|PAD|UNK|SEP|CLS|MASK)_)[A-Z0-9_]+_(TOKEN|KEY)")
_NAME = regex(r"[^\W\d]\w*")


def is_secret(name: str) -> bool:
    """Returns True for `hf_token` and `api_key`, and False for `eos_token`, `num_tokens` and `key`."""
    return _SECRET.fullmatch(name) is not None


def is_secret_variable(name: str) -> bool:
    """Returns True for a variable of the environment that is named as secrets are: `HF_TOKEN`, `MY_TOKEN`."""
    return is_secret(name) or _IN_CAPITALS.fullmatch(name) is not None


def secret_at(path: str) -> str | None:
    """The name of the secret that a path leads to: `hub_token` for `trainer_args.hub_token`; None if it is none."""
    names = _NAME.findall(path)
    return names[-1] if names and is_secret(names[-1]) else None


def environment_name(name: str) -> str:
    """The environment's variable from which a program reads a secret: `HF_TOKEN` for `hf_token`."""
    return name.upper()


def secrets_of(variables: Mapping[str, Any]) -> dict[str, str]:
    """The arguments that a program reads from the environment, by the names that they have there."""
    texts = {name: value for name, value in variables.items() if isinstance(value, str) and value}
    return {environment_name(name): value for name, value in texts.items() if is_secret(name)}
