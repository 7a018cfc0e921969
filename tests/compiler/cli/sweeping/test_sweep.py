"""`fgc sweep`: what is tried, what is refused before the first trial, what a study holds afterwards."""

import json
import math
import shlex
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")


def shown(run: Any, *words: str) -> dict[str, Any]:
    place = words if words[1:] else (f"out/bowl/sweeps/{words[0]}",)
    result = run("sweep", "show", *place, "--format", "json")
    assert result.code == 0, result.err
    found: dict[str, Any] = json.loads(result.out)
    return found


def loss(values: dict[str, str], *, steps: int = 3) -> float:
    """Returns the value that the program reports last, by its own formula."""
    lr, width = float(values.get("main.lr", 0.1)), float(values.get("main.width", 4))
    momentum = float(values.get("main.momentum", 0.5))
    return (math.log10(lr) + 1) ** 2 + abs(width - 4) / 10 + momentum / steps + 0.5


def test_a_sampler_tries_numbers_of_a_range_and_the_best_is_the_lowest(run: Any, bowl: Path) -> None:
    result = run("sweep", "bowl.yaml", "--over", "main.lr=log(1e-3,1.0)", "--trials", "5", "--seed", "1")
    assert result.code == 0, result.err
    found = shown(run, "bowl")
    assert [trial["state"] for trial in found["trials"]] == ["complete"] * 5
    for trial in found["trials"]:
        assert trial["value"] == pytest.approx(loss(trial["values"]), rel=1e-12)
        assert 1e-3 <= float(trial["values"]["main.lr"]) <= 1.0
    assert found["best"]["value"] == min(trial["value"] for trial in found["trials"])
    assert len({trial["values"]["main.lr"] for trial in found["trials"]}) == 5


def test_the_best_trial_is_built_with_the_command_that_is_printed(run: Any, bowl: Path) -> None:
    result = run("sweep", "bowl.yaml", "--over", "main.lr=1e-3,1e-1", "--over", "main.betas=[0.0, 0.1],[0.2, 0.3]")
    command = result.out.partition("build it:")[2].strip()
    assert run(*shlex.split(command)[1:], "-o", "best").code == 0
    text = Path("best/train.py").read_text()
    assert "lr=0.1" in text and "betas=[0.0, 0.1]" in text


def test_lists_alone_are_a_grid_and_conditions_leave_combinations_out(run: Any, bowl: Path) -> None:
    words = ("--over", "main.kind=sgd,adam", "--over", "main.momentum=0.1,0.2 if main.kind=sgd")
    assert run("sweep", "bowl.yaml", *words).code == 0
    tried = [trial["values"] for trial in shown(run, "bowl")["trials"]]
    assert tried == [
        {"main.kind": "sgd", "main.momentum": "0.1"},
        {"main.kind": "sgd", "main.momentum": "0.2"},
        {"main.kind": "adam"},
    ]


def test_a_range_where_an_integer_stands_gives_integers(run: Any, bowl: Path) -> None:
    assert run("sweep", "bowl.yaml", "--over", "main.width=log(2,64)", "--trials", "4", "--seed", "2").code == 0
    tried = [trial["values"]["main.width"] for trial in shown(run, "bowl")["trials"]]
    assert all(width.isdecimal() and 2 <= int(width) <= 64 for width in tried)


def test_a_target_of_the_configuration_says_the_same_as_the_command_line(run: Any, bowl: Path) -> None:
    target = """
sweep:
    over:
        size:
            small: {main.width: 4, main.steps: 1}
            large: {main.width: 8, main.steps: 2}
        main.lr: [0.1, 1.0]
    maximize: eval_loss
"""
    with Path("bowl.yaml").open("a") as file:
        file.write(target)
    assert run("check", "bowl.yaml").code == 0
    assert run("sweep", "bowl.yaml").code == 0
    found = shown(run, "bowl")
    assert found["direction"] == "maximize"
    assert found["best"]["values"] == {"size": "large", "main.lr": "1.0"}
    assert found["best"]["value"] == pytest.approx(1 + 0.4 + 0.5 / 2 + 0.5)
    assert found["best"]["step"] == 2


