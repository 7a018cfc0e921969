"""Texts of the reference to texts of fgc: what changes, what stays, what is left to the author."""

import json
from textwrap import dedent

import pytest
from fgc.migrate import Migrated, migrate_notebook, migrate_python, migrate_template, read_table

TABLE = read_table()


def template(text: str) -> Migrated:
    migrated = migrate_template(dedent(text), TABLE)
    assert migrate_template(migrated.text, TABLE).num_edits == 0, "a second run changes nothing"
    return migrated


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: !lambda:torch:optim.SGD {}\n", "a: !partial:torch:optim.SGD {}\n"),
        ("a: !partial:torch.nn.SiLU []\n", "a: !partial:torch.nn:SiLU []\n"),
        ("a: [ !lambda:torch.nn.functional.relu ]\n", "a: [ !partial:torch.nn.functional:relu ]\n"),
        ("a: !singleton:getattr [ *b, c ]\n", "a: !singleton:getattr [ *b, c ]\n"),
        ("a: !call:forgather.ml.trainer:Trainer@t\n", "a: !call:fgc_runtime.trainers:Trainer@t\n"),
        ('-- set ns.c = "forgather.ml.trainer:Trainer"\n', '-- set ns.c = "fgc_runtime.trainers:Trainer"\n'),
        ("# forgather.ml.trainer:Trainer\n", "# forgather.ml.trainer:Trainer\n"),
        ("a: 1 ## !lambda:x:y\n", "a: 1 ## !lambda:x:y\n"),
        ("-- extends 'trainers/accel_trainer.yaml'\n", "-- extends 'trainers/accelerate.yaml'\n"),
        ("t: 'trainers/accel_trainer.yaml'\n", "t: 'trainers/accel_trainer.yaml'\n"),
        ("a: !call:forgather:from_project { config_template: b }\n", "a: !meta:fgc:from_project { config: b }\n"),
    ],
)
def test_forms_callables_and_names(before: str, after: str) -> None:
    assert template(before).text == after


def test_arguments_are_renamed_or_become_comments_with_all_that_belongs_to_them() -> None:
    migrated = template("""\
        trainer: &trainer !singleton:forgather.ml.trainer:Trainer@trainer
            model_init: *model  # the factory

            fused_loss_factory: !partial:forgather.ml.loss:LinearCrossEntropyLoss
                impl: torch

            args: { model_init: 1 }
        other:
            model_init: kept
        """)
    assert migrated.text == dedent("""\
        trainer: &trainer !singleton:fgc_runtime.trainers:Trainer@trainer
            model: *model  # the factory

            ## fused_loss_factory: !partial:forgather.ml.loss:LinearCrossEntropyLoss
            ##     impl: torch

            args: { model_init: 1 }
        other:
            model_init: kept
        """)
    assert [(left.line, left.column) for left in migrated.left] == [(4, 5)]


def test_arguments_in_a_block_of_the_library_need_no_tag() -> None:
    migrated = template("""\
        -- extends 'trainers/trainer.yaml'
        [trainer_args]
            == super()
            save_safetensors: False
            seed: 1
        """)
    assert "    ## save_safetensors: False\n    seed: 1\n" in migrated.text


def test_blocks_of_a_model_get_their_names_here_and_lost_ones_become_comments() -> None:
    migrated = template("""\
        a: 1
        #---- m ----
        -- extends 'models/transformers/dynamic_llama.yaml'
        [layer_norm_factory]
            == super()
        [model_header]
        .define: &t *layer_norm_factory

        -- block loss_fn
        b: 2
        -- endblock loss_fn
        [model_config]
            rope_theta: 1.0
            hidden_size: 2
        """)
    assert migrated.text == dedent("""\
        a: 1
        #---- m ----
        -- extends 'models/llama.yaml'
        [norm]
            == super()
        ## [model_header]
        ## .define: &t *layer_norm_factory

        ## -- block loss_fn
        ## b: 2
        ## -- endblock loss_fn
        [model_config]
            ## rope_theta: 1.0
            hidden_size: 2
        """)


def test_templates_of_the_author_are_not_the_librarys() -> None:
    text = "-- extends 'trainers/accel_trainer.yaml'\n"
    assert migrate_template(text, TABLE, {"trainers/accel_trainer.yaml"}).num_edits == 0


def test_what_is_unknown_is_told_where_it_stands() -> None:
    [left] = template("a: 1\nb: !call:forgather.ml.nothing:Like_it\n").left
    assert (left.line, left.column, left.message) == (2, 10, "`forgather.ml.nothing:Like_it` has no counterpart")


