"""A project whose program fails where it is told to, with parts that need no torch."""

from pathlib import Path

FILES = {
    "forgather_workspace/x": "",
    "p/meta.yaml": "name: P\n",
    "p/parts.py": """
class Rate:
    def __init__(self, value: float) -> None:
        self.inverse = 1 / value


class Runner:
    def __init__(self, rate: Rate, make: object, steps: list[object], stops: object) -> None:
        self.make, self.steps = make, steps

    def run(self) -> None:
        for step in self.steps:
            step.run()
        self.make()


class Step:
    def __init__(self, text: str) -> None:
        self.text = text

    def run(self) -> None:
        int(self.text)


def late(size: int, ratio: float) -> float:
    return size / ratio
""",
    "p/templates/base.yaml": """\
-- block rate
rate: &rate !singleton:parts.py:Rate
    value: {{ value | default(2) }}
-- endblock
-- block make
make: &make !partial:parts.py:late
    size: 3
    ratio: {{ ratio | default(1) }}
-- endblock
""",
    "p/templates/configs/a.yaml": """\
-- extends 'base.yaml'

[make]
    == super()
meta: { config_class: type.training_script }
steps: &steps !list
    - !singleton:parts.py:Step [ "1" ]
    - !singleton:parts.py:Step [ "{{ text | default('2') }}" ]
main: !singleton:parts.py:Runner
    rate: *rate
    make: *make
    steps: *steps
    stops: !singleton:fgc_runtime.generate.stops:StopFilter [ [ x ] ]
""",
}


def write_project() -> Path:
    """The project's folder, in the current one."""
    for name, text in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    return Path("p")


def line_of(file: Path, part: str) -> int:
    """The number of the first line that holds a text."""
    lines = file.read_text(encoding="utf-8").split("\n")
    return next(number for number, line in enumerate(lines, start=1) if part in line)
