"""Feed-forward layers: the same function at every position."""

# a module called is of type Any
# mypy: disable-error-code="no-any-return"

from torch import Tensor, nn
from transformers.activations import ACT2FN


class MLP(nn.Module):
    """y = down(act(up(x))), a plain feed-forward layer.

    Vaswani et al. 2017 (arXiv:1706.03762, eq. 2) with the activation `relu`; GPT-2 takes
    `gelu_new`. Activations have the names of transformers' ACT2FN.
    """

    def __init__(self, *, hidden_size: int, intermediate_size: int, activation: str, bias: bool = True) -> None:
        super().__init__()
        self.up_proj = nn.Linear(hidden_size, intermediate_size, bias=bias)
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=bias)
        self.act_fn = ACT2FN[activation]

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.down_proj(self.act_fn(self.up_proj(hidden_states)))


class GatedMLP(nn.Module):
    """y = down(act(gate(x)) * up(x)), a gated linear unit.

    Shazeer 2020 (arXiv:2002.05202, eq. 6): SwiGLU with the activation `silu`, GEGLU with
    `gelu`, ReGLU with `relu`. Activations have the names of transformers' ACT2FN.
    """

    def __init__(self, *, hidden_size: int, intermediate_size: int, activation: str, bias: bool = False) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden_size, intermediate_size, bias=bias)
        self.up_proj = nn.Linear(hidden_size, intermediate_size, bias=bias)
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=bias)
        self.act_fn = ACT2FN[activation]

    def forward(self, hidden_states: Tensor) -> Tensor:
        gate = self.act_fn(self.gate_proj(hidden_states))
        return self.down_proj(gate * self.up_proj(hidden_states))
