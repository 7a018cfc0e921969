"""Latent attention against the equations of DeepSeek-V2 (arXiv:2405.04434, section 2.1.2 and 2.1.3), written out."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from fgc_models.latent_attention import LatentAttention, yarn_score_factor
from fgc_models.norms import RMSNorm
from fgc_models.rotary import RotaryEmbedding
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedConfig

HEADS, PLAIN, ROPE, VALUE, RANK, HIDDEN = 3, 6, 4, 5, 7, 16
DEFAULT = {"rope_type": "default", "rope_theta": 10000.0}


def attention(**changes: Any) -> LatentAttention:
    torch.manual_seed(0)
    config = PreTrainedConfig()
    config._attn_implementation = "eager"
    sizes = {"plain_head_dim": PLAIN, "rope_head_dim": ROPE, "value_head_dim": VALUE, "kv_rank": RANK}
    module = LatentAttention(
        0,
        config=config,
        hidden_size=HIDDEN,
        num_heads=HEADS,
        rope_parameters=DEFAULT,
        norm=partial(RMSNorm, eps=1e-6),
        **{"query_rank": 8, **sizes, **changes},
    )
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return module


def angles(states: Tensor, length: int) -> tuple[Tensor, Tensor]:
    rotary = RotaryEmbedding(PreTrainedConfig(), ROPE, DEFAULT)
    cos, sin = rotary(states, torch.arange(length)[None])
    return cos, sin


def turned(pairs: list[float], position: int) -> list[float]:
    """Channels 2i and 2i + 1 turned together; first all first channels, then all second ones."""
    firsts, seconds = [], []
    for i in range(len(pairs) // 2):
        angle = position * 10000.0 ** (-2 * i / len(pairs))
        a, b = pairs[2 * i], pairs[2 * i + 1]
        firsts.append(a * math.cos(angle) - b * math.sin(angle))
        seconds.append(b * math.cos(angle) + a * math.sin(angle))
    return firsts + seconds


@pytest.mark.parametrize("query_rank", [8, None])
def test_a_head_sees_keys_and_values_read_from_one_vector(query_rank: int | None) -> None:
    module = attention(query_rank=query_rank)
    x = torch.randn(1, 5, HIDDEN)
    mask = torch.full((5, 5), -torch.inf).triu(1)[None, None]
    found, _ = module(x, attention_mask=mask, position_embeddings=angles(x, 5))

    first, down = nn.functional.linear(x[0], module.kv_a_proj_with_mqa.weight).split((RANK, ROPE), dim=-1)
    latent = module.kv_a_layernorm(first)
    read = (latent @ module.kv_b_proj.weight.T).view(5, HEADS, PLAIN + VALUE)
    queries = module.queries(x)[0]
    out = torch.zeros(5, HEADS, VALUE)
    for head in range(HEADS):
        for t in range(5):
            query = queries[head, t]
            turning = torch.tensor(turned(query[PLAIN:].tolist(), t))
            scores = []
            for s in range(t + 1):
                shared = torch.tensor(turned(down[s].tolist(), s))
                scores.append((query[:PLAIN] @ read[s, head, :PLAIN] + turning @ shared) / math.sqrt(PLAIN + ROPE))
            weights = torch.softmax(torch.stack(scores), dim=0)
            out[t, head] = weights @ read[: t + 1, head, PLAIN:]
    torch.testing.assert_close(found[0], module.o_proj(out.flatten(1)), atol=1e-5, rtol=1e-4)


def test_a_cache_holds_one_vector_and_one_key_for_each_position() -> None:
    module = attention()
    x = torch.randn(2, 6, HIDDEN)
    cos, sin = angles(x, 6)
    whole, _ = module(x, position_embeddings=(cos, sin))
    cache = DynamicCache()
    module(x[:, :5], position_embeddings=(cos[:, :, :5], sin[:, :, :5]), past_key_values=cache)
    last, _ = module(x[:, 5:], position_embeddings=(cos[:, :, 5:], sin[:, :, 5:]), past_key_values=cache)
    torch.testing.assert_close(last, whole[:, 5:])
    layer = cache.layers[0]
    assert layer.keys is not None and layer.values is not None
    assert (layer.keys.shape, layer.values.shape) == ((2, 1, 6, RANK), (2, 1, 6, ROPE))


def test_scores_grow_where_yarn_stretches_the_context() -> None:
    yarn = {"rope_type": "yarn", "factor": 40.0, "mscale_all_dim": 1.0}
    assert yarn_score_factor(yarn) == pytest.approx((0.1 * math.log(40.0) + 1.0) ** 2)
    assert yarn_score_factor({**yarn, "mscale_all_dim": 0}) == yarn_score_factor(DEFAULT) == 1.0
