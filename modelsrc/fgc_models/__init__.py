"""Model components in ordinary PyTorch; the compiler copies what a model uses into its generated package.

A component takes plain values, and *factories* for the components inside it: `norm()` makes a norm, whichever one
the configuration chose. A parameter called `config` is the model's configuration, given by whoever builds the model.
"""

__all__ = [
    "alibi",
    "attention",
    "causal_lm",
    "embeddings",
    "feed_forward",
    "gpt_oss",
    "initializers",
    "latent_attention",
    "layers",
    "moe",
    "norms",
    "packing",
    "rotary",
]
