"""Questions to answers, each asked once: the one place that keeps anything between stages, commands and runs.

A question is a name with its arguments: the syntax tree of a text, what is known of a callable, what a command prints.
Questions ask others: the chain leads from what a command prints through findings, graphs and documents to the bytes of
files. While an answer is computed, everything that is read from outside is noted with the state in which it was seen:

    files      by the digest of the bytes that were read: neither size nor time of a file counts
    names      that were looked for in vain, or that were folders
    folders    by the names in them
    packages   by their versions
    variables  of the environment that a template asks for, by the digests of their values

An answer rests on what was noted for it and for all answers that it was made of. In one run an answer is never computed
twice. Between runs it is kept on disk (`kept`), and holds as long as everything is in the state in which it was seen.
A file that changes while a command runs does no harm: the answer is kept with the digest of what was read, which is
not the digest of what is there.

Loads no stage of the compiler: an answer that still holds costs none of them.
"""

from fgc.questions.chain import Questions
from fgc.questions.kept import Kept, open_kept
from fgc.questions.outside import Dependencies, content_digest, here

__all__ = ["Dependencies", "Kept", "Questions", "content_digest", "here", "open_kept"]
