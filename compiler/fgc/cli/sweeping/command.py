"""A command line, and the target `sweep` of its configuration, to a sweep that runs or is shown."""

import re
import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from optuna.storages import BaseStorage

from fgc.cli.arguments import CannotRun
from fgc.cli.devices import count_devices, visible_devices
from fgc.cli.outputs import output_dir_of
from fgc.cli.select import Selected, hidden_options, report
from fgc.cli.sweeping.builds import Builder, changed_inputs, errors_of, never_evaluates, training_arguments
from fgc.cli.sweeping.driver import Limits, Sweep
from fgc.cli.sweeping.engine import make_pruner, make_sampler, open_storage, without_password
from fgc.cli.sweeping.plan import SweepPlan, differences, lower_is_better
from fgc.cli.sweeping.progress import Progress
from fgc.cli.sweeping.recovery import recover
from fgc.cli.sweeping.show import best_lines, csv_text, json_text, table_text, write_pictures
from fgc.cli.sweeping.space import Dimension, combinations, dimensions, probes, swept_of
from fgc.cli.sweeping.study import Study, find_plan, load_study, open_study, refuse_taken, study_names, values_of
from fgc.pipeline.dynamic import dynamic_arguments
from fgc.pipeline.metadata import meta_value
from fgc.pipeline.ranges import Choices
from fgc.pipeline.sweeps import Request, sweep_request
from fgc.workspace import display_path

_TRIALS = 20
SWEEPS, JOURNAL = "sweeps", "study.journal"
_OF_CONFIGURATION = ("project", "config", "file", "include", "define", "vars", "settings", "dynamic")


class _Prepared(Struct, frozen=True):
    """A sweep before it begins: what it is, and the folder of its trials."""

    plan: SweepPlan
    request: Request
    folder: Path
    selected: Selected


def start_sweep(arguments: Namespace) -> int:
    """Check everything, then sweep. Raises CannotRun or ProjectError."""
    _check_counts(arguments)
    builder = Builder(arguments)
    selected = builder.select()
    print(hidden_options(arguments, selected), end="", file=sys.stderr)
    if selected.has_errors:
        report(selected.diagnostics)
        return 1
    prepared = _prepared(arguments, selected)
    plan = prepared.plan
    sampler, pruner = _engine(prepared)
    _check_values(builder, plan.dimensions)
    plan = replace(plan, inputs=builder.build((), {}).inputs)
    if arguments.dry_run:
        _print_plan(replace(prepared, plan=plan), arguments)
        return 0
    storage = open_storage(arguments.storage, prepared.folder / JOURNAL)
    before = find_plan(storage, plan.name)
    if before is not None:
        plan = _continued(before, plan, storage, arguments)
    elif arguments.resume:
        names = study_names(storage)
        raise CannotRun(f"there is no sweep `{plan.name}` to resume" + (f"; there is {', '.join(names)}" * bool(names)))
    sampler = _reseeded(plan, storage, sampler)
    study = open_study(storage, plan, sampler, pruner, is_new=before is None and not arguments.join)
    return _work(study, builder, replace(prepared, plan=plan), arguments)


def show_sweep(arguments: Namespace) -> int:
    """Print a study. Raises CannotRun or ProjectError."""
    study = _named_study(arguments)
    if arguments.plots:
        for path in write_pictures(study, Path(arguments.plots)):
            print(f"wrote {display_path(path)}", file=sys.stderr)
    forms = {"text": table_text, "json": json_text, "csv": csv_text}
    print(forms[arguments.format](study).rstrip("\n"))
    return 0


def list_sweeps(arguments: Namespace) -> int:
    """Print the names of all sweeps of a configuration, or of a storage. Raises CannotRun or ProjectError."""
    for name, storage in _all_studies(arguments).items():
        study = load_study(storage, name)
        best = study.best()
        worth = f"best {study.plan.metric} {best.value:.5g}" if best is not None and best.value is not None else ""
        count = len(study.trials)
        print(f"{name}  {count} {'trial' if count == 1 else 'trials'}  {worth}".rstrip())
    return 0


