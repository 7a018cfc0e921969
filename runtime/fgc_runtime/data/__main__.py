"""`python -m fgc_runtime.data PROGRAM`: examples and statistics of the data set that a generated module constructs."""

import importlib.util
import json
import os
import shutil
import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fgc_runtime.output import run_command


def main(words: list[str] | None = None) -> int:
    """Print what was asked for; 1 if the data set cannot be constructed or read, 2 without matplotlib."""
    options = _parser().parse_args(words)
    if options.histogram is not None and importlib.util.find_spec("matplotlib") is None:
        print("fgc dataset: a histogram as a picture needs matplotlib: pip install 'fgc[plot]'", file=sys.stderr)
        return 2
    from fgc_runtime.data.survey import first_samples, survey  # torch and transformers: seconds

    try:
        dataset, tokenizer = _constructed(options)
        read = first_samples(dataset, tokenizer, max(options.examples, options.sample))
    except (ValueError, TypeError, OSError) as error:
        if os.environ.get("FGC_TRACEBACK"):
            traceback.print_exc()
        notes = "".join(f"\n  {note}" for note in getattr(error, "__notes__", ()))
        print(f"fgc dataset: {type(error).__name__}: {error}{notes}", file=sys.stderr)
        return 1
    numbers = survey(dataset, read[: options.sample])
    if options.format == "json":
        print(json.dumps(_record(options, read, numbers, tokenizer), indent=2))
    else:
        for line in _lines(options, read, numbers, tokenizer):
            print(line)
    if options.histogram is not None:
        _draw(options, numbers)
    return 0


def _constructed(options: Namespace) -> tuple[Any, Any]:
    built = constructed(options.program, options.function)
    if options.tokenizer is None:
        return built, getattr(built, "tokenizer", None)
    return built[options.target], built[options.tokenizer]


def constructed(program: Path, function: str) -> Any:
    """Returns what a function of a generated module returns."""
    sys.path.insert(0, str(program.parent))
    spec = importlib.util.spec_from_file_location("program", program)
    assert spec is not None and spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules["program"] = module
    spec.loader.exec_module(module)
    return getattr(module, function)()


def _lines(options: Namespace, read: list[Any], numbers: Any, tokenizer: Any) -> Iterator[str]:
    from fgc_runtime.data.display import bar_lines, example_lines, statistics_lines, token_lines

    use_color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    decode = None if tokenizer is None else tokenizer.decode
    lines_of = token_lines if options.tokens else example_lines
    for number, sample in enumerate(read[: options.examples]):
        yield from lines_of(sample, number, decode, use_color=use_color, is_full=options.full)
        yield ""
    yield from statistics_lines(numbers)
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    width = min(100, shutil.get_terminal_size().columns)
    yield from bar_lines(numbers.lengths, width=width, block="█" if is_unicode else "#")


def _record(options: Namespace, read: list[Any], numbers: Any, tokenizer: Any) -> dict[str, Any]:
    examples = [
        {
            "input_ids": sample.ids,
            "is_label": sample.is_label,
            "position_ids": sample.positions,
            "document_lengths": sample.documents,
            "text": sample.text if not sample.ids or tokenizer is None else tokenizer.decode(sample.ids),
        }
        for sample in read[: options.examples]
    ]
    return {"target": options.target, "examples": examples, "statistics": numbers.record()}


def _draw(options: Namespace, numbers: Any) -> None:
    from fgc_runtime.data.histogram import write_histogram

    write_histogram(numbers.lengths, options.histogram, title=options.target, unit=numbers.unit)
    print(f"wrote {options.histogram}", file=sys.stderr)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m fgc_runtime.data", description=__doc__)
    parser.add_argument("program", type=Path, metavar="PROGRAM", help="a module that `fgc build` or `fgc code` wrote")
    parser.add_argument("--function", default="construct", help="what to call")
    parser.add_argument("--target", required=True, help="the data set's name in what the function returns")
    parser.add_argument("--tokenizer", help="the tokenizer's name there; without it, the data set alone is returned")
    parser.add_argument("--examples", type=int, default=3)
    parser.add_argument("--sample", type=int, default=1000)
    parser.add_argument("--tokens", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--histogram", type=Path)
    parser.add_argument("--format", default="text")
    return parser


def run(words: list[str] | None = None) -> int:
    """`main`, without a traceback where it is interrupted, or nobody reads on."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # texts have characters that not every terminal has
    return run_command(lambda: main(words))


if __name__ == "__main__":
    sys.exit(run())
