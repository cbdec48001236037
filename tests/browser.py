"""A headless Chromium of the machine's own: pages are opened without a network."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_PATIENCE_MS = 120_000
"""For a machine with far too much to do."""
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. Where there is none, tests are skipped on a person's machine, and fail in CI."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        says = "the report page is not tested: no Chromium here (Debian: apt-get install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(says)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """A page, everything it asked for, and what its console said."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page = page
        self.requests: list[str] = []
        self.said: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.set_default_timeout(_PATIENCE_MS)
        page.goto(file.as_uri())


@contextmanager
def opened(
    browser: Browser,
    file: Path,
    scheme: Literal["light", "dark"] = "light",
    width: int = 1280,
    *,
    scripts: bool = True,
) -> Iterator[Opened]:
    """The file in a window of its own."""
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 900}, java_script_enabled=scripts
    )
    try:
        yield Opened(context.new_page(), file)
    finally:
        context.close()