def _named_study(arguments: Namespace) -> Study:
    known = _all_studies(arguments)
    name = arguments.study or arguments.name
    if name is None:
        if len(known) != 1:
            there = f"; there are {', '.join(known)}" if known else ": there is none"
            raise CannotRun(f"name the sweep: `fgc sweep show NAME`{there}")
        name = next(iter(known))
    if name not in known:
        there = f"; there is {', '.join(known)}" if known else ""
        raise CannotRun(f"there is no sweep `{name}`{there}")
    return load_study(known[name], name)


def _all_studies(arguments: Namespace) -> dict[str, BaseStorage]:
    """Storages by the names of the studies in them."""
    if arguments.storage is not None:
        if "://" not in arguments.storage and not Path(arguments.storage).is_file():
            raise CannotRun(f"there is no file `{arguments.storage}`")
        storage = open_storage(arguments.storage, Path(), is_read=True)
        return dict.fromkeys(study_names(storage), storage)
    arguments.file = None
    named = Path(arguments.study) if arguments.study else None
    if named is not None and (named / JOURNAL).is_file():  # a sweep's own folder
        arguments.study = None
        storage = open_storage(str(named / JOURNAL), named, is_read=True)
        return dict.fromkeys(study_names(storage), storage)
    if named is not None and named.is_file():
        arguments.file, arguments.study = arguments.study, None
    folder = _output(Builder(arguments).select()) / SWEEPS
    storages = [open_storage(str(path), path, is_read=True) for path in sorted(folder.glob(f"*/{JOURNAL}"))]
    return {name: storage for storage in storages for name in study_names(storage)}


def _output(selected: Selected) -> Path:
    folder = output_dir_of(selected.compilation.graph)
    return selected.folder / (folder if folder is not None else f"output_models/{Path(selected.name).stem}")


def _check_counts(arguments: Namespace) -> None:
    for name in ("trials", "jobs", "hours"):
        value = getattr(arguments, name)
        if value is not None and not value > 0:
            raise CannotRun(f"`--{name} {value}` must be above 0")
    if arguments.retries < 0:
        raise CannotRun(f"`--retries {arguments.retries}` must not be negative")
    if arguments.minimize and arguments.maximize:
        raise CannotRun("`--minimize` and `--maximize`: choose one")
    if arguments.resume and arguments.join:
        raise CannotRun("`--resume` is for a sweep that has ended, `--join` for one that is running: choose one")


def _prepared(arguments: Namespace, selected: Selected) -> _Prepared:
    graph = selected.compilation.graph
    of_target = sweep_request(graph).value or Request()
    request = _merged(arguments, of_target)
    name = arguments.name or Path(selected.name).stem
    if not all(sign.isalnum() or sign in "-_." for sign in name) or name.startswith("."):
        raise CannotRun(f"`--name {name}` must be of letters, digits, dashes, dots and underlines")
    if not request.over:
        raise CannotRun(
            f"there is nothing to sweep: write `--over PATH=RANGE`, or a target `sweep` in `{selected.name}`; "
            "see `fgc sweep --help`"
        )
    declared = dynamic_arguments(graph).value
    found = dimensions(request.over, selected.compilation.composition, declared)
    metric, is_maximized = _metric(request, training_arguments(graph))
    if metric == "eval_loss" and never_evaluates(graph) and not any("eval_strategy" in each.name for each in found):
        raise CannotRun(
            "`eval_loss` is never logged, because the trainer does not evaluate. Write `eval_strategy: epoch` into "
            "`[trainer_args]`, or `steps` with `eval_steps`; or use a number that it logs: `--minimize loss`"
        )
    is_list_only = all(isinstance(each.values, Choices) for each in found)
    is_free = request.trials is None and request.sampler is None
    is_grid = request.grid if request.grid is not None else is_list_only and is_free
    if is_grid:
        combinations(found)
    plan = SweepPlan(
        name=name,
        configuration=selected.name,
        folder=str(selected.folder),
        dimensions=found,
        metric=metric,
        is_maximized=is_maximized,
        sampler="random" if is_grid else request.sampler or "tpe",
        pruner=request.pruner or "none",
        is_grid=is_grid,
        seed=request.seed,
        judge_by=request.judge_by or "last",
        arguments=_without_secrets(arguments, selected.secrets),
    )
    folder = _output(selected) / SWEEPS / name
    return _Prepared(plan, request, folder.absolute(), selected)


