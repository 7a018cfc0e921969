"""The parts that all backends share: a build in its own folder, the words that start it, and a launch plan."""

import os
import shlex
import shutil
import sys
import zlib
from argparse import Namespace
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from fgc.cli.arguments import CannotRun
from fgc.cli.building import PROGRAM
from fgc.cli.kept_builds import keep_build
from fgc.cli.launching import processes_of, words_of_run
from fgc.cli.select import Selected
from fgc.cli.slurm import port_of
from fgc.patterns import regex
from fgc.workspace.launch_profiles import Profile

JOBS_FOLDER, BUILD = "launched", "build"
_OTHER_LETTERS = regex(r"[^A-Za-z0-9._-]")  # not allowed by all file systems, scripts and tags
_CONTROLS = regex(r"[\x00-\x1f\x7f]")


class Job(Struct, frozen=True):
    """A training to run elsewhere."""

    name: str  # of the configuration, with a digest of its build
    folder: Path  # below the project: the build, scripts and logs
    project: Path
    kept: Path  # the same build in the cache
    profile: Profile
    processes: str  # on each node
    program_words: list[str]  # after the program, at every start
    is_resumed: bool
    environment: dict[str, str]  # without secrets
    secrets: dict[str, str]

    @property
    def short_name(self) -> str:
        """Returns the configuration's name in characters that every scheduler accepts: a letter first, at most 40."""
        stem = self.name.rpartition("-")[0].lower()
        plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in stem).strip("-")
        return (plain if plain[:1].isalpha() else f"fgc-{plain}")[:40].strip("-")

    @property
    def build_name(self) -> str:
        """Returns `short_name` with the digest of the build."""
        return f"{self.short_name}-{self.name.rpartition('-')[2].lower()}"

    @property
    def port(self) -> int:
        """Returns the rendezvous port, derived from the build and its words so that two jobs can share a host."""
        return port_of(zlib.crc32(shlex.join([self.name, *self.program_words]).encode()))

    @property
    def python(self) -> str:
        """Returns the interpreter on the nodes."""
        return str(self.profile.get("python", sys.executable))

    @property
    def program(self) -> str:
        """Returns the program's path where the project's disk is shared."""
        return str(self.folder / BUILD / PROGRAM)

    def torchrun(self, nodes: str, meeting: list[str]) -> list[str]:
        """Returns the words that start the processes of one node, up to torchrun's options."""
        starter = [self.python, "-P", "-m", "fgc_runtime.start", "torch.distributed.run"]
        restarts = self.profile.get("max_restarts", 3 if self.profile.is_elastic else 0)
        words = ["--nnodes", nodes, "--nproc-per-node", self.processes, *meeting]
        return [*starter, *words, *(["--max-restarts", str(restarts)] if restarts else [])]

    def write(self, files: dict[str, str]) -> None:
        """Writes the build and the files. Raises CannotRun."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (self.folder / BUILD).is_dir():
                unfinished = self.folder / f".{BUILD}.{os.getpid()}"
                shutil.copytree(self.kept, unfinished)
                unfinished.rename(self.folder / BUILD)
            for name, text in files.items():
                (self.folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CannotRun(f"`{error.filename or self.folder}` cannot be written: {error.strerror or error}") from None


class LaunchPlan(Struct, frozen=True):
    """Files of a job by name, and the commands that start it, in order."""

    files: dict[str, str]
    commands: list[list[str]]
    note: str = ""

    def show(self, folder: Path) -> None:
        """Print files and commands as they would be written and run."""
        for name, text in self.files.items():
            print(f"--- {folder / name} ---\n{text}", end="" if text.endswith("\n") else "\n")
        for command in self.commands:
            print(f"$ {shlex.join(command)}")
        if self.note:
            print(self.note)


def make_job(selected: Selected, arguments: Namespace, profile: Profile, *, is_bundle: bool) -> Job | None:
    """Returns the job; None if the configuration has errors, which have been reported. Raises CannotRun."""
    processes = str(profile.get("processes_per_node") or processes_of(selected, arguments.devices))
    kept = keep_build(selected, is_bundle=is_bundle)
    if kept is None:
        return None
    environment = {name: str(value) for name, value in profile.get("environment", {}).items()}
    if selected.system_path is not None:
        environment["PYTHONPATH"] = selected.system_path
    project = selected.folder.resolve()
    words = words_of_run(arguments)
    resume = arguments.resume and str(Path(arguments.resume).absolute())
    resume_words = [] if arguments.resume is None else ["--resume", *([resume] if resume else [])]
    name = _OTHER_LETTERS.sub("-", kept.name)
    if _CONTROLS.search(str(project)):
        raise CannotRun(f"the project's folder has a control character in its name: {str(project)!r}")
    return Job(
        name=name,
        folder=project / JOBS_FOLDER / name,
        project=project,
        kept=kept,
        profile=profile,
        processes=processes,
        program_words=[*words, *resume_words],
        is_resumed=arguments.resume is not None,
        environment=environment,
        secrets=selected.secrets,
    )


def exports(environment: dict[str, str]) -> str:
    """Returns lines of a shell script."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent)


def written_yaml(content: Any) -> str:
    """Returns YAML as a person writes it: in the order given, scripts as blocks."""
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=1_000)
    return text
