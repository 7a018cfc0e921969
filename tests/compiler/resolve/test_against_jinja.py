"""Templates mean what they mean to Jinja2, wherever Jinja2 knows a meaning.

Jinja2 is given each template as the line rules leave it.
"""

import os
import re

from fgc.diagnostics import has_errors
from fgc.resolve import Facts, resolve
from fgc.syntax.lines import read_lines
from fgc.text import Source
from hypothesis import HealthCheck, example, given, settings
from jinja2 import DictLoader, StrictUndefined, TemplateSyntaxError, UndefinedError
from jinja2.sandbox import SandboxedEnvironment

from tests.compiler.resolve.jinja_templates import VARIABLES, template_sets
from tests.corpus.case import Files

_EXAMPLES = int(os.environ.get("FGC_FUZZ_EXAMPLES", "0"))  # to search further; else the same examples every time


def by_jinja(texts: dict[str, str]) -> str | None:
    """What Jinja2 makes of `main`; None if it raises."""
    shadows = {name: read_lines(Source(name, text), 0, len(text))[0].text for name, text in texts.items()}
    environment = SandboxedEnvironment(
        loader=DictLoader(shadows), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    try:
        return environment.get_template("main").render(**VARIABLES)
    except TemplateSyntaxError as error:
        return "Undefined" if "chain multiple tests" in str(error) else None  # here they can be chained
    except UndefinedError as error:
        # a name that is read inside a block statement and set further down is not seen there by Jinja2
        return "Undefined" if re.match(r"'[a-g]' is undefined", str(error)) else None
    except Exception:  # whatever a template makes Jinja2 raise is an error for us as well
        return None


def by_fgc(texts: dict[str, str]) -> str | None:
    """What we make of `main`; None if there are errors."""
    files = Files(texts)
    parsed = {name: files.parsed(name) for name in texts}
    resolved = resolve(parsed["main"].value, files, VARIABLES, Facts())
    found = [*parsed["main"].diagnostics, *resolved.diagnostics]
    if any(finding.code in ("FGC105", "FGC109") for finding in found):
        return (
            "Undefined"  # a header across statements closes somewhere in Jinja2; `{#` at the end of a text is nothing
        )
    if has_errors(finding for finding in found if finding.code != "FGC204"):  # which Jinja2 does not know
        return None
    return resolved.value.text


def is_mended(texts: dict[str, str], text: str) -> bool:
    """Where we differ on purpose.

    Undefined values in printed lists, addresses of objects, and what a child includes or filters after it has named
    its parent, which Jinja2 prints before the parent's text. An `if` behind a test, which Jinja2 takes for the test's
    argument.
    """
    if re.search(r" is [^{}\n]* if ", " ".join(texts.values())):
        return True
    children = [text for text in texts.values() if text.startswith("-- extends")]
    is_dropped = any(" include " in child or " filter " in child for child in children)
    return is_dropped or "Undefined" in text or re.search(r" at 0x|<\w+\.\w+|<(Macro|Context|Cycler)", text) is not None


@settings(
    max_examples=_EXAMPLES or 300,
    derandomize=not _EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(texts=template_sets())
@example(texts={"main": "{{ [1, 2] | join }}{% set a %}x{% endset %}{{ a }}"})
def test_templates_mean_what_they_mean_to_jinja(texts: dict[str, str]) -> None:
    theirs, ours = by_jinja(texts), by_fgc(texts)
    if is_mended(texts, f"{theirs}{ours}"):
        return
    assert ours == theirs, "None stands for an error"
