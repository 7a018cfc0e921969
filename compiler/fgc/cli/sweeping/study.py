"""A study of Optuna as a sweep uses it: one plan, trials with what became of them, and who works on it now.

Loads Optuna: 0.8 s.
"""

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from fgc.cli.arguments import CannotRun
from fgc.cli.runs import is_alive
from fgc.cli.sweeping.engine import Pruner, Sampler
from fgc.cli.sweeping.plan import SweepPlan, plan_text, read_plan
from fgc.cli.sweeping.processes import process_identity
from fgc.cli.sweeping.space import Dimension, Values, active
from fgc.pipeline.ranges import Choices, written

Entry: TypeAlias = Literal["new", "resume", "join"]
Outcome: TypeAlias = Literal["complete", "pruned", "diverged", "failed", "interrupted", "same", "surplus"]
_PLAN = "fgc plan"
_WORKER = "fgc worker "
_BEAT_S, _ALIVE_FOR_S, _SIGNS_WITHIN_S = 60.0, 300.0, 5.0
_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,  # the engine learns from pruned trials that it is bad there, from failed ones not
}


class Study:
    """A study that is open. Everything that it knows is in the storage."""

    def __init__(self, study: optuna.Study, plan: SweepPlan) -> None:
        self.study = study
        self.plan = plan
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._beat_s = float("-inf")

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, in the order of their numbers."""
        return self.study.get_trials(deepcopy=False)

    @property
    def num_counted(self) -> int:
        """Trials that count for the budget: what was not interrupted, and not the same program once more."""
        return sum(
            trial.state is not TrialState.WAITING and outcome_of(trial) not in _UNCOUNTED for trial in self.trials
        )

    @property
    def num_waiting(self) -> int:
        """Trials that are decided on and not begun."""
        return sum(trial.state is TrialState.WAITING for trial in self.trials)

    def best(self) -> FrozenTrial | None:
        """The complete trial with the best value; the first of equals."""
        complete = [trial for trial in self.trials if trial.state is TrialState.COMPLETE and trial.value is not None]
        return min(complete, key=lambda trial: -self.plan.sign * (trial.value or 0.0), default=None)

    def enqueue(self, values: Values, *, continues: int | None = None, retries: int | None = None) -> None:
        """Decide on a trial to come; it goes on from the checkpoint of the trial `continues`."""
        known = {dimension.name: dimension for dimension in self.plan.dimensions}
        params = {name: _value(known[name], text) for name, text in values.items()}
        about = {"continues": continues, "retries": retries}
        self.study.enqueue_trial(params, user_attrs={key: value for key, value in about.items() if value is not None})

    def ask(self) -> tuple[optuna.Trial, Values]:
        """Returns a trial that is running now, and its values as they are written."""
        trial = self.study.ask()
        trial.set_user_attr("worker", self._worker)
        values: Values = {}
        for dimension in active(self.plan.dimensions, values):
            values[dimension.name] = _suggested(trial, dimension)
        return trial, values

    def tell(
        self, number: int, outcome: Outcome, *, value: float | None = None, reason: str | None = None, **more: object
    ) -> None:
        """Write down how a trial ended."""
        trial = self.running(number)
        for name, attribute in {"outcome": outcome, "reason": reason, **more}.items():
            if attribute is not None:
                trial.set_user_attr(name, attribute)
        state = _STATES.get(outcome, TrialState.FAIL)
        self.study.tell(trial, value if state is TrialState.COMPLETE else None, state=state)

    def tell_same(self, number: int, original: FrozenTrial) -> None:
        """Write down that a trial is the program of another one, which has ended: it is worth the same."""
        trial = self.running(number)
        trial.set_user_attr("outcome", "same")
        trial.set_user_attr("same as", original.number)
        if original.state is TrialState.COMPLETE:
            self.study.tell(trial, original.value, state=TrialState.COMPLETE)
            return
        for step, value in original.intermediate_values.items():
            trial.report(value, step)
        self.study.tell(trial, state=original.state)

    def running(self, number: int) -> optuna.Trial:
        """Returns a trial that was asked for, by this process or an earlier one."""
        return optuna.Trial(self.study, self.trials[number]._trial_id)

    def stale(self) -> list[FrozenTrial]:
        """Trials that are running for a worker that is gone."""
        living = {name for name, _ in self._living()}
        running = [trial for trial in self.trials if trial.state is TrialState.RUNNING]
        return [trial for trial in running if trial.user_attrs.get("worker") not in living and _is_settled(trial)]

    def begin_work(self, *, is_alone: bool) -> None:
        """Say that this process works on the study. Raises CannotRun if another one does and `is_alone`."""
        others = [about for name, about in self._living() if name != self._worker]
        if is_alone and others:
            raise CannotRun(_busy(self.plan.name, others[0]))
        self.beat(is_forced=True)
        earlier = [about for name, about in self._living() if name != self._worker]
        if is_alone and earlier and min(earlier, key=_first)["began"] < self._own["began"]:
            self.end_work()
            raise CannotRun(_busy(self.plan.name, earlier[0]))

    def beat(self, *, is_forced: bool = False) -> None:
        """Tell workers on other machines, once a minute, that this one lives."""
        if is_forced or time.monotonic() - self._beat_s > _BEAT_S:
            if self._beat_s == float("-inf"):
                self._own = {**process_identity(os.getpid()), "began": time.time()}
            self._beat_s = time.monotonic()
            self.study.set_user_attr(_WORKER + self._worker, {**self._own, "beat": time.time()})

    def end_work(self) -> None:
        """Say that this process has ended its work."""
        self.study.set_user_attr(_WORKER + self._worker, {"has_ended": True})

    def _living(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, about in self.study.user_attrs.items():
            if name.startswith(_WORKER) and not about.get("has_ended"):
                is_here = about.get("host") == socket.gethostname()
                if is_alive(about) if is_here else time.time() - float(about["beat"]) < _ALIVE_FOR_S:
                    yield name.removeprefix(_WORKER), about


def open_study(storage: BaseStorage, plan: SweepPlan, sampler: Sampler, pruner: Pruner, *, is_new: bool) -> Study:
    """Makes a study, or opens the one of this name. Raises CannotRun."""
    try:
        study = optuna.create_study(
            storage=storage,
            sampler=sampler,
            pruner=pruner,
            study_name=plan.name,
            direction=plan.direction,
            load_if_exists=not is_new,
        )
    except optuna.exceptions.DuplicatedStudyError:
        raise CannotRun(_taken(plan.name)) from None
    if _PLAN not in study.user_attrs:
        study.set_user_attr(_PLAN, plan_text(plan))
        study.set_metric_names([plan.metric])
    return Study(study, plan)


def find_plan(storage: BaseStorage, name: str) -> SweepPlan | None:
    """Returns the plan of a study; None if the storage has none of this name. Raises CannotRun if it is no sweep's."""
    if name not in study_names(storage):
        return None
    attributes = optuna.load_study(study_name=name, storage=storage).user_attrs
    if _PLAN not in attributes:
        raise CannotRun(f"the study `{name}` was not made by `fgc sweep`; `--name` names another one")
    return read_plan(attributes[_PLAN])


