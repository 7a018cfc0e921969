"""The use of the hardware by a training: floating-point operations per second, and their share of the peak (MFU)."""

import torch
from transformers import PreTrainedConfig

from fgc_runtime.callbacks.base import TrainerCallback, TrainingRun
from fgc_runtime.models.costs import Shape, idle_weights

# dense bfloat16 operations per second, from the vendors' data sheets; float16 where there is no bfloat16 (V100, T4)
_PEAKS = {
    "B200": 2250e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "A10G": 70e12,
    "A10": 125e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
    "V100": 125e12,
    "T4": 65e12,
}


class ThroughputCallback(TrainerCallback):
    """`tflops_per_second` of all processes, and `mfu`, their share of what the hardware could do.

    A token costs 6 N + 12 L H S D operations: N weights that a token is multiplied with (all but the embedding table,
    which counts where it is also the head, and the experts that a token is not sent to), 2 forward and 4 backward; L
    layers, H heads of D channels over S tokens
    (Chowdhery et al. 2022, appendix B). S is `sequence_length`, or the mean number of label tokens of an example. It is
    the work that the model asks for: recomputed activations do not count.
    `peak_flops` is that of one device; by default a table knows it. Where neither says, as on a CPU, there is no `mfu`.
    """

    def __init__(self, *, peak_flops: float | None = None, sequence_length: int | None = None) -> None:
        if peak_flops is not None and peak_flops <= 0:
            raise ValueError(f"peak_flops ({peak_flops}) must be above 0")
        if sequence_length is not None and sequence_length < 1:
            raise ValueError(f"sequence_length ({sequence_length}) must be at least 1")
        self.peak_flops = peak_flops
        self.sequence_length = sequence_length
        self._num_weights = 0

    def on_train_begin(self, run: TrainingRun) -> None:
        """Count the weights."""
        shape = Shape.of(run.model.config)
        here = sum(idle_weights(parameter, shape) for parameter in run.model.parameters() if run.counts(parameter))
        idle = int(run.add_stages(torch.tensor([here], dtype=torch.float64, device=run.world.device)))
        self._num_weights = multiplied_weights(run.num_parameters, run.model.config) - idle
        if self.peak_flops is None:
            self.peak_flops = peak_flops_of(run.world.device)

    def on_record(self, run: TrainingRun, record: dict[str, float]) -> None:
        """Add both."""
        state = run.state
        length = self.sequence_length or state.num_tokens / max(1, state.num_examples)
        flops = flops_per_token(run.model.config, self._num_weights, length) * record["tokens_per_second"]
        record["tflops_per_second"] = flops / 1e12
        if self.peak_flops is not None:
            record["mfu"] = flops / (self.peak_flops * run.world_size)


def multiplied_weights(num_parameters: int, config: PreTrainedConfig) -> int:
    """Weights that each token is multiplied with, of a model that may be spread over processes."""
    table = 0 if config.tie_word_embeddings else int(config.vocab_size) * int(config.hidden_size)
    return num_parameters - table


def flops_per_token(config: PreTrainedConfig, num_weights: int, sequence_length: float) -> float:
    """6 N + 12 L H S D, forward and backward."""
    shape = Shape.of(config)
    channels = shape.num_heads * (shape.head_dim + shape.value_head_dim)
    return 6 * num_weights + 6 * shape.num_layers * sequence_length * channels


def peak_flops_of(device: torch.device) -> float | None:
    """From the table, by the device's name."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for known, peak in _PEAKS.items() if known in name), None)
