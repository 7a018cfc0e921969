"""The command line of an evaluation. Loads nothing heavy: a wrong word is told at once."""

import argparse
from dataclasses import dataclass
from pathlib import Path

_DESCRIPTION = """\
Say how good a model is: on tasks of lm-evaluation-harness, by the perplexity of a text, by samples of what it writes.

MODEL is a model's folder, an output folder, a run's, a checkpoint, or the URL of a server such as `fgc serve`. Results
are kept in `evaluations/` of the run that trained the model, or of the model's folder; `fgc runs` shows them.
"""
_EPILOG = """\
examples:
  fgc eval output_models/tiny --tasks arc_easy,hellaswag --limit 100
  fgc eval output_models/tiny --task-folder my_tasks --tasks my_task --num-fewshot 2
  fgc eval output_models/tiny --perplexity held_out.txt --context 1024 --stride 512
  fgc eval output_models/tiny --samples prompts.txt --temperature 0.8
  fgc eval http://127.0.0.1:8000 --tokenizer output_models/tiny --tasks my_task --task-folder my_tasks
  fgc eval --list-tasks 'arc*'
"""


@dataclass(frozen=True, slots=True)
class Options:
    """Holds what is asked for. Names are those of the options."""

    model: str | None
    tasks: tuple[str, ...]
    task_folders: tuple[Path, ...]
    num_fewshot: int | None
    limit: float | None
    apply_chat_template: bool
    confirm_run_unsafe_code: bool
    log_samples: bool
    list_tasks: str | None
    perplexity: Path | None
    context: int | None
    stride: int | None
    samples: Path | None
    max_new_tokens: int
    temperature: float
    seed: int
    batch_size: int
    device: str | None
    dtype: str
    attn_implementation: str | None
    tokenizer: Path | None
    served_model: str | None
    output: Path | None
    format: str
    trust_remote_code: bool | None

    @property
    def is_remote(self) -> bool:
        """Returns True if the model is served elsewhere."""
        return self.model is not None and self.model.startswith(("http://", "https://"))


def parse(words: list[str] | None = None) -> Options:
    """Options of a command line; ends the process with a usage message if they are wrong."""
    parser = _parser()
    values = vars(parser.parse_args(words))
    values["tasks"] = tuple(name for text in values["tasks"] for name in text.split(",") if name)
    values["task_folders"] = tuple(values.pop("task_folder"))
    options = Options(**values)
    if problem := _problem(options):
        parser.error(problem)
    return options


def _problem(options: Options) -> str | None:
    if options.list_tasks is not None:
        return None
    if options.model is None:
        return "MODEL is missing: a model's folder, a run's, or the URL of a server"
    if not (options.tasks or options.perplexity or options.samples):
        return "say what to measure: --tasks NAMES, --perplexity FILE or --samples FILE"
    if options.is_remote and (options.perplexity or options.samples):
        return "--perplexity and --samples need the model's folder; a server is asked for --tasks alone"
    if options.is_remote and options.tokenizer is None:
        return "the harness counts tokens itself: name the folder of the served model's tokenizer, --tokenizer FOLDER"
    if options.perplexity is None and (options.context is not None or options.stride is not None):
        return "--context and --stride belong to --perplexity FILE"
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fgc eval",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="folder of a model or run, a checkpoint, or a URL")
    _add_tasks(parser.add_argument_group("tasks"))
    _add_texts(parser.add_argument_group("texts"))
    _add_model(parser.add_argument_group("the model"))
    add = parser.add_argument
    add("--seed", type=int, default=0, help="of samples and of drawn examples (default: 0)")
    add("--output", type=Path, metavar="FILE.json", help="where to write the results (default: beside the run)")
    add("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    return parser


def _add_tasks(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--tasks", action="append", default=[], metavar="NAMES", help="tasks or groups, with commas between")
    add(
        "--task-folder",
        action="append",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="a folder with YAML files of your own tasks; may be repeated",
    )
    add("--list-tasks", nargs="?", const="*", metavar="PATTERN", help="print the names of tasks, and end")
    add("--num-fewshot", type=_at_least(0), metavar="N", help="examples before each question (default: the task's)")
    add("--limit", type=_limit, metavar="N", help="number of documents of each task; below 1, the fraction of them")
    add("--apply-chat-template", action="store_true", help="use the model's chat template")
    add("--log-samples", action="store_true", help="keep each question with its answer in the results")
    add("--confirm-run-unsafe-code", action="store_true", help="for tasks that run what the model writes")


def _add_texts(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--perplexity", type=Path, metavar="FILE", help="a text; each of its tokens is scored once")
    add("--context", type=_at_least(2), metavar="N", help="tokens of a window (default: the model's, at most 4096)")
    add("--stride", type=_at_least(1), metavar="N", help="tokens from window to window (default: half of --context)")
    add("--samples", type=Path, metavar="FILE", help="prompts to continue: lines of text, or .jsonl with `prompt`")
    add("--max-new-tokens", type=_at_least(1), default=64, metavar="N", help="length of a sample (default: 64)")
    add("--temperature", type=_temperature, default=0.0, metavar="T", help="of samples; 0 takes the most likely token")


def _add_model(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--batch-size", type=_at_least(1), default=8, metavar="N", help="sequences at a time (default: 8)")
    add("--device", help="cpu, cuda, cuda:1, mps, ... (default: cuda if there is one, else cpu)")
    add("--dtype", default="auto", help="float32, bfloat16, float16 or auto: float32 on cpu, else as the weights")
    add("--attn-implementation", metavar="NAME", help="eager, sdpa, flash_attention_2, ... (default: the model's)")
    add("--tokenizer", type=Path, metavar="FOLDER", help="folder of the tokenizer (default: beside the weights)")
    add("--served-model", metavar="NAME", help="which model of a server (default: the first that it lists)")
    add(
        "--trust-remote-code",
        action=argparse.BooleanOptionalAction,
        help="run Python code in MODEL and in task folders (default: if fgc generated it here; see fgc trust)",
    )


def _at_least(least: int) -> "type[int]":
    def convert(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least {least}")
        return int(text)

    return convert  # type: ignore[return-value]  # argparse calls it


def _limit(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf") or (number >= 1 and number != int(number)):
        raise argparse.ArgumentTypeError(f"{text} is neither a whole number nor a part between 0 and 1")
    return number if number < 1 else int(number)


def _temperature(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 0")
    return number
