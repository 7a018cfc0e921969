"""`python -m fgc_runtime.evaluate MODEL`: what `fgc eval` runs."""

import json
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fgc_runtime.evaluate.arguments import Options, parse
from fgc_runtime.evaluate.faults import EvaluationError
from fgc_runtime.models.finding import FolderError, find_model
from fgc_runtime.output import run_command
from fgc_runtime.packages import MissingExtra, require_extra
from fgc_runtime.trust import UntrustedCode

if TYPE_CHECKING:
    from fgc_runtime.evaluate.tasks import Tasks

_CANNOT = 2


def main(words: list[str] | None = None) -> int:
    """Evaluate and print; 2 if it cannot be done."""
    options = parse(words)
    try:
        if options.list_tasks is not None:
            return _list_tasks(options, options.list_tasks)
        return _evaluate(options)
    except (EvaluationError, FolderError, MissingExtra, UntrustedCode) as error:
        print(f"fgc eval: {error}", file=sys.stderr)
        return _CANNOT


def _list_tasks(options: Options, pattern: str) -> int:
    names = [name for name in _all_tasks(options).names if fnmatchcase(name, pattern)]
    if not names:
        raise EvaluationError(f"no task is called like {pattern}")
    print("\n".join(names))
    return 0


def _all_tasks(options: Options) -> "Tasks":
    require_extra("lm_eval", "--tasks", extra="eval")
    from fgc_runtime.evaluate.tasks import Tasks  # lm_eval: seconds

    return Tasks(options.task_folders, is_told=options.trust_remote_code)


def _evaluate(options: Options) -> int:
    from fgc_runtime.evaluate.results import keep, place_of
    from fgc_runtime.evaluate.texts import read_prompts, read_text

    prompts = read_prompts(options.samples) if options.samples is not None else []  # before a model is loaded
    text = read_text(options.perplexity) if options.perplexity is not None else ""
    if not options.is_remote:
        find_model(Path(str(options.model)), options.tokenizer)
    place = place_of(options)
    results = _of_server(options) if options.is_remote else _of_folder(options, prompts, text)
    if options.format == "json":
        print(json.dumps(results, indent=2, ensure_ascii=False), flush=True)
    else:
        from fgc_runtime.evaluate.report import report

        print(report(results), flush=True)
    path = keep(place, results)  # printed before: what took hours is not lost with a full disk
    if options.format == "text":
        print(f"kept in {path}")
    return 0


def _of_server(options: Options) -> dict[str, Any]:
    from fgc_runtime.evaluate.harness import evaluate_tasks
    from fgc_runtime.evaluate.server import served_model

    tasks = _all_tasks(options).chosen(options.tasks)
    return {"tasks": evaluate_tasks(served_model(options), tasks, options)}


def _of_folder(options: Options, prompts: list[str], text: str) -> dict[str, Any]:
    """Measures a folder's model; what can be refused is refused before anything is measured."""
    tasks = _all_tasks(options).chosen(options.tasks) if options.tasks else None  # before a model is loaded
    from fgc_runtime.evaluate.opening import open_model
    from fgc_runtime.evaluate.perplexity import perplexity, windows_of
    from fgc_runtime.evaluate.samples import continuations, refuse_long

    opened = open_model(options)
    asks_perplexity = options.perplexity is not None
    windows = windows_of(opened.model, context=options.context, stride=options.stride) if asks_perplexity else None
    refuse_long(opened, prompts)
    results: dict[str, Any] = {}
    if tasks is not None:
        from fgc_runtime.evaluate.harness import evaluate_tasks, local_model  # lm_eval: seconds

        model = local_model(opened.model, opened.tokenizer, batch_size=options.batch_size)
        results["tasks"] = evaluate_tasks(model, tasks, options)
    if windows is not None:
        found = perplexity(opened.model, opened.tokenizer, text, windows, batch_size=options.batch_size)
        results["perplexity"] = {"file": str(options.perplexity), **found.as_record()}
    if prompts:
        results["samples"] = continuations(opened, prompts, options)
    return results


def run(words: list[str] | None = None) -> int:
    """`main`, without a traceback where it is interrupted, or nobody reads on."""
    return run_command(lambda: main(words))


if __name__ == "__main__":
    sys.exit(run())
