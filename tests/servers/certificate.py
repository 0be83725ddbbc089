"""A certificate for servers of this machine, and the authority that vouches for it, made anew by openssl."""

from dataclasses import dataclass
from pathlib import Path

from servers.errors import NotInstallable
from servers.installation import find_program, run
from servers.process import LOCALHOST

_NAME = "A certificate"
_DAYS = "2"
_HINT = "on Debian: apt-get install openssl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """PEM files."""

    authority: Path
    """For clients: whom to trust."""
    server: Path
    """For the server: its private key and its certificate, for 127.0.0.1 and no name."""


def make_certificate(folder: Path) -> Certificate:
    """A certificate in `folder`, which is made; NotInstallable without openssl 3."""
    openssl = find_program(_NAME, "openssl", hint=_HINT)
    if not run(_NAME, openssl, "version", folder=Path.cwd()).startswith("OpenSSL 3"):
        raise NotInstallable(_NAME, "openssl must be of version 3, however: it is another")
    folder.mkdir(mode=0o700, parents=True)
    new = (openssl, "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", _DAYS)
    authority = ("-subj", "/CN=tests", "-keyout", "authority.key", "-out", "authority.pem")
    run(_NAME, *new, *authority, folder=folder)
    signed = ("-CA", "authority.pem", "-CAkey", "authority.key", "-addext", f"subjectAltName=IP:{LOCALHOST}")
    leaf = ("-addext", "basicConstraints=critical,CA:FALSE", "-subj", "/CN=broker")
    run(_NAME, *new, *signed, *leaf, "-keyout", "server.key", "-out", "server.crt", folder=folder)
    server = folder / "server.pem"
    server.write_bytes((folder / "server.key").read_bytes() + (folder / "server.crt").read_bytes())
    return Certificate(authority=folder / "authority.pem", server=server)
