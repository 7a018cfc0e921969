"""What is said of calls of builtins and of functions in C is what Python says when it runs them."""

import contextlib
import importlib
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import pytest
from fgc.ir import Call, CallKind, GraphBuilder, Keyword, ListNode, Literal, NodeId, Symbol, SymbolKind
from fgc.pipeline.arguments import ArgumentCheck
from fgc.signatures import Answer, Lookup, Parameter, ParameterKind, Signature

from tests.compiler.emit.graphs import HERE

from .reading import lookup

_TEXT = """
builtins:int builtins:float builtins:complex builtins:bool builtins:str builtins:bytes builtins:bytearray builtins:list
builtins:tuple builtins:set builtins:frozenset builtins:dict builtins:range builtins:slice builtins:zip builtins:map
builtins:filter builtins:enumerate builtins:reversed builtins:iter builtins:next builtins:max builtins:min builtins:sum
builtins:abs builtins:round builtins:pow builtins:divmod builtins:len builtins:sorted builtins:getattr builtins:hasattr
builtins:isinstance builtins:print builtins:repr builtins:chr builtins:ord builtins:any builtins:object builtins:hash
builtins:dict.fromkeys builtins:int.from_bytes builtins:str.maketrans builtins:bytes.fromhex builtins:format
time:sleep time:time time:strftime time:localtime math:sqrt math:log math:hypot math:gcd math:dist math:ceil math:atan2
math:isclose math:prod math:pow math:floor math:comb itertools:chain itertools:product itertools:islice itertools:cycle
itertools:repeat itertools:count itertools:accumulate itertools:chain.from_iterable itertools:tee
itertools:permutations itertools:combinations itertools:groupby itertools:starmap itertools:takewhile
operator:itemgetter operator:attrgetter operator:methodcaller operator:add operator:getitem operator:mul operator:neg
struct:pack struct:unpack struct:calcsize struct:Struct collections:deque collections:OrderedDict collections:Counter
collections:defaultdict collections:ChainMap functools:partial functools:reduce functools:cmp_to_key
datetime:datetime datetime:timedelta datetime:date datetime:timezone datetime:time datetime:datetime.fromtimestamp
datetime:date.fromisoformat array:array hashlib:sha256 hashlib:md5 sys:getsizeof random:Random threading:Lock
weakref:ref types:SimpleNamespace types:MappingProxyType csv:reader csv:writer contextvars:ContextVar
queue:SimpleQueue decimal:Decimal fractions:Fraction io:BytesIO io:StringIO
zlib:crc32 zlib:compress bisect:bisect_left heapq:nlargest
"""
CALLABLES = _TEXT.split()
_POOL: tuple[Any, ...] = (1, 0.5, "ab", [1, 2])
# a value that is only handed back, and lines that are refused when they are read: the warning tells what the stub says
_SAID_OF_THE_STUB = {("sys:getsizeof", "FGC508"), ("csv:reader", "FGC508")}
# functions that these call later, and cannot
_SAID_OF_THE_STUB |= {(f"builtins:{name}", "FGC508") for name in ("map", "filter")} | {
    ("functools:cmp_to_key", "FGC508")
}
_KEYWORDS = ("key", "default", "start", "repeat", "strict", "base", "x", "maxlen")


@pytest.fixture(scope="module")
def files() -> Lookup:
    """One look-up for all: the stub of the builtins is read once."""
    return lookup()


def living(name: str) -> Any:
    """The callable itself."""
    module, _, attribute = name.partition(":")
    value: Any = importlib.import_module(module)
    for part in attribute.split("."):
        value = getattr(value, part)
    return value


def findings(name: str, answer: Answer, positional: Sequence[Any], keywords: Mapping[str, Any]) -> list[str]:
    """The codes of what is found wrong with a call."""
    builder = GraphBuilder()

    def add(value: Any) -> NodeId:
        items = tuple(map(add, value)) if isinstance(value, list) else None
        return builder.add(Literal(value, HERE) if items is None else ListNode(items, HERE))

    given = tuple(map(add, positional))
    named = tuple(Keyword(key, add(value), HERE) for key, value in keywords.items())
    symbol = Symbol(name, SymbolKind.MODULE, *name.split(":"), HERE)
    call = Call(symbol, CallKind.SINGLETON, given, named, HERE)
    graph = builder.finish({"main": builder.add(call)})
    return [
        item.code for item in ArgumentCheck(graph, graph.targets["main"], call, name, {}).findings(answer.signatures)
    ]


