"""A chat template's file in, its text out, checked before anything slow happens; and the template for base models."""

from pathlib import Path

from jinja2 import TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fgc_runtime.models.finding import FolderError

# A base model continues text: it is given the messages' contents, a line each, and continues the last one.
PLAIN = "{{ messages | map(attribute='content') | join('\\n') }}"


def read_template(path: Path) -> str:
    """The text of a Jinja chat template. Raises FolderError if it cannot be read or parsed."""
    try:
        text = path.read_text(encoding="utf-8")
        # what transformers renders with, but for its `generation` tag, which only training needs
        ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols"]).parse(text)
    except (OSError, UnicodeDecodeError) as error:
        raise FolderError(f"--chat-template {path} cannot be read: {error}") from error
    except TemplateSyntaxError as error:
        if "'generation'" in (error.message or ""):
            return text
        raise FolderError(f"--chat-template {path}:{error.lineno}: {error.message}") from error
    return text
