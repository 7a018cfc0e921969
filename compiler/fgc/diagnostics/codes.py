"""The table of finding codes: 1xx syntax, 2xx templates, 3xx YAML, 4xx tags and graph, 5xx Python, 6xx builds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """A finding's code and the sentence that names it."""

    code: str
    title: str


_TITLES = {
    "FGC001": "file cannot be read",
    "FGC002": "configuration not found",
    "FGC003": "not valid UTF-8 text",
    "FGC004": "search path folder does not exist",
    "FGC005": "project cannot be read",
    "FGC090": "internal error of the compiler",
    "FGC101": "syntax error in a statement or expression",
    "FGC102": "unknown statement",
    "FGC103": "statement is never closed",
    "FGC104": "end statement closes nothing",
    "FGC105": "block headers and statements overlap",
    "FGC106": "block defined twice in one template",
    "FGC107": "invalid block header",
    "FGC108": "empty statement",
    "FGC109": "delimiter is never closed",
    "FGC110": "trailing comment cuts an open quote",
    "FGC111": "unknown filter or test",
    "FGC201": "template not found",
    "FGC202": "template includes or extends itself without end",
    "FGC203": "undefined variable",
    "FGC204": "block overrides nothing",
    "FGC205": "required block is empty",
    "FGC206": "expression fails",
    "FGC207": "sandbox forbids this",
    "FGC208": "work bound exceeded",
    "FGC209": "super() without a parent block",
    "FGC210": "inline template defined twice",
    "FGC211": "included text glues two lines together",
    "FGC212": "namespace attribute is set and never read",
    "FGC213": "template name leaves the search path",
    "FGC214": "template is extended twice",
    "FGC215": "variable is set and never read",
    "FGC301": "YAML syntax error",
    "FGC302": "undefined alias",
    "FGC303": "anchor defined twice",
    "FGC304": "alias inside its own anchor",
    "FGC305": "more than one document",
    "FGC306": "root is not a mapping",
    "FGC307": "unsupported YAML type",
    "FGC308": "merge of something that is not a mapping",
    "FGC309": "unused anchor looks like a misspelt alias",
    "FGC310": "scalar is read differently from what it looks like",
    "FGC311": "tab used for indentation",
    "FGC312": "flow tag swallows a comma or bracket",
    "FGC313": "key is neither a text nor a number",
    "FGC401": "unknown tag",
    "FGC402": "tag lacks a callable",
    "FGC403": "invalid callable",
    "FGC404": "name given twice",
    "FGC405": "arguments have the wrong form",
    "FGC406": "keyword is not a string",
    "FGC407": "positional argument given twice",
    "FGC408": "`!var` is malformed",
    "FGC409": "deprecated tag",
    "FGC410": "unknown target",
    "FGC411": "unknown build-time function",
    "FGC412": "variable has no value",
    "FGC413": "build-time function rejects its arguments",
    "FGC414": "model configuration field is never read",
    "FGC501": "unknown keyword argument",
    "FGC502": "unknown component",
    "FGC503": "missing required argument",
    "FGC504": "unknown module or attribute",
    "FGC505": "package looks misspelt",
    "FGC506": "too many positional arguments",
    "FGC507": "argument given by position and by name",
    "FGC508": "literal does not fit the annotation",
    "FGC509": "not callable",
    "FGC701": "suppression comment silences nothing",
    "FGC601": "output folder holds foreign files",
    "FGC602": "output cannot be written",
    "FGC603": "generated file was edited by hand",
}

CODES = {code: CodeEntry(code, title) for code, title in _TITLES.items()}
