"""Why a server is not there: this machine cannot have it, or it did not start."""

_SHOWN_LINES = 25


class NotInstallable(Exception):
    """A server cannot be had on this machine; the message is one line that says which and why.

    try: start_kafka(folder)
    except NotInstallable as reason: skip_without(reason)
    """

    def __init__(self, server: str, reason: str) -> None:
        self.server = server
        super().__init__(f"{server} cannot be installed: {' '.join(reason.split())}")


class StartError(Exception):
    """A server ended or stayed silent before it was ready; the message holds the end of its log."""

    def __init__(self, message: str, *, log: str) -> None:
        super().__init__("\n".join([message, *log.splitlines()[-_SHOWN_LINES:]]))
        self.port_was_taken = "address already in use" in log.lower()
