"""Finds fields of a model's configuration that nothing reads and that resemble one that is read."""

from collections.abc import Iterable, Iterator

from fgc.diagnostics import Diagnostic, Related, Severity, misspelt
from fgc.emit.model.request import ConfigEntry

# fields that transformers reads in any configuration
_READ_BY_TRANSFORMERS = frozenset(
    (
        *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"),
        *("max_position_embeddings", "initializer_range", "tie_word_embeddings", "use_cache", "dtype"),
        *("bos_token_id", "eos_token_id", "pad_token_id", "is_decoder", "chunk_size_feed_forward", "pruned_heads"),
        *("output_attentions", "output_hidden_states", "return_dict", "architectures", "problem_type"),
        *("rope_parameters", "sliding_window", "layer_types", "attention_dropout", "intermediate_size"),
    )
)


def unread_fields(config: Iterable[ConfigEntry], read: Iterable[str]) -> Iterator[Diagnostic]:
    """Yields FGC414 for unread fields with a name close to one that is read. Other unknown fields are allowed."""
    entries = {entry.name: entry for entry in config}
    known = {*read, *_READ_BY_TRANSFORMERS}
    for name, entry in entries.items():
        match = None if name in known else misspelt(name, known)
        if match is None:
            continue
        other = entries.get(match)
        related = () if other is None else (Related(other.origin.span, f"`{match}` is given here"),)
        message = f"nothing reads the configuration field `{name}`"
        help = f"did you mean `{match}`?"
        yield Diagnostic.at(entry.origin, "FGC414", message, severity=Severity.WARNING, help=help, related=related)
