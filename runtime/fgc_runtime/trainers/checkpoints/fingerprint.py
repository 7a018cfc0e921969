"""Describes everything that a run's numbers depend on, by name, so that a resumed run can report changes.

Settings that do not affect the numbers are left out: output paths, intervals, the division of a step's examples.
"""

import ast
import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch.optim import Optimizer
from transformers import PreTrainedModel

from fgc_runtime.data.samples import known_content, sampled_content
from fgc_runtime.data.windows import is_stream, length_of
from fgc_runtime.finetune import has_adapter
from fgc_runtime.sources import program_files
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.losses.training_loss import TrainingLoss

Fingerprint = dict[str, object]


class Change(NamedTuple):
    """A difference of two fingerprints: its name, and a sentence about it."""

    name: str
    sentence: str


_MEANING = (
    "seed", "shuffle", "bf16", "fp16", "max_grad_norm", "optimizer_in_backward", "fused_loss", "torch_compile",
)  # fmt: skip
_OF_CONFIG = ("_name_or_path", "transformers_version", "auto_map", "architectures", "dtype", "torch_dtype")
_TOKEN_IDS = (
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)  # the tokenizer's: a save writes them
_HARMLESS = {
    "output_dir", "logging_dir", "run_name", "logging_strategy", "logging_steps", "logging_first_step", "eval_strategy",
    "eval_steps", "max_eval_steps", "per_device_eval_batch_size", "save_strategy", "save_steps", "save_total_limit",
    "resume_from_checkpoint", "resume_anyway", "async_save", "save_failure", "metric_for_best_model",
    "greater_is_better", "save_best_limit", "load_best_model_at_end", "dataloader_num_workers",
    "dataloader_prefetch_factor", "dataloader_pin_memory", "ddp_timeout", "callbacks", "do_train", "do_save", "do_eval",
    # these have their own entries, which say more than a changed file hash
    "max_steps", "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps",
}  # fmt: skip


def fingerprint(
    args: TrainingArguments,
    model: PreTrainedModel,
    optimizer: Optimizer,
    dataset: Any,
    *,
    loss: TrainingLoss,
    examples_per_step: int,
    schedule: object,
    schedule_steps: int | None,
) -> Fingerprint:
    """Returns the fingerprint, as JSON; `schedule_steps` None: the rate does not depend on the number of steps."""
    found: Fingerprint = {name: getattr(args, name) for name in _MEANING}
    found |= {"ema_decay": args.ema_decay} if args.ema_decay is not None else {}
    found |= {"examples_per_step": examples_per_step, "schedule": _described(schedule), "max_steps": schedule_steps}
    if isinstance(schedule, str):  # made from the arguments
        found |= {f"schedule.{name}": getattr(args, name) for name in ("warmup_steps", "min_lr_ratio")}
    found |= {f"loss.{name}": value for name, value in loss.settings.items()}
    found |= {f"optimizer.{name}": value for name, value in _optimizer(optimizer).items()}
    found |= {f"model.{name}": value for name, value in _model(model).items()}
    found |= {f"data.{name}": value for name, value in _data(dataset).items()}
    found |= {f"program.{name}": value for name, value in program_hashes().items()}
    normal: Fingerprint = json.loads(json.dumps(found, default=str, sort_keys=True))
    return normal


def differences(saved: Mapping[str, object], now: Mapping[str, object]) -> list[Change]:
    """Returns the differences of two fingerprints."""
    missing = "nothing"
    changed = []
    for name in sorted({*saved, *now}):
        before, after = saved.get(name, missing), now.get(name, missing)
        if before == after:
            continue
        if _is_hash(before) or _is_hash(after):
            event = "is new" if before == missing else "is gone" if after == missing else "has changed"
            changed.append(Change(name, f"{name} {event}"))
        else:
            changed.append(Change(name, f"{name} was {before} and is {after}"))
    return changed


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and value.startswith("sha256:")


def _hash(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _optimizer(optimizer: Optimizer) -> dict[str, object]:
    """Returns an optimizer's class and settings, with its initial rate; the schedule has its own entry."""
    found: dict[str, object] = {"class": type(optimizer).__qualname__}
    for number, group in enumerate(optimizer.param_groups):
        settings = {name: value for name, value in group.items() if name not in ("params", "lr", "param_names")}
        found |= {f"{number}.{name}": _described(value) for name, value in settings.items()}
    return found


def _model(model: PreTrainedModel) -> dict[str, object]:
    skipped = {*_OF_CONFIG, *_TOKEN_IDS}
    config = {name: value for name, value in model.config.to_dict().items() if name not in skipped}
    shapes = [(name, tuple(parameter.shape)) for name, parameter in model.named_parameters()]
    return {"class": type(model).__name__, **config, "parameters": len(shapes), **_trained(model)}


def _trained(model: PreTrainedModel) -> dict[str, object]:
    """Returns the trained part of a model, unless it is the whole, and the settings of an adapter."""
    names = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    found: dict[str, object] = {"frozen": _hash("\n".join(sorted(names)).encode())} if names else {}
    if has_adapter(model):
        configs: Any = model.peft_config
        settings = {f"adapter.{name}": value for name, value in configs["default"].to_dict().items() if value}
        lists = {name: sorted(value) for name, value in settings.items() if isinstance(value, set)}
        left_out = ("adapter.inference_mode", "adapter.peft_version", "adapter.base_model_name_or_path")
        found |= {name: value for name, value in {**settings, **lists}.items() if name not in left_out}
    return found


def _data(dataset: Any) -> dict[str, object]:
    """Returns a data set's length, and its own fingerprint or a hash of some of its examples."""
    length, known = length_of(dataset), known_content(dataset)
    if known is not None:
        files = {f"files.{name}": found for name, found in getattr(dataset, "file_hashes", {}).items()}
        return {"num_examples": length, "content": _hash(known.encode()), **files}
    samples = _hash(sampled_content(dataset))
    return {"first_examples": samples} if is_stream(dataset) else {"num_examples": length, "examples": samples}


def _described(value: object) -> object:
    """Returns a factory's name and settings; any other value unchanged."""
    if isinstance(value, functools.partial):
        settings = {name: _described(setting) for name, setting in sorted(value.keywords.items())}
        arguments = [_described(argument) for argument in value.args]
        return {"call": _described(value.func), "arguments": arguments, **settings}
    if isinstance(value, list | tuple):
        return [_described(item) for item in value]
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, torch.Tensor):
        return value.tolist()
    return getattr(value, "__qualname__", type(value).__qualname__)


def program_hashes() -> dict[str, object]:
    """Returns hashes of the Python files that the program's build lists; none for a program without a build."""
    own = program_files()
    if own is None:
        return {}
    return {name: _code(own.contents[name]) for name in own.outputs if name.endswith(".py") and name in own.contents}


def _code(content: bytes) -> str:
    """Returns a hash of a Python file without comments, layout, and settings that change no number."""
    tree = _Harmless().visit(ast.parse(content))
    return _hash(ast.dump(tree).encode())


class _Harmless(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        node.keywords = [keyword for keyword in node.keywords if keyword.arg not in _HARMLESS]
        return node

    def visit_Module(self, node: ast.Module) -> ast.AST:
        self.generic_visit(node)
        if ast.get_docstring(node) is not None:  # names the template
            node.body = node.body[1:]
        return node


def depends_on_length(factory: Callable[..., object] | None, args: TrainingArguments) -> bool:
    """Returns True if the learning rate of a step depends on the total number of steps."""
    if factory is None:
        return args.lr_scheduler_type != "constant"
    return "num_training_steps" in inspect.signature(factory).parameters
