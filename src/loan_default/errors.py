"""The exception tree: what went wrong decides what a caller does about it.

    LoanDefaultError
    ├── DataError          the rows, file or schema are wrong: quarantine or stop, never retry
    ├── ConfigurationError a setting or an option is wrong: stop before any work
    │   └── UnclearFileError  a file can be read in two ways: a person says which
    ├── DependencyError    a server does not answer: back off, retry, in the end fail
    └── ArtifactError      a model file was refused

Every message states the rule and the value (``… must …, however: x=…``) and what to do.
"""

import difflib
from collections.abc import Iterable


class LoanDefaultError(Exception):
    """Base of all errors that this package raises on purpose."""

    headline = "Something went wrong"


class DataError(LoanDefaultError, ValueError):
    """The data are not usable: the same input fails again."""

    headline = "The data are not usable"


class ConfigurationError(LoanDefaultError, ValueError):
    """A setting or an option contradicts another one or the machine."""

    headline = "The configuration is not usable"


class UnclearFileError(ConfigurationError):
    """A file can be read in more than one way; the message has the options that settle it."""


class DependencyError(LoanDefaultError, ConnectionError):
    """A service does not answer: the same call may succeed later."""

    headline = "A service does not answer"


class ArtifactError(LoanDefaultError):
    """A model file was refused before anything in it was used."""

    headline = "The model file was refused"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that suggests the closest known name, with a space before it; empty if none is close."""
    spellings = {each.casefold(): each for each in reversed(list(known))}
    close = difflib.get_close_matches(name.casefold(), spellings, n=1)
    return f" Did you mean {spellings[close[0]]!r}?" if close else ""
