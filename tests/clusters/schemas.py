"""Files of `fgc train --launch` against the schemas of those who read them: `make test-schemas`, outside the gate.

Runs in an environment with jsonschema and skypilot, and starts fgc in its own: a Kubernetes manifest against Kubeflow's
definition of a TrainJob, in which no field is unknown, and a task against SkyPilot's own reader.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import sky
import yaml

PROFILES = """\
kubernetes: { image: 'r:5000/me/tiny:v1', nodes: 2, gpus_per_node: 8, processes_per_node: 8, cpus: 4, memory: 1Ti,
    environment: { A: 1 }, volume_claim: work, mount: /work, namespace: ml }
least: { backend: kubernetes, image: tiny, processes_per_node: gpu }
skypilot: { accelerators: 'A100:8', nodes: 2, use_spot: true, processes_per_node: gpu, cloud: aws, region: us-east-1,
    cpus: 4+, memory: 32+, disk_size: 300, environment: { A: 1 }, image: 'docker:ubuntu:22.04' }
small: { backend: skypilot }
"""
FILES = {"kubernetes": "trainjob.yaml", "least": "trainjob.yaml", "skypilot": "task.yaml", "small": "task.yaml"}


def project(folder: Path) -> None:
    """Writes a project with those profiles."""
    (folder / "templates/configs").mkdir(parents=True)
    (folder / "forgather_workspace").mkdir()
    (folder / "meta.yaml").write_text("name: P\n", encoding="utf-8")
    (folder / "templates/configs/tiny.yaml").write_text("main: !call:dict { a: 1 }\n", encoding="utf-8")
    (folder / "forgather_workspace/launch.yaml").write_text(PROFILES, encoding="utf-8")


def written(fgc: Path, folder: Path, profile: str) -> dict[str, Any]:
    """Returns the file that a dry run shows for a profile."""
    command = [fgc, "-t", "tiny.yaml", "train", "--launch", profile, "--dry-run"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    (part,) = (part for part in done.stdout.split("--- /") if part.partition(" ---\n")[0].endswith(FILES[profile]))
    found: dict[str, Any] = yaml.safe_load(part.partition(" ---\n")[2].partition("\n$ ")[0])
    return found


def closed(schema: Any) -> Any:
    """Returns a schema in which unknown fields are errors, as they are for an API server that is asked to be strict."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(item) for name, item in schema.items()}
    if made.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    if made.get("type") == "object" and "properties" in made and not made.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


def main() -> None:
    """Checks all profiles. Raises jsonschema's or SkyPilot's error for the first file that is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fgc", type=Path, required=True)
    parser.add_argument("--train-jobs", type=Path, required=True, help="Kubeflow's trainer.kubeflow.org_trainjobs.yaml")
    options = parser.parse_args()
    (version,) = yaml.safe_load(options.train_jobs.read_text(encoding="utf-8"))["spec"]["versions"]
    schema = closed(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}  # Kubernetes' own
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project(folder)
        for profile, file in FILES.items():
            content = written(options.fgc.absolute(), folder, profile)
            if file == "trainjob.yaml":
                jsonschema.Draft7Validator(schema).validate(content)
            else:
                (folder / file).write_text(yaml.safe_dump({**content, "workdir": name}), encoding="utf-8")
                sky.Task.from_yaml(str(folder / file))
            print(f"{profile}: {file} is as its reader wants it")


if __name__ == "__main__":
    main()
