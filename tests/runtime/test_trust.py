"""Code in a model's folder runs if fgc generated it on this machine, or if the user says so; nothing else counts."""

import json
import os
from pathlib import Path

import pytest
from fgc_runtime import trust
from fgc_runtime.models.folder import ModelError
from fgc_runtime.models.opening import open_on_meta, package_classes
from fgc_runtime.trust import CheckedFolder, UntrustedCode, checked_folder, may_run_code, record_code

CODE = {
    "configuration_tiny.py": "from transformers import LlamaConfig\n\n\nclass TinyConfig(LlamaConfig):\n    pass\n",
    "modeling_tiny.py": (
        "from transformers import LlamaForCausalLM\n\nfrom .configuration_tiny import TinyConfig\n\n\n"
        "class TinyForCausalLM(LlamaForCausalLM):\n    config_class = TinyConfig\n"
    ),
}
INIT = (
    "from .configuration_tiny import TinyConfig\nfrom .modeling_tiny import TinyForCausalLM\n"
    '__all__ = ["TinyConfig", "TinyForCausalLM"]\n'
)
AUTO_MAP = {"AutoConfig": "configuration_tiny.TinyConfig", "AutoModelForCausalLM": "modeling_tiny.TinyForCausalLM"}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state/fgc/generated"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved model of a generated package."""
    model = tmp_path / "model"
    model.mkdir()
    for name, text in CODE.items():
        (model / name).write_text(text)
    (model / "config.json").write_text(json.dumps({"model_type": "tiny", "auto_map": AUTO_MAP}))
    return model


def test_generated_code_may_run_and_other_code_may_not(folder: Path) -> None:
    with pytest.raises(UntrustedCode, match=r"configuration_tiny\.py, modeling_tiny\.py.*fgc trust"):
        may_run_code(folder)
    record_code(folder.glob("*.py"))
    assert may_run_code(folder)
    with (folder / "modeling_tiny.py").open("a") as file:
        file.write("# edited\n")
    with pytest.raises(UntrustedCode, match=r": modeling_tiny\.py\. It"):
        may_run_code(folder)


def test_an_adapter_beside_known_code_leads_to_no_other_model(folder: Path) -> None:
    record_code(folder.glob("*.py"))
    (folder / "config.json").unlink()  # transformers then loads the adapter's base, with the trust given to this folder
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "some/where"}))
    with pytest.raises(UntrustedCode, match=r": some/where\. It"):
        checked_folder(folder)


def test_the_user_has_the_last_word(folder: Path) -> None:
    assert may_run_code(folder, is_told=True)
    record_code(folder.glob("*.py"))
    assert not may_run_code(folder, is_told=False)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", {"auto_map": {"AutoConfig": "someone/repository--configuration_tiny.TinyConfig"}}),
        ("config.json", {"auto_map": {"AutoConfig": "/tmp/elsewhere.TinyConfig"}}),
        ("config.json", {"auto_map": {"AutoConfig": "../other/configuration_tiny.TinyConfig"}}),
        ("config.json", {"auto_map": {"AutoConfig": "absent.TinyConfig"}}),
        ("config.json", {"text_config": {"auto_map": {"AutoModel": "x--y.Z"}}}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": [None, "x--tokenization.Fast"]}}),
        ("tokenizer_config.json", {"auto_map": ["x--tokenization.Slow", None]}),
        ("generation_config.json", {"auto_map": "x--y.Z"}),
        ("extra.py", "print('ran')\n"),
        ("custom_generate/generate.py", "print('ran')\n"),
    ],
)
def test_known_code_does_not_vouch_for_what_lies_beside_it(folder: Path, file: str, content: object) -> None:
    record_code(folder.glob("*.py"))
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UntrustedCode):
        may_run_code(folder)


def test_a_generate_of_its_own_is_code_without_any_reference(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    assert not may_run_code(folder)
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate/generate.py").write_text("")
    with pytest.raises(UntrustedCode, match=r"custom_generate/generate\.py"):
        may_run_code(folder)


def test_what_was_checked_is_what_is_loaded(folder: Path) -> None:
    record_code(folder.glob("*.py"))
    (folder / "model.safetensors").write_text("weights")
    (folder / "original").mkdir()
    (folder / "__pycache__").mkdir()
    checked = checked_folder(folder)
    for path in folder.glob("*.py"):
        path.write_text("raise SystemExit('ran')\n")
    (folder / "config.json").write_text(json.dumps({"auto_map": {"AutoConfig": "x--y.Z"}}))
    assert checked.is_trusted and checked.path.name == folder.name and checked.path != folder
    assert {name: (checked.path / name).read_text() for name in CODE} == CODE
    assert json.loads((checked.path / "config.json").read_text())["auto_map"] == AUTO_MAP
    assert (checked.path / "model.safetensors").read_text() == "weights"
    assert checked.path.parent.stat().st_mode & 0o077 == 0
    with pytest.raises(UntrustedCode, match=str(folder)):
        checked_folder(folder)


def test_a_folder_that_changes_while_it_is_copied_is_checked_as_it_was_copied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_code(folder.glob("*.py"))
    copy = trust._copy

    def exchange(path: Path) -> Path:
        (folder / "modeling_tiny.py").write_text("raise SystemExit('ran')\n")
        return copy(path)

    monkeypatch.setattr(trust, "_copy", exchange)
    with pytest.raises(UntrustedCode, match=r": modeling_tiny\.py\."):
        checked_folder(folder)


def test_a_folder_without_code_or_with_the_users_word_is_loaded_where_it_lies(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/config.json").write_text("{}")
    assert checked_folder(tmp_path / "plain") == CheckedFolder(tmp_path / "plain", False)
    assert checked_folder(folder, is_told=True) == CheckedFolder(folder, True)


def test_a_record_that_others_can_write_counts_for_nothing(folder: Path, state: Path) -> None:
    record_code(folder.glob("*.py"))
    state.chmod(0o777)
    with pytest.raises(UntrustedCode):
        may_run_code(folder)


def test_without_a_place_for_the_record_nothing_fails_and_nothing_is_known(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    record_code(folder.glob("*.py"))
    with pytest.raises(UntrustedCode):
        may_run_code(folder)


def test_a_pipe_or_a_huge_file_is_not_read(folder: Path) -> None:
    record_code(folder.glob("*.py"))
    os.mkfifo(folder / "pipe.py")
    assert may_run_code(folder)
    with (folder / "huge.py").open("wb") as file:
        file.truncate(10**10)
    with pytest.raises(UntrustedCode, match=r"huge\.py"):
        may_run_code(folder)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "project/tiny"
    folder.mkdir(parents=True)
    for name, text in {**CODE, "__init__.py": INIT}.items():
        (folder / name).write_text(text)
    return folder


def test_a_package_is_opened_without_what_python_would_prefer_to_its_files(package: Path, tmp_path: Path) -> None:
    record_code(package.glob("*.py"))
    attack = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    (package / "configuration_tiny").mkdir()
    (package / "configuration_tiny/__init__.py").write_text(attack)  # a package goes before a module of its name
    (package.parent / "tokenize.py").write_text(attack)
    config, model = package_classes(package)
    assert (config.__name__, model.__name__) == ("TinyConfig", "TinyForCausalLM")
    assert not (tmp_path / "ran").exists()


def test_opening_a_package_that_is_not_known_names_its_files(package: Path) -> None:
    with pytest.raises(ModelError, match=r"__init__\.py.*fgc did not generate|fgc did not generate.*__init__\.py"):
        open_on_meta(package)