def load_study(storage: BaseStorage, name: str) -> Study:
    """Opens a study to look at it. Raises CannotRun."""
    plan = find_plan(storage, name)
    if plan is None:
        names = study_names(storage)
        known = f"; it has {', '.join(names)}" if names else ""
        raise CannotRun(f"there is no sweep `{name}` in the storage{known}")
    return Study(optuna.load_study(study_name=name, storage=storage), plan)


def study_names(storage: BaseStorage) -> list[str]:
    """Returns the names of all studies of a storage."""
    return optuna.get_all_study_names(storage)


def refuse_taken(study: Study) -> None:
    """Raises CannotRun: a sweep of this name is there, and nobody said to go on with it."""
    busy = [about for _, about in study._living()]
    raise CannotRun(_busy(study.plan.name, busy[0]) if busy else _taken(study.plan.name))


def outcome_of(trial: FrozenTrial) -> str:
    """Returns how a trial ended, or `waiting` or `running`."""
    found = trial.user_attrs.get("outcome")
    return str(found) if found is not None and trial.state.is_finished() else trial.state.name.lower()


def values_of(trial: FrozenTrial, dimensions: Sequence[Dimension]) -> Values:
    """Returns the values of a trial as they are written."""
    params: Mapping[str, Any] = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    return {each.name: _text(each, params[each.name]) for each in dimensions if each.name in params}


def _is_settled(trial: FrozenTrial) -> bool:
    """Returns False in the moment in which another worker takes a trial and has not signed it yet."""
    began = trial.datetime_start
    is_signed = "worker" in trial.user_attrs
    return is_signed or began is None or time.time() - began.timestamp() > _SIGNS_WITHIN_S


_UNCOUNTED = ("interrupted", "same", "surplus")


def _first(about: Mapping[str, Any]) -> float:
    return float(about.get("began", 0.0))


def _busy(name: str, worker: Mapping[str, Any]) -> str:
    who = f"process {worker.get('pid')} on {worker.get('host')}"
    return f"the sweep `{name}` is running ({who}); `--join` takes part in it, `--name` starts another one"


def _taken(name: str) -> str:
    return f"the sweep `{name}` already exists; `--resume` continues it, `--name` starts another one"


def _distribution(dimension: Dimension) -> BaseDistribution:
    values = dimension.values
    if isinstance(values, Choices):
        return CategoricalDistribution(values.texts)
    if values.is_integer:
        return IntDistribution(round(values.low), round(values.high), log=values.is_log, step=round(values.step or 1))
    return FloatDistribution(values.low, values.high, log=values.is_log, step=values.step)


def _suggested(trial: optuna.Trial, dimension: Dimension) -> str:
    return _text(dimension, trial._suggest(dimension.name, _distribution(dimension)))


def _text(dimension: Dimension, value: object) -> str:
    if isinstance(dimension.values, Choices) or not isinstance(value, (int, float)):
        return str(value)
    return written(value, is_integer=dimension.values.is_integer)


def _value(dimension: Dimension, text: str) -> str | int | float:
    if isinstance(dimension.values, Choices):
        return text
    return int(text) if dimension.values.is_integer else float(text)
