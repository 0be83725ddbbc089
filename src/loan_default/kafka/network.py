"""Making a client of kafka-python 3.0.12, and what that leaves undone where no broker lets it in.

It keeps its thread and its sockets then, and says that it found no broker when the broker refused it.
"""

from collections.abc import Callable
from typing import Any

from kafka.errors import AuthorizationError, KafkaTimeoutError, SaslAuthenticationFailedError
from kafka.net.compat import KafkaNetClient

REFUSALS = (SaslAuthenticationFailedError, AuthorizationError)
"""What a broker answers to those it does not know or trust."""


def opened(kind: Callable[..., Any], *topics: str, **settings: Any) -> Any:
    """A producer, consumer or admin client that has found a broker.

    Raises:
        KafkaError: it has not; one of `REFUSALS` where a broker refused. Nothing is kept.
    """
    made: list[_Network] = []

    def network(**details: Any) -> _Network:
        made.append(_Network(**details))
        return made[-1]

    try:
        return kind(*topics, kafka_client=network, **settings)
    except KafkaTimeoutError as error:
        for refusal in (refusal for each in made for refusal in each.refusals):
            raise refusal from error
        raise
    finally:
        for each in made:
            each.close_unless_bootstrapped()


class _Network(KafkaNetClient):  # type: ignore[misc]
    """The network of a client, which remembers the refusals of brokers."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.refusals: list[Exception] = []
        connect = self._manager.get_connection

        def remembering(*address: Any, **details: Any) -> Any:
            connection = connect(*address, **details)
            connection.init_future.add_errback(self._remember)
            return connection

        self._manager.get_connection = remembering

    def _remember(self, error: Exception) -> None:
        if isinstance(error, REFUSALS):
            self.refusals.append(error)

    def close_unless_bootstrapped(self) -> None:
        """Give back thread and sockets of a client that did not come to be."""
        if not self._manager.bootstrapped:
            self.close()
