"""Signatures read from files agree with what Python says of the living objects."""

import ast
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from fgc.ir import (
    Call,
    CallKind,
    DictNode,
    Entry,
    GraphBuilder,
    Keyword,
    ListNode,
    Literal,
    NodeId,
    Symbol,
    SymbolKind,
)
from fgc.pipeline.arguments import ArgumentCheck
from fgc.signatures import Answer, Signature, Verdict
from fgc.signatures.signature import ParameterKind

from tests.compiler.emit.graphs import HERE

from .reading import lookup

_TEXT = """
torch.optim:AdamW torch.optim:SGD torch.optim:Adam torch.optim:RMSprop torch.optim:LBFGS torch.optim:Adafactor
torch.optim.lr_scheduler:CosineAnnealingLR torch.optim.lr_scheduler:LambdaLR torch.optim.lr_scheduler:OneCycleLR
torch.nn:Linear torch.nn:Embedding torch.nn:LayerNorm torch.nn:Dropout torch.nn:Conv2d torch.nn:GELU
torch.nn:MultiheadAttention torch.nn:TransformerEncoderLayer torch.nn:CrossEntropyLoss torch.nn:Sequential
torch.nn.functional:cross_entropy torch.nn.functional:softmax torch.nn.init:normal_ torch.nn.init:xavier_uniform_
torch.utils.data:DataLoader torch.utils.data:TensorDataset torch.utils.data:RandomSampler torch:manual_seed
torch:set_default_dtype torch:save torch:load torch:compile torch.nn.utils:clip_grad_norm_ torch:device
torch.distributed:init_process_group torch.profiler:profile
transformers:TrainingArguments transformers:Trainer transformers:LlamaConfig transformers:LlamaForCausalLM
transformers:AutoTokenizer.from_pretrained transformers:AutoModelForCausalLM.from_config transformers:AutoConfig
transformers:DataCollatorForLanguageModeling transformers:PreTrainedTokenizerFast transformers:set_seed
transformers:get_cosine_schedule_with_warmup transformers:EarlyStoppingCallback transformers:GenerationConfig
transformers:default_data_collator transformers:AutoTokenizer transformers:PreTrainedConfig transformers:GPT2Config
transformers:Qwen3Config transformers:MistralConfig transformers:MixtralConfig transformers:BertConfig
transformers:Gemma3TextConfig transformers:T5Config transformers:GPTNeoXConfig transformers:Phi3Config
datasets:load_dataset datasets:Dataset.from_dict datasets:Dataset.map datasets:interleave_datasets datasets:Dataset
datasets:IterableDataset.from_generator datasets:DatasetDict datasets:Features datasets:ClassLabel
tokenizers:Tokenizer tokenizers.models:BPE tokenizers.trainers:BpeTrainer tokenizers.pre_tokenizers:ByteLevel
tokenizers.implementations:ByteLevelBPETokenizer tokenizers:Tokenizer.from_file
accelerate:Accelerator accelerate.utils:set_seed accelerate:init_empty_weights accelerate.utils:ProjectConfiguration
accelerate:DataLoaderConfiguration accelerate:load_checkpoint_and_dispatch
safetensors.torch:save_file safetensors.torch:load_file safetensors:safe_open safetensors.torch:save_model
functools:partial functools:lru_cache functools:reduce random:seed random:randint random:Random os.path:join
collections:OrderedDict collections:deque collections:Counter collections:namedtuple pathlib:Path json:dumps
json:loads math:sqrt operator:itemgetter operator:add itertools:chain datetime:datetime datetime:timedelta
logging:getLogger logging:StreamHandler subprocess:run shutil:copytree argparse:ArgumentParser string:Template
dataclasses:field contextlib:suppress contextlib:contextmanager fractions:Fraction re:compile time:sleep
types:SimpleNamespace textwrap:dedent tempfile:mkdtemp uuid:uuid4 decimal:Decimal glob:glob copy:deepcopy
"""
CALLABLES = _TEXT.split()
# their constructors show inspect a line that was written by hand, with `self`; their stubs are made from the Rust code
_WRITTEN_BY_HAND = {
    *("tokenizers:Tokenizer", "tokenizers.models:BPE", "tokenizers.trainers:BpeTrainer"),
    "tokenizers.pre_tokenizers:ByteLevel",
}
# copied with `__wrapped__`: Python takes its first parameter for `cls`
_SHOWN_SHORT = {"transformers:AutoModelForCausalLM.from_config"}
# defaults that the stub or the source names, and Python shows otherwise
_SHOWN_OTHERWISE = {("safetensors:safe_open", "backend")}
_TRUTH = """
import importlib, inspect, json, sys, warnings
warnings.simplefilter("ignore")
found = {}
for text in json.load(sys.stdin):
    module, attribute = text.split(":")
    try:
        value = importlib.import_module(module)
        for name in attribute.split("."):
            value = getattr(value, name)
        parameters = inspect.signature(value).parameters.values()
        found[text] = [[p.name, p.kind.name, p.default is not p.empty, repr(p.default)] for p in parameters]
    except (ValueError, TypeError):
        found[text] = None
print(json.dumps(found))
"""
_KINDS = {
    ParameterKind.POSITIONAL_ONLY: "POSITIONAL_ONLY",
    ParameterKind.ANY: "POSITIONAL_OR_KEYWORD",
    ParameterKind.VAR_POSITIONAL: "VAR_POSITIONAL",
    ParameterKind.KEYWORD_ONLY: "KEYWORD_ONLY",
    ParameterKind.VAR_KEYWORD: "VAR_KEYWORD",
}


