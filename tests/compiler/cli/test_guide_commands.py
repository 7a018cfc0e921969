"""The commands and snippets of Forgather's guide, typed with `fgc`, in a workspace that its own commands make."""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fgc.cli.main import main
from fgc_runtime.models import validate_vllm_plans

MINIMAL = """\
-- extends "types/training_script/causal_lm/causal_lm.yaml"

-- block construct_new_model
    -- include 'models/llama.yaml'
-- endblock construct_new_model

-- block optimizer
optimizer: &optimizer !partial:torch:optim.AdamW
    lr: 1.0e-4
-- endblock optimizer
"""
INLINE = """\
-- extends "types/training_script/causal_lm/causal_lm.yaml"
-- block optimizer
# Project override
optimizer: &optimizer !lambda:torch:optim.AdamW
    lr: 1.0e-3
<< endblock optimizer

-- block construct_new_model
    ## Includes inline template.
    -- include 'project.model_config'
-- endblock construct_new_model

# Inline template definition
#-------------------- project.model_config --------------------
-- extends 'models/llama.yaml'

-- block model_config
    == super()
    # Project overrides
    hidden_size: 512
<< endblock model_config
"""
INHERITED = """\
-- extends 'types/training_script/causal_lm/causal_lm.yaml'
-- block config_metadata
    == super()
    -- set ns.config_name = "My Experiment"
-- endblock
"""
PLANS = """\
-- extends "types/training_script/causal_lm/causal_lm.yaml"
[construct_new_model]
    -- include 'plans.model'
#-------------------- plans.model --------------------
-- extends 'models/llama.yaml'
[model_code_generator]
    == super()

    # vLLM Support
    tp_plan:
        "layers.*.self_attn.q_proj": "colwise"
        "layers.*.self_attn.o_proj": "rowwise"
    pp_plan:
        "embed_tokens": [["input_ids"], ["inputs_embeds"]]
        "layers": [["hidden_states", "attention_mask"], ["hidden_states"]]
"""
FGC = str(Path(sys.executable).with_name("fgc"))
WORDS = "one two three four five six seven eight nine ten " * 3


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a project, made by the guide's commands, and its configurations."""
    folder, before = tmp_path_factory.mktemp("guide"), Path.cwd()
    os.chdir(folder)
    try:
        assert main(["ws", "init", "--name", "My Research", "--description", "ML experiments"]) == 0
        assert main(["ws", "project", "--name", "Project 1", "--description", "First experiment"]) == 0
    finally:
        os.chdir(before)
    project = folder / "project_1"
    configs = project / "templates/configs"
    for name, text in {"minimal": MINIMAL, "inline": INLINE, "inherited": INHERITED, "plans": PLANS}.items():
        (configs / f"{name}.yaml").write_text(text)
    text = (configs / "default.yaml").read_text()
    dataset = '.define: &dataset !partial:fgc_runtime.data:text_files { paths: "texts/*.txt" }\n'
    text = re.sub(r"(?m)^\.define: &dataset .*\n", dataset, text).replace("hidden_size: 64", "hidden_size: 16")
    (configs / "config.yaml").write_text(text)
    (project / "texts").mkdir()
    for number in range(40):
        (project / f"texts/{number}.txt").write_text(f"Text {number}: {WORDS}")
    return project


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    monkeypatch.setenv("FGC_CACHE_DIR", str(tmp_path / "cache"))
    if "workspace" in request.fixturenames:
        monkeypatch.chdir(request.getfixturevalue("workspace"))
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # the path of a socket has at most 104 bytes
        monkeypatch.setenv("FGC_JOBS_DIR", short)
        yield


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("index", "# Project 1"),
        ("ls", "config.yaml"),
        ("ls -r", "Project 1: First experiment"),
        ("tlist", "templates/configs/config.yaml"),
        ("tlist --format md", "- `"),
        ("pp", "main: "),
        ("-t config.yaml pp", "dynamic_args"),
        ("-t config.yaml trefs", "extends types/training_script/causal_lm/causal_lm.yaml"),
        ("trefs", "configs/default.yaml"),
        ("-t config.yaml targets", "train_dataset"),
        ("-t config.yaml train -d 0,1 --dry-run", "CUDA_VISIBLE_DEVICES=0,1"),
        ('-t config.yaml train -d "0,1" --dry-run', "CUDA_VISIBLE_DEVICES=0,1"),
        ("meta", "Project 1"),
    ],
)
def test_a_command_of_the_guide(workspace: Path, capsys: pytest.CaptureFixture[str], line: str, shown: str) -> None:
    assert main(shlex.split(line)) == 0
    assert shown in capsys.readouterr().out