def test_imports_keep_their_layout_and_split_by_module() -> None:
    text = (
        "from forgather.ml.trainer.callbacks import (  # mine\n    JsonLogger,\n    TrainerControlCallback as T,\n)\n"
        "def f():\n    from forgather.ml.model_conversion import validate_vllm_plans, HFConverter\n"
        "from forgather.project import Project\nimport forgather.nb as nb\nimport forgatherer\n"
    )
    migrated = migrate_python(text, TABLE)
    assert migrated.text == (
        "from fgc_runtime.callbacks import (  # mine\n    JsonLogCallback as JsonLogger,\n"
        "    TrainerControlCallback as T,\n)\n"
        "def f():\n    from fgc_runtime.models import validate_vllm_plans\n"
        "    from forgather.ml.model_conversion import HFConverter\n"
        "from fgc import Project\nimport forgather.nb as nb\nimport forgatherer\n"
    )
    assert [left.line for left in migrated.left] == [6, 8]
    assert migrate_python(migrated.text, TABLE).num_edits == 0


def test_a_notebook_stays_json_with_its_layout() -> None:
    source = [
        "from forgather import Project\n",
        "from forgather.ml.model_conversion import validate_vllm_plans, HFConverter\n",
    ]
    text = json.dumps(
        {"cells": [{"cell_type": "code", "source": [*source, "from forgather import from_project"]}]}, indent=1
    )
    migrated = migrate_notebook(text, TABLE)
    assert json.loads(migrated.text)["cells"][0]["source"] == [
        "from fgc import Project\n",
        "from fgc_runtime.models import validate_vllm_plans\n",
        "from forgather.ml.model_conversion import HFConverter\n",
        "from fgc import from_project",
    ]
    assert migrate_notebook(migrated.text, TABLE).num_edits == 0


def test_the_table_names_callables_and_templates_that_exist() -> None:
    from fgc.workspace import template_library

    library = template_library()
    assert library is not None
    files = [entry.to for entry in TABLE.templates.values() if entry.to and entry.to.endswith(".yaml")]
    assert [name for name in files if not (library / name).is_file()] == []


def test_an_option_that_only_a_lost_argument_reads_is_lost_with_it() -> None:
    migrated = template("""\
        [trainer_args]
            == super()
            save_on_each_node: {{ each_node | default(False) }}
            seed: {{ seed | default(1) }}
            save_rng_state: {{ seed | default(2) }}

        [dynamic_args]
            == super()
            each_node:
                names: "--each-node"
                action: "store_true"
            seed:
                names: "--seed"
        """)
    assert migrated.text == dedent("""\
        [trainer_args]
            == super()
            ## save_on_each_node: {{ each_node | default(False) }}
            seed: {{ seed | default(1) }}
            ## save_rng_state: {{ seed | default(2) }}

        [dynamic_args]
            == super()
            ## each_node:
            ##     names: "--each-node"
            ##     action: "store_true"
            seed:
                names: "--seed"
        """)
    assert [item.line for item in migrated.left] == [3, 5, 9]


def test_arguments_in_a_merged_mapping_and_those_of_a_mapping_inside_belong_to_the_call() -> None:
    migrated = template("""\
        a: &a !singleton:forgather.ml.datasets:preprocess_dataset@a
            <<: &common
                dataset_type: "iterable"
                tokenizer: *tokenizer
            dataset: *split
        d: &d !call:forgather:from_project
            project_dir: x
            pp_kwargs:
                output_dir: y
                size: 3
            tokenizer: *tokenizer
        """)
    assert migrated.text == dedent("""\
        a: &a !singleton:fgc_runtime.data:map_rows@a
            <<: &common
                ## dataset_type: "iterable"
                tokenizer: *tokenizer
            dataset: *split
        d: &d !meta:fgc:from_project
            project_dir: x
            variables:
                ## output_dir: y
                size: 3
            tokenizer: *tokenizer
        """)


def test_an_argument_that_needs_another_one_gets_it() -> None:
    migrated = template("""\
        -- extends 'trainers/trainer.yaml'
        [trainer_args]
            == super()
            fuse_optim_with_backward: True  # less memory
            load_best_model_at_end: true
            save_on_each_node: {{ each | default(1) }}
        [dynamic_args]
            each:
                names: "--each"
        """)
    assert migrated.text == dedent("""\
        -- extends 'trainers/trainer.yaml'
        [trainer_args]
            == super()
            optimizer_in_backward: True  # less memory
            max_grad_norm: null
            load_best_model_at_end: true
            metric_for_best_model: eval_loss
            greater_is_better: false
            ## save_on_each_node: {{ each | default(1) }}
        [dynamic_args]
            ## each:
            ##     names: "--each"
        """)
    assert (
        template("""\
        -- extends 'trainers/trainer.yaml'
        [trainer_args]
            load_best_model_at_end: False
        """).num_edits
        == 0
    )
