"""The reference's flags, read as its users write them."""

from pathlib import Path

import pytest

from tpo.contrib.reference.arguments import Arguments, parse

README = """--data_path data/sample.json --ip 127.0.0.1 --port 8000
    --server_model server-allenai/Llama-3.1-Tulu-3-70B-SFT --reward_model sfairXC/FsfairX-LLaMA3-RM-v0.1
    --tpo_mode tpo --max_tokens_response 2048 --max_tokens_all 8192 --sample_size 5 --seed 7
    --max_iterations 2 --num_threads 4"""
LEAST = "--data_path a.json --ip localhost"


def of(flags: str) -> Arguments:
    return parse(flags.split())


def refusal(flags: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        of(flags)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_the_readmes_command_names_the_readmes_file() -> None:
    found = of(README)
    assert found.model == "allenai/Llama-3.1-Tulu-3-70B-SFT"
    assert found.base_url == "http://127.0.0.1:8000/v1"
    assert found.result_name == (
        "sample.json_model_Llama-3.1-Tulu-3-70B-SFT_mode_tpo_rm_FsfairX-LLaMA3-RM-v0.1"
        "_max_iters2_sample_size5_seed7"
    )


def test_defaults_are_the_references() -> None:
    assert of(LEAST) == Arguments(
        data_path="a.json",
        output_path=Path("results"),
        reward_model="sfairXC/FsfairX-LLaMA3-RM-v0.1",
        server_model="meta-llama/Llama-3.1-70B-Instruct",
        ip="localhost",
        port=8000,
        tpo_mode="tpo",
        num_threads=4,
        batch_size=3,
        seed=7,
        max_tokens_response=2048,
        max_tokens_all=8192,
        max_iterations=5,
        temperature=0.7,
        sample_size=5,
    )


@pytest.mark.parametrize(
    ("name", "model", "in_file"),
    [
        ("org/name", "org/name", "name"),
        ("server-org/name", "org/name", "name"),
        ("name", "name", "server-name"),
        ("server-name", "name", "server-server-name"),
        ("server-/mnt/models/name", "/mnt/models/name", "name"),
        ("org/my-server-model", "org/my-server-model", "my-server-model"),
    ],
)
def test_the_prefix_is_taken_off_the_model_and_stays_in_the_files_name(
    name: str, model: str, in_file: str
) -> None:
    found = of(f"{LEAST} --server_model {name}")
    assert found.model == model
    assert f"_model_{in_file}_mode_" in found.result_name


def test_a_path_with_a_slash_at_its_end_still_has_a_name() -> None:
    assert "_rm_model_max" in of(f"{LEAST} --reward_model /mnt/model/").result_name


def test_an_ipv6_address_is_put_in_brackets() -> None:
    assert of("--data_path a.json --ip ::1").base_url == "http://[::1]:8000/v1"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--data_path a.json", "--ip"),
        ("--ip localhost", "--data_path"),
        (f"{LEAST} --tpo_mode dpo", "invalid choice: 'dpo'"),
        (f"{LEAST} --sample_size 0", "--sample_size: 0: must be at least 1"),
        (f"{LEAST} --max_iterations -1", "--max_iterations: -1: must be at least 0"),
        (f"{LEAST} --num_threads four", "'four' is no whole number"),
        (f"{LEAST} --temperature nan", "must be a number from 0 up"),
        (f"{LEAST} --temperature warm", "must be a number from 0 up"),
        ("--data_path a.json --ip http://localhost", "the address or the name alone"),
        ("--data_path a.json --ip user:secret@host", "the address or the name alone"),
        (f"{LEAST} --sample 3", "unrecognized arguments"),
    ],
)
def test_what_is_wrong_is_said(flags: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refusal(flags, capsys)


def test_the_help_says_that_threads_are_queries_in_flight(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    assert "queries in flight" in " ".join(capsys.readouterr().out.split())
