"""Running jobs and the commands they take, on this machine only: a private folder with one socket for each job.

Needs nothing but Python: a terminal that steers a training does not wait for torch.
"""

from fgc_runtime.control.client import ask, watch
from fgc_runtime.control.jobs import Job, NoSuchJob, UnsafeFolder, find_job, find_jobs, jobs_folder, remove_job
from fgc_runtime.control.server import Answer, Command, ControlServer

__all__ = [
    "Answer",
    "Command",
    "ControlServer",
    "Job",
    "NoSuchJob",
    "UnsafeFolder",
    "ask",
    "find_job",
    "find_jobs",
    "jobs_folder",
    "remove_job",
    "watch",
]
