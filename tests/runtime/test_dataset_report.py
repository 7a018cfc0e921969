"""`python -m fgc_runtime.data`, in process: examples, statistics, pictures, and what cannot be shown."""

import json
from pathlib import Path
from typing import Any

import pytest
from fgc_runtime.data import train_bpe_tokenizer
from fgc_runtime.data.__main__ import main
from fgc_runtime.data.display import bar_lines, pieces

PROGRAM = """\
from fgc_runtime.data import PackedDataset, PackedStream, TextDataset, train_bpe_tokenizer

TEXTS = ["import os\\n", "naïve café ☕\\n", "x = 1\\n" * 20, "\\x1b[31mred"]


def construct():
    tokenizer = train_bpe_tokenizer(TEXTS, vocab_size=300, cache_dir="cache")
    packed = PackedDataset(TEXTS, tokenizer, 64, strategy="best_fit", cache_dir="cache")
    stream = PackedStream(TEXTS, tokenizer, 64)
    return {"tokenizer": tokenizer, "packed": packed, "stream": stream, "texts": TextDataset(TEXTS, name="t"),
            "chats": [[{"role": "user", "content": "hello"}]], "numbers": [1, 2], "nothing": 7}


def texts_only():
    return TextDataset(TEXTS, name="t")


def broken():
    raise ValueError("paths: no file matches 'x'")
"""


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the module on a program; exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")

    def run(target: str, *words: str, tokenizer: bool = True) -> tuple[int, str, str]:
        code = main(["program.py", "--target", target, *(["--tokenizer", "tokenizer"] if tokenizer else []), *words])
        return code, *capsys.readouterr()

    return run


def test_packed_examples_show_documents_and_what_is_no_label(shown: Any) -> None:
    code, out, _ = shown("packed")
    assert code == 0
    assert "example 0: 64 tokens, " in out
    assert "-- document 0: 12 tokens" in out
    assert "⟦<|bos|>⟧import os\n<|eos|>" in out
    assert "naïve café ☕\n<|eos|>" in out  # characters of several tokens come out whole
    assert "\\x1b[31mred" in out and "\x1b" not in out  # nothing in a text commands the terminal
    assert "examples, " in out and "labels" in out and "% where examples are padded to 64 tokens" in out


def test_statistics_are_those_of_the_examples(shown: Any) -> None:
    _, out, _ = shown("packed", "--format", "json", "--examples", "9")
    record = json.loads(out)
    lengths = [len(example["input_ids"]) for example in record["examples"]]
    numbers = record["statistics"]
    assert numbers["num_examples"] == numbers["num_read"] == len(lengths)
    assert numbers["total"] == sum(lengths)
    assert (numbers["length"]["min"], numbers["length"]["max"]) == (min(lengths), max(lengths))
    assert numbers["length"]["mean"] == pytest.approx(sum(lengths) / len(lengths))
    assert numbers["length"]["p50"] == pytest.approx(sorted(lengths)[len(lengths) // 2], abs=max(lengths))
    assert numbers["padding_share"] == pytest.approx(1 - sum(lengths) / (64 * len(lengths)))
    documents = [length for example in record["examples"] for length in example["document_lengths"]]
    assert numbers["document_length"]["max"] == max(documents)
    assert numbers["label_share"] == pytest.approx((sum(lengths) - len(documents)) / sum(lengths))


def test_colour_alternates_and_greys_what_is_no_label(shown: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    _, out, _ = shown("stream")
    assert "\x1b[90m<|bos|>\x1b[0m" in out
    assert "\x1b[36m" in out and "\x1b[39m" in out and "⟦" not in out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown("stream")[1]


def test_a_line_per_token(shown: Any) -> None:
    _, out, _ = shown("stream", "--tokens", "--examples", "1")
    lines = out.splitlines()
    assert lines[1].split() == ["place", "position", "id", "label", "text"]
    assert lines[2].split() == ["0", "0", "0", "-", "'<|bos|>'"]
    assert lines[3].split()[0] == "1" and lines[3].split()[3] == "yes"


def test_texts_are_counted_in_tokens_or_else_in_characters(shown: Any) -> None:
    _, out, _ = shown("texts")
    assert "example 0: 12 tokens, 11 labels" in out
    _, out, _ = shown("texts", "--function", "texts_only", tokenizer=False)
    assert "example 0: 10 characters" in out
    assert "4 of 4 examples, 151 characters" in out
    _, out, _ = shown("chats")
    assert "user: hello" in out  # there is no chat template


def test_long_examples_are_cut_unless_asked_for(shown: Any) -> None:
    program = PROGRAM.replace("* 20", "* 800")
    Path("program.py").write_text(program, encoding="utf-8")
    _, out, _ = shown("texts")
    assert "more tokens (--full)" in out
    assert "more tokens" not in shown("texts", "--full")[1]


@pytest.mark.parametrize(
    ("target", "words", "message"),
    [
        ("nothing", [], "TypeError: the target is no data set: int"),
        ("numbers", [], "TypeError: an example must be tokens, a text or a conversation, not int"),
        ("texts", ["--function", "broken"], "ValueError: paths: no file matches 'x'"),
    ],
)
def test_what_cannot_be_shown_is_said_in_a_line(shown: Any, target: str, words: list[str], message: str) -> None:
    code, out, err = shown(target, *words)
    assert (code, out) == (1, "")
    assert err.startswith("fgc dataset: " + message)
    assert err.count("\n") == 1


def test_a_histogram_is_a_picture(shown: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    pytest.importorskip("matplotlib")
    code, _, err = shown("texts", "--examples", "0", "--histogram", "lengths.png")
    assert code == 0 and "wrote lengths.png" in err
    assert (tmp_path / "lengths.png").read_bytes().startswith(b"\x89PNG")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name))
    code, _, err = shown("texts", "--histogram", "again.png")
    assert code == 2 and "needs matplotlib: pip install 'fgc[plot]'" in err
    assert not (tmp_path / "again.png").exists()


def test_bars_hold_every_length() -> None:
    lines = list(bar_lines([5] * 3 + [9] * 6 + [40], width=50, block="#"))
    counts = [int(line.split()[1]) for line in lines]
    assert sum(counts) == 10
    assert lines[0].split() == ["5-7", "3", "#" * 10]
    assert list(bar_lines([], width=50, block="#")) == []
    assert list(bar_lines([7, 7], width=50, block="#")) == ["                  7       2  " + "#" * 20]


def test_pieces_are_whole_characters(tmp_path: Path) -> None:
    tokenizer = train_bpe_tokenizer(["abc"], vocab_size=260, cache_dir=tmp_path)
    ids = tokenizer("a☕b", add_special_tokens=False)["input_ids"]
    assert list(pieces(ids, tokenizer.decode)) == [(1, "a"), (3, "☕"), (1, "b")]
