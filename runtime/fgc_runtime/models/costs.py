"""A model's shape to what it costs: arithmetic per token, and memory for training and for generation.

Estimates of what the method needs, not of what one implementation wastes: no workspace of kernels, no fragmentation,
no communication buffers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

# bytes of optimizer state for a parameter of so many bytes, per element
OPTIMIZERS = {
    "adamw": "two moments in the dtype of the parameters",
    "adamw-8bit": "two moments of one byte, and a float32 scale for every 256 of each",
    "adafactor": "a row and a column of float32 for every matrix, all of it for a vector",
    "muon": "one moment in the dtype of the parameters",
    "sgd-momentum": "one moment in the dtype of the parameters",
    "sgd": "nothing",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes that costs follow from, as a configuration names them.

    `head_dim` are the channels of a head's query and key, `value_head_dim` those of its value. `cached` are the numbers
    that a layer's cache keeps for a position. `latent` are those that queries, keys and values are read from where
    attention is latent (MLA), else 0. `feed_forwards` holds, per layer, the channels that a token is given between up
    and down, of all its experts together; `windows`, per layer, how many positions attention sees at most: None is all.
    """

    num_layers: int
    hidden_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    value_head_dim: int
    cached: int
    latent: int
    feed_forwards: tuple[int, ...]
    vocab_size: int
    context_length: int | None
    windows: tuple[int | None, ...]
    num_experts: int
    num_experts_per_token: int

    @classmethod
    def of(cls, config: PreTrainedConfig) -> "Shape":
        """Read from a configuration; what it does not say has the value that transformers takes then."""
        text = config.get_text_config()
        heads, hidden, layers = text.num_attention_heads, text.hidden_size, text.num_hidden_layers
        experts = _first(text, ("num_local_experts", "num_experts", "n_routed_experts"), 0)
        per_token = _first(text, ("num_experts_per_tok",), 1) if experts else 0
        kv_heads, head_dim = _first(text, ("num_key_value_heads",), heads), _first(text, ("head_dim",), hidden // heads)
        value_head_dim, cached, latent = head_dim, 2 * kv_heads * head_dim, 0
        if kv_rank := _first(text, ("kv_lora_rank",), 0):  # as DeepSeek-V2 and V3 name the sizes
            kv_heads, head_dim = heads, text.qk_nope_head_dim + text.qk_rope_head_dim
            value_head_dim, cached = text.v_head_dim, kv_rank + text.qk_rope_head_dim
            latent = kv_rank + _first(text, ("q_lora_rank",), 0)
        return cls(
            num_layers=layers,
            hidden_size=hidden,
            num_heads=heads,
            num_kv_heads=kv_heads,
            head_dim=head_dim,
            value_head_dim=value_head_dim,
            cached=cached,
            latent=latent,
            feed_forwards=_feed_forwards(text, layers, per_token),
            vocab_size=text.vocab_size,
            context_length=_first(text, ("max_position_embeddings",), None),
            windows=_windows(text, layers),
            num_experts=experts,
            num_experts_per_token=per_token,
        )

    def positions_seen(self, sequence_length: int) -> int:
        """Positions that attention compares a query with, added up over the layers."""
        return sum(min(sequence_length, window or sequence_length) for window in self.windows)


@dataclass(frozen=True, slots=True)
class Flops:
    """Floating-point operations per token at a sequence length; a multiplication with an addition is two.

    Chowdhery et al. 2022 (PaLM, arXiv:2204.02311, appendix B): `matmul_weights` N are multiplied with every token,
    so a forward pass costs 2N, and attention's two products 4 L H S D. The backward pass costs twice the forward:
    6N + 12 L H S D to train. Attention is counted in full, without the half that a causal mask saves.
    """

    matmul_weights: int
    forward: int
    training: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes, for one process that holds the whole model."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    activations_checkpointed: int
    kv_cache_per_token: int
    kv_cache: int

    @property
    def training(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations

    @property
    def generation(self) -> int:
        return self.weights + self.kv_cache


def flops(model: PreTrainedModel, shape: Shape, sequence_length: int) -> Flops:
    """Returns what a token costs in a sequence of this length."""
    weights = sum(_multiplied(model, shape))
    attention = 2 * shape.num_heads * (shape.head_dim + shape.value_head_dim) * shape.positions_seen(sequence_length)
    return Flops(weights, 2 * weights + attention, 6 * weights + 3 * attention)


def memory(
    model: PreTrainedModel,
    shape: Shape,
    *,
    dtype: torch.dtype,
    optimizer: str,
    batch_size: int,
    sequence_length: int,
) -> Memory:
    """Returns what the model holds while it trains on a batch, and while it generates one."""
    parameters = [item for item in model.parameters() if item.requires_grad]
    total = sum(item.numel() for item in model.parameters())
    trained = sum(item.numel() for item in parameters)
    tokens = batch_size * sequence_length
    per_position = shape.cached * dtype.itemsize
    layers, around = _activations(model, shape, dtype)
    return Memory(
        weights=total * dtype.itemsize,
        gradients=trained * dtype.itemsize,
        optimizer=_optimizer_bytes(parameters, optimizer, dtype),
        activations=tokens * (sum(layers) + around),
        activations_checkpointed=tokens
        * (shape.num_layers * shape.hidden_size * dtype.itemsize + max(layers) + around),
        kv_cache_per_token=shape.num_layers * per_position,
        kv_cache=batch_size * shape.positions_seen(sequence_length) * per_position,
    )


def _activations(model: PreTrainedModel, shape: Shape, dtype: torch.dtype) -> tuple[list[int], int]:
    """Bytes per token that autograd keeps for the backward pass: of each layer, and of what is around the layers.

    After Korthikanti et al. 2022 (arXiv:2205.05198, section 4.1), counted for attention that does not keep its
    scores (FlashAttention, SDPA) and for gated feed-forwards. With h the hidden size, q and k the widths of all
    query and of all key heads, f the intermediate size: two inputs and two outputs of norms 4h, queries and
    attention's result 2q, keys and values 2k, feed-forward 4f if gated, else 2f; norms of queries and keys keep
    q + k more. Latent attention keeps the short vectors before and after their norms, and values of their own width.
    Around the layers: input and output of the last norm 2h, logits, and their log-probabilities in
    float32.
    """
    h, q = shape.hidden_size, shape.num_heads * shape.head_dim
    k = shape.num_kv_heads * shape.head_dim
    values = (shape.num_heads + shape.num_kv_heads) * shape.value_head_dim
    names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    names |= {name.rpartition(".")[2] for name, _ in model.named_parameters()}
    layer = 4 * h + q + k + values + 2 * shape.latent + (q + k if "q_norm" in names else 0)
    per_channel = 4 if names & {"gate_proj", "gate_up_proj"} else 2
    around = 2 * h * dtype.itemsize + shape.vocab_size * (dtype.itemsize + 4)
    return [(layer + per_channel * f) * dtype.itemsize for f in shape.feed_forwards], around


def _multiplied(model: nn.Module, shape: Shape) -> Iterator[int]:
    """Weights that every token is multiplied with: matrices that are no embedding, and the chosen experts."""
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            continue
        for parameter in module.parameters(recurse=False):
            if parameter.ndim == 2 or is_of_experts(parameter, shape):
                yield parameter.numel() - idle_weights(parameter, shape)


def is_of_experts(parameter: nn.Parameter, shape: Shape) -> bool:
    """Returns whether a parameter holds a matrix for each expert."""
    return parameter.ndim == 3 and shape.num_experts > 0 and parameter.shape[0] == shape.num_experts


def idle_weights(parameter: nn.Parameter, shape: Shape) -> int:
    """The weights of a parameter that belong to experts which a token is not sent to."""
    if not is_of_experts(parameter, shape):
        return 0
    return parameter.numel() // shape.num_experts * (shape.num_experts - shape.num_experts_per_token)


def _optimizer_bytes(parameters: Sequence[nn.Parameter], optimizer: str, dtype: torch.dtype) -> int:
    count = sum(item.numel() for item in parameters)
    match optimizer:
        case "adamw":
            return 2 * count * dtype.itemsize
        case "adamw-8bit":
            return sum(2 * item.numel() + 2 * 4 * -(-item.numel() // 256) for item in parameters)
        case "adafactor":
            return sum(4 * _factored(item) for item in parameters)
        case "muon" | "sgd-momentum":
            return count * dtype.itemsize
        case "sgd":
            return 0
        case _:
            raise ValueError(f"optimizer ({optimizer}) must be one of {', '.join(OPTIMIZERS)}")


def _factored(parameter: nn.Parameter) -> int:
    """Statistics of Adafactor (Shazeer and Stern 2018, arXiv:1804.04235): a row and a column of each matrix."""
    if parameter.ndim < 2:
        return parameter.numel()
    rows, columns = parameter.shape[-2:]
    return (rows + columns) * parameter.shape[:-2].numel()


def _feed_forwards(config: PreTrainedConfig, num_layers: int, experts_per_token: int) -> tuple[int, ...]:
    """Returns the channels of each layer: of a plain one, or of a token's experts with the shared ones."""
    plain = _first(config, ("intermediate_size", "n_inner"), 4 * config.hidden_size)
    if not experts_per_token:
        return (plain,) * num_layers
    mixed = _first(config, ("moe_intermediate_size",), plain) * (
        experts_per_token + _first(config, ("n_shared_experts",), 0)
    )
    num_plain = min(_first(config, ("first_k_dense_replace",), 0), num_layers)
    return (plain,) * num_plain + (mixed,) * (num_layers - num_plain)


def _windows(config: PreTrainedConfig, num_layers: int) -> tuple[int | None, ...]:
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if window is None or not getattr(config, "use_sliding_window", True):
        return (None,) * num_layers
    if kinds is None:
        return (window,) * num_layers
    return tuple(window if kind == "sliding_attention" else None for kind in kinds)


def _first(config: PreTrainedConfig, names: Sequence[str], default: int | None) -> int:
    """The first of the fields that has a value."""
    for name in names:
        value = getattr(config, name, None)
        if value is not None:
            return int(value)
    return default  # type: ignore[return-value]  # only `context_length` asks with None, and takes it
