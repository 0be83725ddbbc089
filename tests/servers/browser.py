"""Headless Chromium as the distribution has it, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from servers.errors import NotInstallable

_QUIET = (
    "--no-sandbox",  # in a container root has no sandbox
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def open_page(*, width: int = 1440, height: int = 900) -> Iterator[Any]:
    """A new page, closed at the end; NotInstallable without Chromium."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (starts a process)

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise NotInstallable("Chromium", "chromium must be on the PATH; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_QUIET))
        try:
            yield browser.new_page(viewport={"width": width, "height": height})
        finally:
            browser.close()
