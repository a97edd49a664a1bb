"""A real Chromium for tests: the one that the machine has, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def open_chromium(flags: Sequence[str] = ()) -> Iterator[Browser]:
    """Give a browser, started with flags of its own; a test that asks for it is skipped where the machine has none."""
    path = os.environ.get("CHROMIUM") or next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium here: install the Debian package chromium, or name one by CHROMIUM=/path/to/it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *flags])
        try:
            yield browser
        finally:
            browser.close()


def watched(page: Any) -> list[str]:
    """Return a list that fills with whatever goes wrong in a page: errors of scripts, of the console, of requests.

    A request that the page itself gave up, because it went elsewhere or asked anew, is nothing wrong.
    """
    wrong: list[str] = []

    def failed(asked: Any) -> None:
        if asked.failure != "net::ERR_ABORTED":
            wrong.append(f"request: {asked.url} ({asked.failure})")

    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("console", lambda said: wrong.append(f"console: {said.text}") if said.type == "error" else None)
    page.on("requestfailed", failed)
    return wrong
