"""DeepOne and the original Transformer, which transformers does not have, against the formulas of their papers.

The references are written from the papers, head by head and position by position, without any of the components.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from transformers import PreTrainedModel

Construct = Callable[..., PreTrainedModel]

LENGTH = 21
Weights = dict[str, Tensor]


def tokens() -> Tensor:
    return torch.randint(3, 256, (LENGTH,), generator=torch.Generator().manual_seed(3))


def attention(x: Tensor, weights: Weights, prefix: str, num_heads: int, slopes: list[float]) -> Tensor:
    """Vaswani et al. 2017, eq. 1, with the biases of ALiBi (Press et al. 2021, section 3)."""
    q, k, v = (x @ weights[f"{prefix}.{name}_proj.weight"].T for name in ("q", "k", "v"))
    size = q.shape[1] // num_heads
    shared = num_heads * size // k.shape[1]  # query heads to a head of keys and values
    results = []
    for head in range(num_heads):
        first = head // shared * size
        queries, keys, values = (
            q[:, head * size : (head + 1) * size],
            k[:, first : first + size],
            v[:, first:][:, :size],
        )
        rows = []
        for at in range(len(x)):
            distances = torch.arange(at, -1, -1)
            scores = keys[: at + 1] @ queries[at] / math.sqrt(size) - slopes[head] * distances
            weight = scores.exp() / scores.exp().sum()
            rows.append(weight @ values[: at + 1])
        results.append(torch.stack(rows))
    return torch.cat(results, dim=1) @ weights[f"{prefix}.o_proj.weight"].T


def deepone(model: PreTrainedModel) -> Tensor:
    """Logits (time, vocabulary): DeepNet's post-norm (Wang et al. 2022, figure 2), ALiBi, RMSNorm, gated ReLU."""
    config, weights = model.config, dict(model.named_parameters())
    # six heads: the slopes of four, then the first two odd ones of eight (the code of Press et al.)
    slopes = [1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2, 1 / 8]
    alpha = (2 * config.num_hidden_layers) ** (1 / 4)

    def norm(x: Tensor, name: str) -> Tensor:
        return x / torch.sqrt((x * x).mean(dim=1, keepdim=True) + config.rms_norm_eps) * weights[f"{name}.weight"]

    x = weights["model.embed_tokens.weight"][tokens()]
    for layer in (f"model.layers.{index}" for index in range(config.num_hidden_layers)):
        attended = attention(x, weights, f"{layer}.self_attn", config.num_attention_heads, slopes)
        x = norm(alpha * x + attended, f"{layer}.post_attention_layernorm")
        gate, up, down = (weights[f"{layer}.mlp.{name}_proj.weight"] for name in ("gate", "up", "down"))
        x = norm(alpha * x + ((x @ gate.T).clamp(min=0) * (x @ up.T)) @ down.T, f"{layer}.post_feedforward_layernorm")
    return norm(x, "model.norm") @ weights["lm_head.weight"].T


def transformer(model: PreTrainedModel) -> Tensor:
    """Logits (time, vocabulary): Vaswani et al. 2017, sections 3.1 to 3.5, the decoder without a second attention."""
    config, weights = model.config, dict(model.named_parameters())

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(dim=1, keepdim=True)
        scaled = centred / torch.sqrt((centred * centred).mean(dim=1, keepdim=True) + config.layer_norm_eps)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    size = config.hidden_size
    angles = [[at / 10000 ** (2 * (channel // 2) / size) for channel in range(size)] for at in range(LENGTH)]
    positions = [[(math.cos if c % 2 else math.sin)(angle) for c, angle in enumerate(row)] for row in angles]
    embedding = weights["model.embed_tokens.weight"]
    x = embedding[tokens()] * math.sqrt(size) + torch.tensor(positions)
    for layer in (f"model.layers.{index}" for index in range(config.num_hidden_layers)):
        heads = config.num_attention_heads
        attended = attention(x, weights, f"{layer}.self_attn", heads, [0.0] * heads)
        x = norm(x + attended, f"{layer}.post_attention_layernorm")
        hidden = (x @ weights[f"{layer}.mlp.up_proj.weight"].T + weights[f"{layer}.mlp.up_proj.bias"]).clamp(min=0)
        moved = hidden @ weights[f"{layer}.mlp.down_proj.weight"].T + weights[f"{layer}.mlp.down_proj.bias"]
        x = norm(x + moved, f"{layer}.post_feedforward_layernorm")
    return x @ embedding.T


def test_deepone_is_what_its_papers_say(construct: Construct) -> None:
    model = construct("deepone", is_spread=True)
    with torch.no_grad():
        torch.testing.assert_close(model(tokens()[None]).logits[0], deepone(model), atol=1e-5, rtol=1e-5)


def test_the_original_transformer_is_what_its_paper_says(construct: Construct) -> None:
    model = construct("transformer", is_spread=True)
    with torch.no_grad():
        torch.testing.assert_close(model(tokens()[None]).logits[0], transformer(model), atol=1e-5, rtol=1e-5)


def test_deepone_begins_with_branches_scaled_by_beta(construct: Construct) -> None:
    """Wang et al. 2022, figure 2: beta = (8 M)^(-1/4) on feed-forward, value and output weights, 1 on the others."""
    model = construct("deepone")
    beta = (8 * model.config.num_hidden_layers) ** (-1 / 4)
    for name, weight in model.named_parameters():
        if not name.endswith("_proj.weight"):
            continue
        gain = 1.0 if name.endswith(("q_proj.weight", "k_proj.weight")) else beta
        xavier = gain * math.sqrt(2 / sum(weight.shape))
        assert abs(weight.std().item() / xavier - 1) < 0.1, name