def refusal(callee: Any, positional: Sequence[Any], keywords: Mapping[str, Any]) -> Exception | None:
    """What Python raises for a call."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            callee(*positional, **keywords)
        except Exception as error:
            return error
    return None


def calls() -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Up to three values by position, and one by name."""
    for count in range(4):
        for positional in product(_POOL, repeat=count):
            yield positional, {}
    for positional in [*product(_POOL, repeat=1), *product(_POOL, repeat=2), ()]:
        for keyword in _KEYWORDS:
            yield positional, {keyword: 1}


def test_nothing_is_said_of_a_call_that_python_runs(files: Lookup) -> None:
    wrong, refused, found = [], 0, 0
    for name in CALLABLES:
        answer, callee = files.in_module(*name.split(":")), living(name)
        for positional, keywords in calls():
            if name == "time:sleep" and len(positional) == 1:
                continue
            error, said = refusal(callee, positional, keywords), findings(name, answer, positional, keywords)
            refused += isinstance(error, TypeError)
            found += isinstance(error, TypeError) and bool(said)
            if error is None and any((name, code) not in _SAID_OF_THE_STUB for code in said):
                wrong.append(f"{name}(*{positional}, **{keywords}): {said}")
    assert not wrong, "\n".join(wrong)
    assert found > refused / 2, f"{found} of {refused} calls that Python refuses are found"


def test_the_parameters_of_compiled_callables_are_known(files: Lookup) -> None:
    unknown = [name for name in CALLABLES if not files.in_module(*name.split(":")).signatures]
    assert unknown == [], f"{len(unknown)} of {len(CALLABLES)}"


@pytest.mark.parametrize(
    ("name", "positional", "keywords", "code"),
    [
        ("time:sleep", [], {"secs": 1}, "FGC501"),
        ("time:sleep", [], {}, "FGC503"),
        ("time:sleep", [1, 2], {}, "FGC506"),
        ("math:log", [], {}, "FGC503"),
        ("math:log", [1, 2, 3], {}, "FGC506"),
        ("itertools:islice", [[1]], {}, "FGC503"),
        ("itertools:repeat", ["a"], {"time": 3}, "FGC501"),
        ("operator:itemgetter", [], {}, "FGC503"),
        ("struct:calcsize", [], {}, "FGC503"),
        ("builtins:range", [], {}, "FGC503"),
        ("builtins:range", [1, 2, 3, 4], {}, "FGC506"),
        ("builtins:max", [], {"keys": 1}, "FGC501"),
        ("datetime:timedelta", [], {"day": 1}, "FGC501"),
        ("datetime:timedelta", [], {"days": "one"}, "FGC508"),
        ("collections:deque", [[1]], {"max_len": 3}, "FGC501"),
        ("functools:partial", [], {}, "FGC503"),
        ("threading:Lock", [1], {}, "FGC506"),
    ],
)
def test_what_python_refuses_is_found(
    files: Lookup, name: str, positional: list[Any], keywords: dict[str, Any], code: str
) -> None:
    assert isinstance(refusal(living(name), positional, keywords), TypeError)
    assert code in findings(name, files.in_module(*name.split(":")), positional, keywords)


def test_of_overloads_the_one_that_lacks_least_says_what_is_needed() -> None:
    size, indices = Parameter("size", ParameterKind.ANY), Parameter("indices", ParameterKind.KEYWORD_ONLY)
    strict, loose = Signature((size, indices)), Signature((size, Parameter("indices", ParameterKind.ANY, "False")))
    symbol = Symbol("pool", SymbolKind.MODULE, "torch", "pool", HERE)
    call = Call(symbol, CallKind.SINGLETON, (), (), HERE)
    builder = GraphBuilder()
    graph = builder.finish({"main": builder.add(call)})
    found = ArgumentCheck(graph, graph.targets["main"], call, "pool", {}).findings((strict, loose))
    assert [item.message for item in found] == ["`pool` needs the argument `size`"]