def _without_secrets(arguments: Namespace, secrets: Mapping[str, str]) -> dict[str, Any]:
    """Returns what the command line says of it, with `(secret:HF_TOKEN)` in place of a secret: studies are shared."""
    given = {key: value for key in _OF_CONFIGURATION if (value := getattr(arguments, key, None))}
    for name, secret in secrets.items():
        hidden = re.compile(rf"(?<!\w){re.escape(secret)}(?!\w)")
        given = {
            key: [hidden.sub(f"(secret:{name})", str(word)) for word in value] if isinstance(value, list) else value
            for key, value in given.items()
        }
    return given


def _merged(arguments: Namespace, target: Request) -> Request:
    """The command line's word counts before the target's; of values that are swept, path by path."""
    given = {name: getattr(arguments, name) for name in Request.__struct_fields__ if name != "over"}
    if given["minimize"] or given["maximize"]:
        target = replace(target, minimize=None, maximize=None)
    if given["sampler"] and given["grid"] is None:
        target = replace(target, grid=None)
    merged = replace(target, **{name: value for name, value in given.items() if value is not None})
    own = [swept_of(word) for word in arguments.over]
    names = {item.name for item in own}
    merged = replace(merged, over=(*(item for item in target.over if item.name not in names), *own))
    if merged.grid and merged.sampler:
        raise CannotRun(f"a grid needs no sampler: omit `--grid` or `--sampler {merged.sampler}`")
    return merged


def _metric(request: Request, training: dict[str, object]) -> tuple[str, bool]:
    """Returns the metric, and True if more of it is better."""
    if request.maximize or request.minimize:
        name, is_maximized = str(request.maximize or request.minimize), bool(request.maximize)
    elif training.get("metric_for_best_model"):
        name, is_maximized = str(training["metric_for_best_model"]), bool(training.get("greater_is_better"))
    else:
        name, is_maximized = "eval_loss", False
    if is_maximized and lower_is_better(name):
        print(f"fgc: warning: `{name}` is maximized, and less of it is usually better", file=sys.stderr)
    return name, is_maximized


def _engine(prepared: _Prepared) -> tuple[Any, Any]:
    training = training_arguments(prepared.selected.compilation.graph)
    steps = {name: value for name in ("eval_steps", "max_steps") if isinstance(value := training.get(name), int)}
    positive = {name: value for name, value in steps.items() if value > 0}
    plan = prepared.plan
    pruner = make_pruner(plan.pruner, first_step=positive.get("eval_steps"), max_steps=positive.get("max_steps"))
    return make_sampler(plan.sampler, plan.seed), pruner


def _reseeded(plan: SweepPlan, storage: BaseStorage, sampler: Any) -> Any:
    """A sampler that goes on draws other numbers than those that began."""
    if plan.seed is None or plan.name not in study_names(storage):
        return sampler
    return make_sampler(plan.sampler, plan.seed + 7919 * len(load_study(storage, plan.name).trials))


def _check_values(builder: Builder, found: tuple[Dimension, ...]) -> None:
    """Compile with each choice and each end of a range. Raises CannotRun with the first value that is none."""
    for dimension, values in probes(found):
        text = values[dimension.name]
        try:
            selected = builder.select(found, values)
        except CannotRun as problem:
            raise CannotRun(str(problem).replace("`--set ", "`--over ")) from None
        if selected.has_errors:
            raise CannotRun(
                f"`--over {dimension.name}`: the configuration has errors with {text}:\n{errors_of(selected)}"
            )


def _continued(before: SweepPlan, now: SweepPlan, storage: BaseStorage, arguments: Namespace) -> SweepPlan:
    """The plan of a sweep that is there, if this command line means the same. Raises CannotRun."""
    if not arguments.resume and not arguments.join:
        refuse_taken(load_study(storage, now.name))
    now = replace(now, seed=before.seed if now.seed is None else now.seed)
    if changed := list(differences(before, now)):
        listed = "".join(f"\n  {change}" for change in changed)
        raise CannotRun(f"this is another sweep than `{before.name}`, which there is:{listed}")
    if not arguments.anyway and (files := changed_inputs(before.inputs, now.inputs)):
        raise CannotRun(
            f"{', '.join(files)} changed since `{before.name}` started, so its trials would not be comparable; "
            "`--anyway` continues, `--name` starts another sweep"
        )
    return replace(before, inputs=now.inputs)


