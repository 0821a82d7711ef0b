"""A server's base URL, as users write it."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from tpo.errors import ConfigError

_ROUTES = ("/chat/completions", "/completions", "/models")


def base_address(url: str) -> str:
    """*url* without a slash at its end, and with ``/v1`` where it has no path.

    ``http://host:8000``, ``http://host:8000/``, ``http://host:8000/v1`` and
    ``http://host:8000/v1/chat/completions`` are the same server. Any other path stays as it is.

    Raises:
        ConfigError: it is no http(s) URL, or holds a password, a query or a fragment.
    """
    try:
        parts = urlsplit(url.strip())
        valid = (
            parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
        )
    except ValueError:  # a port that is no number, brackets that do not close
        valid = False
    if not valid:
        raise ConfigError(
            f"{without_secrets(url)!r} is no server's URL; write it like http://127.0.0.1:8000/v1"
        )
    if parts.username or parts.password:
        raise ConfigError(f"the URL of {parts.hostname} holds a user name: keys come from the environment")
    if parts.query or parts.fragment:
        raise ConfigError(f"{without_secrets(url)!r}: leave out what follows the path, from '?' or '#' on")
    path = parts.path.rstrip("/")
    for route in _ROUTES:
        path = path.removesuffix(route)
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def without_secrets(url: str) -> str:
    """*url* for an error: what stands before an ``@`` and behind a ``?`` may be a password or a key."""
    place, mark, _ = url.partition("?")
    return re.sub(r"[^/]*@", "…@", place) + (f"{mark}…" if mark else "")


def root_address(url: str) -> str:
    """The server of *url* without ``/v1``, for what vLLM serves beside it: ``/classify``, ``/pooling``.

    Raises:
        ConfigError: as :func:`base_address`.
    """
    return base_address(url).removesuffix("/v1")


def is_loopback(address: str) -> bool:
    """Return whether *address* is this machine's own, which must bypass proxies."""
    host = urlsplit(address).hostname or ""
    try:
        number = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return number.is_loopback or number.is_unspecified


def proxy_of(address: str) -> str | None:
    """Return the proxy that the environment sets for *address*, if any, without its password."""
    proxy = proxy_with_password(address)
    return None if proxy is None else re.sub(r"//[^/]*@", "//", proxy)


def proxy_with_password(address: str) -> str | None:
    """Return the proxy that the environment sets for *address*, if any; never part of a message."""
    parts = urlsplit(address)
    if is_loopback(address) or proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)
