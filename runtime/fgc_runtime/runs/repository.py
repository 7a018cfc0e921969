"""The project's git repository to what a run has to know of it: the commit, and what was not committed yet."""

import os
import subprocess
from pathlib import Path

_DIFFERENCE = "uncommitted.diff"
_TIMEOUT_S = 20.0  # a run begins all the same
_MOST_BYTES = 16 * 2**20
_MOST_NAMES = 1000
# what a repository's configuration can make git run, switched off
_HARMLESS = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


def keep_repository(project: Path, folder: Path) -> dict[str, object] | None:
    """Write the uncommitted difference of `project`'s repository into `folder`, and return what else there is to know.

    None without git or a repository. Files that git does not know are named, not copied.
    """
    root = _git(project, "rev-parse", "--show-toplevel")
    if root is None:
        return None
    commit = _git(project, "rev-parse", "--verify", "HEAD")
    against = "HEAD" if commit is not None else "--cached"  # of a repository without commits, what is staged
    difference = _git(project, "diff", "--no-ext-diff", "--no-textconv", against)
    top = root.decode(errors="replace").strip()
    others = _git(project, "ls-files", "--others", "--exclude-standard", "--full-name", "-z", top)
    names = [name.decode(errors="replace") for name in (others or b"").split(b"\0") if name]
    found: dict[str, object] = {
        "root": top,
        "commit": commit.decode().strip() if commit is not None else None,
        "untracked": names[:_MOST_NAMES],
        "num_untracked": len(names),
    }
    if difference is None:
        return {**found, "uncommitted": "git did not say in time"}
    if difference:
        try:
            (folder / _DIFFERENCE).write_bytes(difference[:_MOST_BYTES])
        except OSError as error:  # training goes on without it
            (folder / _DIFFERENCE).unlink(missing_ok=True)
            return {**found, "uncommitted": f"could not be kept: {error}"}
    is_cut = {"is_cut": True} if len(difference) > _MOST_BYTES else {}
    return {**found, "uncommitted": _DIFFERENCE if difference else None, **is_cut}


def _git(folder: Path, *words: str) -> bytes | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", *_HARMLESS, *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
