import pytest

from tpo.errors import ConfigError
from tpo.http.address import base_address, is_loopback


@pytest.mark.parametrize(
    "url",
    [
        "http://host:8000",
        "http://host:8000/",
        "http://host:8000/v1",
        "http://host:8000/v1/",
        " http://host:8000/v1/chat/completions ",
    ],
)
def test_the_usual_spellings_are_one_server(url: str) -> None:
    assert base_address(url) == "http://host:8000/v1"


def test_another_path_stays_as_it_is() -> None:
    assert base_address("https://host/api/v3beta/openai/") == "https://host/api/v3beta/openai"


@pytest.mark.parametrize(
    "url", ["", "host:8000", "ftp://host", "http://", "http://host:port", "http://[::1", "http://host/v1?a=b"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        base_address(url)


@pytest.mark.parametrize(
    "url", ["http://me:hidden@host/v1", "http://me:hidden@host:port", "http://host/v1?key=hidden"]
)
def test_a_password_or_key_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        base_address(url)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:8000", True),
        ("127.8.9.1", True),
        ("0.0.0.0:8000", True),
        ("[::1]", True),
        ("[::]:80", True),
        ("localhost", True),
        ("model.localhost", True),
        ("host", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback_is_told_from_others(host: str, own: bool) -> None:
    assert is_loopback(f"http://{host}/v1") is own
