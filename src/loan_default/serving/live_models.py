"""Hot swap: the models that answer follow the pointer, and a bad one never answers.

    live = LiveModels(registered_models(database, home), load, on_refused=publish)
    live.refresh()                 # the first models; then a thread looks every two seconds
    live.start()
    lineup = live.lineup           # hold it for a whole request or batch
    …
    live.close()

A new model is loaded beside the old one, verified and warmed up; then one assignment of an immutable lineup
lets it take over. One that is refused is refused once, and the last good one stays.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from loan_default.errors import ArtifactError, DataError, DependencyError
from loan_default.serving.lineup import Lineup, Scorer, Trial
from loan_default.serving.wanted_models import Source, Wanted, WantedModel

LOOK_SECONDS = 2.0
"""Pause between two looks at the pointer: with the loading, a promotion has arrived within 5 seconds."""
RETRY_SECONDS = 30.0
"""Pause before a model is tried again that could not be loaded for want of memory, time or disk."""
REFUSED_SECONDS = 300.0
"""Pause before one that was refused is tried again, since its file may have been restored."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A model that was refused, and why."""

    model: WantedModel
    reason: str


Load = Callable[[WantedModel], Scorer]
"""Loads, verifies and warms up a model. ArtifactError: it is bad; DependencyError: it may load later."""
OnRefused = Callable[[Refusal], None]
"""Publishes a refusal. DependencyError: it is tried again with the next look."""


@dataclass(slots=True)
class Looks:
    """What became of the looks so far, for metrics."""

    swaps: int = 0
    """Lineups that took over, the first one included."""
    refusals: int = 0
    """Models that were refused."""
    failures: int = 0
    """Looks at which the store did not answer, or named no model."""
    succeeded_at: float | None = None
    """Monotonic time of the last look at which the store answered; None = none has yet."""


class LiveModels:
    """The models that answer now. `lineup` may be read by any thread; `refresh` runs in one at a time."""

    def __init__(
        self, source: Source, load: Load, *, on_refused: OnRefused, seconds: float = LOOK_SECONDS
    ) -> None:
        self._source, self._load, self._on_refused, self._seconds = source, load, on_refused, seconds
        self._lineup: Lineup | None = None
        self._loaded: dict[str, Scorer] = {}
        """By digest: what is in the lineup, and nothing else."""
        self._refused: set[WantedModel] = set()
        self._unpublished: list[Refusal] = []
        self._try_after: dict[WantedModel, float] = {}
        self._refreshing, self._wake, self._is_closed = threading.Lock(), threading.Event(), False
        self._thread: threading.Thread | None = None
        self._not_known = ""
        """Why the last look failed; empty = it did not."""
        self.looks = Looks()

    @property
    def lineup(self) -> Lineup | None:
        """The models that answer now; None before the first one was loaded. Hold it for a whole request."""
        return self._lineup

    @property
    def is_ready(self) -> bool:
        """Whether a model can answer."""
        return self._lineup is not None

    def refresh(self) -> None:
        """Look at what shall answer and let it take over, if it is another than now and sound.

        Never raises for what a store or a model does: then the lineup stays as it is.
        """
        with self._refreshing:
            self._publish()
            try:
                wanted = self._source()
            except (DependencyError, DataError) as error:
                self.looks.failures += 1
                if str(error) != self._not_known:  # once, not with each look
                    log.warning("models_not_known", reason=str(error))
                self._not_known = str(error)
                return
            self._not_known = ""
            self.looks.succeeded_at = time.monotonic()
            self._take_over(wanted)
            self._publish()

    def start(self) -> None:
        """Look every few seconds in a thread of its own, until `close`."""
        self._thread = threading.Thread(target=self._follow, name="live-models", daemon=True)
        self._thread.start()

    def look_now(self) -> None:
        """Let the thread look at once, as when a promotion was heard of."""
        self._wake.set()

    def close(self) -> None:
        """End the thread; what is being loaded is loaded to its end."""
        self._is_closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        while not self._is_closed:
            self._wake.wait(self._seconds)
            self._wake.clear()
            if self._is_closed:
                return
            try:
                self.refresh()
            except Exception:  # the thread must outlive what nobody foresaw: without it no promotion arrives
                log.exception("models_not_refreshed")

    def _take_over(self, wanted: Wanted) -> None:
        champion = self._scorer_of(wanted.champion)
        if champion is None:  # the last good one stays, alone: the experiment is one of the other's
            champion = None if self._lineup is None else self._lineup.champion
        if champion is None:
            return
        trial = None
        if wanted.trial is not None and champion.digest == wanted.champion.sha256:
            challenger = self._scorer_of(wanted.trial.challenger)
            if challenger is not None and challenger.digest != champion.digest:
                trial = Trial(
                    id=wanted.trial.id,
                    mode=wanted.trial.mode,
                    share=wanted.trial.share,
                    challenger=challenger,
                )
        lineup = Lineup(champion=champion, trial=trial)
        if lineup == self._lineup:
            return
        self._loaded = {each.digest: each for each in (champion, trial and trial.challenger) if each}
        self._lineup = lineup  # one assignment: who reads it has either the old one or the new one, whole
        self.looks.swaps += 1
        log.info(
            "models_swapped",
            champion=champion.version,
            challenger=trial and trial.challenger.version,
            mode=trial and str(trial.mode),
            share=trial and trial.share,
        )

    def _scorer_of(self, model: WantedModel) -> Scorer | None:
        """The scorer of a model, loaded where it was not; None where it is refused or cannot load now."""
        if (loaded := self._loaded.get(model.sha256)) is not None:
            return loaded
        if time.monotonic() < self._try_after.get(model, 0.0):
            return None
        try:
            return self._load(model)
        except ArtifactError as error:
            self._try_after[model] = time.monotonic() + REFUSED_SECONDS
            if model not in self._refused:
                self._refused.add(model)
                self._unpublished.append(Refusal(model=model, reason=str(error)))
                self.looks.refusals += 1
                log.warning("model_refused", version=model.version, reason=str(error))
        except DependencyError as error:
            self._try_after[model] = time.monotonic() + RETRY_SECONDS
            log.warning("model_not_loaded", version=model.version, reason=str(error))
        return None

    def _publish(self) -> None:
        """Publish the refusals that are not published yet."""
        while self._unpublished:
            try:
                self._on_refused(self._unpublished[0])
            except DependencyError as error:
                log.warning("refusal_not_published", reason=str(error))
                return
            self._unpublished.pop(0)
