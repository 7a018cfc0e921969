"""A record of a run holds no secret of its command line, however it was given."""

import pytest
from fgc_runtime.secrets import secret_options, without_secrets

PROGRAM = """
parser.add_argument("--api-key", "-k", dest="api_key")
parser.add_argument("--quietly", dest="wandb_token")
parser.add_argument("--keep", type=int)
parser.add_argument("-n")
"""


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("--lr 1 --hf-token abc", "--lr 1 --hf-token (secret:HF_TOKEN)"),
        ("--api-key=abc --eos-token x", "--api-key=(secret:API_KEY) --eos-token x"),
        ("--password --resume x", "--password --resume x"),
        ("--password a b --resume x", "--password (secret:PASSWORD) (secret:PASSWORD) --resume x"),
        ("-k abc -n 3", "-k (secret:API_KEY) -n 3"),
        ("-kabc", "-k(secret:API_KEY)"),
        ("--api abc", "--api (secret:API_KEY)"),
        ("--ap=abc --keep 1", "--ap=(secret:API_KEY) --keep 1"),
        ("--quietly abc", "--quietly (secret:WANDB_TOKEN)"),
        ("--set trainer.hub_token=abc", "--set trainer.hub_token=(secret:HUB_TOKEN)"),
        ("--set=main['hf_token']=a=b", "--set=main['hf_token']=(secret:HF_TOKEN)"),
        ("--set main.pad_token=a --set x", "--set main.pad_token=a --set x"),
        ("--hf-token a=b --set", "--hf-token (secret:HF_TOKEN) --set"),
    ],
)
def test_secrets_are_left_out(words: str, shown: str) -> None:
    assert " ".join(without_secrets(words.split(), secret_options(PROGRAM))) == shown


def test_a_program_that_is_no_python_has_no_options() -> None:
    assert secret_options("def (") == {}
