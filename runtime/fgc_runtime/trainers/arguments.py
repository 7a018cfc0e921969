"""Settings of a training run, under the names that transformers uses, checked when it is set."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from fgc_runtime.settings import chosen_arguments

IntervalStrategy = Literal["no", "steps", "epoch"]
FusedLoss = Literal["no", "auto", "chunked", "liger", "cut_cross_entropy"]
MatmulPrecision = Literal["highest", "high", "medium"]

_FUSED_LOSSES: tuple[str, ...] = get_args(FusedLoss)
_SDPA_BACKENDS = ("math", "flash", "efficient", "cudnn")
_STRATEGIES = ("no", "steps", "epoch")
_SCHEDULES = ("constant", "cosine", "linear")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingArguments:
    """The settings of a run. A step is an optimizer step: `gradient_accumulation_steps` batches on each process.

    `learning_rate`, `weight_decay`, `adam_*`, `lr_scheduler_type`, `warmup_steps` and `min_lr_ratio` are used if the
    trainer gets no factory for the optimizer or the schedule. Raises ValueError, naming parameter, value and rule.
    """

    output_dir: str | Path = "output_models/default_model"  # the final model; checkpoints/ and runs/ below it
    logging_dir: str | Path | None = None  # None: <output_dir>/runs/<run_name>_<time>
    run_name: str = "train"

    per_device_train_batch_size: int = 16
    per_device_eval_batch_size: int = 16
    gradient_accumulation_steps: int = 1
    num_train_epochs: float = 1.0
    max_steps: int = -1  # above 0: steps in place of epochs
    shuffle: bool = True

    learning_rate: float = 3e-4
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    lr_scheduler_type: Literal["constant", "cosine", "linear"] = "cosine"
    warmup_steps: int = 0
    min_lr_ratio: float = 0.0
    max_grad_norm: float | None = 1.0  # None: gradients are not clipped

    eval_strategy: IntervalStrategy = "no"
    eval_steps: int = 100
    max_eval_steps: int = -1  # above 0: batches per process of one evaluation
    logging_strategy: Literal["no", "steps"] = "steps"
    logging_steps: int = 10
    logging_first_step: bool = False
    save_strategy: IntervalStrategy = "steps"
    save_steps: int = 1000
    save_total_limit: int | None = 2  # checkpoints of this run that are kept; None: all
    save_failure: Literal["stop", "continue"] = "stop"  # what to do if a checkpoint cannot be written
    async_save: bool = True  # training goes on while a checkpoint is written
    metric_for_best_model: str | None = None  # such as eval_loss: the best checkpoints by it are kept
    greater_is_better: bool | None = None  # required with a metric
    save_best_limit: int = 1  # number of best checkpoints to keep, beside save_total_limit
    load_best_model_at_end: bool = False
    resume_from_checkpoint: bool | str | Path = False  # True: the latest in output_dir, if there is one
    resume_anyway: bool = False  # resumes even if the program or the data has changed since the checkpoint

    ema_decay: float | None = None  # of a moving average of the weights, which is evaluated and saved
    seed: int = 42
    ddp_timeout: int = 1800  # seconds that a process waits for the others before it gives up
    device: str | None = None
    use_cpu: bool = False
    bf16: bool = False  # forward passes in bfloat16; weights, gradients and the loss stay in float32
    fp16: bool = False  # the same in float16, with a loss scale that follows the gradients
    gradient_checkpointing: bool = False
    activation_offloading: bool = False  # keeps activations for backward in host memory
    fused_loss: FusedLoss = "no"  # computes head and loss together, without all logits in memory at once
    fused_loss_chunk_size: int | None = None  # rows of logits at once; None: chosen by the size of the vocabulary
    optimizer_in_backward: bool = False  # each parameter is updated as soon as its gradient is complete
    torch_compile: bool = False
    torch_compile_backend: str = "inductor"
    torch_compile_mode: str | None = None
    sdpa_backend: str | Sequence[str] | None = None  # of math, flash, efficient, cudnn; None: torch chooses
    float32_matmul_precision: MatmulPrecision | None = None
    detect_anomaly: bool = False
    dataloader_num_workers: int = 0
    dataloader_prefetch_factor: int | None = None
    dataloader_pin_memory: bool = True  # where the device is a GPU

    def __post_init__(self) -> None:
        """Checks every rule that needs only the arguments."""
        for name in _AT_LEAST_ONE:
            self._require(name, getattr(self, name) >= 1, "must be at least 1")
        for name in _NOT_NEGATIVE:
            self._require(name, getattr(self, name) >= 0, "must not be negative")
        for name in ("eval_strategy", "save_strategy"):
            self._require(name, getattr(self, name) in _STRATEGIES, f"must be one of {', '.join(_STRATEGIES)}")
        self._require("logging_strategy", self.logging_strategy in ("no", "steps"), "must be one of no, steps")
        self._require(
            "lr_scheduler_type", self.lr_scheduler_type in _SCHEDULES, f"must be one of {', '.join(_SCHEDULES)}"
        )
        self._require("num_train_epochs", self.num_train_epochs > 0, "must be above 0")
        self._require("max_steps", self.max_steps == -1 or self.max_steps > 0, "must be -1 (no limit) or above 0")
        self._require("max_eval_steps", self.max_eval_steps == -1 or self.max_eval_steps > 0, "must be -1 or above 0")
        self._require("max_grad_norm", self.max_grad_norm is None or self.max_grad_norm > 0, "must be above 0, or None")
        self._require("save_total_limit", self.save_total_limit is None or self.save_total_limit > 0, "must be above 0")
        self._require(
            "ema_decay", self.ema_decay is None or 0 < self.ema_decay < 1, "must lie between 0 and 1, or None"
        )
        self._require("min_lr_ratio", 0 <= self.min_lr_ratio <= 1, "must lie between 0 and 1")

        self._check_best()
        self._check_speed_and_memory()

    @property
    def sdpa_backends(self) -> tuple[str, ...]:
        """Returns the attention kernels that torch may choose from; empty for any."""
        given = self.sdpa_backend
        return () if given is None else (given,) if isinstance(given, str) else tuple(given)

    def _check_best(self) -> None:
        self._require("save_failure", self.save_failure in ("stop", "continue"), "must be one of stop, continue")
        has_metric = self.metric_for_best_model is not None
        self._require(
            "greater_is_better",
            (self.greater_is_better is None) != has_metric,
            "must be true or false where metric_for_best_model is given, and None where it is not",
        )
        if has_metric or self.load_best_model_at_end:
            self._require("metric_for_best_model", has_metric, "must be given for load_best_model_at_end")
            self._require("eval_strategy", self.eval_strategy != "no", "must not be no with a metric_for_best_model")
            self._require("save_strategy", self.save_strategy != "no", "must not be no with a metric_for_best_model")
        if self.load_best_model_at_end:
            self._check_saves_meet_evaluations()

    def _check_saves_meet_evaluations(self) -> None:
        """Raises ValueError unless every checkpoint has an evaluation of its step, to load the best model by."""
        self._require(
            "save_strategy",
            self.save_strategy == self.eval_strategy,
            f"must be that of eval_strategy ({self.eval_strategy!r}) for load_best_model_at_end",
        )
        self._require(
            "save_steps",
            self.save_strategy != "steps" or self.save_steps % self.eval_steps == 0,
            f"must be a multiple of eval_steps ({self.eval_steps}) for load_best_model_at_end",
        )

    def _check_speed_and_memory(self) -> None:
        self._require("fused_loss", self.fused_loss in _FUSED_LOSSES, f"must be one of {', '.join(_FUSED_LOSSES)}")
        rows = self.fused_loss_chunk_size
        self._require("fused_loss_chunk_size", rows is None or rows >= 1, "must be at least 1, or None")
        is_known = all(name in _SDPA_BACKENDS for name in self.sdpa_backends)
        self._require("sdpa_backend", is_known, f"must be of {', '.join(_SDPA_BACKENDS)}")
        precision = self.float32_matmul_precision
        precisions: tuple[str, ...] = get_args(MatmulPrecision)
        self._require(
            "float32_matmul_precision",
            precision is None or precision in precisions,
            f"must be one of {', '.join(precisions)}, or None",
        )
        self._require("fp16", not (self.fp16 and self.bf16), "cannot be together with bf16 (True)")
        if self.optimizer_in_backward:
            reason = "cannot be together with optimizer_in_backward, which never has all gradients at once"
            self._require("max_grad_norm", self.max_grad_norm is None, f"{reason}; set max_grad_norm: null")
            self._require("gradient_accumulation_steps", self.gradient_accumulation_steps == 1, reason)
            self._require("fp16", not self.fp16, reason)

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise ValueError(f"{name} ({getattr(self, name)!r}) {rule}")


def with_changes(args: TrainingArguments) -> TrainingArguments:
    """Returns the arguments, changed by the program's command line and by `FGC_TRAINING_ARGUMENTS`.

    The variable contains a JSON object. Raises ValueError.
    """
    return replace(args, **{**_of_environment(), **chosen_arguments()})


def _of_environment() -> dict[str, Any]:
    text = os.environ.get("FGC_TRAINING_ARGUMENTS")
    if not text:
        return {}
    try:
        changes = json.loads(text)
    except ValueError as error:
        raise ValueError(f"FGC_TRAINING_ARGUMENTS ({text!r}) must be a JSON object: {error}") from error
    names = {field.name for field in fields(TrainingArguments)}
    if not isinstance(changes, dict) or not names.issuperset(changes):
        unknown = sorted(set(changes) - names) if isinstance(changes, dict) else changes
        raise ValueError(f"FGC_TRAINING_ARGUMENTS must be a JSON object of training arguments, not of {unknown}")
    return changes


_AT_LEAST_ONE = (
    "ddp_timeout",
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "gradient_accumulation_steps",
    "eval_steps",
    "logging_steps",
    "save_steps",
    "save_best_limit",
)
_NOT_NEGATIVE = (
    "learning_rate",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "warmup_steps",
    "seed",
    "dataloader_num_workers",
)
