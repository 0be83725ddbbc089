"""How long each stage of a run takes."""

import time
from collections.abc import Callable


class Stopwatch:
    """Wall-clock seconds of each stage; a callback is called with its name and detail when it begins."""

    def __init__(self, on_stage: Callable[[str, str], None]) -> None:
        self._on_stage = on_stage
        self._current: tuple[str, float] | None = None
        self.seconds: dict[str, float] = {}

    def start(self, name: str, detail: str) -> None:
        """End the current stage and begin the next."""
        self.stop()
        self._current = (name, time.monotonic())
        self._on_stage(name, detail)

    def stop(self) -> None:
        """End the current stage."""
        if self._current is not None:
            name, since = self._current
            self.seconds[name] = time.monotonic() - since
            self._current = None
