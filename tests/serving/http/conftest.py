"""A server of scores over a small model, asked without a network."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import httpx
import pytest
from serving_processes import HttpProcess, serving
from serving_setup import slow_scorer

from loan_default.database.api_key_documents import ApiKey
from loan_default.database.serving_documents import Prediction
from loan_default.errors import DependencyError
from loan_default.kafka.messages import Message
from loan_default.serving.http.access import Access
from loan_default.serving.http.application import create_app
from loan_default.serving.http.parts import Parts, ServingLimits, Stores, make_parts
from loan_default.serving.lineup import Lineup


@dataclass
class Shelf:
    """Predictions and outcomes in memory; `away` is as if the document store and the disk were."""

    predictions: dict[str, Prediction] = field(default_factory=dict)
    outcomes: list[Message] = field(default_factory=list)
    away: bool = False
    lag: float = 0.0

    def keep(self, predictions: Sequence[Prediction]) -> None:
        self._check()
        for each in predictions:
            self.predictions.setdefault(each.id, each)

    def of_event(self, event: str) -> list[Prediction]:
        self._check()
        return [each for each in self.predictions.values() if each.event == event]

    def send(self, messages: Sequence[Message]) -> None:
        self._check()
        self.outcomes += messages

    def models(self) -> list[dict[str, Any]]:
        self._check()
        return [{"version": "v1"}]

    def _check(self) -> None:
        if self.away:
            raise DependencyError("mongodb://secret@elsewhere does not answer")


class Client:
    """Asks an application without a network, in one event loop, to which its queues belong."""

    def __init__(self, app: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def get(self, path: str, **options: Any) -> httpx.Response:
        response: httpx.Response = self.run(self.http.get(path, **options))
        return response

    def post(self, path: str, **options: Any) -> httpx.Response:
        response: httpx.Response = self.run(self.http.post(path, **options))
        return response

    def close(self) -> None:
        self.run(self.http.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@dataclass
class Served:
    """A server under test."""

    client: Client
    shelf: Shelf
    parts: Parts
    lineup: list[Lineup | None]
    """One element: what answers now."""
    keys: list[ApiKey]


@pytest.fixture
def http_process(lab: Any) -> Iterator[HttpProcess]:
    with serving(lab.home) as server:
        yield server


ServerMaker = Callable[..., Served]


@pytest.fixture(scope="session")
def champion() -> Any:
    return slow_scorer("v1", seed=1)


@pytest.fixture(scope="session")
def challenger() -> Any:
    return slow_scorer("v2", seed=2)


@pytest.fixture
def serve(champion: Any) -> Iterator[ServerMaker]:
    """Starts servers: `serve(keys=[…], most_rows=…)`."""
    started: list[Served] = []

    def start(*, keys: Sequence[ApiKey] = (), open_locally: bool = True, **limits: Any) -> Served:
        shelf, lineup, known = Shelf(), [Lineup(champion=champion)], list(keys)
        access = Access(lambda: known, open_locally=open_locally)
        access.refresh()
        stores = Stores(
            keep=shelf.keep,
            can_keep=lambda: not shelf.away,
            lag_seconds=lambda: shelf.lag,
            predictions_of=shelf.of_event,
            models=shelf.models,
            send_outcomes=shelf.send,
        )
        parts = make_parts(lambda: lineup[0], access=access, stores=stores, limits=ServingLimits(**limits))
        client = Client(create_app(parts, version="1"))
        started.append(Served(client=client, shelf=shelf, parts=parts, lineup=lineup, keys=known))
        return started[-1]

    yield start
    for each in started:
        each.parts.close()
        each.client.close()


@pytest.fixture
def served(serve: ServerMaker) -> Served:
    return serve()
