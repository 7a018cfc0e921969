"""Makes batches from documents: sources, tokenizers and chat templates, streams, packing, a collator."""

from fgc_runtime.data.chat import ChatEncoder
from fgc_runtime.data.chat_templates import as_messages, with_chat_template
from fgc_runtime.data.collator import CheckedCollator, DataCollatorForCausalLM
from fgc_runtime.data.encoding import TextEncoder
from fgc_runtime.data.interleaving import InterleavedStream
from fgc_runtime.data.packed_stream import PackedStream, TokenizedStream
from fgc_runtime.data.packing import PackedDataset, TokenizedDataset
from fgc_runtime.data.preferences import DataCollatorForPreference, PreferenceDataset, as_preference
from fgc_runtime.data.prepared import PreparedDataset
from fgc_runtime.data.rows import block_rows, map_rows, token_rows, train_tokenizer_on_rows
from fgc_runtime.data.sources import (
    DocumentDataset,
    TextDataset,
    hub_dataset,
    jsonl_files,
    python_stdlib_sources,
    table_files,
    text_files,
)
from fgc_runtime.data.stage import DocumentStream, ShuffledStream, Stage
from fgc_runtime.data.stream_sources import FileStream, HubStream
from fgc_runtime.data.tokenizer import pad_within_vocabulary, train_bpe_tokenizer, with_pad_token

__all__ = [
    "ChatEncoder",
    "CheckedCollator",
    "DataCollatorForCausalLM",
    "DataCollatorForPreference",
    "DocumentDataset",
    "DocumentStream",
    "FileStream",
    "HubStream",
    "InterleavedStream",
    "PackedDataset",
    "PackedStream",
    "PreferenceDataset",
    "PreparedDataset",
    "ShuffledStream",
    "Stage",
    "TextDataset",
    "TextEncoder",
    "TokenizedDataset",
    "TokenizedStream",
    "as_messages",
    "as_preference",
    "block_rows",
    "hub_dataset",
    "jsonl_files",
    "map_rows",
    "pad_within_vocabulary",
    "python_stdlib_sources",
    "table_files",
    "text_files",
    "token_rows",
    "train_bpe_tokenizer",
    "train_tokenizer_on_rows",
    "with_chat_template",
    "with_pad_token",
]
