"""A model that exists to one that is trained further: which weights move, adapters of PEFT, another vocabulary."""

from fgc_runtime.finetune.adapters import AdapterMismatch, adapter_state, has_adapter, without_adapter, write_adapter
from fgc_runtime.finetune.base import fine_tuned, four_bits, load_base, load_tokenizer
from fgc_runtime.finetune.freezing import freeze

__all__ = [
    "AdapterMismatch",
    "adapter_state",
    "fine_tuned",
    "four_bits",
    "freeze",
    "has_adapter",
    "load_base",
    "load_tokenizer",
    "without_adapter",
    "write_adapter",
]
