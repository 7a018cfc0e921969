"""Answers are computed once, and kept as long as everything is in the state in which it was seen."""

import os
from pathlib import Path

import pytest
from fgc.questions import Kept, Questions, content_digest

NAME = ["the text of a"]


class Reader:
    """Reads a file as the answer to a question; counts how often."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "a.txt"
        self.file.write_text("one")
        self.cache = folder / "cache"
        self.count = 0

    def read(self, questions: Questions) -> str:
        self.count += 1
        raw = self.file.read_bytes() if self.file.exists() else None
        questions.saw(self.file, None if raw is None else content_digest(raw))
        return "nothing" if raw is None else raw.decode()

    def run(self) -> str:
        """The answer in a run of its own."""
        questions = Questions(Kept(self.cache))
        return questions.keep(NAME, str, lambda: self.read(questions))


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def test_an_answer_is_computed_once_in_a_run(reader: Reader) -> None:
    questions = Questions()
    answers = [questions.ask("a", lambda: reader.read(questions)) for _ in range(3)]
    assert (answers, reader.count) == (["one"] * 3, 1)


def test_an_answer_is_kept_between_runs(reader: Reader) -> None:
    assert ([reader.run() for _ in range(3)], reader.count) == (["one"] * 3, 1)


def test_equal_size_and_time_are_no_equal_file(reader: Reader) -> None:
    reader.run()
    seen = reader.file.stat()
    reader.file.write_text("two")
    os.utime(reader.file, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert reader.run() == "two"


def test_another_time_is_no_other_file(reader: Reader) -> None:
    reader.run()
    os.utime(reader.file, (1, 1))
    assert (reader.run(), reader.count) == ("one", 1)


def test_an_edit_during_the_run_is_seen_by_the_next(reader: Reader) -> None:
    questions = Questions(Kept(reader.cache))

    def read_and_edit() -> str:
        answer = reader.read(questions)
        reader.file.write_text("two")
        return answer

    assert questions.keep(NAME, str, read_and_edit) == "one"
    assert reader.run() == "two"


def test_a_file_that_changes_between_two_readings_keeps_nothing(reader: Reader) -> None:
    questions = Questions(Kept(reader.cache))

    def read_twice() -> str:
        first = reader.read(questions)
        reader.file.write_text("two")
        return first + reader.read(questions)

    questions.keep(NAME, str, read_twice)
    reader.file.write_text("one")
    assert reader.run() == "one"


def test_what_was_looked_for_in_vain_comes_into_being(reader: Reader) -> None:
    reader.file.unlink()
    assert reader.run() == "nothing"
    reader.file.write_text("three")
    assert reader.run() == "three"


def test_a_new_name_in_a_folder_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()

    def run() -> int:
        questions = Questions(Kept(tmp_path / "cache"))

        def count() -> int:
            names = [path.name for path in folder.iterdir()]
            questions.saw_folder(folder, names)
            return len(names)

        return questions.keep(["names"], int, count)

    assert run() == 0
    (folder / "x").touch()
    assert run() == 1


def test_an_answer_rests_on_what_its_parts_rest_on(reader: Reader) -> None:
    def run() -> str:
        questions = Questions(Kept(reader.cache))
        part = lambda: questions.ask("part", lambda: reader.read(questions))  # noqa: E731
        part()
        return questions.keep(["whole"], str, lambda: f"<{part()}>")

    assert run() == "<one>"
    reader.file.write_text("two")
    assert run() == "<two>"


def test_what_a_failed_part_has_read_counts(reader: Reader) -> None:
    def run() -> str:
        questions = Questions(Kept(reader.cache))

        def part() -> str:
            if reader.read(questions) == "one":
                raise ValueError("no number")
            return "fine"

        def whole() -> str:
            try:
                return questions.ask("part", part)
            except ValueError as error:
                return str(error)

        return questions.keep(["whole"], str, whole)

    assert run() == "no number"
    reader.file.write_text("2")
    assert run() == "fine"


def test_what_changes_by_itself_is_not_kept(reader: Reader) -> None:
    for _ in range(2):
        questions = Questions(Kept(reader.cache))
        questions.keep(NAME, str, lambda questions=questions: questions.changes_by_itself() or reader.read(questions))
    assert reader.count == 2


def test_another_version_of_a_package_is_seen(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> None:
        questions = Questions(Kept(reader.cache))
        questions.keep(NAME, str, lambda: questions.saw_version("torch") or reader.read(questions))

    run()
    monkeypatch.setattr("fgc.questions.outside.installed_version", lambda package: "99")
    run()
    assert reader.count == 2


def test_an_answer_falls_with_a_part_that_was_computed_anew_elsewhere(reader: Reader) -> None:
    def part(questions: Questions) -> str:
        return questions.keep(NAME, str, lambda: reader.read(questions))

    def whole() -> str:
        questions = Questions(Kept(reader.cache))
        return questions.keep(["whole"], str, lambda: f"<{part(questions)}>")

    assert whole() == "<one>"
    reader.file.write_text("two")
    assert part(Questions(Kept(reader.cache))) == "two"
    assert whole() == "<two>"
