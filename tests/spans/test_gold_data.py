"""The gold texts of the project: regenerated without a difference, well formed, and broad enough."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

GOLD = Path(__file__).resolve().parents[1] / "data" / "gold"
LINES = (GOLD / "gold.jsonl").read_text(encoding="utf-8").splitlines()
RECORDS: list[dict[str, Any]] = [json.loads(line) for line in LINES]
STYLES = sorted({record["style"] for record in RECORDS})
TYPES = {"reasoning", "action", "observation", "other"}


def test_rendering_again_gives_the_same_file(tmp_path: Path) -> None:
    target = tmp_path / "gold.jsonl"
    subprocess.run([sys.executable, str(GOLD / "render.py"), str(target)], check=True, timeout=60)
    assert target.read_bytes() == (GOLD / "gold.jsonl").read_bytes()


def test_there_are_enough_texts_styles_and_languages() -> None:
    assert len(RECORDS) >= 200
    assert len({record["id"] for record in RECORDS}) == len(RECORDS)
    assert len({record["text"] for record in RECORDS}) == len(RECORDS)
    assert len(STYLES) >= 22
    assert min(Counter(record["style"] for record in RECORDS).values()) >= 8
    assert min(Counter(record["lang"] for record in RECORDS).values()) >= 8
    assert len({record["lang"] for record in RECORDS}) >= 6


@pytest.mark.parametrize("style", STYLES)
def test_spans_are_sorted_disjoint_inside_the_text_and_bare_of_white_space(style: str) -> None:
    for record in RECORDS:
        if record["style"] != style:
            continue
        text, last = record["text"], 0
        for span in record["spans"]:
            assert last <= span["outer_start"] <= span["start"] < span["end"] <= span["outer_end"] <= len(text)
            assert span["type"] in TYPES
            payload = text[span["start"] : span["end"]]
            assert payload == payload.strip()
            last = span["outer_end"]
        assert record["spans"], record["id"]


@pytest.mark.parametrize("style", STYLES)
def test_every_style_shows_reasoning_actions_and_observations(style: str) -> None:
    shown = {span["type"] for record in RECORDS if record["style"] == style for span in record["spans"]}
    assert shown == TYPES


def test_observations_and_user_turns_are_those_of_the_conversations() -> None:
    said: dict[str, set[str]] = {}
    for path in sorted((GOLD / "conversations").glob("*.yaml")):
        for item in yaml.safe_load(path.read_text(encoding="utf-8")):
            texts = {value.strip() for turn in item["turns"] for value in turn.values() if isinstance(value, str)}
            said[item["id"]] = texts | {"OK."}  # what a text game says to a thought
    for record in RECORDS:
        for span in record["spans"]:
            if span["type"] == "observation" or span["subtype"] in ("user", "system"):
                assert record["text"][span["start"] : span["end"]] in said[record["id"].split("#")[0]], record["id"]


def test_conversations_without_tools_have_no_reasoning_and_no_action() -> None:
    plain = [record for record in RECORDS if "teach" in record["id"]]
    assert len(plain) >= 8
    assert {span["type"] for record in plain for span in record["spans"]} == {"other"}
