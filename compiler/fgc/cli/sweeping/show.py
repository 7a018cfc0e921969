"""A study to a table, to data, to what its best trial is built with, and to pictures."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from fgc.cli.arguments import CannotRun
from fgc.cli.layout import aligned
from fgc.cli.sweeping.study import Study, outcome_of, values_of
from fgc.cli.words import shell_word

_FEWEST_FOR_IMPORTANCE = 4
_PICTURES = ("history", "importance", "slices", "parallel", "intermediate")


def number_text(value: float | None) -> str:
    """Returns a number with as many digits as a person compares."""
    return "" if value is None else f"{value:.5g}"


def value_text(text: str) -> str:
    """Returns a value of a trial, a long fraction shortened."""
    try:
        value = float(text)
    except ValueError:
        return text
    return text if len(text) < 9 else f"{value:.4g}"


def table_text(study: Study) -> str:
    """Returns the trials as a table, the best marked, and below it the best one's command and what matters."""
    best = study.best()
    names = [each.name for each in study.plan.dimensions]
    rows = [("TRIAL", "STATE", study.plan.metric.upper(), "STEP", "TIME", *names)]
    rows += [_row(study, trial, best) for trial in study.trials]
    return "\n".join([*aligned(rows), "", *best_lines(study), *_importance_lines(study)])


def best_lines(study: Study) -> list[str]:
    """Returns what to know of the best trial: its value, its run, and how to build its program."""
    best = study.best()
    if best is None:
        return ["no trial has a value yet"]
    own = study.trials[int(best.user_attrs.get("same as", best.number))]
    lines = [f"best: trial {best.number}, {study.plan.metric} {number_text(best.value)}"]
    if own.user_attrs.get("run"):
        lines.append(f"its run:    {own.user_attrs['run']}")
    lines.append(f"build it:   {build_command(study, best)}")
    return lines


def build_command(study: Study, trial: FrozenTrial) -> str:
    """Returns the command that builds a trial's program."""
    plan = study.plan
    values = values_of(trial, plan.dimensions)
    settings: dict[str, str] = {}
    words: list[str] = []
    for each in plan.dimensions:
        if each.name in values:
            settings |= each.settings(values[each.name])
            words += each.words(values[each.name])
    given = plan.arguments
    first = ["fgc", *(["-p", given["project"]] if given.get("project") else [])]
    first += ["-t", given["config"]] if given.get("config") else []
    file = [given["file"]] if given.get("file") else []
    own = [word for name, option in _OPTIONS.items() for value in given.get(name) or () for word in (option, value)]
    sets = [word for path, text in settings.items() for word in ("--set", f"{path}={text}")]
    return " ".join(map(shell_word, [*first, "build", *file, *own, *given.get("dynamic", ()), *words, *sets]))


_OPTIONS = {"include": "-I", "define": "-D", "settings": "--set"}


def data_of(study: Study) -> dict[str, Any]:
    """Returns a study as data."""
    best = study.best()
    return {
        "name": study.plan.name,
        "configuration": study.plan.configuration,
        "metric": study.plan.metric,
        "direction": study.plan.direction,
        "best": None if best is None else _trial_data(study, best),
        "importance": importance(study),
        "trials": [_trial_data(study, trial) for trial in study.trials],
    }


def csv_text(study: Study) -> str:
    """Returns the trials as CSV, a column for each value that is swept."""
    names = [each.name for each in study.plan.dimensions]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", study.plan.metric, "step", "seconds", "run", *names])
    for trial in study.trials:
        data = _trial_data(study, trial)
        cells = [data[name] for name in ("number", "state", "value", "step", "seconds", "run")]
        writer.writerow(
            [*("" if cell is None else cell for cell in cells), *(data["values"].get(n, "") for n in names)]
        )
    return text.getvalue()


def importance(study: Study) -> dict[str, float]:
    """Returns how much of the metric's variation each value explains; empty for too few trials, or without any."""
    own = [trial for trial in study.trials if outcome_of(trial) == "complete"]
    if len(own) < _FEWEST_FOR_IMPORTANCE or len({trial.value for trial in own}) < 2 or len(study.plan.dimensions) < 2:
        return {}
    try:
        return dict(optuna.importance.get_param_importances(study.study))
    except (ValueError, RuntimeError, ZeroDivisionError):  # no value varies
        return {}


def write_pictures(study: Study, folder: Path) -> list[Path]:
    """Writes PNG plots into a folder, those that the trials are enough for. Raises CannotRun without matplotlib."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise CannotRun("plots need matplotlib: pip install 'fgc[plot]'")
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import optuna.visualization.matplotlib as draw

    makers: dict[str, Callable[[optuna.Study], object]] = {
        "history": draw.plot_optimization_history,
        "slices": draw.plot_slice,
        "parallel": draw.plot_parallel_coordinate,
        "intermediate": draw.plot_intermediate_values,
        "importance": draw.plot_param_importances,
    }
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name in _PICTURES:
        if (name == "importance" and not importance(study)) or study.best() is None:
            continue
        try:
            makers[name](study.study)
        except (ValueError, RuntimeError):
            plt.close("all")
            continue
        path = folder / f"{name}.png"
        plt.savefig(path, dpi=120, bbox_inches="tight")
        plt.close("all")
        found.append(path)
    return found


def _row(study: Study, trial: FrozenTrial, best: FrozenTrial | None) -> tuple[str, ...]:
    values = values_of(trial, study.plan.dimensions)
    is_best = best is not None and best.number == trial.number
    same = trial.user_attrs.get("same as")
    state = outcome_of(trial) + (f" as {same}" if same is not None else "")
    seconds = trial.user_attrs.get("seconds")
    step = trial.last_step
    return (
        f"{trial.number}{'*' if is_best else ''}",
        state,
        number_text(trial.value) if outcome_of(trial) != "pruned" else f"({number_text(trial.value)})",
        "" if step is None else str(step),
        "" if seconds is None else f"{seconds:.1f} s",
        *(value_text(values.get(each.name, "-")) for each in study.plan.dimensions),
    )


def _importance_lines(study: Study) -> list[str]:
    found = importance(study)
    if not found:
        return []
    width = max(map(len, found))
    bars = [f"  {name.ljust(width)}  {share:5.0%}  {'#' * round(share * 30)}" for name, share in found.items()]
    return ["", "what the metric depends on:", *bars]


def _trial_data(study: Study, trial: FrozenTrial) -> dict[str, Any]:
    known = trial.user_attrs
    return {
        "number": trial.number,
        "state": outcome_of(trial),
        "value": trial.value,
        "step": trial.last_step,
        "values": values_of(trial, study.plan.dimensions),
        **{name.replace(" ", "_"): known.get(name) for name in ("reason", "run", "seconds", "same as", "continues")},
        "build": known.get("build"),
        "metrics": known.get("metrics", {}),
        "intermediate": {str(step): value for step, value in trial.intermediate_values.items()},
    }


def json_text(study: Study) -> str:
    """Returns a study as JSON; numbers that are none are null."""
    return json.dumps(_finite(data_of(study)), indent=2, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
