"""Rows of the library `datasets` to rows of tokens, for data sets that a project loads itself.

`map_rows` runs a function over batches of rows: `token_rows`, `block_rows` or one of your own, which takes a batch as
columns, the tokenizer and the name of the column with the texts, and returns columns with `input_ids`.
"""

import inspect
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from filelock import FileLock
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from fgc_runtime.data.bins import Strategy, check_strategy
from fgc_runtime.data.cache import cache_folder, content_key, note_use
from fgc_runtime.data.encoding import Encoded, TextEncoder
from fgc_runtime.data.packing import blocks_of
from fgc_runtime.data.pieces import Piece, assembled, check_cutting
from fgc_runtime.data.tokenizer import train_bpe_tokenizer

Columns: TypeAlias = Mapping[str, Sequence[Any]]
Part: TypeAlias = int | float | Sequence[int | float] | None  # rows, a share of them, or where they begin and end

_HARMLESS = ("desc", "load_from_cache_file", "keep_in_memory", "writer_batch_size")  # of map: they change no row


def token_rows(
    rows: Columns, tokenizer: PreTrainedTokenizerFast, feature: str = "text", *, add_eos: bool = False, **options: Any
) -> dict[str, list[list[int]]]:
    """Returns the tokens of each text; `options`, such as `truncation` and `max_length`, go to the tokenizer.

    Padding that they ask for comes off again: the collator pads.
    """
    encoded = tokenizer(list(rows[feature]), **{**options, "return_attention_mask": True})
    texts = zip(encoded["input_ids"], encoded["attention_mask"], strict=True)
    end = [tokenizer.eos_token_id] if add_eos and tokenizer.eos_token_id is not None else []
    return {"input_ids": [[*(token for token, is_text in zip(*text, strict=True) if is_text), *end] for text in texts]}


def block_rows(
    rows: Columns,
    tokenizer: PreTrainedTokenizerFast,
    feature: str = "text",
    *,
    max_length: int = 512,
    overflow: bool = True,
    packed: bool = False,
    packing_strategy: Strategy = "greedy",
    shuffle_output: bool = False,
    seed: int | None = 42,
    stride: int = 0,
    min_len: int = 1,
    max_len: int | None = None,
    add_bos: bool = True,
    add_eos: bool = True,
    truncate_at: str | None = None,
    **_of_the_tokenizer: Any,
) -> dict[str, list[Any]]:
    """Returns blocks of at most `max_length` tokens, each of one text or, `packed`, of several.

    What exceeds a block goes on in another one, whose first `stride` tokens repeat the end of the block before as
    context; without `overflow` it is left out. Texts of fewer than `min_len` or more than `max_len` tokens are left
    out. A text ends before the first match of the regular expression `truncate_at`. In packed blocks texts do not see
    each other (`PackedDataset`). Other options are a tokenizer's, such as `truncation` where a program gives it to all
    its data sets, and have no meaning for blocks. Raises ValueError, naming parameter, value and rule.
    """
    check_strategy(packing_strategy)
    check_cutting(max_length, stride=stride, min_length=min_len)
    add_eos = add_eos and tokenizer.eos_token_id is not None
    encoder = TextEncoder(tokenizer, add_bos=None if add_bos else False, add_eos=add_eos, cut_at=truncate_at)
    longest = max_len if max_len is not None else float("inf")
    documents = [item for item in encoder.encode(list(rows[feature])) if min_len <= len(item.ids) <= longest]
    if not overflow:
        documents = [Encoded(item.ids[:max_length]) for item in documents]
    groups: Iterable[Sequence[Encoded]] = [documents] if packed else [[item] for item in documents]
    strategy = packing_strategy if packed else "greedy"
    blocks = [
        [_piece(group, *part) for part in block]
        for group in groups
        for block in blocks_of(
            [len(item.ids) for item in group], max_length, strategy, stride=stride, min_length=min_len
        )
    ]
    if shuffle_output:
        random.Random(seed).shuffle(blocks)
    return _columns([assembled(block, isolate=packed) for block in blocks if sum(map(len, block)) > 1], packed)


def _piece(documents: Sequence[Encoded], document: int, first: int, last: int, num_context: int) -> Piece:
    return Piece(documents[document].ids[first:last], None, num_context)


def _columns(examples: Sequence[Mapping[str, Tensor]], packed: bool) -> dict[str, list[Any]]:
    names = ["input_ids", "labels", *(["position_ids", "sequence_ids"] if packed else [])]
    return {name: [example[name].tolist() for example in examples] for name in names}


