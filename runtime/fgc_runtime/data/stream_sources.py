"""Documents as streams, read when they are needed: files of every format, and data sets of the Hugging Face hub."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fgc_runtime.data.documents import Choice, Document
from fgc_runtime.data.sources import Paths, check_split, expand, is_of_split
from fgc_runtime.data.stage import Stage, State, joint_fingerprint
from fgc_runtime.data.tables import Place, values
from fgc_runtime.packages import require_package

_SAMPLES = 16  # of a file, spread over it: enough to notice another file, few enough for thousands of large ones
_SAMPLE_BYTES = 65_536


class FileStream(Stage[Any]):
    """The documents of files one after another: rows' `column` of tables, plain texts whole, as `table_files` has them.

    `document` makes the document of several columns, as in `table_files`. Files come in the order of their names,
    pattern by pattern. The state is a file and a place in it: going on does not read what came before. `split` divides
    documents by a hash of their content, as the other sources do.
    """

    def __init__(
        self,
        paths: Paths,
        split: str = "all",
        *,
        column: str = "text",
        document: Document | None = None,
        validation_fraction: float = 0.05,
    ) -> None:
        check_split(split, validation_fraction)
        self.paths = expand(paths)
        self.split = split
        self._choice = Choice(column, document)
        self.validation_fraction = validation_fraction
        self._file = 0
        self._place: Place = []

    @property
    def fingerprint(self) -> str | None:
        """The files' names and sizes, and what is read of them."""
        files = [(path.name, path.stat().st_size) for path in self.paths]
        return joint_fingerprint(self, [files, self.split, self._choice.key, self.validation_fraction], [])

    @property
    def file_hashes(self) -> dict[str, str]:
        """Returns a hash of each file, by its name below the folder that holds all."""
        root = Path(os.path.commonpath([path.absolute().parent for path in self.paths]))
        return {path.absolute().relative_to(root).as_posix(): _sampled_hash(path) for path in self.paths}

    def begin(self) -> None:
        """From the first file."""
        self._file, self._place = 0, []

    def items(self) -> Iterator[Any]:
        """The rest of the current file, then the others."""
        while self._file < len(self.paths):
            for document, place in values(self.paths[self._file], self._choice, self._place):
                self._place = place
                if is_of_split(document, self.split, self.validation_fraction):
                    yield document
            self._file, self._place = self._file + 1, []

    def own_state(self) -> State:
        """The file's number and the place in it."""
        return {"file": self._file, "place": list(self._place)}

    def take_state(self, state: Mapping[str, Any]) -> None:
        """Go on there."""
        self._file, self._place = state["file"], list(state["place"])


class HubStream(Stage[Any]):
    """A data set of the Hugging Face hub, or any other that `datasets` streams; nothing is downloaded as a whole."""

    def __init__(
        self,
        path: str,
        name: str | None = None,
        split: str = "train",
        *,
        column: str = "text",
        document: Document | None = None,
        data_files: str | Sequence[str] | None = None,
        revision: str | None = None,
    ) -> None:
        require_package("datasets", "HubStream")
        from datasets import load_dataset  # 1 s

        self._choice = Choice(column, document)
        self._rows: Any = load_dataset(
            path, name, split=split, data_files=data_files, revision=revision, streaming=True
        )
        if self._rows.column_names is not None:
            self._choice.require(self._rows.column_names, f"{path}: ")
        self._beginning: State = self._rows.state_dict()
        self._standing = self._beginning  # where the pass stands that is not read yet
        self._is_read = False
        self._name = [path, name, split, data_files, revision]

    @property
    def fingerprint(self) -> str | None:
        """The data set's name, split and revision, and the column."""
        return joint_fingerprint(self, [*self._name, self._choice.key], [])

    def begin(self) -> None:
        """From the first row."""
        self._stand({**self._beginning, "epoch": self.epoch})

    def items(self) -> Iterator[Any]:
        """Rows that hold something."""
        for row in self._rows:
            self._is_read = True
            self._choice.require(list(row), "")
            value = self._choice.of(row)
            if value.strip() if isinstance(value, str) else value:
                yield value

    def own_state(self) -> State:
        """Returns what `datasets` says."""
        return {"rows": self._rows.state_dict() if self._is_read else self._standing}

    def take_state(self, state: Mapping[str, Any]) -> None:
        """Hand it back."""
        self._stand(state["rows"])

    def _stand(self, state: State) -> None:
        self._is_read, self._standing = False, state
        self._rows.set_epoch(self.epoch)  # it ignores the state of another epoch
        self._rows.load_state_dict(state)


def _sampled_hash(path: Path) -> str:
    """Of the size and 1 MiB of the content, which is all of a smaller file."""
    size_bytes = path.stat().st_size
    digest = hashlib.sha256(str(size_bytes).encode())
    last = max(0, size_bytes - _SAMPLE_BYTES)
    with path.open("rb") as file:
        for number in range(_SAMPLES):
            file.seek(last * number // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return "sha256:" + digest.hexdigest()
