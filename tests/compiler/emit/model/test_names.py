"""Says what the classes of a package are called."""

import pytest
from fgc.emit.model.names import class_title


@pytest.mark.parametrize(
    ("package", "title"),
    [
        ("tiny_llama", "TinyLlama"),
        ("gemma3_1b", "Gemma3_1b"),
        ("llama_3_1_8b", "Llama3_1_8b"),
        ("gpt2_124m", "Gpt2_124m"),
        ("a__b", "AB"),
    ],
)
def test_numbers_of_a_package_stay_apart_in_its_classes(package: str, title: str) -> None:
    assert class_title(package) == title
