"""Black's layout of generated texts, kept between runs: most of a program is as it was when it was last built."""

from fgc.emit.layout import LINE_WIDTH, black_layout
from fgc.installed import installed_version
from fgc.questions import Questions


def kept_layout(questions: Questions, text: str) -> str:
    """Python text as Black lays it out."""
    question = ["layout", text, LINE_WIDTH, installed_version("black")]
    return questions.keep(question, str, lambda: black_layout(text))
