"""`fgc train --launch`: what would be written and run, what is refused; `tests/clusters` has real ones."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .conftest import Run

NAME = "it's a name; $HOME"


@pytest.fixture(autouse=True)
def _project(run: Run) -> None:
    Path("forgather_workspace").mkdir()
    Path("meta.yaml").write_text("name: P\n")
    Path("templates/configs").mkdir(parents=True)
    Path("templates/configs/small.yaml").write_text("main: !call:dict { a: 1 }\n")


def profiles(text: str) -> None:
    Path("forgather_workspace/launch.yaml").write_text(text)


def files_of(shown: str) -> dict[str, str]:
    """The files that a dry run prints, by name."""
    found: dict[str, str] = {}
    for part in shown.split("--- /")[1:]:
        name, _, text = part.partition(" ---\n")
        found[Path(name).name] = text.partition("\n$ ")[0] + "\n"
    return found


def port_behind(words: str, shown: str) -> int:
    return int(shown.partition(words)[2].split()[0])


def commands_of(shown: str) -> list[list[str]]:
    return [shlex.split(line[2:]) for line in shown.splitlines() if line.startswith("$ ")]


def test_a_slurm_script_asks_for_what_the_profile_says_and_is_shell(run: Run, tmp_path: Path) -> None:
    profiles(
        "big:\n  backend: slurm\n  nodes: 3\n  processes_per_node: 8\n  partition: a100\n  time: '1-00:00:00'\n"
        "  memory: 64G\n  environment: { A: \"x y'z\" }\n  setup: ['module load cuda']\n  sbatch: ['--exclusive']\n"
    )
    result = run("train", "--launch", "big", "--dry-run")
    assert result.code == 0, result.err
    script = files_of(result.out)["job.sbatch"]
    header = [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH ")]
    assert {"--nodes=3", "--ntasks-per-node=1", "--partition=a100", "--time=1-00:00:00", "--mem=64G"} <= set(header)
    assert {"--signal=B:USR1@120", "--requeue", "--open-mode=append", "--exclusive"} <= set(header)
    assert "export A='x y'\"'\"'z'\nmodule load cuda\n" in script
    assert '--nnodes "$SLURM_NNODES" --nproc-per-node 8 --master-addr "$host"' in script
    (tmp_path / "script").write_text(script)
    assert subprocess.run(["bash", "-n", str(tmp_path / "script")], check=False).returncode == 0
    assert commands_of(result.out)[0][:2] == ["sbatch", "--parsable"]
    assert not Path("launched").exists(), "a dry run writes nothing into the project"


def test_a_warned_slurm_job_is_queued_again_and_goes_on_with_all_its_words(run: Run, tmp_path: Path) -> None:
    waits = 'trap "exit 138" USR1; echo x > started; while :; do sleep 0.05; done'
    process = started_job(run, tmp_path, srun=waits, job="")
    while not (tmp_path / "started").exists():
        assert process.poll() is None
    process.send_signal(10)  # SIGUSR1, as --signal=B:USR1 sends it
    assert process.wait(30) == 138
    assert (tmp_path / "log").read_text() == "requeue 12\n"
    words = (tmp_path / "words").read_text().splitlines()
    assert words[-2:] == [NAME, "--resume"]
    at = words.index("--master-addr")
    assert words[at + 1 : at + 4] == ["node003", "--master-port", "4711"]


@pytest.mark.parametrize(
    ("job", "code", "is_queued_again"),
    [
        ("JobId=12 JobState=RUNNING PreemptTime=2026-11-30T12:37:40", 143, True),
        ("JobId=12 JobState=RUNNING PreemptTime=2026-11-30T12:37:40", 1, False),
        ("JobId=12 JobState=RUNNING PreemptTime=None", 143, False),
        ("JobId=12 JobState=CANCELLED PreemptTime=None", 143, False),
    ],
    ids=["preempted", "failed", "told by somebody", "cancelled"],
)
def test_a_preempted_slurm_job_is_queued_again_and_a_cancelled_one_is_not(
    run: Run, tmp_path: Path, job: str, code: int, is_queued_again: bool
) -> None:
    assert started_job(run, tmp_path, srun=f"exit {code}", job=job).wait(30) == code
    assert (tmp_path / "log").exists() is is_queued_again


def test_a_step_that_ends_at_once_keeps_its_code(run: Run, tmp_path: Path) -> None:
    profiles("slurm: {}\n")
    script = files_of(run("train", "--launch", "slurm", "--dry-run").out)["job.sbatch"]
    waiting = script[script.index("step=$!") : script.index("code=$?")] + "code=$?"
    # the step is gone before the script looks at it
    done = subprocess.run(["bash", "-c", f'exit 143 & sleep 0.3; true; {waiting}; exit "$code"'], check=False)
    assert done.returncode == 143


def started_job(run: Run, tmp_path: Path, *, srun: str, job: str) -> subprocess.Popen[bytes]:
    """The script with stand-ins for Slurm's programs: here it is about signals and words in the shell."""
    profiles("slurm: { environment: { OMP_NUM_THREADS: 1 }, python: /usr/bin/env }\n")
    script = files_of(run("train", "--launch", "slurm", "--dry-run").out)["job.sbatch"]
    program = next(word for word in shlex.split(script, comments=True) if word.endswith("build/train.py"))
    script = script.replace(program, f"{program} {shlex.quote(NAME)}", 1)
    tools = tmp_path / "tools"
    tools.mkdir()
    stand_ins = {
        "scontrol": 'case "$*" in "show hostnames"*) echo node003 ;; *"show job 12") echo "' + job + '" ;;\n'
        '*) echo "$@" >> log ;; esac\n',
        "srun": f'printf "%s\\n" "$@" > words; {srun}\n',
        "env": "echo 4711\n",
    }
    for name, text in stand_ins.items():
        (tools / name).write_text(f"#!/bin/bash\n{text}")
        (tools / name).chmod(0o755)
    script = script.replace("/usr/bin/env", str(tools / "env")).replace(str(Path.cwd()), str(tmp_path))
    (tmp_path / "job").write_text(script)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "SLURM_JOB_NODELIST": "node[003-006,9],x"}
    environment |= {"SLURM_NNODES": "2", "SLURM_JOB_ID": "12", "SLURM_RESTART_COUNT": "1"}
    return subprocess.Popen(["bash", str(tmp_path / "job")], env=environment, cwd=tmp_path)


