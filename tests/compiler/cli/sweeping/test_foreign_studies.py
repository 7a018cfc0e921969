"""Studies that somebody else made, and files that are none: nothing of them runs or is changed. No secret is in one."""

import inspect
import os
import pickle
from pathlib import Path
from typing import Any

import optuna
import pytest
from fgc.cli.arguments import CannotRun
from fgc.cli.sweeping import engine
from fgc.cli.sweeping.engine import first_line, open_storage, without_password
from fgc.cli.words import shell_word
from optuna.storages.journal._base import BaseJournalSnapshot

SECRET = "s3cr3t-value"


class _Touches:
    """Pickled, it makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("content", ["no line end", "{}", "line\nhalf a line", "\n"])
def test_a_file_that_is_no_journal_is_refused_and_stays_as_it_is(run: Any, bowl: Path, content: str) -> None:
    Path("notes.txt").write_text(content)
    for words in (("sweep", "list"), ("sweep", "bowl.yaml", "--over", "main.lr=1,2")):
        result = run(*words, "--storage", "notes.txt")
        assert result.code == 2 and "`notes.txt` is not the journal of a study" in result.err
        assert Path("notes.txt").read_text() == content
    os.mkfifo("pipe")
    assert "not a regular file" in run("sweep", "bowl.yaml", "--over", "main.lr=1,2", "--storage", "pipe").err


def test_looking_at_a_journal_changes_nothing_and_going_on_mends_its_end(run: Any, bowl: Path) -> None:
    assert run("sweep", "bowl.yaml", "--over", "main.lr=0.1,1", "--storage", "j").code == 0
    cut = Path("j").read_bytes() + b'{"op_code":4,"worker'
    Path("j").write_bytes(cut)
    before = sorted(Path().iterdir())
    shown = run("sweep", "show", "--storage", "j")
    assert shown.code == 0 and "best: trial" in shown.out
    assert Path("j").read_bytes() == cut and sorted(Path().iterdir()) == before
    assert run("sweep", "bowl.yaml", "--over", "main.lr=0.1,1", "--storage", "j", "--resume").code == 0
    assert Path("j").read_bytes().startswith(cut.rpartition(b"\n")[0] + b"\n")


def test_a_state_of_cmaes_runs_nothing_that_it_names(tmp_path: Path) -> None:
    sampler = object.__new__(engine._SAMPLERS["cmaes"])  # its own constructor needs the package `cmaes`
    sampler._attr_prefix = "cma:"
    for content, message in (
        (pickle.dumps(_Touches(tmp_path / "m")), r"\.system: it was not"),
        (b"x", "cannot be read"),
    ):
        trial = optuna.trial.create_trial(value=0.0, system_attrs={"cma:optimizer:0": content.hex()})
        with pytest.raises(CannotRun, match=message):
            sampler._restore_optimizer([trial])
    assert not (tmp_path / "m").exists()
    assert "self._restore_optimizer(" in inspect.getsource(optuna.samplers.CmaEsSampler), "Optuna still asks for it"


def test_no_snapshot_of_redis_is_unpickled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Redis(BaseJournalSnapshot):
        def __init__(self, url: str) -> None:
            self.logs: list[dict[str, Any]] = []

        def read_logs(self, log_number_from: int) -> Any:
            yield from self.logs[log_number_from:]

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            self.logs += logs

        def save_snapshot(self, snapshot: bytes) -> None:
            raise AssertionError("a pickle was written")

        def load_snapshot(self) -> bytes:
            return pickle.dumps(_Touches(tmp_path / "m"))

    monkeypatch.setattr(engine, "JournalRedisBackend", Redis)
    storage = open_storage("redis://localhost:1", tmp_path)
    optuna.create_study(storage=storage, study_name="s")
    assert optuna.get_all_study_names(storage) == ["s"]
    assert not (tmp_path / "m").exists()


def test_a_study_holds_no_secret_and_its_command_names_the_variable(run: Any, bowl: Path) -> None:
    text = Path("bowl.yaml").read_text().replace("kind: sgd", "kind: {{ hf_token }}")
    Path("bowl.yaml").write_text(text)
    words = ("sweep", "bowl.yaml", "--over", "main.lr=0.1,1", "--storage", "j")
    result = run(*words, "-D", f"hf_token={SECRET}")
    shown = run("sweep", "show", "--storage", "j")
    assert result.code == shown.code == 0, result.err
    assert '-D hf_token="$HF_TOKEN"' in shown.out
    written = [path for path in Path().rglob("*") if path.is_file()]
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
    assert SECRET not in result.out + result.err + shown.out
    assert (
        run("sweep", "bowl.yaml", "--over", "main.lr=0.1,1", "--storage", "j", "-D", "hf_token=other", "--resume").code
        == 0
    )


def test_urls_are_shown_without_passwords() -> None:
    assert without_password("mysql://me:p@ss:w@host/db") == "mysql://me:...@host/db"
    assert without_password("sqlite:///x.db?password=abc&x=1") == "sqlite:///x.db?password=...&x=1"
    assert without_password("mysql://me:p w@host/db") == "mysql://me:...@host/db"
    assert without_password("host=h password='p w' dbname=d") == "host=h password=... dbname=d"
    assert without_password("{'user': 'me', 'password': 'p w'}") == "{'user': 'me', 'password': ...}"
    assert without_password("sqlite:///a/b:c.db") == "sqlite:///a/b:c.db"
    assert first_line(ValueError("cannot reach redis://:secret@host:1/0\nmore")) == "cannot reach redis://:...@host:1/0"


def test_a_word_of_a_shown_command_is_quoted_but_for_its_secrets() -> None:
    assert shell_word("main.items[0].token=(secret:HF_TOKEN)/x y") == "'main.items[0].token='\"$HF_TOKEN\"'/x y'"
    assert (shell_word("note=$HOME"), shell_word("a=b"), shell_word("")) == ("'note=$HOME'", "a=b", "''")
