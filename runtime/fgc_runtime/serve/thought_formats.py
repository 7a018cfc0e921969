"""The ways in which families of models think, and which of them a chat template shows."""

from fgc_runtime.serve.channels import HARMONY
from fgc_runtime.serve.thoughts import ThoughtFormat

THOUGHT_FORMATS = (
    ThoughtFormat("<think>", "</think>"),  # DeepSeek R1, Qwen 3, QwQ, GLM 4.5 and many others
    ThoughtFormat("[THINK]", "[/THINK]"),  # Magistral
    ThoughtFormat("<seed:think>", "</seed:think>"),
    HARMONY,  # gpt-oss
)


def thoughts_of(template: str | None) -> ThoughtFormat | None:
    """Returns the marks that a chat template shows; None for one that shows none."""
    return next((form for form in THOUGHT_FORMATS if template is not None and form.sign in template), None)
