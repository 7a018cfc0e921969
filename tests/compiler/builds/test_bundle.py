"""`fgc build --bundle`: a folder that runs where fgc is not installed, and holds only what it needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fgc.builds.bundle import LICENSE, runtime_files
from fgc.builds.requirements import requirements_text
from fgc.cli.main import main
from fgc.installed import package_folder

ROOT = Path(__file__).parents[3]
CONFIG = """\
-- extends 'types/training_script/causal_lm/causal_lm.yaml'
[config_metadata]
    == super()
    -- set ns.model_name = 'small'
[dataset]
.define: &dataset !partial:fgc_runtime.data:python_stdlib_sources { max_bytes: 60000 }
[construct_new_model]
    -- include 'small.model'
[trainer_definition]
    -- include 'small.trainer'

#---- small.model ----
-- extends 'causal_lm.model'
[model_config]
    == super()
    hidden_size: 16
    intermediate_size: 32
    num_hidden_layers: 1
    num_attention_heads: 2

#---- small.trainer ----
-- extends 'trainers/trainer.yaml'
[trainer_args]
    == super()
    max_steps: 2
    per_device_train_batch_size: 1
"""
_WITHOUT_FGC = """
import json, runpy, sys
from importlib.machinery import PathFinder
from pathlib import Path
others = [entry for entry in sys.path if PathFinder.find_spec("fgc_runtime", [entry or "."])]
sys.path = ["out", *(entry for entry in sys.path if entry not in others)]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
sys.argv = ["out/train.py"]
try:
    runpy.run_path("out/train.py", run_name="__main__")
finally:
    ours = ("fgc_runtime", "fgc", "fgc_models")
    loaded = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] in ours]
    Path("loaded.json").write_text(json.dumps([others, loaded]))
"""


def test_a_module_is_found_with_its_packages_and_all_that_they_import(tmp_path: Path) -> None:
    files = {
        "__init__.py": "",
        "a/__init__.py": "from fgc_runtime.a.one import f\n",
        "a/one.py": "def f():\n    from ..b import two\n",
        "a/unused.py": "import fgc_runtime.c\n",
        "b/__init__.py": "from . import three\n",
        "b/two.py": "import os, torch\n",
        "b/three.py": "",
        "c.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = runtime_files(["from fgc_runtime.a import f\n", "import torch\n"], tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in found} == set(files) - {"a/unused.py", "c.py"}
    assert runtime_files(["import torch"], tmp_path) == {}


def test_the_licence_is_that_of_the_project() -> None:
    assert LICENSE.partition("\n\n")[2] == (ROOT / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_bundle_trains_where_the_runtime_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(CONFIG)
    assert main(["build", "small.yaml", "--bundle", "-o", "out"]) == 0
    assert not Path("out/fgc_runtime/serve").exists()
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_FGC],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    others, loaded = json.loads(Path("loaded.json").read_text())
    assert others and len(loaded) > 20
    assert all(Path(file).resolve().is_relative_to(tmp_path / "out/fgc_runtime") for file in loaded)
    assert Path("output_models/small/model.safetensors").is_file()
    runtime = package_folder("fgc_runtime")
    assert runtime is not None
    copied = {path.relative_to("out/fgc_runtime") for path in Path("out/fgc_runtime").rglob("*.py")}
    assert all((Path("out/fgc_runtime") / name).read_text() == (runtime / name).read_text() for name in copied)
    assert main(["check", "--generated", "out"]) == 0
    Path("out/fgc_runtime/script.py").write_text("")
    assert main(["check", "--generated", "out"]) == 1


def test_requirements_are_what_is_imported_and_lies_nowhere_else() -> None:
    text = (
        "import json\nimport torch.nn\nimport yaml\nfrom fgc_runtime.data import x\nfrom .near import y\n"
        "if TYPE_CHECKING:\n    import typed\ntry:\n    import maybe\nexcept ImportError:\n    maybe = None\n"
        "def f():\n    import later, torch\n    from torch.utils.tensorboard import SummaryWriter\n"
    )
    optional = "".join(f"# {name}  only for some options\n" for name in ("later", "maybe", "tensorboard", "typed"))
    assert requirements_text([text], {"fgc_runtime"}) == "PyYAML\ntorch\n" + optional
