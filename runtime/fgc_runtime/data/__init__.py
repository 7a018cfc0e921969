"""Texts to batches: sources of documents, a tokenizer trained on them, packed blocks, a collator."""

from fgc_runtime.data.collator import DataCollatorForCausalLM
from fgc_runtime.data.packing import PackedDataset, TokenizedDataset
from fgc_runtime.data.sources import TextDataset, hub_dataset, jsonl_files, python_stdlib_sources, text_files
from fgc_runtime.data.tokenizer import train_bpe_tokenizer

__all__ = [
    "DataCollatorForCausalLM",
    "PackedDataset",
    "TextDataset",
    "TokenizedDataset",
    "hub_dataset",
    "jsonl_files",
    "python_stdlib_sources",
    "text_files",
    "train_bpe_tokenizer",
]