def other_defaults(name: str, signature: Signature, said: Sequence[Sequence[object]]) -> list[str]:
    """Parameters whose default is written out as a value and is another one for Python."""
    found = []
    for parameter, (*_, shown) in zip(signature.parameters, said, strict=True):
        try:
            value = ast.literal_eval(parameter.default or "?")
        except (ValueError, SyntaxError):
            continue  # a name: what it stands for is not looked up
        if repr(value) != shown and (name, parameter.name) not in _SHOWN_OTHERWISE:
            found.append(f"{name}({parameter.name}={parameter.default})")
    return found


def alarms(name: str, answer: Answer) -> list[str]:
    """What is found wrong with a call that gives every parameter its own default, where that is written out."""
    builder, keywords = GraphBuilder(), []
    for parameter in answer.signatures[0].parameters:
        try:
            value = ast.literal_eval(parameter.default or "?")
        except (ValueError, SyntaxError):
            continue
        is_named = parameter.kind in (ParameterKind.ANY, ParameterKind.KEYWORD_ONLY)
        if is_named:
            keywords.append(Keyword(parameter.name, _added(builder, value), HERE))
    symbol = Symbol(name, SymbolKind.MODULE, *name.split(":"), HERE)
    call = Call(symbol, CallKind.PARTIAL, (), tuple(keywords), HERE)
    graph = builder.finish({"main": builder.add(call)})
    return [
        item.message for item in ArgumentCheck(graph, graph.targets["main"], call, name, {}).findings(answer.signatures)
    ]


def _added(builder: GraphBuilder, value: Any) -> NodeId:
    match value:
        case list() | tuple():
            return builder.add(ListNode(tuple(_added(builder, item) for item in value), HERE))
        case dict():
            return builder.add(DictNode(tuple(Entry(k, _added(builder, v), HERE) for k, v in value.items()), HERE))
        case _:
            return builder.add(Literal(value, HERE))


def as_inspect_says(signature: Signature) -> list[list[object]]:
    """A signature in the form of the truth above."""
    return [[p.name, _KINDS[p.kind], p.default is not None] for p in signature.parameters]


def truth(names: Sequence[str]) -> dict[str, list[list[object]] | None]:
    """What `inspect.signature` says, in a process of its own."""
    command = [sys.executable, "-c", _TRUTH]
    result = subprocess.run(command, input=json.dumps(names), capture_output=True, text=True, check=True)
    found: dict[str, list[list[object]] | None] = json.loads(result.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_signatures_read_from_files_are_those_of_the_living_objects() -> None:
    expected = truth(CALLABLES)
    files = lookup()
    answers = {name: files.in_module(*name.split(":")) for name in CALLABLES}
    assert {answer.verdict for answer in answers.values()} <= {Verdict.CALLABLE, Verdict.UNKNOWN}
    single = {name: answer.signatures[0] for name, answer in answers.items() if len(answer.signatures) == 1}
    odd = _WRITTEN_BY_HAND | _SHOWN_SHORT
    said = {name: found for name, found in expected.items() if found is not None and name not in odd}
    comparable = {name: signature for name, signature in single.items() if name in said}
    names = {name: [parameter[:3] for parameter in said[name]] for name in comparable}
    assert {name for name, signature in comparable.items() if as_inspect_says(signature) != names[name]} == set()
    assert [
        item for name, signature in comparable.items() for item in other_defaults(name, signature, said[name])
    ] == []
    assert len(comparable) >= 107
    assert [message for name in comparable for message in alarms(name, answers[name])] == []
    for name in _WRITTEN_BY_HAND & single.keys():  # the stubs of tokenizers before 0.23.3 have fewer
        by_hand = {str(parameter[0]) for parameter in expected[name] or ()}
        assert set(single[name].keyword_names) <= by_hand, (
            f"the stub of {name} has parameters that Python does not show"
        )
