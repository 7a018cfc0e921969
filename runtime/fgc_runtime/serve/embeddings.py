"""Texts to vectors: what `/v1/embeddings` may be asked, how a model's hidden states become one vector, the answer.

The folder of a sentence-transformers model says how its states are pooled; of another model the mean is taken.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from fgc_runtime.generate.forward import Forward
from fgc_runtime.serve.faults import invalid
from fgc_runtime.serve.fields import Fields, Json
from fgc_runtime.serve.requests import read_prompts
from fgc_runtime.serve.schemas import EMBEDDING

Method = Literal["mean", "last", "cls", "max"]
_SENTENCE_TRANSFORMERS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}


class PoolingError(Exception):
    """A sentence-transformers folder that asks for more than pooling; the message says for what."""


@dataclass(frozen=True, slots=True)
class Pooling:
    """Says how states become a vector."""

    method: Method = "mean"
    normalizes: bool = True

    def pool(self, states_TD: Tensor) -> Tensor:
        """Returns one vector of T states of D channels."""
        states_TD = states_TD.float()
        match self.method:
            case "mean":
                vector_D = states_TD.mean(0)
            case "max":
                vector_D = states_TD.amax(0)
            case "cls":
                vector_D = states_TD[0]
            case "last":
                vector_D = states_TD[-1]
        return vector_D


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    model: str | None
    texts: tuple[str | tuple[int, ...], ...]
    is_base64: bool
    num_dimensions: int | None
    pooling: Pooling


def embedding_request(body: Json, usual: Pooling) -> EmbeddingRequest:
    """Reads a request; `usual` is how the model is pooled unless it says. Raises RequestError."""
    fields = Fields(body)
    for name in sorted(fields.names() - EMBEDDING.keys()):
        raise invalid(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    form = fields.text("encoding_format") or "float"
    if form not in ("float", "base64"):
        message = f"Invalid 'encoding_format': {form!r}; there are float and base64."
        raise invalid(message, param="encoding_format", code="invalid_value")
    method, normalizes = fields.text("pooling") or usual.method, fields.flag("normalize")
    if method not in get_args(Method):
        message = f"Invalid 'pooling': {method!r}; there are {', '.join(get_args(Method))}."
        raise invalid(message, param="pooling", code="invalid_value")
    pooling = Pooling(cast(Method, method), usual.normalizes if normalizes is None else normalizes)
    num_dimensions = fields.integer("dimensions", low=1, high=2**20)
    texts = read_prompts(fields.required("input"), "input")
    return EmbeddingRequest(fields.text("model"), texts, form == "base64", num_dimensions, pooling)


def embed(forward: Forward, ids: Sequence[int], request: EmbeddingRequest) -> list[float]:
    """Returns the vector of a text, cut to the dimensions that were asked for, of length one if it is normalized."""
    vector_D = request.pooling.pool(forward.states(ids))[: request.num_dimensions]
    if request.pooling.normalizes:
        vector_D = torch.nn.functional.normalize(vector_D, dim=0)
    return [float(number) for number in vector_D.tolist()]


def written(vector: Sequence[float], *, is_base64: bool) -> object:
    """Returns a vector as JSON has it: numbers, or the bytes of little-endian floats."""
    if not is_base64:
        return list(vector)
    return base64.b64encode(torch.tensor(vector).numpy().astype("<f4").tobytes()).decode()


def pooling_of(folder: Path) -> Pooling:
    """Returns how the model of a folder is pooled. Raises PoolingError."""
    listed = folder / "modules.json"
    if not listed.is_file():
        return Pooling()
    modules: list[Mapping[str, str]] = json.loads(listed.read_text(encoding="utf-8"))
    kinds = {str(module["type"]).rpartition(".")[2]: str(module.get("path", "")) for module in modules}
    if others := sorted(kinds.keys() - {"Transformer", "Pooling", "Normalize"}):
        raise PoolingError(f"its module {others[0]} is not supported")
    if "Pooling" not in kinds:
        return Pooling(normalizes="Normalize" in kinds)
    fields = json.loads((folder / kinds["Pooling"] / "config.json").read_text(encoding="utf-8"))
    methods = [method for name, method in _SENTENCE_TRANSFORMERS.items() if fields.get(name)]
    if len(methods) != 1:
        raise PoolingError("it joins several ways of pooling, or uses one that is not supported")
    return Pooling(cast(Method, methods[0]), "Normalize" in kinds)
