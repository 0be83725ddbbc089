"""Addresses of servers as people write them: `host:port`, and `[2001:db8::1]:port` for IPv6.

No message repeats what was written: an address may come with a password.
"""

import re
from ipaddress import IPv6Address
from urllib.parse import urlsplit

_HOST_AND_PORT = re.compile(r"(?:(?P<name>[A-Za-z0-9_.\-]+)|\[(?P<six>[^\[\]]+)\]):(?P<port>[0-9]{1,5})")


def host_and_port(address: str) -> tuple[str, int]:
    """Split one address into its host, without brackets, and its port.

    Raises:
        ValueError: the address is not `host:port`, or the port is not one of 1 to 65535.
    """
    found = _HOST_AND_PORT.fullmatch(address)
    if found is None or not (found["name"] or _is_ipv6(found["six"])):
        raise ValueError("must be host:port, with an IPv6 address in brackets")
    if not 1 <= int(found["port"]) <= 65535:
        raise ValueError("must have a port of 1 to 65535")
    return found["name"] or found["six"], int(found["port"])


def server_list(servers: str) -> tuple[str, ...]:
    """Split a list with commas into its addresses, each checked by `host_and_port`.

    Raises:
        ValueError: an address is wrong.
    """
    addresses = tuple(servers.split(","))
    try:
        for address in addresses:
            host_and_port(address)
    except ValueError:
        raise ValueError(
            "must be host:port, or several by commas, with ports of 1 to 65535 and IPv6 addresses in brackets"
        ) from None
    return addresses


def check_web_address(url: str) -> None:
    """Raise ValueError unless a URL is `http://host:port/path` without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its text would repeat the address
        usable = False
    if not usable or re.search(r"[\s@?#\\]", url):
        raise ValueError("must be http://host:port without user, password and query")


def looks_like_address(text: str) -> bool:
    """Whether a text that should be a path is an address, perhaps one with a password."""
    return re.search(r"://|:[^/]*@", text) is not None


def check_local_path(text: str) -> None:
    """Raise ValueError where a text is an address: a path is shown in messages."""
    if looks_like_address(text):
        raise ValueError("must be a path of this machine, not an address")


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
