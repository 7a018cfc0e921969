"""`fgc train --launch NAME`: the profile, the job, its files and commands; printed, or written and run."""

from argparse import Namespace
from typing import Protocol

from fgc.cli.arguments import CannotRun
from fgc.cli.clusters import kubernetes, ray, skypilot, slurm, ssh
from fgc.cli.clusters.job import Job, LaunchPlan, make_job
from fgc.cli.select import Selected, report
from fgc.diagnostics import did_you_mean
from fgc.workspace import ProjectError, open_project
from fgc.workspace.launch_profiles import BACKENDS, REQUIRED, Profile, Profiles, read_profiles


class Backend(Protocol):
    """A module that knows one kind of cluster."""

    def plan(self, job: Job) -> LaunchPlan:
        """Returns what would be written and run. Raises CannotRun."""

    def start(self, job: Job, made: LaunchPlan) -> int:
        """Runs the job after its files are written. Returns the exit code. Raises CannotRun."""


_BACKENDS: dict[str, Backend] = {
    "kubernetes": kubernetes, "ray": ray, "skypilot": skypilot, "slurm": slurm, "ssh": ssh,
}  # fmt: skip
_WITH_BUNDLE = ("kubernetes", "skypilot")


def launch_elsewhere(selected: Selected, arguments: Namespace) -> int:
    """Writes and runs a job, or prints it. Raises CannotRun."""
    if arguments.passed_on:
        raise CannotRun("arguments after `--` are for torchrun; with `--launch`, set them in the profile")
    if arguments.rehearses:
        raise CannotRun("`--dry-run=deep` simulates on this machine: omit `--launch`")
    profile = _profile(selected, arguments.launch)
    if profile is None:
        return 2
    backend = _BACKENDS[profile.backend]
    is_bundle = profile.backend in _WITH_BUNDLE or profile.get("shared") is False
    job = make_job(selected, arguments, profile, is_bundle=is_bundle)
    if job is None:
        return 1
    made = backend.plan(job)
    if arguments.dry_run:
        made.show(job.folder)
        return 0
    job.write(made.files)
    return backend.start(job, made)


def _profile(selected: Selected, name: str) -> Profile | None:
    """Returns the profile with that name or backend; None if the file has mistakes, which are reported."""
    profiles = _profiles(selected)
    if profiles is not None and profiles.diagnostics:
        report(profiles.diagnostics)
        return None
    found = {} if profiles is None else profiles.found
    if name in found:
        return found[name]
    of_backend = [profile for profile in found.values() if profile.backend == name]
    if len(of_backend) == 1:
        return of_backend[0]
    if of_backend:
        names = ", ".join(profile.name for profile in of_backend)
        raise CannotRun(f"`--launch {name}`: several profiles use it; name one of {names}")
    where = "forgather_workspace/launch.yaml" if profiles is None else str(profiles.path)
    if name not in BACKENDS:
        known = [*found, *BACKENDS]
        help = did_you_mean(name, known) or f"there are: {', '.join(known)}"
        raise CannotRun(f"`--launch {name}` is neither a backend nor a profile of `{where}`; {help}")
    if missing := REQUIRED.get(name, ()):
        raise CannotRun(f"`--launch {name}` needs a profile with `{missing[0]}` in `{where}`")
    return Profile(name, name)


def _profiles(selected: Selected) -> Profiles | None:
    try:
        project = open_project(selected.folder)
    except ProjectError:  # a file outside any project
        return None
    return read_profiles(project.workspace, project.store)
