"""A model and tasks through lm-evaluation-harness to their metrics."""

import copy
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from fgc_runtime.checkpoint.state import kept_random_states
from fgc_runtime.evaluate.faults import EvaluationError
from fgc_runtime.evaluate.quiet import quiet
from fgc_runtime.evaluate.tasks import ChosenTasks
from fgc_runtime.generate.forward import Forward
from fgc_runtime.generate.probe import fitting_rows
from fgc_runtime.generate.rows import PackedRows

_BOOTSTRAPS = 1000  # for standard errors of metrics that are no means
_NUM_NAMED = 5


class Asked(Protocol):
    """Says how tasks are asked; the options of the command line are one."""

    @property
    def num_fewshot(self) -> int | None: ...
    @property
    def limit(self) -> float | None: ...
    @property
    def apply_chat_template(self) -> bool: ...
    @property
    def confirm_run_unsafe_code(self) -> bool: ...
    @property
    def log_samples(self) -> bool: ...
    @property
    def seed(self) -> int: ...


def local_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, batch_size: int) -> Any:
    """The harness's view of a model of this process. The tokenizer is copied: the harness gives it a padding token.

    Raises EvaluationError for a tokenizer that has no token to begin or to end a text.
    """
    from fgc_runtime.evaluate.local import LocalModel  # lm_eval: seconds

    if tokenizer.bos_token_id is None and tokenizer.eos_token_id is None:
        raise EvaluationError(
            "the tokenizer has neither a bos_token nor an eos_token: the harness scores a text's first token behind one"
        )
    if batch_size > 1 and fitting_rows(Forward(model)) is not PackedRows:
        print("fgc eval: this model does not honour padding: questions are asked one by one", file=sys.stderr)
        batch_size = 1
    with quiet():
        return LocalModel(pretrained=model, tokenizer=copy.deepcopy(tokenizer), batch_size=batch_size)


def evaluate_tasks(model: Any, tasks: ChosenTasks, asked: Asked) -> dict[str, Any]:
    """The metrics of each task and group, with what they depend on. Random states are left as they were.

    Raises EvaluationError for what the harness refuses.
    """
    from lm_eval import evaluate

    if asked.apply_chat_template and not _has_chat_template(model):
        raise EvaluationError("--apply-chat-template: the tokenizer has no chat template")
    _set_fewshot(tasks, asked)
    with kept_random_states(), quiet():
        set_seed(asked.seed)
        try:
            found = evaluate(
                model,
                task_dict=tasks.loaded,
                limit=asked.limit,
                apply_chat_template=asked.apply_chat_template,
                fewshot_as_multiturn=True,
                confirm_run_unsafe_code=asked.confirm_run_unsafe_code,
                log_samples=asked.log_samples,
                bootstrap_iters=_BOOTSTRAPS,
            )
        except EvaluationError:
            raise
        except Exception as error:  # anything: templates and Python of tasks, for each document anew
            reason = (str(error).strip() or "it says no more").splitlines()[0]
            raise EvaluationError(f"the harness cannot do this: {type(error).__name__}: {reason}") from error
    assert found is not None, "this is the main process"
    return _record(found, asked)


def metrics_of(results: Mapping[str, Any]) -> Iterator[tuple[str, str, str, float, float | None]]:
    """Yields task, metric, filter, value and standard error of what `evaluate_tasks` gave."""
    for task, values in results["metrics"].items():
        for key, value in values.items():
            metric, _, filtered = key.partition(",")
            if metric.endswith("_stderr") or not isinstance(value, int | float):
                continue
            error = values.get(f"{metric}_stderr,{filtered}")
            yield task, metric, filtered, float(value), float(error) if isinstance(error, int | float) else None


def _record(found: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    names = ("sample_len", "sample_count", "name", "alias", "task_id")
    metrics = {
        task: {key: value for key, value in values.items() if key not in names and "," in key}
        for task, values in found["results"].items()
    }
    counts = found.get("n-samples", {})
    return {
        "metrics": metrics,
        "num_documents": {task: count["effective"] for task, count in counts.items()},
        "num_fewshot": dict(found.get("n-shot", {})),
        "versions": dict(found.get("versions", {})),
        "higher_is_better": dict(found.get("higher_is_better", {})),
        "limit": asked.limit,
        "apply_chat_template": asked.apply_chat_template,
        "seed": asked.seed,
        **({"samples": _plain(found["samples"])} if asked.log_samples else {}),
    }


def _plain(value: Any) -> Any:
    """A value as JSON can have it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _has_chat_template(model: Any) -> bool:
    tokenizer = getattr(model, "tokenizer", None)
    return tokenizer is None or bool(getattr(tokenizer, "chat_template", None))


def _set_fewshot(tasks: ChosenTasks, asked: Asked) -> None:
    """As the harness's own command does it: a task that is written for no examples keeps to that, and here it is said.

    Without a number each task has its own; one that says none has no examples.
    """
    ignoring = []
    for name, task in tasks.loaded["tasks"].items():
        own = task.get_config("num_fewshot")
        if asked.num_fewshot is not None and own == 0:
            ignoring += [name] if asked.num_fewshot else []
        elif asked.num_fewshot is not None or own is None:
            task.set_config(key="num_fewshot", value=asked.num_fewshot or 0)
        task.set_fewshot_seed(seed=asked.seed)
    if ignoring:
        shown = ", ".join(ignoring[:_NUM_NAMED])
        print(f"fgc eval: --num-fewshot has no effect on {shown}: the task says 0 itself", file=sys.stderr)