def test_jobs_are_listed_and_a_job_that_is_not_there_is_said() -> None:
    for words in (["list"], ["cleanup"], ["cleanup", "--force"]):
        assert subprocess.run([FGC, "control", *words], stdin=subprocess.DEVNULL).returncode == 0
    for action in ("status", "save", "stop", "save-stop", "abort"):
        done = subprocess.run([FGC, "control", action, "JOB_ID"], capture_output=True, text=True)
        assert done.returncode == 2 and "there is no job `JOB_ID`" in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["ls", "--help"], ["train", "--help"]])
def test_help(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0 and "usage: fgc" in capsys.readouterr().out


def test_templates_are_searched_with_grep(workspace: Path) -> None:
    done = subprocess.run(f"{FGC} tlist | xargs grep -l block_size", shell=True, capture_output=True, text=True)
    assert done.returncode == 0 and "packed.yaml" in done.stdout, done.stderr


@pytest.mark.parametrize(("name", "count"), [("minimal", 0), ("inherited", 0), ("inline", 1), ("plans", 0)])
def test_a_configuration_of_the_guide_checks(
    workspace: Path, capsys: pytest.CaptureFixture[str], name: str, count: int
) -> None:
    main(["-t", f"{name}.yaml", "check", "--format", "json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [finding["code"] for finding in found] == ["FGC409"] * count  # `!lambda` is the old name of `!partial`


def test_plans_of_other_modules_are_refused_with_those_that_there_are(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = workspace / "templates/configs/other_plans.yaml"
    path.write_text(PLANS.replace("layers.*.self_attn.q_proj", "model.layer_stack.layers.*.attention.query_linear"))
    try:
        assert main(["-t", "other_plans.yaml", "check", "--format", "json"]) == 1
        (finding,) = json.loads(capsys.readouterr().out)["findings"]
        assert finding["code"] == "FGC416" and "layers.*.self_attn" in finding["help"]
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("words", "searched"),
    [
        ([], ["D/templatelib/base"]),
        (["D/extra", "D/another"], ["D/templatelib/base", "D/extra", "D/another"]),
        (["--no-defaults"], []),
    ],
)
def test_a_workspace_with_a_checkout_of_forgather(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    searched: list[str],
) -> None:
    (tmp_path / "D/templatelib/base").mkdir(parents=True)
    (tmp_path / "D/templatelib/base/config_type.yaml").write_text("-- block main_output\n-- endblock main_output\n")
    for name in ("w", "D/extra", "D/another"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "w")
    more = [word if word.startswith("--") else str(tmp_path / word) for word in words]
    named = ["--name", "My ML Workspace", "--description", "Machine learning research experiments"]
    assert main(["ws", "init", *named, "--forgather-dir", str(tmp_path / "D"), *more]) == 0
    assert {path.name for path in Path("forgather_workspace").iterdir()} == {
        "README.md",
        "base_directories.yaml",
        "meta_defaults.yaml",
    }
    made = ["--name", "Image Classification", "--description", "CNN experiments", "--config-prefix", "experiments"]
    assert main(["ws", "project", *made, "--default-config", "baseline.yaml", "custom_directory_name"]) == 0
    folder = Path("custom_directory_name")
    assert all((folder / name).is_file() for name in ("README.md", "meta.yaml", "templates/experiments/baseline.yaml"))
    capsys.readouterr()
    assert main(["-p", str(folder), "check"]) == 0, "the first configuration compiles with either library"
    capsys.readouterr()
    main(["-p", str(folder), "meta", "--format", "json"])
    shown = capsys.readouterr().out
    assert all(path.replace("D/", f"{tmp_path}/D/", 1) in shown for path in searched)
    assert ("templatelib" in shown) == ("--no-defaults" not in words)


@pytest.mark.slow
def test_the_guide_from_training_to_plans(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fgc", "-t", "config.yaml", "train", "--max-steps", "2"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (run,) = (workspace / "output_models/project_1/runs").iterdir()
    lines = (run / "trainer_logs.json").read_text().splitlines()
    assert json.loads(lines[-1])["global_step"] == 2
    assert "main:" in (run / "config.yaml").read_text()

    from fgc import Project
    from fgc_runtime.callbacks import TrainerControlCallback
    from fgc_runtime.models import print_model_structure
    from fgc_runtime.trainers import Trainer, TrainingArguments
    from transformers import AutoModelForCausalLM

    proj = Project("config.yaml")
    model_factory, train_dataset = proj("model", "train_dataset")
    model = model_factory()
    assert type(proj()).__name__ == "TrainingScript"
    args = TrainingArguments(output_dir=str(workspace / "again"), max_steps=1, use_cpu=True)
    callbacks = [TrainerControlCallback(job_id="my_experiment")]
    Trainer(model=model, args=args, train_dataset=train_dataset, callbacks=callbacks).train()

    model = AutoModelForCausalLM.from_pretrained("output_models/project_1", trust_remote_code=True)
    print_model_structure(model, max_depth=4)
    assert "embed_tokens" in capsys.readouterr().out
    assert model._tp_plan
    assert validate_vllm_plans(model, tp_plan=model._tp_plan, pp_plan=model._pp_plan, strict=True)
