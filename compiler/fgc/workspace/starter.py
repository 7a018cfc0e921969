"""The files of a new workspace and of a new project, as texts."""

import json
from collections.abc import Sequence

from msgspec import Struct

from fgc.workspace.create import package_name


class NewProject(Struct, frozen=True):
    """Holds the names of a new project. `default_config` is a file below `config_prefix`."""

    name: str
    description: str
    config_prefix: str
    default_config: str
    has_meta_defaults: bool = True


def workspace_files(
    name: str, description: str, common_folders: Sequence[str], forgather_dir: str | None = None
) -> dict[str, str]:
    """The files of `forgather_workspace`. Folders are template expressions: `joinpath(workspace_root, 'templates')`."""
    folders = "".join(f"    - {{{{ {folder} | toyaml }}}}\n" for folder in common_folders)
    return {
        "README.md": _WORKSPACE_README.format(name=name, description=f"\n{description}\n" if description else ""),
        "base_directories.yaml": _BASE_DIRECTORIES
        + (f"-- set ns.forgather_dir = {forgather_dir}\n" if forgather_dir else ""),
        "meta_defaults.yaml": _META_DEFAULTS.format(folders=folders),
    }


def project_files(project: NewProject) -> dict[str, str]:
    """The files of a project, with a configuration that trains a small model at once."""
    about = f"name: {yaml_text(project.name)}\n"
    if project.description:
        about += f"description: {yaml_text(project.description)}\n"
    about += f"default_config: {yaml_text(project.default_config)}\n"
    if project.config_prefix != "configs":
        about += f"config_prefix: {yaml_text(project.config_prefix)}\n"
    extends = "-- extends 'meta_defaults.yaml'\n-- block configs\n{}-- endblock configs\n"
    config = _CONFIG.replace("@NAME@", template_text(project.name))
    config = config.replace("@DESCRIPTION@", template_text(project.description))
    readme = _PROJECT_README.replace("@NAME@", project.name).replace("@CONFIG@", project.default_config)
    readme = readme.replace("@DESCRIPTION@", f"\n{project.description}\n" if project.description else "")
    path = f"templates/{project.config_prefix}/{project.default_config}"
    return {
        "README.md": readme.replace("@PATH@", path),
        "meta.yaml": extends.replace("{}", about) if project.has_meta_defaults else about,
        path: config.replace("@MODEL@", package_name(project.name)),
    }


def plain_configuration(project: NewProject) -> str:
    """Returns a first configuration that draws on no template, for a workspace with a library of its own."""
    config = _PLAIN_CONFIG.replace("@NAME@", yaml_text(project.name))
    return config.replace("@DESCRIPTION@", yaml_text(project.description))


def yaml_text(text: str) -> str:
    """A text as YAML that no template rule changes."""
    return _without_sigils(json.dumps(text, ensure_ascii=False).replace("\x7f", "\\x7f"))


def template_text(text: str) -> str:
    """A text as a template's string."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + _without_sigils(escaped) + "'"


def _without_sigils(text: str) -> str:
    """Comments and expressions of the template language as escapes, where there might be some."""
    for sigil in ("##", "{{", "{%", "{#", "}}", "%}", "#}"):
        text = text.replace(sigil, "".join(f"\\x{ord(character):02x}" for character in sigil))
    return text


_WORKSPACE_README = """\
# {name}
{description}
This folder makes the folder above it a workspace: the projects below it share what is defined here.

- `meta_defaults.yaml`: defaults for the `meta.yaml` of every project
- `base_directories.yaml`: folders by name, for all templates of the workspace

Make a project with `fgc ws project --name NAME`, list all of them with `fgc ls -r`.
"""

_BASE_DIRECTORIES = """\
## Folders that the projects of this workspace share, by name.
-- set ns.workspace_dir = workspace_root
"""

_META_DEFAULTS = """\
## Defaults for the `meta.yaml` of every project.
-- set ns = namespace()
-- include 'base_directories.yaml'

## Folders in which templates are searched for, in this order. The template library is added at the end.
searchdir:
-- block searchdir_project
    - "{{{{ joinpath(project_dir, 'templates') }}}}"
-- endblock searchdir_project
-- block searchdir_common
{folders}-- endblock searchdir_common
-- block configs
-- endblock configs
"""

_PROJECT_README = """\
# @NAME@
@DESCRIPTION@
```sh
fgc ls             # the configurations of this project
fgc check          # every mistake, with its line
fgc pp             # the default configuration with everything it inherits
fgc train          # build it and train
```

`@PATH@` is the default configuration: a small Llama that trains on the sources of Python's
standard library, which every machine has. Change it, or add others beside it. `meta.yaml` names the project.
"""

_CONFIG = """\
## A small Llama. Change what is here; whatever is not said here is inherited.
##
## `fgc explain KEY` says where a value comes from, `fgc pp` shows all of them.
-- extends 'types/training_script/causal_lm/causal_lm.yaml'

[config_metadata]
    == super()
    -- set ns.config_name = @NAME@
    -- set ns.config_description = @DESCRIPTION@
    -- set ns.model_name = '@MODEL@'

## The texts. For files of your own, or a data set of the Hugging Face hub, change this one line:
##   .define: &dataset !partial:fgc_runtime.data:text_files { paths: "data/**/*.txt" }
##   .define: &dataset !partial:fgc_runtime.data:hub_dataset { path: roneneldan/TinyStories }
[dataset]
.define: &dataset !partial:fgc_runtime.data:python_stdlib_sources { max_bytes: {{ max_bytes | default(2000000) }} }

[construct_new_model]
    -- include 'project.model'

[optimizer]
    == super()
    lr: 5.0e-3

[lr_scheduler]
    == super()
    warmup_steps: 10

[trainer_definition]
    -- include 'project.trainer'

## Options of the command line: `fgc train --max-steps 20`.
[auxiliary_outputs]
dynamic_args:
    max_steps: { names: --max-steps, type: int, help: how many steps to train }

#---- project.model ----
-- extends 'causal_lm.model'

[model_config]
    == super()
    hidden_size: 64
    intermediate_size: 176
    num_hidden_layers: 2
    num_attention_heads: 4
    max_position_embeddings: 512
    tie_word_embeddings: true

#---- project.trainer ----
-- extends 'trainers/trainer.yaml'

[trainer_args]
    == super()
    per_device_train_batch_size: 8
    max_steps: {{ max_steps | default(100) }}
    logging_steps: 10
"""

_PLAIN_CONFIG = """\
## The templates of this workspace come from its own library: `fgc tlist` lists them. Extend one of them here, and
## override its blocks:
##   -- extends 'TEMPLATE'
##   [BLOCK]
##       == super()
meta: !dict:@meta
    config_name: @NAME@
    config_description: @DESCRIPTION@
    config_class: type
main: !dict:@main
    name: @NAME@
"""
