"""Computes how many tokens of keys and values fit into memory, once at load, on the model's device."""

import os

import torch
from transformers.cache_utils import Cache

from fgc_runtime.generate.forward import Forward
from fgc_runtime.generate.rows import Rows

_SPARE = 3  # buffers exceed what is in use: room to grow, rows that have left, padding


@torch.inference_mode()
def max_tokens(forward: Forward, rows: Rows, kv_memory_bytes: int | None, share: float = 0.5) -> int | None:
    """Returns the number of tokens that fit into `kv_memory_bytes`, or into `share` of the free memory.

    Returns None if the model keeps no keys and values.
    """
    cache = rows.new_cache()
    if cache is None:
        return None
    try:
        forward([[0, 0]], cache=cache)
    except Exception:  # the probe could not use a cache either
        return None
    size_bytes = _size_bytes(cache) // 2
    if size_bytes == 0:
        return None
    memory_bytes = int(_free_bytes(forward.device) * share) if kv_memory_bytes is None else kv_memory_bytes
    return memory_bytes // (size_bytes * _SPARE)


def _size_bytes(cache: Cache) -> int:
    pairs = ((getattr(layer, "keys", None), getattr(layer, "values", None)) for layer in cache.layers)
    held = [x for pair in pairs for x in pair if isinstance(x, torch.Tensor)]
    return sum(x.numel() * x.element_size() for x in held)


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):  # not on this system
        return 4 * 2**30