def test_hosts_are_reached_by_ssh_with_words_that_survive_two_shells(run: Run) -> None:
    profiles("lab: { backend: ssh, hosts: [u@a, b], ssh_options: ['-p', '22'], processes_per_node: gpu }\n")
    result = run("train", "--launch", "lab", "--dry-run")
    first, second = commands_of(result.out)
    assert first[-2] == "u@a" and second[-2] == "b" and first[-4:-2] == ["-p", "22"]
    assert shlex.split(first[-1])[-1] == str(
        Path.cwd() / "launched" / Path(shlex.split(first[-1])[-1]).parent.name / "node.py"
    )
    meeting = "--nnodes 2 --nproc-per-node gpu --node-rank 1 --master-addr a --master-port "
    assert 12_000 <= port_behind(meeting, result.out) < 32_000
    again, other = (run("train", "--launch", "lab", "--dry-run", *more).out for more in ((), ("--resume",)))
    assert port_behind(meeting, again) == port_behind(meeting, result.out) != port_behind(meeting, other)
    assert "node.py" in files_of(result.out)
    for folder, below in [
        ("/scratch/me/", "/scratch/me/"),
        ("~/jobs/", "jobs/"),
        ("'~'", ""),
        ("~/", ""),
        ("jobs", "jobs/"),
    ]:
        profiles(f"lab: {{ backend: ssh, hosts: [a], shared: false, folder: {folder} }}\n")
        copy, start = commands_of(run("train", "--launch", "lab", "--dry-run").out)
        assert copy[0] == "rsync" and copy[-1].startswith(f"a:{below}small-")
        assert start[-1].startswith(f"test -f {below}small-")
    profiles("lab: { backend: ssh, hosts: [a], shared: false, folder: ~me/jobs }\n")
    assert "`folder` must be a folder on each host" in run("train", "--launch", "lab", "--dry-run").err


def test_nodes_may_come_and_go(run: Run) -> None:
    profiles("e: { backend: ssh, hosts: [a, b, c, d], nodes: '1:4' }\ns: { backend: slurm, nodes: '1:4' }\n")
    shown = run("train", "--launch", "e", "--dry-run").out
    assert "--nnodes 1:4 " in shown and "--rdzv-backend c10d --rdzv-endpoint a:" in shown
    assert "--max-restarts 3" in shown
    script = files_of(run("train", "--launch", "s", "--dry-run").out)["job.sbatch"]
    assert "--nodes=1-4\n" in script and '--nnodes "1:$SLURM_NNODES"' in script