def test_the_same_program_is_not_trained_twice(run: Any, bowl: Path) -> None:
    assert (
        run("sweep", "bowl.yaml", "--over", "main.width=4,6", "--trials", "4", "--sampler", "random(seed=1)").code == 0
    )
    found = shown(run, "bowl")["trials"]
    assert sum(trial["state"] == "complete" for trial in found) == 2
    same = [trial for trial in found if trial["state"] == "same"]
    assert same
    for trial in same:
        original = found[trial["same_as"]]
        assert (trial["values"], trial["value"], trial["seconds"]) == (original["values"], original["value"], None)


def test_a_bad_trial_is_pruned_and_is_never_the_best(run: Any, bowl: Path) -> None:
    words = ("--over", "main.lr=0.1,0.2,1e-9", "--pruner", "median(n_startup_trials=2)")
    assert run("sweep", "bowl.yaml", *words).code == 0
    found = shown(run, "bowl")
    assert [trial["state"] for trial in found["trials"]] == ["complete", "complete", "pruned"]
    assert found["trials"][2]["step"] == 1, "it ends at the first evaluation, of three"
    assert found["best"]["number"] == 0


def test_a_pruned_trial_with_the_best_value_so_far_is_not_the_best(run: Any, bowl: Path) -> None:
    """Upwards, a trial may be pruned with a number that no complete one reaches in the end."""
    words = ("--over", "main.lr=0.1,1e-9", "--pruner", "threshold(upper=5)", "--maximize", "eval_loss")
    assert run("sweep", "bowl.yaml", *words).code == 0
    found = shown(run, "bowl")
    assert [trial["state"] for trial in found["trials"]] == ["complete", "pruned"]
    assert found["trials"][1]["value"] > found["trials"][0]["value"] == found["best"]["value"]


def test_a_value_that_is_no_number_is_diverged_and_the_sweep_goes_on(run: Any, bowl: Path) -> None:
    assert run("sweep", "bowl.yaml", "--over", "main.fail=nan,none").code == 0
    found = shown(run, "bowl")
    assert [trial["state"] for trial in found["trials"]] == ["diverged", "complete"]
    assert found["best"]["number"] == 1


def test_a_failed_trial_says_why_and_the_sweep_goes_on_or_stops_as_told(run: Any, bowl: Path) -> None:
    assert run("sweep", "bowl.yaml", "--over", "main.fail=now,none").code == 0
    found = shown(run, "bowl")["trials"]
    assert [trial["state"] for trial in found] == ["failed", "complete"]
    assert "no memory left" in found[0]["reason"]
    result = run("sweep", "bowl.yaml", "--name", "strict", "--over", "main.fail=now,none", "--on-failure", "stop")
    assert (result.code, "trial 0 failed" in result.err) == (2, True)
    assert [trial["state"] for trial in shown(run, "strict")["trials"]] == ["failed", "waiting"]


def test_a_failed_trial_is_retried_as_often_as_told(run: Any, bowl: Path) -> None:
    run("sweep", "bowl.yaml", "--over", "main.fail=none,now", "--retries", "2")
    states = [trial["state"] for trial in shown(run, "bowl")["trials"]]
    assert states == ["complete", "failed", "failed", "failed"]


def test_three_failures_and_nothing_else_end_the_sweep(run: Any, bowl: Path) -> None:
    Path("bowl.yaml").write_text(Path("bowl.yaml").read_text().replace("fail: none", "fail: now"))
    result = run("sweep", "bowl.yaml", "--over", "main.lr=log(0.1,1)", "--trials", "9")
    assert result.code == 2
    assert "all of the first 3 trials failed" in result.err and "no memory left" in result.err
    assert len(shown(run, "bowl")["trials"]) == 3


