import socket

import pytest

from tpo.errors import ConfigError
from tpo.serve.server import listen


def test_a_socket_names_its_protocol_so_that_asyncio_sends_small_replies_at_once() -> None:
    with listen("127.0.0.1", 0) as opened:
        assert opened.proto == socket.IPPROTO_TCP


def test_a_port_in_use_is_an_error_that_says_what_to_do() -> None:
    with listen("127.0.0.1", 0) as opened:
        port = opened.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1: .*give another --port"):
            listen("127.0.0.1", port)