def _work(study: Study, builder: Builder, prepared: _Prepared, arguments: Namespace) -> int:
    plan, request = prepared.plan, prepared.request
    study.begin_work(is_alone=not arguments.join)
    try:
        if plan.is_grid:
            _enqueue_grid(study)
        devices = _devices(prepared.selected, arguments)
        jobs = len(devices)
        trials = None if plan.is_grid else request.trials or (None if request.hours else _TRIALS)
        goal = len(combinations(plan.dimensions)) if plan.is_grid else trials
        progress = Progress(goal=goal, jobs=jobs)
        progress.say(_headline(prepared, goal, jobs))
        recover(study, prepared.folder, arguments.interrupted, progress.say)
        deadline = None if request.hours is None else time.monotonic() + request.hours * 3600
        limits = Limits(trials, deadline, jobs, arguments.retries, arguments.on_failure)
        sweep = Sweep(study, builder, prepared.folder, arguments, limits, devices, progress)
        code = sweep.run()
        print("\n".join(best_lines(study)))
        if code == 130:
            progress.say("`fgc sweep --resume` continues it")
        return code
    finally:
        study.end_work()


def _enqueue_grid(study: Study) -> None:
    """Decide on all combinations that no trial has yet: a sweep may have been killed in the middle of this."""
    known = [values_of(trial, study.plan.dimensions) for trial in study.trials]
    for values in combinations(study.plan.dimensions):
        if values not in known:
            study.enqueue(values)


def _devices(selected: Selected, arguments: Namespace) -> list[str | None]:
    """The devices of each trial that runs at the same time as others; None: those that it finds."""
    per_trial = meta_value(selected.compilation.graph, "nproc_per_node")
    size = per_trial if isinstance(per_trial, int) and per_trial > 0 else 1
    if arguments.devices not in (None, "cpu"):
        names = str(visible_devices(arguments.devices)).split(",")
        if len(names) < size:
            raise CannotRun(f"a trial has {size} processes, and `-d {arguments.devices}` gives {len(names)} devices")
        groups = [",".join(names[begin : begin + size]) for begin in range(0, len(names) - size + 1, size)]
        jobs = arguments.jobs or len(groups)
        return [groups[index % len(groups)] for index in range(jobs)]
    jobs = arguments.jobs or 1
    count = 0 if arguments.devices == "cpu" or jobs == 1 else count_devices()
    if count >= size:
        groups = [",".join(map(str, range(begin, begin + size))) for begin in range(0, count - size + 1, size)]
        return [groups[index % len(groups)] for index in range(jobs)]
    return [arguments.devices] * jobs


def _headline(prepared: _Prepared, goal: int | None, jobs: int) -> str:
    plan = prepared.plan
    many = f"{goal} trials" if goal is not None else "trials"
    how = "a grid" if plan.is_grid else plan.sampler
    pruned = f", pruned by {plan.pruner}" if plan.pruner != "none" else ""
    at_once = f", {jobs} at once" if jobs > 1 else ""
    names = ", ".join(each.name for each in plan.dimensions)
    where = display_path(prepared.folder)
    return (
        f"sweep {plan.name}: {many} over {names} by {how}, to {plan.direction} {plan.metric}{pruned}{at_once}; {where}"
    )


def _print_plan(prepared: _Prepared, arguments: Namespace) -> None:
    plan = prepared.plan
    print(_headline(prepared, len(combinations(plan.dimensions)) if plan.is_grid else prepared.request.trials, 1))
    for each in plan.dimensions:
        values = each.values
        shown = ", ".join(values.texts) if isinstance(values, Choices) else _interval(values)
        when = f"  if {each.condition.path} is {' or '.join(each.condition.texts)}" if each.condition else ""
        print(f"  {each.name}: {shown}{when}")
    print(f"storage: {without_password(arguments.storage or str(prepared.folder / JOURNAL))}")


def _interval(values: Any) -> str:
    kind = "integers" if values.is_integer else "numbers"
    step = f" in steps of {values.step:g}" if values.step else ""
    log = ", logarithmic" if values.is_log else ""
    return f"{kind} from {values.low:g} to {values.high:g}{step}{log}"
