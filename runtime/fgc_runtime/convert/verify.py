"""Two model folders on the same random tokens: how far apart their logits are."""

import gc
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from fgc_runtime.convert.faults import ConvertError

TOLERANCE = 1e-5
_BATCH_SIZE, _LENGTH, _LONGEST = 2, 64, 576


@dataclass(frozen=True, slots=True)
class Comparison:
    """The largest difference of two models' logits, and how large the logits are."""

    difference: float
    magnitude: float
    tokens: tuple[int, int]

    @property
    def tolerance(self) -> float:
        """1e-5, relative to logits above 1: float32 has 7 digits."""
        return TOLERANCE * max(1.0, self.magnitude)

    @property
    def is_equal(self) -> bool:
        return self.difference <= self.tolerance


def compare(
    source: Path,
    target: Path,
    config: PreTrainedConfig,
    *,
    dtype: torch.dtype | None,
    is_trusted: tuple[bool, bool],
) -> Comparison:
    """Compare in float32 by eager attention, which every model has; the source's weights are rounded to `dtype` before.

    `is_trusted` says of source and target whether code in their folders may run.
    """
    ids = _random_tokens(config)
    expected = _logits(source, ids, dtype, is_trusted[0])
    found = _logits(target, ids, dtype, is_trusted[1])
    difference = (found - expected).abs().max().item()
    return Comparison(float(difference), float(expected.abs().max()), (ids.shape[0], ids.shape[1]))


def _random_tokens(config: PreTrainedConfig) -> Tensor:
    """Long enough that a short sliding window matters."""
    text = config.get_text_config()
    window = getattr(text, "sliding_window", None) or 0
    length = max(_LENGTH, window + 32) if window + 32 <= _LONGEST else _LENGTH
    length = min(length, getattr(text, "max_position_embeddings", None) or length)
    generator = torch.Generator().manual_seed(0)
    return torch.randint(text.vocab_size, (_BATCH_SIZE, length), generator=generator)


@torch.inference_mode()
def _logits(folder: Path, ids: Tensor, dtype: torch.dtype | None, is_trusted: bool) -> Tensor:
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype or torch.float32, trust_remote_code=is_trusted, attn_implementation="eager"
    )
    torch.nn.Module.float(model)
    model.train(False)
    logits: Tensor = model(ids, use_cache=False).logits
    del model
    gc.collect()
    return logits


def require_memory(num_parameters: int) -> None:
    """Raises ConvertError if a model does not fit into the free memory in float32."""
    needed = 4 * num_parameters + 2**29  # and what torch itself takes
    available = _available_bytes()
    if available is not None and needed > available:
        gib = 2.0**30
        raise ConvertError(
            f"comparing logits needs about {needed / gib:.0f} GiB of memory, and {available / gib:.0f} GiB are free: "
            "`--no-verify` converts without it"
        )


def _available_bytes() -> int | None:
    """Memory that can be used without swapping; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split() for line in lines if line.startswith("MemAvailable:")]
    return int(found[0][1]) * 1024 if found else None