def test_a_metric_that_is_never_logged_ends_the_sweep_with_those_that_are(run: Any, bowl: Path) -> None:
    result = run("sweep", "bowl.yaml", "--over", "main.lr=0.1,0.2,0.3", "--minimize", "eval_los")
    assert result.code == 2
    assert "`eval_los` was never logged; did you mean `eval_loss`?" in result.err
    assert [trial["state"] for trial in shown(run, "bowl")["trials"]] == ["failed", "waiting", "waiting"]


TRAINER = """
meta: {{config_name: Plain, output_dir: out/plain}}
main: !singleton:fgc_runtime.trainers:Trainer
    model: ~
    args: !singleton:fgc_runtime.trainers:TrainingArguments {{ max_steps: 3{more} }}
"""


@pytest.mark.parametrize(
    ("more", "is_refused"), [("", True), (", eval_strategy: no", True), (", eval_strategy: epoch", False)]
)
def test_evaluations_that_never_come_are_told_before_the_first_trial(
    run: Any, bowl: Path, more: str, is_refused: bool
) -> None:
    (bowl / "plain.yaml").write_text(TRAINER.format(more=more.replace("no", '"no"')))
    result = run("sweep", "plain.yaml", "--over", "main.args.max_steps=1,2", "--dry-run")
    assert ("`eval_loss` is never logged" in result.err) == is_refused
    other = run("sweep", "plain.yaml", "--over", "main.args.max_steps=1,2", "--minimize", "loss", "--dry-run")
    assert "is never logged" not in other.err


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("main.lrr=1,2", "`main` has no `lrr`; did you mean `lr`?"),
        ("main.width=4,wide", "`main.width` is an integer, such as 4; `wide` is not"),
        ("main.lr=log(0,1)", "its low end 0 must be above 0, for a logarithm"),
        ("main.lr=logg(1,2)", "there is no range `logg`; did you mean `log`?"),
        ("main.width=uniform(1.5,8)", "it begins 1.5, and the values there are integers"),
        ("main.kind=uniform(1,2)", "a text is there, which is not a number"),
        ("main.lr=1,1", "`1` is there twice"),
        ("main.betas=1,2", "the value there is a list, and `1` is not"),
        ("main.betas=[1],[2]", "the list there has 2 items, and `[1]` 1"),
        ("main.lr=1,2 if main.kimd=sgd", "its condition is about `main.kimd`, which is not swept"),
        ("main.lr=uniform(2,1)", "its low end 2 must be below its high end 1"),
        ("main=1,2", "`main` is not one value"),
        ("main.lr", "write `PATH=log(1e-4,1e-2)`"),
        ("main.lr=uniform(0,inf)", "`inf` is not the end of a range"),
    ],
)
def test_a_wrong_range_is_told_before_anything_is_started(run: Any, bowl: Path, word: str, message: str) -> None:
    result = run("sweep", "bowl.yaml", "--over", word, "--trials", "2")
    assert result.code == 2
    assert message in result.err
    assert not Path("out").exists()


def test_a_wrong_target_is_a_finding_of_check_with_its_line(run: Any, bowl: Path) -> None:
    with Path("bowl.yaml").open("a") as file:
        file.write("sweep:\n    over:\n        main.lrr: [1, 2]\n        main.lr: log(0, 1)\n    trails: 3\n")
    result = run("check", "bowl.yaml")
    assert result.code == 1
    assert "error[FGC419]: `main` has no `lrr`; did you mean `lr`?" in result.err + result.out
    assert "`sweep` has no `trails`" in result.err + result.out
    assert "the range of `main.lr` cannot be read: its low end 0 must be above 0" in result.err + result.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sampler", "tpee"), "there is no `tpee`; did you mean `tpe`?"),
        (("--sampler", "tpe(n_startup=3)"), "it has no argument `n_startup`; did you mean `n_startup_trials`?"),
        (("--pruner", "medain"), "there is no `medain`; did you mean `median`?"),
        (("--trials", "0"), "`--trials 0` must be above 0"),
        (("--minimize", "a", "--maximize", "b"), "choose one"),
        (("--name", "../x"), "must be of letters, digits"),
        (("--storage", "."), "is a folder; name a file in it"),
        (("--storage", "nosuch://x"), "`--storage nosuch://x` cannot be opened"),
        (("--resume",), "there is no sweep `bowl` to resume"),
        (("--grid", "--sampler", "tpe"), "a grid needs no sampler"),
    ],
)
def test_wrong_words_are_told_in_a_line(run: Any, bowl: Path, words: tuple[str, ...], message: str) -> None:
    result = run("sweep", "bowl.yaml", "--over", "main.lr=1,2", *words)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err


