"""Results as tables of text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fgc_runtime.evaluate.harness import metrics_of

_PROMPT_WIDTH = 48


def report(results: Mapping[str, Any]) -> str:
    """Returns what is known, part by part."""
    parts = []
    if "tasks" in results:
        parts.append(_tasks(results["tasks"]))
    if "perplexity" in results:
        parts.append(_perplexity(results["perplexity"]))
    if "samples" in results:
        parts.append("\n\n".join(_sample(sample) for sample in results["samples"]))
    return "\n\n".join(parts)


def _tasks(results: Mapping[str, Any]) -> str:
    rows = [("TASK", "FEWSHOT", "DOCUMENTS", "METRIC", "VALUE", "STDERR"), *_rows(results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(_line(row, widths) for row in rows)


def _rows(results: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for task, metric, filtered, value, error in metrics_of(results):
        shots, number = results["num_fewshot"].get(task, ""), results["num_documents"].get(task, "")
        name = metric if filtered == "none" else f"{metric} ({filtered})"
        yield task, str(shots), str(number), name, f"{value:.4f}", "" if error is None else f"{error:.4f}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _perplexity(found: Mapping[str, Any]) -> str:
    return (
        f"perplexity {found['perplexity']:.4f} of {found['file']}: loss {found['loss']:.4f} per token, "
        f"{found['bits_per_byte']:.4f} bits per byte\n"
        f"  {found['num_tokens']} tokens scored once each, in {found['num_windows']} windows of {found['context']}, "
        f"{found['stride']} apart"
    )


def _sample(sample: Mapping[str, Any]) -> str:
    prompt = " ".join(sample["prompt"].split())
    shown = prompt if len(prompt) <= _PROMPT_WIDTH else prompt[: _PROMPT_WIDTH - 3] + "..."
    end = "" if sample["is_ended"] else " ..."
    return f"[{shown}] {sample['num_tokens']} tokens\n{sample['text']}{end}"
