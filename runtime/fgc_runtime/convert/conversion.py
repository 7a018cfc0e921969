"""One conversion: read the source, have the target planned, move the weights, compare, and only then appear.

The target is written under another name and renamed at the end: what fails or is interrupted leaves nothing.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from fgc_runtime.convert import companions
from fgc_runtime.convert.explain import to_architecture_text, to_package_text
from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.convert.fields import to_architecture, to_package
from fgc_runtime.convert.folders import complete_or_absent
from fgc_runtime.convert.moves import Plan, carry_out, make_plan, wanted_of
from fgc_runtime.convert.progress import Progress
from fgc_runtime.convert.tables import Architecture
from fgc_runtime.convert.talk import Compiler
from fgc_runtime.convert.text import finished_text, plan_text
from fgc_runtime.convert.verify import Comparison, compare, require_memory
from fgc_runtime.convert.weights import Weights
from fgc_runtime.models.folder import ModelError
from fgc_runtime.models.opening import on_meta, package_classes
from fgc_runtime.models.shards import ShardWriter
from fgc_runtime.trust import CheckedFolder, checked_folder, record_code


@dataclass(frozen=True, slots=True)
class Job:
    """Holds what the command line asks for. `name` is the package's; `tables` are architectures that may be meant."""

    source: Path
    target: Path | None
    tables: tuple[Architecture, ...]
    is_to_package: bool
    name: str
    dtype: torch.dtype | None
    max_shard_bytes: int
    is_dry_run: bool
    is_explained: bool
    is_verified: bool
    ignore: tuple[str, ...]
    checked: CheckedFolder  # the source's folder, as its code and configuration are loaded

    @classmethod
    def of(cls, message: dict[str, Any]) -> "Job":
        """Raises UntrustedCode."""
        return cls(
            source=Path(message["source"]),
            target=Path(message["target"]) if message["target"] else None,
            tables=tuple(map(Architecture.of, message["tables"])),
            is_to_package=message["is_to_package"],
            name=message["name"],
            dtype=getattr(torch, message["dtype"]) if message["dtype"] else None,
            max_shard_bytes=message["max_shard_bytes"],
            is_dry_run=message["is_dry_run"],
            is_explained=message["is_explained"],
            is_verified=message["is_verified"],
            ignore=tuple(message["ignore"]),
            checked=checked_folder(Path(message["source"]), is_told=message["trust_remote_code"]),
        )


@dataclass(frozen=True, slots=True)
class Target:
    """The model to write, on the meta device, and the other files; `explained` makes what `--explain` prints."""

    architecture: Architecture
    model: PreTrainedModel
    package: Path | None
    template: str | None
    notes: tuple[str, ...]
    explained: Callable[[], str]

    @property
    def config(self) -> PreTrainedConfig:
        return self.model.config


def convert(job: Job, compiler: Compiler) -> int:
    """Do it and say what was done; 1 if a dry run finds problems. Raises ConvertError."""
    weights = Weights(job.source)
    config = _config(job)
    target = _package(job, config, compiler) if job.is_to_package else _architecture(job, config, weights)
    prefix = target.architecture.prefix
    if job.is_to_package and prefix and not any(name.startswith(prefix) for name in weights.tensors):
        weights.renamed(prefix)
    plan = make_plan(
        weights,
        target.model,
        target.architecture,
        is_to_package=job.is_to_package,
        dtype=job.dtype,
        ignore=job.ignore,
    )
    if job.is_explained:
        print(target.explained() + "\n")
    if job.is_dry_run:
        print(plan_text(plan, target.architecture, target.notes))
        return 1 if plan.problems else 0
    if plan.problems:
        raise ConvertError("\n".join(plan.problems))
    assert job.target is not None, "only a dry run has no target"
    if job.is_verified:
        require_memory(sum(torch.Size(item.shape).numel() for item in wanted_of(plan)))
    comparison = _write(job, job.target, target, plan, weights)
    print(finished_text(plan, target.architecture, target.notes, comparison))
    return 0


def _config(job: Job) -> PreTrainedConfig:
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            job.checked.path, trust_remote_code=job.checked.is_trusted
        )
    except Exception as error:  # anything: a field of a wrong type, code in the folder
        reason = f"{type(error).__name__}: {error}"
        raise ConvertError(f"{job.source / 'config.json'} cannot be used: {reason}") from error
    return config


