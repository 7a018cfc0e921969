"""A data set of any kind to samples and numbers: how long examples are, and how much of them is learnt."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy

from fgc_runtime.data.chat import ChatEncoder
from fgc_runtime.data.collator import IGNORED_LABEL
from fgc_runtime.data.encoding import Encoder, TextEncoder
from fgc_runtime.data.windows import is_stream, length_of

_PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True, slots=True)
class Sample:
    """An example. `documents` are the lengths of its parts; of a text without a tokenizer, `ids` is empty."""

    ids: list[int]
    is_label: list[bool]
    positions: list[int]
    documents: list[int]
    text: str | None = None

    @property
    def length(self) -> int:
        """In tokens; in characters where there are none."""
        return len(self.ids) if self.text is None or self.ids else len(self.text)


@dataclass(frozen=True, slots=True)
class Survey:
    """Numbers about the samples that were read; `num_examples` None: the data set does not say how many it has."""

    unit: str
    num_examples: int | None
    num_read: int
    total: int
    lengths: list[int]
    documents: list[int]
    label_share: float | None
    padded_to: int

    @property
    def padding_share(self) -> float:
        """Of batches whose examples are all padded to `padded_to`."""
        return 1 - self.total / (self.padded_to * self.num_read) if self.num_read else 0.0

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "unit": self.unit,
            "num_examples": self.num_examples,
            "num_read": self.num_read,
            "total": self.total,
            "length": _distribution(self.lengths),
            "document_length": _distribution(self.documents),
            "documents_per_example": len(self.documents) / max(1, self.num_read),
            "label_share": self.label_share,
            "padded_to": self.padded_to,
            "padding_share": self.padding_share,
        }


def samples(dataset: Any, tokenizer: Any | None) -> Iterator[Sample]:
    """The examples in order. Raises TypeError for what is neither tokens nor text nor a conversation."""
    encoder: Encoder | None = None
    for example in _items(dataset):
        if isinstance(example, Mapping) and "input_ids" in example:
            yield _of_tokens(example)
            continue
        document = _document(example)
        if encoder is None and tokenizer is not None:
            encoder = TextEncoder(tokenizer) if isinstance(document, str) else _chat_encoder(tokenizer)
        yield _of_document(document, encoder)


def survey(dataset: Any, read: Sequence[Sample]) -> Survey:
    """Numbers about samples of the data set."""
    lengths = [sample.length for sample in read]
    has_tokens = any(sample.ids for sample in read)
    num_labels = sum(sum(sample.is_label) for sample in read)
    block_size = getattr(dataset, "block_size", None) or getattr(dataset, "max_length", None)
    return Survey(
        unit="tokens" if has_tokens else "characters",
        num_examples=None if is_stream(dataset) else length_of(dataset),
        num_read=len(read),
        total=sum(lengths),
        lengths=lengths,
        documents=[length for sample in read for length in sample.documents],
        label_share=num_labels / max(1, sum(lengths)) if has_tokens else None,
        padded_to=int(block_size) if block_size is not None else max(lengths, default=0),
    )


def _items(dataset: Any) -> Iterator[Any]:
    if not is_stream(dataset):
        return (dataset[number] for number in range(len(dataset)))
    try:
        return iter(dataset)
    except TypeError:
        raise TypeError(f"the target is no data set: {type(dataset).__name__} cannot be read in order") from None


def _of_tokens(example: Mapping[str, Any]) -> Sample:
    ids = [int(token) for token in example["input_ids"]]
    labels = [int(label) for label in example.get("labels", ids)]
    is_label = [number > 0 and label != IGNORED_LABEL for number, label in enumerate(labels)]
    positions = [int(position) for position in example.get("position_ids", range(len(ids)))]
    starts = [number for number, position in enumerate(positions) if number == 0 or position == 0]
    documents = [last - first for first, last in zip(starts, [*starts[1:], len(ids)], strict=True)]
    return Sample(ids, is_label, positions, documents)


def _document(example: Any) -> Any:
    """A text or a conversation, also where it is the only such column of a row."""
    if isinstance(example, Mapping):
        columns = [value for value in example.values() if isinstance(value, str | list)]
        example = columns[0] if len(columns) == 1 else example.get("text", example.get("messages", example))
    if not isinstance(example, str | list):
        raise TypeError(f"an example must be tokens, a text or a conversation, not {type(example).__name__}")
    return example


def _chat_encoder(tokenizer: Any) -> Encoder | None:
    return ChatEncoder(tokenizer) if tokenizer.chat_template is not None else None


def _of_document(document: Any, encoder: Encoder | None) -> Sample:
    text = document if isinstance(document, str) else "\n".join(_said(message) for message in document)
    if encoder is None:
        return Sample([], [], [], [len(text)], text)
    (encoded,) = encoder.encode([document])
    ids = encoded.ids.tolist()
    marks = [True] * len(ids) if encoded.is_label is None else encoded.is_label.tolist()
    return Sample(ids, [number > 0 and mark for number, mark in enumerate(marks)], list(range(len(ids))), [len(ids)])


def _said(message: Any) -> str:
    return f"{message.get('role')}: {message.get('content')}" if isinstance(message, Mapping) else str(message)


def _distribution(lengths: Sequence[int]) -> dict[str, float]:
    if not lengths:
        return {}
    percentiles = numpy.percentile(lengths, _PERCENTILES).tolist()
    named = {f"p{rank}": value for rank, value in zip(_PERCENTILES, percentiles, strict=True)}
    return {"min": min(lengths), "mean": sum(lengths) / len(lengths), **named, "max": max(lengths)}


def first_samples(dataset: Any, tokenizer: Any | None, count: int) -> list[Sample]:
    """As many as there are, `count` at most."""
    return list(islice(samples(dataset, tokenizer), count))
