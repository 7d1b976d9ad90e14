"""The page in headless Chromium: what a user sees and does.

Needs playwright and a Chromium (`make test-browser`); skipped with the reason where either is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from page_data import HOSTILE, opened, seen, text_of

from deepcoder_hf.view.page import page_of

pytestmark = pytest.mark.browser


def test_tokens_straddlers_masks_and_labels_are_shown_on_demand(page: Any, hostile: Dataset) -> None:
    row = hostile[1]
    page.keyboard.press("j")
    opened(page, "1 ")
    assert page.locator(".tok").count() == 0
    assert page.locator(".straddle").count() == 2  # both parts of the one token, each in its span
    page.keyboard.press("t")
    page.wait_for_selector(".tok")
    assert page.locator(".tok.straddle").count() == 1
    page.keyboard.press("m")
    page.wait_for_selector(".cell")
    token = next(i for i, label in enumerate(row["labels"]) if label != -100)
    cell = page.locator(f".cell[data-token='{token}']")
    cell.scroll_into_view_if_needed()
    spans = cell.locator("> span").all_text_contents()
    masks = [str(row["reasoning_mask"][token]), str(row["action_mask"][token])]
    assert spans[1:] == [str(row["input_ids"][token]), *masks, str(row["labels"][token])]
    cell.hover()
    assert f"token {token}" in text_of(page, "#detail")
    assert page.locator("button", has_text="Masks").get_attribute("aria-pressed") == "true"


def test_all_tokens_of_a_long_trajectory_come_when_it_is_scrolled(page: Any, hostile: Dataset) -> None:
    page.keyboard.press("t")
    page.wait_for_selector(".tok")
    for span in page.locator(".span").all():
        span.scroll_into_view_if_needed()
    page.wait_for_function("n => document.querySelectorAll('.tok').length === n", arg=hostile[0]["length"])


def test_spans_tell_their_facts_on_hover_and_by_keys(page: Any, hostile: Dataset) -> None:
    span = hostile[0]["spans"][1]
    page.locator(".span").nth(1).hover()
    wanted = [
        span["span_type"],
        span["subtype"],
        f"confidence {round(span['confidence'], 4):.2f}",
        span["pattern"],
        span["origin"],
    ]
    assert all(word in text_of(page, "#detail") for word in wanted)
    page.keyboard.press("n")
    page.keyboard.press("n")
    page.keyboard.press("n")
    assert page.evaluate("document.activeElement.dataset.span") == "2"
    assert hostile[0]["spans"][2]["pattern"] in text_of(page, "#detail")
    page.keyboard.press("p")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(span["span_type"])


def test_search_reads_texts_ids_and_reasons(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("NAÏVE")
    page.wait_for_function("() => document.querySelector('#count').textContent === '2 of 26'")  # a row and a reject
    page.wait_for_function("() => CSS.highlights.get('hit')?.size > 0")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "list"
    page.keyboard.press("/")
    page.keyboard.type("</script><script>window.hit=1</script>")
    page.wait_for_function("() => document.querySelector('#count').textContent === '2 of 26'")
    page.locator("#search").fill("nothing holds this")
    page.wait_for_function("() => document.querySelector('#count').textContent === '0 of 26'")
    assert text_of(page, "#trajectory") == "Nothing matches the filters."


def test_filters_and_order(page: Any, hostile: Dataset) -> None:
    count = "n => document.querySelector('#count').textContent.startsWith(`${n} of`)"
    page.locator("#status").select_option("kept")
    page.wait_for_function(count, arg=len(hostile))
    page.locator("#over").check()
    page.wait_for_function(count, arg=1)
    page.locator("#over").uncheck()
    page.locator("#share-type").select_option(label="observation")
    page.locator("#share-min").fill("50")
    page.wait_for_function(count, arg=sum(row["quality"]["observation"] >= 0.5 for row in hostile))
    page.locator("#reset").click()
    page.wait_for_function(count, arg=2 * len(hostile))
    page.locator("#sort").select_option("length")
    longest = max(range(len(hostile)), key=lambda number: hostile[number]["length"])
    page.wait_for_function("id => document.querySelector('.item b').textContent.startsWith(id)", arg=f"{longest} ")
    page.locator("#format").select_option(index=1)
    page.wait_for_function(count, arg=1)


def test_the_list_is_moved_through_by_keys(page: Any) -> None:
    page.keyboard.press("ArrowDown")
    opened(page, "1 ")
    page.keyboard.press("k")
    opened(page, "0 ")
    page.locator("#list").focus()
    page.keyboard.press("End")
    opened(page, seen(f"{HOSTILE[-1]}:{len(HOSTILE) - 1}"))
    selected = page.locator(".item[aria-selected=true]")
    assert selected.get_attribute("id") == page.locator("#list").get_attribute("aria-activedescendant")
    page.keyboard.press("Home")
    opened(page, "0 ")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("o")
    assert page.locator("#overview svg").first.is_visible()


def test_everything_that_can_be_used_has_a_name(page: Any) -> None:
    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, input, select, [role=listbox], [role=option], [role=group], svg")]
           .filter((node) => !(node.getAttribute("aria-label") || node.textContent.trim() || node.labels?.length))
           .map((node) => node.outerHTML.slice(0, 100))"""
    )
    assert unnamed == []
    assert page.locator("html").get_attribute("lang") == "en"


def test_light_and_dark_follow_the_system_and_the_button(page: Any) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    assert dark != light
    page.keyboard.press("d")
    assert page.evaluate(ground) == light
    assert text_of(page, "#theme-button") == "Dark"
    page.locator("#theme-button").click()
    assert page.evaluate(ground) == dark


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_wider_than_the_window(width: int, page: Any) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for key in ("m", "t", "o"):
        page.keyboard.press(key)
        page.wait_for_timeout(50)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), key
    assert page.evaluate(
        "document.querySelector('#filters').scrollWidth <= document.querySelector('aside').clientWidth"
    )


@pytest.mark.slow
def test_a_thousand_trajectories_open_in_under_a_second(chromium: Any, tiny_model: Path, tmp_path: Path) -> None:
    from deepcoder_hf import TrajectoryProcessor

    lines = [
        f"Thought: I try number {n} of the list.\nAction: look[{n}]\nObservation: it is {n * 7919}" for n in range(40)
    ]
    settings = {"tokens": {"model_name": str(tiny_model), "max_length": 100_000}}
    texts = [{"text": "\n".join(lines[n % 40 :] + lines[: n % 40]) + f"\nFinal Answer: {n}"} for n in range(1000)]
    rows = TrajectoryProcessor(settings).run(Dataset.from_list(texts)).dataset()
    assert min(rows["length"][:]) >= 1500
    path = tmp_path / "page.html"
    path.write_text(page_of(rows), encoding="utf-8")
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    times = []
    for _ in range(3):
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        times.append(page.evaluate("performance.getEntriesByName('painted')[0].startTime"))
    assert sorted(times)[1] < 1000, times
    assert page.locator(".item").count() < 40  # the list holds what is in the window
    page.close()
