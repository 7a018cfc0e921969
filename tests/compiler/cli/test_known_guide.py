"""Commands and lines that people who know Forgather type, with what they do here."""

from pathlib import Path

import pytest

from .conftest import Run

TRAINING = "-- extends 'types/training_script/causal_lm/causal_lm.yaml'\n"


@pytest.fixture
def project(run: Run) -> Path:
    Path("forgather_workspace").mkdir()
    Path("p/templates/configs").mkdir(parents=True)
    Path("p/meta.yaml").write_text("name: P\n")
    return Path("p/templates/configs/a.yaml")


def said(run: Run) -> str:
    result = run("-p", "p", "check")
    return result.out + result.err


def test_parts_are_included_and_extended_in_inline_templates_that_end_with_a_strip(run: Run, project: Path) -> None:
    project.write_text(f"""{TRAINING}
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
""")
    checked = run("-p", "p", "check")
    assert checked.err.count("warning[") == 1 and "FGC409" in checked.err
    program = run("-p", "p", "code").out
    assert "optimizer = partial(torch.optim.AdamW, lr=0.001)" in program
    assert "model = partial(TinyLlamaForCausalLM, model_config)" in program
    assert "vocab_size=len(tokenizer)" in program


@pytest.mark.parametrize("ending", ["--", "<<"])
def test_parts_of_the_library_are_included_in_any_block(run: Run, project: Path, ending: str) -> None:
    includes = {
        "optimizer": "optimizers/adamw.yaml",
        "lr_scheduler": "lr_schedulers/linear.yaml",
        "construct_new_model": "models/llama.yaml",
        "trainer_callbacks": "callbacks/diagnostics.yaml",
    }
    blocks = [f"-- block {b}\n    -- include '{t}'\n{ending} endblock {b}\n" for b, t in includes.items()]
    project.write_text(TRAINING + "".join(blocks))
    assert said(run) == "1 configuration checked, no findings\n"


@pytest.mark.parametrize(
    ("block", "part", "extends"),
    [
        ("trainer_args", "trainer_definition", "trainers/trainer.yaml"),
        ("model_config", "construct_new_model", "causal_lm.model"),
    ],
)
def test_a_block_of_an_included_template_is_said_with_the_lines_to_write(
    run: Run, project: Path, block: str, part: str, extends: str
) -> None:
    project.write_text(f"{TRAINING}\n[{block}]\n    == super()\n")
    found = said(run)
    lines = [
        f"[{part}]",
        f'    -- include "my_{block}"',
        f"#---- my_{block} ----",
        f'-- extends "{extends}"',
        f"[{block}]",
    ]
    assert f"which the block `{part}` includes" in found
    written = "\n".join([*lines, "    == super()", ""])
    assert [line for line in lines if line not in found] == []
    project.write_text(f"{TRAINING}\n{written}")
    assert said(run) == "1 configuration checked, no findings\n"


def test_a_template_of_the_author_that_is_included_already_is_named_with_its_line(run: Run, project: Path) -> None:
    include = "[trainer_definition]\n    -- include 'mine'\n"
    project.write_text(f"{TRAINING}{include}[trainer_args]\n#---- mine ----\n-- extends 'trainers/trainer.yaml'\n")
    found = said(run)
    assert "write it below line 5, in the template `mine`, which the block `trainer_definition` includes" in found


def test_an_argument_that_a_replaced_block_gave_is_said(run: Run, project: Path) -> None:
    arguments = "    source: '1'\n    filename: x\n    mode: eval\n"
    base = f"main: !singleton:builtins:compile\n    -- block args\n{arguments}    -- endblock args\n"
    (project.parent.parent / "base.yaml").write_text(base)
    project.write_text("-- extends 'base.yaml'\n[args]\n    source: '2'\n")
    found = said(run)
    assert "help: write `== super()` first in your block `args`" in found
    assert "p/templates/base.yaml:4:5" in found and "p/templates/configs/a.yaml:3:5" in found
    project.write_text("main: !singleton:builtins:compile\n    source: '1'\n")
    assert "help: pass it, or write `!partial`" in said(run)


def test_the_imports_of_the_guide_have_their_names_here() -> None:
    from fgc import Project, from_project
    from fgc_runtime.callbacks import TrainerControlCallback
    from fgc_runtime.models import print_model_structure, validate_vllm_plans

    assert all(callable(item) for item in (Project, from_project, print_model_structure, validate_vllm_plans))
    assert TrainerControlCallback(job_id="my_experiment").job_id == "my_experiment"
