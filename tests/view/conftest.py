"""What the tests in a browser need: headless Chromium, and a page of hostile rows that must stay harmless."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from page_data import HOSTILE, hostile_rejects, hostile_rows

from deepcoder_hf.view.page import page_of

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless browser: the system's, else the one that playwright installs."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; see make test-browser")
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    with api.sync_playwright() as driver:
        try:
            browser = driver.chromium.launch(
                executable_path=path, args=["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
            )
        except api.Error as error:
            pytest.skip(f"no Chromium can be started ({str(error).splitlines()[0]}); see make test-browser")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def hostile(tiny_model: Path) -> Dataset:
    return hostile_rows(tiny_model)


@pytest.fixture(scope="module")
def hostile_page(hostile: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    report = {"reasons": {"failed": dict.fromkeys(HOSTILE, 1)}, "tokenizer": HOSTILE[0]}
    path.write_text(page_of(hostile, report, hostile_rejects(), f"name {HOSTILE[0]}"), encoding="utf-8")
    return path


@pytest.fixture
def page(chromium: Any, hostile_page: Path) -> Iterator[Any]:
    """The page, opened from its file; at the end it has asked for nothing, reported nothing and run nothing."""
    opened = chromium.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
    opened.set_default_timeout(10_000)
    problems: list[str] = []
    requests: list[str] = []
    opened.on("console", lambda message: problems.append(message.text))
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("dialog", lambda dialog: problems.append(dialog.message))
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(hostile_page.as_uri())
    opened.wait_for_selector("html[data-ready]")
    yield opened
    assert problems == []
    assert requests == [hostile_page.as_uri()]
    assert opened.evaluate("[window.hit, location.href]") == [None, hostile_page.as_uri()]
    opened.close()
