"""The server that a URL leads to: which models it has, and what it answers."""

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from transformers import AutoTokenizer

from fgc_runtime.evaluate.arguments import Options
from fgc_runtime.evaluate.faults import EvaluationError
from fgc_runtime.evaluate.served import ServedModel
from fgc_runtime.models.finding import FolderError
from fgc_runtime.trust import checked_folder

_TIMEOUT_S = 600.0
_KEY = "FGC_API_KEY"
_USUAL_CONTEXT = 2048


def served_model(options: Options) -> ServedModel:
    """The model of a server. Raises EvaluationError for one that does not answer, or has no such model."""
    url = str(options.model).rstrip("/")
    url = url if url.endswith("/v1") else f"{url}/v1"
    listed = _models(url)
    name = options.served_model or next(iter(listed))
    if name not in listed:
        raise EvaluationError(f"{url} serves no {name}; it serves {', '.join(listed)}")
    assert options.tokenizer is not None, "the command line asks for it"
    if not options.tokenizer.is_dir():
        raise FolderError(f"--tokenizer {options.tokenizer} is not a folder")
    checked = checked_folder(options.tokenizer, is_told=options.trust_remote_code)
    tokenizer = AutoTokenizer.from_pretrained(checked.path, trust_remote_code=checked.is_trusted)
    length = listed[name] or _USUAL_CONTEXT

    def ask(fields: dict[str, Any]) -> list[dict[str, Any]]:
        answer = _post(f"{url}/completions", {"model": name, "seed": options.seed, **fields})
        return sorted(answer["choices"], key=lambda choice: int(choice["index"]))

    return ServedModel(tokenizer, ask, max_length=length, batch_size=options.batch_size)


def _models(url: str) -> dict[str, int | None]:
    """The models that a server lists, with the length of their context where it says so."""
    rows = _answer(Request(f"{url}/models", headers=_headers()))["data"]
    try:
        found = {str(row["id"]): row.get("max_model_len") for row in rows}
    except (KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(f"{url}/models is no OpenAI API: {type(error).__name__}: {error}") from None
    if not found:
        raise EvaluationError(f"{url} serves no model")
    return found


def _post(url: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", **_headers()}
    return _answer(Request(url, data=json.dumps(fields).encode(), headers=headers))


def _headers() -> dict[str, str]:
    key = os.environ.get(_KEY)
    return {"Authorization": f"Bearer {key}"} if key else {}


def _answer(request: Request) -> dict[str, Any]:
    """An answer's JSON. Raises EvaluationError with the server's own words."""
    url = request.full_url
    try:
        with urlopen(request, timeout=_TIMEOUT_S) as answer:
            found = json.load(answer)
    except HTTPError as error:
        hint = f"; give the key in {_KEY}" if error.code in (401, 403) else ""
        raise EvaluationError(f"{url} answers {error.code}: {_message(error) or error.reason}{hint}") from None
    except URLError as error:
        raise EvaluationError(f"{url} does not answer: {error.reason}") from None
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{url} is no OpenAI API: {type(error).__name__}: {error}") from None
    if not isinstance(found, dict) or not ({"data", "choices"} & set(found)):
        raise EvaluationError(f"{url} is no OpenAI API: it answers {str(found)[:80]}")
    return found


def _message(error: HTTPError) -> str | None:
    try:
        return str(json.load(error)["error"]["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