def test_a_train_job_and_its_image_carry_the_bundle(run: Run) -> None:
    profiles(
        "kubernetes: { image: 'r:5000/me/tiny:v1', nodes: 2, gpus_per_node: 8, processes_per_node: 8, memory: 1Ti,\n"
        "  environment: { A: 1 }, volume_claim: work, mount: /work }\n"
    )
    result = run("train", "--launch", "kubernetes", "--dry-run")
    files = files_of(result.out)
    manifest = yaml.safe_load(files["trainjob.yaml"])
    assert (manifest["apiVersion"], manifest["kind"]) == ("trainer.kubeflow.org/v1alpha1", "TrainJob")
    trainer = manifest["spec"]["trainer"]
    assert (trainer["numNodes"], trainer["numProcPerNode"], trainer["env"]) == (2, 8, [{"name": "A", "value": "1"}])
    assert trainer["resourcesPerNode"]["limits"] == {"memory": "1Ti", "nvidia.com/gpu": "8"}
    assert trainer["command"][:4] == ["python", "-m", "torch.distributed.run", "/opt/job/train.py"]
    build, push, apply = commands_of(result.out)
    assert build[-1].endswith("/build") and trainer["image"] == push[-1] and apply[0] == "kubectl"
    assert push[-1].startswith("r:5000/me/tiny:small-")
    assert "COPY . /opt/job\nWORKDIR /work\n" in files["Dockerfile"]
    (patch,) = manifest["spec"]["runtimePatches"]  # of Kubeflow's trainer from 2.2 on
    (pods,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    assert pods["name"] == "node" and pods["template"]["spec"]["template"]["spec"]["containers"] == [
        {"name": "node", "volumeMounts": [{"name": "work", "mountPath": "/work"}]}
    ]


def test_a_train_job_is_named_and_counted_as_kubernetes_takes_it(run: Run) -> None:
    long = f"350m_é {'x' * 60}"
    Path(f"templates/configs/{long}.yaml").write_text("main: !call:dict { a: 1 }\n")
    profiles("k: { backend: kubernetes, image: i, processes_per_node: gpu }\n")
    shown = run("-t", f"{long}.yaml", "train", "--launch", "k", "--dry-run").out
    manifest = yaml.safe_load(files_of(shown)["trainjob.yaml"])
    name = manifest["metadata"]["name"]
    assert re.fullmatch(r"fgc-350m-[a-z0-9-]*-[a-z0-9]+", name) and len(name) <= 63
    assert manifest["spec"]["trainer"]["image"] == f"i:{name}"
    assert "numProcPerNode" not in manifest["spec"]["trainer"], "a number or nothing; nothing is one for each GPU"
    profiles("k: { backend: kubernetes, image: i, processes_per_node: cpu }\n")
    result = run("-t", f"{long}.yaml", "train", "--launch", "k", "--dry-run")
    assert result.code == 2 and "`processes_per_node` is a number, `gpu` or `auto`" in result.err


def test_sky_and_ray_get_what_they_read(run: Run) -> None:
    profiles("skypilot: { accelerators: 'A100:8', nodes: 2, use_spot: true, processes_per_node: gpu }\n")
    task = yaml.safe_load(files_of(run("train", "--launch", "skypilot", "--dry-run").out)["task.yaml"])
    assert (task["num_nodes"], task["resources"]) == (2, {"accelerators": "A100:8", "use_spot": True})
    assert '--node-rank "$SKYPILOT_NODE_RANK"' in task["run"] and task["run"].endswith(" train.py\n")
    profiles("ray: { nodes: 2, processes_per_node: 2 }\n")
    driver = files_of(run("train", "--launch", "ray", "--dry-run").out)["ray_job.py"]
    ast.parse(driver)
    assert "num_workers=4, use_gpu=False" in driver


NASTY = 'a $(touch ran) `touch ran`; """ + touch(\'ran\') # %j'


def test_names_of_folders_and_configurations_are_data_in_all_that_is_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / NASTY
    (project / "forgather_workspace").mkdir(parents=True)
    (project / "meta.yaml").write_text("name: P\n")
    (project / "templates/configs").mkdir(parents=True)
    (project / f"templates/configs/{NASTY}.yaml").write_text("main: !call:dict { a: 1 }\n")
    monkeypatch.chdir(project)
    profiles("slurm: { python: '$(touch ran)' }\nray: { processes_per_node: 2 }\nssh: { hosts: [a] }\n")
    for backend in ("slurm", "ray", "ssh"):
        result = run("-t", f"{NASTY}.yaml", "train", "--launch", backend, "--dry-run")
        assert result.code == 0, result.err
        shown = result.out
        if backend == "slurm":
            script = files_of(shown)["job.sbatch"]
            (header,) = [line for line in script.splitlines() if line.startswith("#SBATCH --output=")]
            assert (
                shlex.split(header)[1]
                .removeprefix("--output=")
                .rpartition("/")[0]
                .startswith(f"{project}/".replace("%", "%%"))
            )
            (tmp_path / "bin").mkdir()
            for name in ("srun", "scontrol", "$(touch ran)"):
                (tmp_path / "bin" / name).write_text("#!/bin/sh\nexit 0\n")
                (tmp_path / "bin" / name).chmod(0o755)
            (tmp_path / "script").write_text(script)
            path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
            subprocess.run(["bash", str(tmp_path / "script")], cwd=tmp_path, env={"PATH": path}, check=False)
        elif backend == "ray":
            ast.parse(files_of(shown)["ray_job.py"])
        else:
            _, _, remote = commands_of(shown)[0][-3:]
            subprocess.run(["sh", "-c", remote.replace("exec ", "exec echo ")], cwd=tmp_path, check=False)
    assert not list(tmp_path.rglob("ran")), "nothing of a name was run"


def test_mistakes_in_profiles_are_findings_at_their_places(run: Run) -> None:
    profiles(
        "gpu:\n    backend: slurm\n    partion: a100\n    time: 14:00:00\n    nodes: 0\n"
        "k: { backend: kubernets }\nssh: { shared: false }\nx: 3\nslurm: { nodes: 1, nodes: 2 }\n"
    )
    findings = json.loads(run("check", "--format", "json").out)["findings"]
    found = [(item["line"], item["column"], item["code"]) for item in findings]
    assert {code for *_, code in found} == {"FGC006"}
    assert [place[:2] for place in found] == [(3, 5), (4, 11), (5, 12), (6, 15), (7, 1), (7, 1), (8, 4), (9, 20)]
    result = run("train", "--launch", "gpu", "--dry-run")
    assert result.code == 2 and "did you mean `partition`?" in result.err
    profiles("a: [\n")
    assert "error[FGC006]: no YAML" in run("check").err


def test_what_is_not_there_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def said(*words: str) -> str:
        result = run("train", *words)
        assert result.code == 2 and "Traceback" not in result.err
        return result.err

    assert "did you mean `slurm`?" in said("--launch", "slrum")
    assert "`--launch ssh` needs a profile with `hosts`" in said("--launch", "ssh", "--dry-run")
    assert "set them in the profile" in said("--launch", "slurm", "--", "--nnodes", "2")
    profiles("a: { backend: slurm }\nb: { backend: slurm }\n")
    assert "several profiles use it; name one of a, b" in said("--launch", "slurm")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "`sbatch` is not on the PATH" in said("--launch", "a")
    refusing = tmp_path / "sbatch"
    refusing.write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: a100' >&2\nexit 1\n")
    refusing.chmod(0o755)
    assert said("--launch", "a") == "fgc: Slurm refused the job: sbatch: error: invalid partition specified: a100\n"


def test_hosts_that_do_not_answer_or_share_nothing_are_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/bash\n[ "$1" = -P ] && exec sleep 60\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    profiles(f"ssh: {{ hosts: [here, away], timeout_s: 4, python: {python} }}\n")
    ssh = tmp_path / "ssh"
    script = (
        'for word; do last=$word; done\nfor word; do [ "$word" = away ] && exec sleep 60; done\nexec bash -c "$last"\n'
    )
    ssh.write_text(f"#!/bin/bash\n{script}")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    result = run("train", "--launch", "ssh")
    assert result.code == 2 and "fgc: no answer from away in time (timeout_s); here answered" in result.err
    ssh.write_text(f"#!/bin/bash\n{script.replace('exec sleep 60', 'exit 91')}")
    result = run("train", "--launch", "ssh")
    assert "fgc: away does not see the files in" in result.err and "`shared: false`" in result.err
    ssh.write_text("#!/bin/bash\necho 'ssh: connect to host: Connection refused'; exit 255\n")
    result = run("train", "--launch", "ssh")
    assert result.code == 255 and "could not be reached" in result.err


def test_the_exit_code_is_of_the_host_that_failed_first(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profiles("ssh: { hosts: [here, away] }\n")
    ssh = tmp_path / "ssh"
    ssh.write_text(
        "#!/bin/bash\n"
        'for word; do [ "$word" = away ] && echo "ssh: connect to host: Connection refused" && exit 255; done\n'
        "exec sleep 60\n"
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    result = run("train", "--launch", "ssh")
    assert result.code == 255 and "fgc: away could not be reached" in result.err and "here" not in result.err
