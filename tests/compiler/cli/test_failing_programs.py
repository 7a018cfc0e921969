"""`fgc where -` finds the object behind an error wherever it was raised: threads, processes, groups, later calls."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Run

PARTS = """\
import asyncio
import logging
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor


class Runner:
    def __init__(self, how, make, **more):
        self.how, self.make, self.more = how, make, more

    def run(self):
        getattr(self, self.how)()

    def later(self):
        sorted([1, 2], key=lambda _: self.make())

    def in_thread(self):
        thread = threading.Thread(target=self.make)
        thread.start()
        thread.join()
        raise SystemExit(1)

    def in_pool(self):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(self.make).result()

    def in_process(self):
        with ProcessPoolExecutor(1) as pool:
            pool.submit(self.make).result()

    def in_task(self):
        async def go():
            async with asyncio.TaskGroup() as group:
                group.create_task(self.soon())

        asyncio.run(go())

    async def soon(self):
        self.make()

    def as_cause(self):
        try:
            self.make()
        except ZeroDivisionError as error:
            raise RuntimeError("wrapped") from error

    def as_log(self):
        logging.basicConfig(format="%(asctime)s rank 3: %(message)s")
        try:
            self.make()
        except ZeroDivisionError:
            logging.exception("no")
        raise SystemExit(1)

    def of_a_child(self):
        self.more["part"].work()


class Base:
    def work(self):
        return 1 / self.n


class Part(Base):
    def __init__(self, n):
        self.n = n


def ratio_of(size, ratio):
    return size / ratio
"""
CONFIG = """\
meta: { config_class: type.training_script }
make: &make !partial:parts.py:ratio_of
    size: 3
    ratio: 0
main: !singleton:parts.py:Runner
    how: {{ getenv('HOW', 'later') }}
    make: *make
    part: !singleton:parts.py:Part [ 0 ]
"""
MODULES = {  # what a program imports, and the line of the configuration that asks for it
    "!call:no_such_package_x:y [ 1 ]": "ModuleNotFoundError",
    "!call:package_x.part:missing [ 1 ]": "ImportError",
    "!call:broken.py:y [ 1 ]": "ZeroDivisionError",
}


def built(run: Run, config: str, **files: str) -> None:
    for name, text in {"parts.py": PARTS, "c.yaml": config, **files}.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    result = run("build", "c.yaml", "-o", "out")
    assert result.code == 0, result.err


def errors_of(**environment: str) -> str:
    variables = {**os.environ, "PYTHONPATH": str(Path.cwd()), **environment}
    command = [sys.executable, "-S", "out/train.py"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    return done.stderr


def places(run: Run, monkeypatch: pytest.MonkeyPatch, traceback: str) -> list[str]:
    monkeypatch.setattr("sys.stdin", io.StringIO(traceback))
    return [line.strip() for line in run("where", "-").out.splitlines() if "configured at" in line]


def test_an_error_leads_to_its_object_wherever_it_was_raised(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    built(run, CONFIG)
    for how in ("later", "in_thread", "in_pool", "in_process", "in_task", "as_cause", "as_log"):
        told = places(run, monkeypatch, errors_of(HOW=how))
        assert any(line.startswith("configured at c.yaml:2:") for line in told), how
    told = places(run, monkeypatch, errors_of(HOW="of_a_child"))
    assert told[-1].startswith("configured at c.yaml:8:") and told[-1].endswith("as `main.part`")


@pytest.mark.parametrize(("call", "error"), MODULES.items())
def test_an_error_at_an_import_leads_to_who_asks_for_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, call: str, error: str
) -> None:
    files = {"package_x/part.py": "a = 1\n", "broken.py": "1 / 0\n\n\ndef y(a): ...\n"}
    config = f"main: !singleton:parts.py:Runner\n    how: later\n    make: 1\n    x: {call}\n"
    for name, text in {"parts.py": PARTS, "c.yaml": config, **files}.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    run("build", "c.yaml", "-o", "out")
    traceback = errors_of()
    assert error in traceback
    assert places(run, monkeypatch, traceback)[-1].startswith("configured at c.yaml:4:")


@pytest.mark.parametrize(
    "frame",
    [
        'File "{file}", line {line}, in ratio_of',
        'pod-1 | 2026-01-01 ERROR   File "{file}", line {line}, in ratio_of',
        '[rank0]:   File "{file}", line {line}, in ratio_of',
        '  File \x1b[35m"{file}"\x1b[0m, line \x1b[35m{line}\x1b[0m, in \x1b[35mratio_of\x1b[0m',
        "File {file}:{line}, in ratio_of(size, ratio)",
        "{file}:{line}: ZeroDivisionError",
        "│ {file}:{line} in ratio_of                    │",
        "ratio_of ({file}:{line})",
    ],
)
def test_frames_of_other_tools_are_read(run: Run, monkeypatch: pytest.MonkeyPatch, frame: str) -> None:
    built(run, CONFIG)
    file = Path("out/sources/parts.py").absolute()
    line = file.read_text().split("\n").index("    return size / ratio") + 1
    told = places(run, monkeypatch, frame.format(file=file, line=line) + "\n")
    assert told == ["configured at c.yaml:2:13 as `main.make`"]


def test_a_line_of_no_build_is_left_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    built(run, CONFIG)
    assert (
        places(run, monkeypatch, 'File "/x/y.py", line 3\nat a.py:3 and b.py:x\n\x1b[0mFile "out/none.py", line 3\n')
        == []
    )
