"""What needs a package that is not installed says so before training begins."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fgc_runtime.data import hub_dataset, table_files
from fgc_runtime.trainers import Accelerate, Trainer


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fgc_runtime.packages.find_spec", lambda name: None)


def test_the_strategy_accelerate_is_refused_with_what_does_without(make_trainer: Callable[..., Trainer]) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"the package accelerate, which is not installed.* DDP needs none"):
        make_trainer(strategy=Accelerate())


def test_a_data_set_of_the_hub_and_a_parquet_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match="hub_dataset needs the package datasets"):
        hub_dataset("some/thing")
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ModuleNotFoundError, match=r"the Parquet file .*a\.parquet needs the package pyarrow"):
        list(table_files(str(tmp_path / "a.parquet"), split="train"))