def test_a_sweep_that_is_there_is_refused_and_resumed_only_as_it_was(run: Any, bowl: Path) -> None:
    words = ("--over", "main.lr=log(0.01,1)", "--seed", "5")
    assert run("sweep", "bowl.yaml", *words, "--trials", "3").code == 0
    assert "`--resume` continues it" in run("sweep", "bowl.yaml", *words).err
    other = run("sweep", "bowl.yaml", "--over", "main.lr=log(0.01,2)", "--resume")
    assert (other.code, "the range of `main.lr` is another one" in other.err) == (2, True)
    assert run("sweep", "bowl.yaml", *words, "--trials", "5", "--resume").code == 0
    tried = [trial["values"]["main.lr"] for trial in shown(run, "bowl")["trials"]]
    assert len(set(tried)) == 5, "a sampler with a seed that goes on draws other numbers than it began with"
    run("sweep", "bowl.yaml", *words, "--trials", "5", "--resume")
    assert len(shown(run, "bowl")["trials"]) == 5, "what is done is not done again"


def test_templates_that_changed_since_are_refused(run: Any, bowl: Path) -> None:
    words = ("--over", "main.lr=0.1,0.2")
    assert run("sweep", "bowl.yaml", *words).code == 0
    Path("bowl.py").write_text(Path("bowl.py").read_text() + "\n# another program\n")
    result = run("sweep", "bowl.yaml", *words, "--resume")
    assert (result.code, "bowl.py changed since `bowl` started" in result.err) == (2, True)


def test_a_database_holds_a_study_that_optuna_itself_opens(run: Any, bowl: Path) -> None:
    import optuna

    storage = "sqlite:///study.db"
    assert run("sweep", "bowl.yaml", "--over", "main.lr=0.1,1", "--storage", storage).code == 0
    study = optuna.load_study(study_name="bowl", storage=storage)
    assert (study.best_params, study.direction.name, study.metric_names) == (
        {"main.lr": "0.1"},
        "MINIMIZE",
        ["eval_loss"],
    )
    assert shown(run, "bowl", "--storage", storage)["best"]["number"] == 0


def test_csv_and_text_name_every_trial_and_mark_the_best(run: Any, bowl: Path) -> None:
    assert run("sweep", "bowl.yaml", "--over", "main.lr=1,0.1").code == 0
    rows = run("sweep", "show", "bowl.yaml", "--format", "csv").out.splitlines()
    assert rows[0] == "trial,state,eval_loss,step,seconds,run,main.lr"
    assert [row.split(",")[-1] for row in rows[1:]] == ["1", "0.1"]
    table = run("sweep", "show", "bowl.yaml").out.splitlines()
    assert table[2].startswith("1*") and "best: trial 1" in "\n".join(table)


def test_plots_are_pictures(run: Any, bowl: Path) -> None:
    pytest.importorskip("matplotlib")
    assert run("sweep", "bowl.yaml", "--over", "main.lr=1,0.1", "--over", "main.width=2,4").code == 0
    assert run("sweep", "show", "bowl.yaml", "--plots", "plots").code == 0
    pictures = {path.name: path.read_bytes()[:4] for path in Path("plots").iterdir()}
    assert {"history.png", "importance.png", "slices.png"} <= pictures.keys()
    assert set(pictures.values()) == {b"\x89PNG"}
