"""The page in headless Chromium: hostile trajectories, rejects and names are shown as they are and do nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from page_data import HOSTILE, hostile_rejects, opened, seen, text_of

from deepcoder_hf.view.page_facts import dataset_facts
from deepcoder_hf.view.page_report import report_page
from deepcoder_hf.view.page_signs import SIGN_RANGES, visible

pytestmark = pytest.mark.browser


def test_every_trajectory_is_shown_whole_and_does_nothing(page: Any, hostile: Dataset) -> None:
    for number, row in enumerate(hostile):
        opened(page, f"{number} ")
        words = page.locator(".words").all_text_contents()
        assert words == [seen(row["text"][span["start_char"] : span["end_char"]]) for span in row["spans"]]
        assert text_of(page, "#trajectory h2") == seen(row["trajectory_id"])
        for fold in page.locator("#trajectory summary").all():
            fold.click()
        page.wait_for_function("() => document.querySelectorAll('#trajectory pre').length === 2")
        assert seen(row["original_text"]) in page.locator("#trajectory pre").all_text_contents()
        page.keyboard.press("t")
        page.keyboard.press("m")
        page.wait_for_selector(".cell")
        page.locator(".span").first.hover()
        page.keyboard.press("m")
        page.wait_for_selector(".cell", state="detached")
        only = "html, head, body, script, style, meta, title"
        made = page.evaluate(f"document.querySelectorAll('img, iframe, base, a, object, embed, {only}').length")
        assert made == page.evaluate(f"document.querySelectorAll('{only}').length")
        page.keyboard.press("j")


def test_every_reject_is_shown_with_its_reason_and_does_nothing(page: Any) -> None:
    page.locator("#status").select_option("failed")
    for number, reject in enumerate(hostile_rejects()):
        if reject["status"] != "failed":
            continue
        opened(page, seen(f"{reject['source']}:{number}"))
        cells = page.locator("#trajectory td").all_text_contents()
        assert seen(reject["reason"]) in cells
        assert seen(reject["message"]) in cells
        assert text_of(page, "#trajectory pre") == seen(reject["record"])
        page.keyboard.press("j")


def test_nothing_else_may_run_or_load(chromium: Any, hostile_page: Path) -> None:
    page = chromium.new_page()
    page.goto(hostile_page.as_uri())
    page.wait_for_selector("html[data-ready]")
    tried = page.evaluate(
        """async () => {
          const out = [];
          const attempt = (name, act) => { try { act(); } catch (error) { out.push(`${name}: ${error.name}`); } };
          attempt("html", () => { document.body.innerHTML = "<img src=x onerror='window.hit=1'>"; });
          attempt("script", () => {
            const node = document.createElement("script");
            node.textContent = "window.hit = 1";
            document.body.append(node);
          });
          attempt("handler", () => document.body.setAttribute("onclick", "window.hit = 1"));
          document.body.click();
          const style = document.createElement("style");
          style.textContent = "body { display: none }";
          document.head.append(style);
          const image = new Image();
          const failed = new Promise((done) => {
            image.onerror = () => done("blocked");
            image.onload = () => done("loaded");
          });
          image.src = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
          out.push(await failed, await fetch("data:,x").then(() => "fetched", () => "not fetched"));
          return [out, window.hit ?? null, getComputedStyle(document.body).display];
        }"""
    )
    assert tried[1:] == [None, "block"]
    assert tried[0][0] == "html: TypeError"
    assert tried[0][-2:] == ["blocked", "not fetched"]
    page.close()


def test_invisible_characters_are_signs_for_every_code_point(page: Any) -> None:
    codes = sorted({c for first, last in SIGN_RANGES for c in (first - 1, first, last, last + 1) if 0 <= c < 0xE1001})
    codes = [code for code in codes if not 0xD800 <= code <= 0xDFFF] + [0x20, 0x1F642, 0xFE0F, 0x65E5]
    shown = page.evaluate("codes => codes.map((code) => visible(String.fromCodePoint(code)))", codes)
    assert shown == [visible(chr(code)) for code in codes]


def test_the_report_is_shown_and_does_nothing(chromium: Any, hostile: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(report_page(dataset_facts(hostile, {}, hostile_rejects()), HOSTILE[0]), encoding="utf-8")
    page = chromium.new_page()
    page.goto(path.as_uri())
    assert page.evaluate("window.hit ?? null") is None
    assert page.locator("svg").first.bounding_box()["height"] > 50
    assert page.locator("img, iframe, script").count() == 0
    assert page.evaluate("getComputedStyle(document.querySelector('svg .bar')).fill") != "rgb(0, 0, 0)"
    page.close()
