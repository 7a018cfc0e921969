"""Values where a request is silent: the model's own sampling, from its `generation_config.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fgc_runtime.generate.sampling import Sampling
from fgc_runtime.models.finding import FolderError
from fgc_runtime.serve.faults import RequestError
from fgc_runtime.serve.fields import Fields, Json
from fgc_runtime.serve.schemas import SAMPLING_RANGES

_FILE = "generation_config.json"
# Of transformers' other fields, those that change a text, with the values that do not; nothing here does them.
_UNDONE: Mapping[str, tuple[Json, ...]] = {
    "bad_words_ids": ([],),
    "diversity_penalty": (0,),
    "encoder_repetition_penalty": (1,),
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "guidance_scale": (1,),
    "no_repeat_ngram_size": (0,),
    "num_beams": (1,),
    "sequence_bias": ({},),
    "suppress_tokens": ([],),
    "top_h": (),
    "typical_p": (1,),
}


@dataclass(frozen=True, slots=True)
class Defaults:
    """`max_tokens` is a chat's; `undone` are fields of the file that change a text and are not followed.

    With `is_strict`, requests must name the model, and may have no option that only other servers know.
    """

    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None
    undone: tuple[str, ...] = ()
    is_strict: bool = False

    @property
    def told(self) -> str:
        """Returns what differs from the API's own defaults, for people; empty if nothing does."""
        usual = Sampling()
        named = {name: getattr(self.sampling, name) for name in _SAMPLING}
        parts = [f"{name} {value:g}" for name, value in named.items() if value != getattr(usual, name)]
        return ", ".join([*parts, *([] if self.max_tokens is None else [f"max_tokens {self.max_tokens}"])])


_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


def read_defaults(folders: Sequence[Path], *, is_strict: bool) -> Defaults:
    """Reads the file of the first folder that has one. Raises FolderError for a field that is out of range.

    `do_sample` is not looked at, as with vLLM: the temperature alone says whether a token is drawn.
    """
    path = next((folder / _FILE for folder in folders if (folder / _FILE).is_file()), None)
    if path is None:
        return Defaults(is_strict=is_strict)
    try:
        fields = Fields(json.loads(path.read_text(encoding="utf-8")))
        sampling = read_sampling(fields, Sampling())
        max_tokens = fields.integer("max_new_tokens", low=1, high=2**31 - 1)
    except (OSError, ValueError, RecursionError) as error:
        raise FolderError(f"{path} cannot be read: {error}") from error
    except RequestError as error:
        raise FolderError(f"{path}: {error} (--generation-config none leaves the file.)") from error
    values = {name: fields.get(name) for name in _UNDONE}
    undone = tuple(name for name, value in values.items() if value is not None and value not in _UNDONE[name])
    return Defaults(sampling, max_tokens, undone, is_strict)


def read_sampling(fields: Fields, usual: Sampling) -> Sampling:
    """Reads how tokens are chosen; `usual` counts for what is left out. Raises RequestError."""

    def number(name: str, low: float, high: float) -> float:
        value = fields.number(name, low=low, high=high)
        return float(getattr(usual, name)) if value is None else value

    numbers: dict[str, Any] = {name: number(name, low, high) for name, (low, high) in SAMPLING_RANGES.items()}
    top_k = fields.integer("top_k", low=-1, high=2**31 - 1)
    return Sampling(top_k=usual.top_k if top_k is None else max(0, top_k), **numbers)
