"""The metrics of a server of scores, in Prometheus' names: one prefix, base units, no label with a value of
an application, a key or an error's text."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector

_BUCKETS = (0.0005, 0.001, 0.0012, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Seconds; the bounds of the service's goals, 1.2 and 5 ms, are edges of buckets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Readings:
    """What is read when the metrics are asked for."""

    queue_rows: Callable[[], dict[str, int]]
    """Lane -> rows that wait or are being scored."""
    spool_lag_seconds: Callable[[], float]
    """Age of the oldest prediction that is not in the document store yet."""
    model: Callable[[], tuple[str, str] | None]
    """Version and digest of the champion; None = no model is loaded."""


class Telemetry:
    """All metrics of one server; each server has a registry of its own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "loan_http_requests",
            "Requests that were answered.",
            ("route", "method", "code"),
            registry=registry,
        )
        self.seconds = Histogram(
            "loan_http_request_duration_seconds",
            "From the head of a request to the end of its answer.",
            ("route",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "loan_http_requests_in_flight", "Requests that are being answered.", registry=registry
        )
        self.shed = Counter(
            "loan_requests_shed",
            "Requests that were refused to save the others.",
            ("reason",),
            registry=registry,
        )
        self.predictions = Counter(
            "loan_predictions",
            "Scores that were given, by model and group.",
            ("model_version", "group"),
            registry=registry,
        )
        self.experiment_predictions = Counter(
            "loan_experiment_predictions",
            "Scores that were given while an experiment ran.",
            ("experiment", "role"),
            registry=registry,
        )
        self.refused_records = Counter(
            "loan_records_refused", "Applications that broke the model's schema.", registry=registry
        )
        self.batch_rows = Histogram(
            "loan_inference_batch_rows",
            "Rows that were scored together.",
            buckets=(1, 2, 4, 8, 16, 64, 256, 1024),
            registry=registry,
        )
        self.compute_seconds = Histogram(
            "loan_inference_compute_duration_seconds",
            "Scoring of one batch, from records to PDs.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.shadow_dropped = Counter(
            "loan_shadow_dropped",
            "Answers that a challenger in shadow did not score: under load, or by an error.",
            registry=registry,
        )
        self.what_ifs = Counter(
            "loan_what_if_scores", "Scores of what-ifs, which are not kept.", registry=registry
        )
        self.outcomes = Counter("loan_outcomes_received", "Outcomes that were taken.", registry=registry)

    def watch(self, readings: Readings) -> None:
        """Add gauges that are read when the metrics are asked for; once a server."""
        queue = Gauge(
            "loan_queue_rows",
            "Rows that wait or are being scored, by the lane of small and of large requests.",
            ("lane",),
            registry=self.registry,
        )
        for lane in readings.queue_rows():
            queue.labels(lane).set_function(partial(_rows_of, readings, lane))
        Gauge(
            "loan_prediction_spool_lag_seconds",
            "Age of the oldest prediction that is not in the document store yet.",
            registry=self.registry,
        ).set_function(readings.spool_lag_seconds)
        Gauge("loan_ready", "1 while a model is loaded, else 0.", registry=self.registry).set_function(
            lambda: float(readings.model() is not None)
        )
        self._info = Gauge(
            "loan_model_info", "The champion that answers.", ("version", "digest"), registry=self.registry
        )
        self._model = readings.model

    def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        self._info.clear()
        if (model := self._model()) is not None:
            self._info.labels(*model).set(1)
        return generate_latest(self.registry)


def _rows_of(readings: Readings, lane: str) -> float:
    return float(readings.queue_rows()[lane])
