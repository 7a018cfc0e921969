"""The files that are uploaded to the Hub, and the messages when an upload fails."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from fgc_runtime.hub import main
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("config.json", "model.safetensors", "tokenizer.json", "modeling_x.py", "README.md", "trained_by.json"):
        (tmp_path / "tiny" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "tiny" / name).write_text("{}", encoding="utf-8")
    for name in ("runs/train_1/run.json", "checkpoints/checkpoint-2/model.safetensors", "evaluations/a.json"):
        (tmp_path / "tiny" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tiny" / name).touch()
    return tmp_path / "tiny"


class Hub:
    """Stands in for `HfApi`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def create_repo(self, name: str, **options: Any) -> Any:
        if self.error is not None:
            raise self.error
        self.calls.append(("create_repo", {"name": name, **options}))
        return SimpleNamespace(repo_id=name)

    def create_branch(self, name: str, **options: Any) -> None:
        self.calls.append(("create_branch", {"name": name, **options}))

    def upload_folder(self, **options: Any) -> Any:
        self.calls.append(("upload_folder", options))
        return SimpleNamespace(commit_url="https://hub.example/me/tiny/commit/1")


def use(monkeypatch: pytest.MonkeyPatch, hub: Hub) -> Hub:
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return hub


def test_the_model_goes_there_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = use(monkeypatch, Hub())
    assert main([str(folder), "me/tiny", "--private", "--revision", "v2"]) == 0
    (_, made), (_, branch), (_, sent) = hub.calls
    assert made == {"name": "me/tiny", "private": True, "exist_ok": True} and branch["branch"] == "v2"
    expected = {"README.md", "config.json", "model.safetensors", "modeling_x.py", "tokenizer.json"}
    assert set(sent["allow_patterns"]) == expected and sent["revision"] == "v2"
    told = capsys.readouterr()
    assert "5 files are at https://hub.example/me/tiny/commit/1" in told.out
    assert "trust_remote_code=True" in told.err


def test_a_dry_run_lists_and_asks_nobody(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = use(monkeypatch, Hub())
    assert main([str(folder), "me/tiny", "--dry-run"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5 and not hub.calls


def test_no_link_takes_other_files_along(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = use(monkeypatch, Hub())
    (tmp_path / "key").write_text("secret")
    (folder / "LICENSE").symlink_to(tmp_path / "key")
    assert main([str(folder), "me/tiny"]) == 2 and not hub.calls
    assert f"LICENSE is a link to {tmp_path / 'key'}: copy that file" in capsys.readouterr().err


def test_a_folder_of_the_hubs_cache_can_be_pushed(folder: Path, tmp_path: Path) -> None:
    blob, snapshot = tmp_path / "models--me--x/blobs/1", tmp_path / "models--me--x/snapshots/abc"
    blob.parent.mkdir(parents=True)
    snapshot.parent.mkdir()
    folder.rename(snapshot)
    (snapshot / "config.json").rename(blob)
    (snapshot / "config.json").symlink_to(blob)
    assert main([str(snapshot), "me/tiny", "--dry-run"]) == 0


def error_of(status: int) -> HfHubHTTPError:
    return HfHubHTTPError("no", response=SimpleNamespace(status_code=status, headers={}, request=None))  # type: ignore[arg-type]


REFUSALS = {
    "no login": (LocalTokenNotFoundError("x"), "you are not logged in"),
    "an unknown token": (error_of(401), "does not know you"),
    "another's repository": (error_of(403), "you may not write to me/tiny"),
    "no network": (ConnectionError("refused"), "the Hub cannot be reached: ConnectionError: refused"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_the_hub_refuses_is_a_line(
    case: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error, message = REFUSALS[case]
    use(monkeypatch, Hub(error))
    assert main([str(folder), "me/tiny"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("fgc push: ") and message in last


def test_offline_nothing_is_tried(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = use(monkeypatch, Hub())
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main([str(folder), "me/tiny"]) == 2
    assert "HF_HUB_OFFLINE is set" in capsys.readouterr().err and not hub.calls


def test_a_folder_without_a_model_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "me/tiny"]) == 2
    assert "is not a model folder" in capsys.readouterr().err
