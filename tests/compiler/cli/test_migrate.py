"""`fgc migrate`: a tree of the reference that checks clean and builds afterwards, and what is never touched."""

from pathlib import Path

import pytest

from .conftest import Run

META = """\
-- extends 'meta_defaults.yaml'
-- block configs
name: {name}
default_config: {config}
<< endblock configs
"""

FILES = {
    "forgather_workspace/base_directories.yaml": "-- set ns.forgather_dir = '/opt/elsewhere'\n",
    "forgather_workspace/meta_defaults.yaml": """\
-- set ns = namespace()
-- include "base_directories.yaml"
searchdir:
    - "{{ joinpath(project_dir, 'templates') }}"
    - "{{ joinpath(ns.forgather_dir, 'templatelib', 'base') }}"
-- block configs
-- endblock configs
""",
    "p/meta.yaml": "-- extends 'meta_defaults.yaml'\n-- block configs\nname: P\n<< endblock configs\n",
    "p/templates/configs/a.yaml": """\
-- extends "training_script/causal_lm/causal_lm.yaml"

[config_metadata]
    == super()
    -- set ns.model_name = "mine"

    -- set ns.dataset_proj = joinpath(project_dir, '..', 'd')
    -- set ns.dataset_config = 'texts.yaml'

[datasets_preprocessor_args]
tokenizer_args: &tokenizer_args !dict
    max_length: 24

[datasets_definition]
    -- include 'datasets/llm_dataset_project.yaml'

[construct_new_model]
    -- include 'mine.model'

[optimizer]
optimizer: &optimizer !lambda:torch.optim.AdamW
    lr: 1.0e-3  # fast

[lr_scheduler]
lr_scheduler: &lr_scheduler !partial:forgather.ml.optim.infinite_lr_scheduler:InfiniteLRScheduler
    warmup_steps: 5
    constant_lr: 1.0e-4

[trainer_definition]
    -- include 'mine.trainer'

[trainer_callbacks]
    -- include 'mine.callbacks'

[trainer_meta_config]
    -- set ns.nproc_per_node = 2

[dynamic_args]
    == super()
    steps:
        names: "--steps"
        type: "int"
    each_node:
        names: "--each-node"
        action: "store_true"

#-------------------- mine.model --------------------
-- extends 'models/transformers/dynamic_llama.yaml'

[model_tokenizer]
tokenizer: &tokenizer !call:forgather:from_project
    project_dir: {{ joinpath(project_dir, '..', 't') }}
    config_template: small.yaml
    pp_debug: False

[layer_norm_factory]
    == super()

[model_config]
    == super()
    hidden_size: 64
    num_hidden_layers: 1

#-------------------- mine.trainer --------------------
-- extends 'trainers/trainer.yaml'

[trainer_args]
    == super()
    max_steps: {{ steps | default(3) }}
    save_safetensors: False
    save_on_each_node: {{ each_node | default(False) }}

#-------------------- mine.callbacks --------------------
-- extends 'callbacks/loggers.yaml'

[callback_list]
    == super()
    trainer_control: !singleton:forgather.ml.trainer.callbacks:TrainerControlCallback
""",
    "d/meta.yaml": META.format(name="D", config="texts.yaml"),
    "d/templates/configs/texts.yaml": """\
-- extends 'datasets/tokenized_dataset.yaml'

[map_function]
.define: &map_function !partial:forgather.ml.datasets:block_tokenize_fn
    stride: 4

[dataset_dict]
dataset_dict: &dataset_dict !singleton:datasets:load_dataset
    arg0: text
    data_dir: {{ joinpath(project_dir, 'texts') }}
    data_files: { train: "*.txt" }

[train_dataset]
train_dataset: &train_dataset !singleton:forgather.ml.datasets:preprocess_dataset@train_dataset
    <<: &common
        tokenizer: *tokenizer
        fn_kwargs: !var "preprocess_args"
        map_fn: *map_function
        to_iterable: True
    dataset: !call:getitem [ *dataset_dict, train ]
    desc: "Tokenizing"

[eval_dataset]
eval_dataset: &eval_dataset !singleton:forgather.ml.datasets:preprocess_dataset@eval_dataset
    <<: *common
    dataset: !call:getitem [ *dataset_dict, train ]
    select_range: 5
""",
    "d/texts/a.txt": "\n".join(f"Line {number} of a text with several words." for number in range(200)),
    "t/meta.yaml": META.format(name="T", config="small.yaml"),
    "t/templates/configs/small.yaml": """\
-- extends 'tokenizers/bpe/bpe.yaml'

[config_metadata]
    == super()
    -- set ns.vocab_size = 300

[tokenizer_dataset]
tokenizer_dataset: &tokenizer_dataset !partial:datasets:load_dataset@tokenizer_dataset
    args: [ text ]
    kwargs: { data_files: "{{ joinpath(project_dir, '..', 'd', 'texts', 'a.txt') }}", split: train }
""",
    "p/start.py": "from forgather import Project\n",
    "p/windows.yaml": "a: 1\r\nb: !lambda:torch:optim.SGD {}\r\n",
    "output_models/mine/model.py": "from forgather import Project\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return tmp_path / "tree"


def texts(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def test_a_migrated_tree_checks_clean_and_builds(run: Run, tree: Path) -> None:
    result = run("migrate", str(tree))
    assert result.code == 0, result.err
    assert result.out.splitlines()[-1].startswith("changed 30 places in 6 of 10 files; 7 places left to you")
    assert "configs/a.yaml:27:5: `constant_lr` of `fgc_runtime.optim:infinite` has no counterpart" in result.out
    assert run("check", str(tree)).out == "3 configurations checked, no findings\n"
    assert "max_steps: 7" in run("-p", str(tree / "p"), "pp", "--steps", "7").out
    built = run("-p", str(tree / "p"), "code")
    assert "partial(infinite, warmup_steps=5)" in built.out and "MineForCausalLM" not in built.out
    assert built.out.count("TrainerControlCallback()") == 1
    before = texts(tree)
    assert run("migrate", str(tree)).out.splitlines()[-1].startswith("changed 0 places in 0 of 10 files")
    assert texts(tree) == before
    assert before["p/windows.yaml"] == b"a: 1\r\nb: !partial:torch:optim.SGD {}\r\n"
    assert before["output_models/mine/model.py"] == b"from forgather import Project\n"


def test_a_diff_writes_nothing(run: Run, tree: Path) -> None:
    before = texts(tree)
    result = run("migrate", "--diff", str(tree))
    assert texts(tree) == before
    assert "--- a/p/start.py\n+++ b/p/start.py\n" in result.out and "+from fgc import Project\n" in result.out
    assert "would change" in result.err


def test_files_outside_of_the_tree_are_never_touched(run: Run, tree: Path) -> None:
    outside = tree.parent / "outside.yaml"
    outside.write_text("a: !lambda:b:c []\n")
    (tree / "p/link.yaml").symlink_to(outside)
    (tree / "linked").symlink_to(tree.parent, target_is_directory=True)
    assert run("migrate", str(tree)).code == 0
    assert outside.read_text() == "a: !lambda:b:c []\n" and (tree / "p/link.yaml").is_symlink()


@pytest.mark.parametrize("name", ["nowhere", "file.yaml"])
def test_what_is_no_tree_is_said(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.yaml").write_text("a: 1\n")
    result = run("migrate", name)
    assert result.code == 2 and "name the folder of a tree" in result.err