def train_tokenizer_on_rows(rows: Any, *, feature: str = "text", **settings: Any) -> PreTrainedTokenizerFast:
    """Returns `train_bpe_tokenizer` of one column of a data set, or of the data set that `rows()` gives."""
    loaded = rows() if callable(rows) else rows
    return train_bpe_tokenizer(loaded[feature], **settings)


def map_rows(
    dataset: Any,
    tokenizer: PreTrainedTokenizerFast,
    *,
    feature: str = "text",
    map_fn: Callable[..., Mapping[str, Sequence[Any]]] = token_rows,
    fn_kwargs: Mapping[str, Any] | None = None,
    map_kwargs: Mapping[str, Any] | None = None,
    select_range: Part = None,
    shuffle: bool = False,
    seed: int = 42,
    dataset_length: int | None = None,
    desc: str | None = None,
) -> Any:
    """Returns a data set of `datasets` with what `map_fn` makes of its rows.

    `fn_kwargs` go to `map_fn`, `map_kwargs` to the data set's own `map`. `select_range` takes a number of rows, a share
    of them or, of two values, those between. A data set without a length, of which `dataset_length` rows are wanted,
    is read into memory. The result is kept in the cache of `datasets`, or for rows that lie in memory in
    `~/.cache/fgc/rows`, until nobody has used it for 30 days: of several processes one maps, and the others read what
    it made, as does the next run.
    """
    has_length = hasattr(dataset, "__len__")
    if select_range is not None:
        dataset = dataset.select(_range(select_range, len(dataset)))
    if not has_length and dataset_length is not None:
        dataset = dataset.take(dataset_length)
    if shuffle:
        dataset = dataset.shuffle(seed=seed)
    columns = dataset.column_names or list(next(iter(dataset)))
    given = {"tokenizer": tokenizer, "feature": feature, **(fn_kwargs or {})}
    options: dict[str, Any] = {"desc": desc} if has_length and desc is not None else {}
    options |= {"batched": True, "remove_columns": columns, "fn_kwargs": given, **(map_kwargs or {})}
    if has_length:
        return _mapped_once(dataset, map_fn, options)
    mapped = dataset.map(map_fn, **options)
    return mapped if dataset_length is None else list(mapped)


def _mapped_once(dataset: Any, map_fn: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Returns the mapped data set, which the first of all processes that want it makes.

    The name in the cache is ours. It is known before anything is mapped, so that the others can wait; it does not
    depend on what a tokenizer was called with last; and it changes with the file of `map_fn`, not only with its name.
    """
    from datasets import is_caching_enabled

    key = _key(dataset, map_fn, options)
    if key is None or not is_caching_enabled():
        return dataset.map(map_fn, **options)
    file = cache_folder() / "rows" / f"{key}.arrow"
    file.parent.mkdir(parents=True, exist_ok=True)
    place = {} if dataset.cache_files else {"cache_file_name": str(file)}
    with FileLock(f"{file}.lock"):
        mapped = dataset.map(map_fn, **{"new_fingerprint": key, **place, **options})
        note_use(file)
    return mapped


def _key(dataset: Any, map_fn: Callable[..., Any], options: Mapping[str, Any]) -> str | None:
    """Returns a name for the result, the same in every process; None if that cannot be told."""
    from datasets.fingerprint import Hasher

    given = dict(options["fn_kwargs"])
    tokenizer = given.pop("tokenizer")
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    plain = Tokenizer.from_str(backend.to_str())
    plain.no_truncation()
    plain.no_padding()
    of_result = {name: value for name, value in options.items() if name not in (*_HARMLESS, "fn_kwargs")}
    special = [tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token, tokenizer.model_max_length]
    try:
        hashes = [Hasher.hash(part) for part in (map_fn, given, of_result)]
        source = _source(map_fn)
    except Exception:  # whatever pickling raises for objects of the user's
        return None
    return content_key([str(dataset._fingerprint), plain.to_str(), repr(special), source, *hashes])


def _source(map_fn: Callable[..., Any]) -> str:
    """Returns the text of the file of a function, which its hash does not contain: that is the function's name."""
    function = map_fn
    while isinstance(function, partial):
        function = function.func
    path = inspect.getsourcefile(inspect.unwrap(function))
    return Path(path).read_text(encoding="utf-8") if path is not None else ""


def _range(part: int | float | Sequence[int | float], length: int) -> range:
    """Returns the rows that are meant. Raises ValueError for more than a beginning and an end."""
    ends = [part] if isinstance(part, (int, float)) else list(part)
    if len(ends) > 2:
        raise ValueError(f"select_range ({part}) must be a number of rows, a share, or a beginning and an end")
    places = [int(end * length) if isinstance(end, float) else end + length if end < 0 else end for end in ends]
    return range(*(min(max(place, 0), length) for place in places))
