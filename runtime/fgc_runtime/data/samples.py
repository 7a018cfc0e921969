"""A data set that says nothing of its content to bytes that tell it from others: those of some of its examples."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy
import torch

from fgc_runtime.data.draws import Draws
from fgc_runtime.data.windows import is_stream, length_of

_NUM_SAMPLES = 16


def known_content(dataset: Any) -> str | None:
    """Returns what a data set says of its content; None if it says nothing. Those of `datasets` have `_fingerprint`."""
    known = getattr(dataset, "fingerprint", None) or getattr(dataset, "_fingerprint", None)
    return known if isinstance(known, str) else None


def sampled_content(dataset: Any) -> bytes:
    """Returns the content of up to 16 examples: the first ones of a stream, others spread over the whole.

    Examples that are drawn by chance are drawn alike each time. Of an iterator, which would lose them, none are read.
    """
    with Draws().at("read", 0):
        if is_stream(dataset):
            examples = [] if iter(dataset) is dataset else list(islice(iter(dataset), _NUM_SAMPLES))
            return b"".join(_content(example) for example in examples)
        length = length_of(dataset)
        assert length is not None, "a data set that is not a stream has a length"
        rows = sorted({int(row) for row in torch.linspace(0, length - 1, min(length, _NUM_SAMPLES)).tolist()})
        return b"".join(_content(dataset[row]) for row in rows)


def _content(value: Any) -> bytes:
    """A value's content, the same in every process."""
    if isinstance(value, torch.Tensor | numpy.ndarray | numpy.generic):
        return repr((str(value.dtype), tuple(value.shape), value.tolist())).encode()
    if isinstance(value, Mapping):
        return b"{" + b",".join(str(key).encode() + b":" + _content(value[key]) for key in sorted(value)) + b"}"
    if isinstance(value, list | tuple):
        return b"[" + b",".join(_content(item) for item in value) + b"]"
    return repr(value).encode() if isinstance(value, str | int | float | bytes | bool | None) else b"?"
