"""Files that a person names, as texts: to score, and to continue."""

import json
from pathlib import Path

from fgc_runtime.evaluate.faults import EvaluationError


def read_text(path: Path) -> str:
    """A file's text, its line ends as they are. Raises EvaluationError for one that is empty or not UTF-8."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise EvaluationError(f"{path}:{line} is not UTF-8: byte 0x{content[error.start]:02x}") from None
    if not text.strip():
        raise EvaluationError(f"{path} is empty")
    return text


def read_prompts(path: Path) -> list[str]:
    """The prompts of a file: its lines that are not blank, or `prompt` (or a text) of each line of a .jsonl file.

    Raises EvaluationError.
    """
    text = read_text(path)
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if path.suffix != ".jsonl":
        return [line for _, line in lines]
    return [_prompt(path, number, line) for number, line in lines]


def _prompt(path: Path, number: int, line: str) -> str:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise EvaluationError(f"{path}:{number} is not JSON: {error}") from None
    prompt = value.get("prompt") if isinstance(value, dict) else value
    if not isinstance(prompt, str) or not prompt:
        raise EvaluationError(f'{path}:{number} has no prompt: a line is a text, or an object with "prompt"')
    return prompt
