"""`fgc logs`: what is read of logs, also of broken ones, and what is drawn of it."""

import json
from pathlib import Path
from typing import Any

import pytest

BEGIN = 1_700_000_000.0


def write_log(folder: Path, records: list[dict[str, Any]], *, more: str = "", **record: Any) -> Path:
    """A run with a log; time passes at ten seconds a record."""
    folder.mkdir(parents=True)
    first = {"event": "train_begin", "time": "2023-11-14T22:13:20+00:00", "max_steps": 40, "num_parameters": 1000}
    lines = [first, *({"timestamp": BEGIN + 10 * (n + 1), **each} for n, each in enumerate(records))]
    text = "".join(json.dumps(line) + "\n" for line in lines) + more
    (folder / "trainer_logs.json").write_text(text, encoding="utf-8")
    (folder / "run.json").write_text(json.dumps({"state": "finished", "step": 40, "max_steps": 40, **record}))
    return folder


def records(scale: float = 1.0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for step in (10, 20, 30, 40):
        position = {"global_step": step, "epoch": step / 40, "num_tokens": step * 100}
        found.append({**position, "loss": scale * 40 / step, "tokens_per_second": 50.0, "grad_norm": step / 10})
        found.append({**position, "eval_loss": scale * (2.0 if step == 30 else 3.0)})
    return found


@pytest.fixture
def output(run: Any) -> Path:
    write_log(Path("out/runs/a_2026-01-01T00-00-00"), records(), configuration="a.yaml")
    write_log(Path("out/runs/b_2026-01-02T00-00-00"), records(2.0), more='{"global_step": 50, "loss"')
    return Path("out")


def summaries(run: Any, *words: str) -> list[dict[str, Any]]:
    result = run("logs", "summary", *words, "--format", "json")
    assert result.code == 0, result.err
    found: list[dict[str, Any]] = json.loads(result.out)
    return found


def test_a_summary_says_how_far_how_long_and_how_good(run: Any, output: Path) -> None:
    [found] = summaries(run, str(output / "runs/a_2026-01-01T00-00-00"))
    expected = {
        "configuration": "a.yaml",
        "state": "finished",
        "steps": 40,
        "max_steps": 40,
        "seconds": 80.0,
        "tokens": 4000,
        "tokens_per_second": 50.0,
        "first_loss": 4.0,
        "loss": 1.0,
        "lowest_loss": 1.0,
        "lowest_loss_step": 40,
        "metric": "eval_loss",
        "best": 2.0,
        "best_step": 30,
        "last": 3.0,
        "highest_grad_norm": 4.0,
        "broken_lines": None,
    }
    assert {name: found[name] for name in expected} == expected


def test_a_line_that_was_cut_off_is_counted_and_the_rest_is_read(run: Any, output: Path) -> None:
    [found] = summaries(run, "--folder", str(output), "b_2026")
    assert (found["run"], found["broken_lines"], found["loss"]) == ("b_2026-01-02T00-00-00", 1, 2.0)


def test_without_a_name_it_is_the_newest_run_and_all_are_all(run: Any, output: Path) -> None:
    import os

    os.utime(output / "runs/a_2026-01-01T00-00-00/trainer_logs.json", (2_000_000_000, 2_000_000_000))
    assert [each["run"][0] for each in summaries(run, "--folder", str(output))] == ["a"]
    assert [each["run"][0] for each in summaries(run, "--folder", str(output), "--all")] == ["a", "b"]


@pytest.mark.parametrize("form", ["text", "md", "one-line"])
def test_each_form_names_each_run_with_its_best(run: Any, output: Path, form: str) -> None:
    result = run("logs", "summary", "--folder", str(output), "--all", "--format", form)
    assert result.code == 0
    for name, best in (("a_2026-01-01T00-00-00", "2.0000"), ("b_2026-01-02T00-00-00", "4.0000")):
        assert name in result.out and best in result.out
    if form != "text":
        assert len(result.out.splitlines()) == (4 if form == "md" else 3)


def test_numbers_that_were_none_are_counted_and_left_out(run: Any) -> None:
    write_log(Path("x"), [{"global_step": 1, "loss": 3.0}, {"global_step": 2, "loss": None}])
    [found] = summaries(run, "x")
    assert (found["not_finite"], found["loss"], found["steps"]) == (1, 3.0, 2)


def test_of_two_records_of_one_step_the_later_counts(run: Any) -> None:
    from fgc.cli.logs.records import read_log

    write_log(Path("x"), [{"global_step": step, "loss": loss} for step, loss in ((1, 9.0), (2, 8.0), (1, 5.0))])
    assert read_log(Path("x/trainer_logs.json")).series("loss") == [(2.0, 8.0), (1.0, 5.0)]


@pytest.mark.parametrize(
    ("axis", "ends"), [("step", (10, 40)), ("tokens", (1000, 4000)), ("time", (10, 70)), ("epoch", (0.25, 1.0))]
)
def test_each_axis_has_its_own_positions(run: Any, output: Path, axis: Any, ends: tuple[float, float]) -> None:
    from fgc.cli.logs.records import read_log

    points = read_log(output / "runs/a_2026-01-01T00-00-00/trainer_logs.json").series("loss", axis)
    assert (points[0][0], points[-1][0]) == ends


def test_smoothing_is_the_mean_of_the_last_ones() -> None:
    from fgc.cli.logs.records import smoothed

    points = [(float(at), float(value)) for at, value in enumerate((4, 2, 0, 6))]
    assert [value for _, value in smoothed(points, 2)] == [4.0, 3.0, 1.0, 3.0]
    assert [*smoothed(points, 1)] == points


def test_pictures_are_what_their_names_say(run: Any, output: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ("--folder", str(output), "--all", "--metrics", "loss,eval_loss,tokens_per_second", "--log-y")
    for name, begin in (("p.png", b"\x89PNG"), ("sub/p.svg", b"<?xml")):
        result = run("logs", "plot", *words, "-o", name)
        assert (result.code, Path(name).read_bytes()[: len(begin)]) == (0, begin), result.err


def test_a_plot_on_the_terminal_goes_down_where_the_loss_does(run: Any, output: Path) -> None:
    result = run("logs", "plot", str(output / "runs/a_2026-01-01T00-00-00"), "--metrics", "loss")
    rows = [line.partition("|")[2] for line in result.out.splitlines() if "|" in line]
    assert rows[0].strip() and rows[0].startswith(rows[0].strip()), "the highest value is the first one"
    assert rows[-1].rstrip() and rows[-1].startswith("  "), "the lowest stands at the end"
    assert "4|" in result.out and "step" in result.out.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("plot", "--metrics", "eval_los"), "no log has `eval_los`; did you mean `eval_loss`?"),
        (("plot", "-o", "x.gif"), "`x.gif` must end with one of .png, .svg, .pdf"),
        (("plot", "--smooth", "0"), "`--smooth 0` must be at least 1"),
        (("plot", "a_2026", "--metrics", "lsos"), "did you mean `loss`?"),
        (("summary", "c_2026"), "there is no run `c_2026` in `out`"),
        (("summary", "_"), "there is no run `_`"),
        (("summary", "no/such"), "there is no run `no/such`"),
        (("summary", "--all", "a"), "`--all` and runs: choose one"),
        (("summary", "bad.json"), "`bad.json` is not a log of a training"),
    ],
)
def test_wrong_words_are_told_in_a_line(run: Any, output: Path, words: tuple[str, ...], message: str) -> None:
    Path("bad.json").write_text("no log\n")
    result = run("logs", *words[:1], "--folder", str(output), *words[1:])
    assert (result.code, message in result.err, "Traceback" in result.err) == (2, True, False), result.err


def test_a_list_names_logs_and_their_numbers(run: Any, output: Path) -> None:
    result = run("logs", "list", "--folder", str(output))
    assert "a_2026-01-01T00-00-00  8 records" in result.out
    assert "loss, tokens_per_second, grad_norm, eval_loss" in result.out