def _package(job: Job, config: PreTrainedConfig, compiler: Compiler) -> Target:
    """The package that the compiler builds for the source's configuration."""
    [architecture] = job.tables
    found = to_package(config, architecture)
    answer = compiler.ask({"fields": found.fields, "blocks": found.blocks, "includes": found.includes})
    package = Path(answer["package"])
    config_class, model_class = package_classes(package)
    made = config_class()
    made.architectures = [model_class.__name__]
    explained = partial(to_package_text, config.to_dict(), architecture)
    model = on_meta(model_class, made)
    return Target(architecture, model, package, answer["template"], tuple(found.notes), explained)


def _architecture(job: Job, config: PreTrainedConfig, weights: Weights) -> Target:
    """The architecture that has all of the package's fields and tensors, and leaves the fewest fields unread."""
    ours = config.to_dict()
    package = on_meta(AutoModelForCausalLM.from_config, config, trust_remote_code=job.checked.is_trusted)
    parts = {type(module).__name__ for module in package.modules()}
    reasons = []
    for table in sorted(job.tables, key=lambda table: (len(_unread(config, table)), -len(table.fields))):
        if len(job.tables) > 1 and (absent := [name for name in table.modules if name not in parts]):
            reasons.append(f"  {table.model_type}: the package has no part {', '.join(absent)}")
            continue
        try:
            made = to_architecture(ours, weights.tensors, table)
            made.architectures = [table.name]
            model = on_meta(AutoModelForCausalLM.from_config, made)
        except (ConvertError, ModelError) as error:
            reasons.append(f"  {table.model_type}: {error}")
            continue
        plan = make_plan(weights, model, table, is_to_package=False, dtype=None, ignore=job.ignore)
        if len(job.tables) == 1 or not plan.problems:
            unread = _unread(config, table)
            notes = [f"config field `{name}` has no counterpart in {table.name}" for name in unread]
            return Target(table, model, None, None, tuple(notes), partial(to_architecture_text, table, ours, reasons))
        reasons.append(f"  {table.model_type}: {'; '.join(plan.problems)}")
    reason = "\n".join(reasons)
    hint = "`--to MODEL_TYPE` tries one whatever its parts are called"
    raise ConvertError(f"the model has the shape of no architecture that fgc converts to; {hint}:\n{reason}")


def _unread(config: PreTrainedConfig, table: Architecture) -> list[str]:
    """Fields of a package's class that the architecture does not have."""
    if not is_dataclass(config):
        return []
    known = {*PreTrainedConfig().to_dict(), *table.fields, *table.implied, "auto_map"}
    return [item.name for item in fields(config) if item.name not in known and not item.name.startswith("_")]


def _write(job: Job, folder: Path, target: Target, plan: Plan, weights: Weights) -> Comparison | None:
    with complete_or_absent(folder) as unfinished:
        _write_companions(job, target, plan, unfinished)
        wanted = wanted_of(plan)
        progress = Progress(sum(item.num_bytes for item in wanted))
        with ShardWriter(unfinished, wanted, job.max_shard_bytes) as writer:
            carry_out(plan, weights, writer, progress.add)
        progress.finish()
        if not job.is_verified:
            return None
        print("comparing logits ...", file=sys.stderr, flush=True)
        is_trusted = (job.checked.is_trusted, target.package is not None)
        comparison = compare(job.checked.path, unfinished, target.config, dtype=job.dtype, is_trusted=is_trusted)
        if not comparison.is_equal:
            raise ConvertError(
                f"the logits of the converted model differ by {comparison.difference:.2g}, more than "
                f"{comparison.tolerance:.2g}: it computes something else, and is not written"
            )
        return comparison


def _write_companions(job: Job, target: Target, plan: Plan, folder: Path) -> None:
    config = target.config
    stored = {wanted.dtype for wanted in wanted_of(plan) if wanted.dtype.is_floating_point}
    config.dtype = stored.pop() if len(stored) == 1 else None
    companions.copy_companions(job.source, folder)
    companions.write_json(folder / "generation_config.json", companions.generation_config(job.source, config))
    config.save_pretrained(folder)
    if target.package is not None and target.template is not None:
        companions.copy_code(target.package, (path.name for path in target.package.glob("*.py")), folder)
        record_code(folder.glob("*.py"))
        (folder / "model.yaml").write_text(target.template, encoding="utf-8")
