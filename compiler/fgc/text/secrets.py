"""Names of variables that hold secrets: what they are given is read from the environment, and written nowhere."""

import re

_SERVICES = "hf|hub|hugging_?face|wandb|openai|anthropic|aws|azure|gcp|github|gh|gitlab|slack|comet|neptune|mlflow"
_KINDS = "api|access|auth|secret|private|session|security|refresh|bearer|signing|encryption|account|licen[cs]e"
_SECRET = re.compile(
    rf"(.*_)?(password|passwd|passphrase|secret|credentials?|api_?key|({_SERVICES}|{_KINDS})_(key|token))|token",
    re.IGNORECASE,
)


def is_secret(name: str) -> bool:
    """Returns True for `hf_token` and `api_key`, and False for `eos_token`, `num_tokens` and `key`."""
    return _SECRET.fullmatch(name) is not None


def environment_name(name: str) -> str:
    """The environment's variable from which a program reads a secret: `HF_TOKEN` for `hf_token`."""
    return name.upper()
