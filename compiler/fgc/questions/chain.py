"""Answers, each computed once: in a run by their questions, between runs with what they rest on."""

import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from fgc.questions.kept import Kept
from fgc.questions.outside import (
    Dependencies,
    Outside,
    folder_state,
    names_digest,
    path_state,
    variable_state,
    version_state,
)

T = TypeVar("T")


class Questions:
    """The questions of a run. Without `kept`, nothing is kept between runs."""

    def __init__(self, kept: Kept | None = None) -> None:
        self._kept = kept
        self._outside = Outside(kept.seen if kept is not None else lambda key, digest: None)
        self._known: dict[Hashable, tuple[Any, Dependencies]] = {}
        self._open: list[Dependencies] = []

    def ask(self, question: Hashable, compute: Callable[[], T]) -> T:
        """The answer to a question, computed if it is asked for the first time in this run.

        What `compute` raises passes through, and is an answer to none.
        """
        if question not in self._known:
            self._known[question] = self.watch(compute)
        answer: T
        answer, seen = self._known[question]
        self.rest_on(seen)
        return answer

    def keep(self, question: Sequence[object], kind: type[T], compute: Callable[[], T]) -> T:
        """The same for an answer that is kept between runs: `kind` is what msgspec reads it back as.

        The question holds all that the answer depends on and that is not noted while it is computed.
        """
        key = repr(question)
        if key not in self._known:
            self._known[key] = self._lasting(question, kind, compute)
        answer: T
        answer, seen = self._known[key]
        self.rest_on(seen)
        return answer

    def forget(self, paths: Iterable[Path]) -> None:
        """Forgets every answer that is about one of some paths, or rests on one: its content is another now."""
        gone = {os.path.realpath(path) for path in paths}
        names = {os.path.basename(path) for path in gone}  # noqa: PTH119 -- of thousands
        is_gone = cache(lambda path: os.path.basename(path) in names and os.path.realpath(path) in gone)  # noqa: PTH119
        self._known = {
            question: (answer, seen)
            for question, (answer, seen) in self._known.items()
            if not any(is_gone(part) for part in _paths_in(question)) and not any(map(is_gone, seen.paths))
        }

    def drop(self, question: Hashable) -> None:
        """Forgets one answer, to make room: whoever asks again has it computed again."""
        self._known.pop(question, None)

    def saw(self, path: Path | str, state: str | None = None) -> None:
        """Note a path with the digest of what was read from it; without it, with what is there now."""
        if self._open:
            name = str(Path(path).absolute())
            self._open[-1].note(name, path_state(name) if state is None else state)

    def saw_folder(self, path: Path | str, names: list[str] | None = None) -> None:
        """Note the names that were seen in a folder; without them, those that are in it now."""
        if self._open:
            name = str(Path(path).absolute())
            self._open[-1].folders[name] = folder_state(name) if names is None else names_digest(names)

    def saw_version(self, package: str) -> None:
        """Note the version of a package."""
        if self._open:
            self._open[-1].versions[package] = version_state(package)

    def saw_variable(self, name: str) -> None:
        """Note a variable of the environment."""
        if self._open:
            self._open[-1].variables[name] = variable_state(name)

    def changes_by_itself(self) -> None:
        """Keep nothing that rests on what is computed now: it depends on the clock."""
        if self._open:
            self._open[-1].is_lasting = False

    def rest_on(self, seen: Dependencies) -> None:
        """Note what something rests on that was computed before."""
        if self._open:
            self._open[-1].add(seen)

    def watch(self, compute: Callable[[], T]) -> tuple[T, Dependencies]:
        """Computes an answer, and returns it with its dependencies, which no other answer inherits."""
        seen = Dependencies()
        self._open.append(seen)
        try:
            return compute(), seen
        except BaseException:
            if len(self._open) > 1:
                self._open[-2].add(seen)
            raise
        finally:
            self._open.pop()

    def _lasting(self, question: Sequence[object], kind: type[T], compute: Callable[[], T]) -> tuple[T, Dependencies]:
        """An answer that was kept, or a new one. Who asked for it rests on its entry, if it has one."""
        if self._kept is None:
            return self.watch(compute)
        key = self._kept.key(question)
        found = self._kept.get(key, kind)
        if found is not None:
            entry = Dependencies(answers={key: found[1]})
            if self._outside.is_as(entry):
                return found[0], entry
        answer, seen = self.watch(compute)
        digest = self._kept.put(key, answer, seen) if seen.is_lasting else None
        return answer, seen if digest is None else Dependencies(answers={key: digest})


def _paths_in(question: Hashable) -> list[str]:
    """Returns the paths that a question is about."""
    parts = question if isinstance(question, tuple) else ()
    return [str(part) for part in parts if isinstance(part, Path)]
