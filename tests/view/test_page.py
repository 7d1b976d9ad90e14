"""The page without a browser: nothing of the data acts, all of it is there, the same rows give it again."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from page_data import HOSTILE, Page, hostile_rejects, hostile_rows, move_border, without_data

from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.errors import OutputError, SchemaError
from deepcoder_hf.view.page import chosen_rows, page_of
from deepcoder_hf.view.page_rows import packed, utf16_places
from deepcoder_hf.view.page_shell import SCRIPTS, source_of, write_html
from deepcoder_hf.view.page_signs import visible
from deepcoder_hf.view.page_tokens import TokenPlacer, TokenPlaces

REPORT = {"reasons": {"failed": dict.fromkeys(HOSTILE, 1)}, "tokenizer": HOSTILE[0]}


@pytest.fixture(scope="module")
def rows(tiny_model: Path) -> Dataset:
    return hostile_rows(tiny_model, len(HOSTILE) + 1)


@pytest.fixture(scope="module")
def page(rows: Dataset) -> str:
    return page_of(rows, REPORT, hostile_rejects(), f"name {HOSTILE[0]}")


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_allows_the_one_script_and_the_one_style_and_nothing_else(page: str) -> None:
    found = Page(page)
    (script,), (style,) = found.raw["script"], found.raw["style"]
    policy = dict(part.strip().split(" ", 1) for part in found.policy().split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == digest(script)
    assert policy["style-src"] == digest(style)
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in found.policy()
    assert "*" not in re.sub(r"'sha256-[^']*'", "", found.policy())


def test_the_page_refers_to_nothing_and_has_no_handler(page: str) -> None:
    found = Page(page)
    names = {name for _, attributes in found.tags for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "href", "style", "srcset", "action")}
    tags = {tag for tag, _ in found.tags}
    assert not tags & {"img", "iframe", "object", "embed", "link", "base", "a", "foreignobject", "use", "image"}
    assert [t for t, a in found.tags].count("script") == 1 + len(found.data)


@pytest.mark.parametrize("attack", HOSTILE)
def test_no_hostile_text_stands_in_the_page_as_it_is(attack: str, page: str) -> None:
    shell = without_data(page)
    if re.search("[<>&\u2028\u202e]", attack):
        assert attack not in shell
    assert not re.search("[\x00-\x08\x0b-\x1f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b\ufeff]", page)


def test_names_of_the_data_that_stand_in_the_page_are_escaped(page: str) -> None:
    assert "name &lt;/script&gt;&lt;script&gt;window.hit=1" in page
    assert "a⟨U+202E⟩b⟨U+2066⟩c⟨U+200B⟩d" in page


def test_scripts_make_no_html_from_strings() -> None:
    script = "".join(source_of(name) for name in SCRIPTS)
    words = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(|new Function|setTimeout\(['\"`]"
    assert not re.search(words, script)
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|https?:", script)
    for text in (script, source_of("page.css")):
        assert not re.search(r"</(script|style)|<!--", text, re.IGNORECASE)
        assert "\r" not in text


def test_every_row_comes_back_from_the_page(page: str, rows: Dataset) -> None:
    found = Page(page)
    names = found.unpacked("index")["names"]
    for number, row in enumerate(rows):
        item, text, detail = found.item(number)
        assert (item["id"], item["length"], text) == (row["trajectory_id"], row["length"], row["text"])
        assert detail["ids"] == row["input_ids"]
        codes = np.repeat(detail["runs"][1::2], detail["runs"][0::2])
        assert (codes >> 3).tolist() == row["token_types"]
        assert ((codes >> 1) & 1).tolist() == row["reasoning_mask"]
        assert ((codes >> 2) & 1).tolist() == row["action_mask"]
        labels = [i if code & 1 else -100 for i, code in zip(detail["ids"], codes, strict=True)]
        assert labels == row["labels"]
        units = row["text"].encode("utf-16-le", "surrogatepass")
        for put, span in zip(detail["spans"], row["spans"], strict=True):
            keys = ("span_type", "subtype", "origin", "pattern")
            assert [names[n] for n in put[:4]] == [span[key] for key in keys]
            assert put[4:6] + put[8:9] == [span["start_token"], span["end_token"], span["step_id"]]
            part = units[2 * put[6] : 2 * put[7]].decode("utf-16-le")
            assert part == row["text"][span["start_char"] : span["end_char"]]
            assert put[9] == pytest.approx(span["confidence"], abs=1e-4)
        assert (detail["group"], detail["original"]) == (row["group_id"], row["original_text"])
        assert json.loads(detail["metadata"]) == json.loads(row["metadata"])


def test_every_reject_comes_back_from_the_page(page: str, rows: Dataset) -> None:
    found = Page(page)
    for number, reject in enumerate(hostile_rejects()):
        item, text, detail = found.item(len(rows) + number)
        assert (item["status"], item["reason"], text) == (reject["status"], reject["reason"], reject["record"])
        assert detail["reject"] == {key: value for key, value in reject.items() if key != "record"}


def test_a_label_that_is_not_its_token_is_kept(rows: Dataset) -> None:
    row = rows[0]
    token = next(i for i, label in enumerate(row["labels"]) if label != -100)
    row["labels"][token] = 7
    found = Page(page_of(Dataset.from_list([row], features=SAD_FEATURES)))
    assert found.item(0)[2]["labels"] == {str(token): 7}


def test_the_same_rows_give_the_same_page(page: str, rows: Dataset, tmp_path: Path) -> None:
    rows.save_to_disk(str(tmp_path / "rows"))
    again = Dataset.load_from_disk(str(tmp_path / "rows"))
    assert page_of(again, REPORT, hostile_rejects(), f"name {HOSTILE[0]}") == page


def test_tokens_stand_where_the_tokenizer_puts_them(rows: Dataset, tiny_model: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tiny_model))
    for row, places in zip(rows, TokenPlacer().place(rows.to_list()), strict=True):
        assert isinstance(places, TokenPlaces)
        text, edges = row["text"], [*places.starts, len(row["text"])]
        assert len(places.starts) == row["length"]
        assert "".join(text[a:b] for a, b in pairwise(edges)) == text
        for token, (a, b) in zip(row["input_ids"], pairwise(edges), strict=True):
            if b > a and text[a:b].isascii():
                assert tokenizer.decode([token], skip_special_tokens=False) == text[a:b]


def test_a_token_over_a_border_is_found_and_no_other(rows: Dataset) -> None:
    row = rows[0]
    (before,) = TokenPlacer().place([row])
    border = move_border(row)
    (after,) = TokenPlacer().place([row])
    assert isinstance(before, TokenPlaces)
    assert isinstance(after, TokenPlaces)
    assert before.over == []
    (token,) = after.over
    assert after.starts[token] < border < after.starts[token + 1]


def test_without_the_tokenizer_the_page_says_so_and_shows_the_rest(rows: Dataset, tmp_path: Path) -> None:
    row = rows[0]
    facts = json.loads(row["metadata"])
    found = []
    for name in (f"{tmp_path / 'gone.json'}@0123456789abcdef", ""):
        row["metadata"] = json.dumps(facts | {"tokenizer": name})
        item, text, detail = Page(page_of(Dataset.from_list([row], features=SAD_FEATURES))).item(0)
        assert (item["over"], detail["over"], text) == (None, [], row["text"])
        found.append(detail["starts"])
    assert "gone.json" in found[0]
    assert found[1] == "the row names no tokenizer"
    row["metadata"], row["input_ids"] = json.dumps(facts), row["input_ids"][::-1]
    _, _, detail = Page(page_of(Dataset.from_list([row], features=SAD_FEATURES))).item(0)
    assert "are not those of" in detail["starts"]


def test_of_many_rows_those_at_equal_distances_are_shown(rows: Dataset) -> None:
    found = Page(page_of(rows, max_rows=3, first_row=2))
    index = found.unpacked("index")
    assert [item["row"] for item in index["items"]] == [0, 2, 4, 9]
    assert index["items"][index["first"]]["row"] == 2


@given(st.integers(0, 500), st.integers(1, 60), st.integers(0, 499))
def test_chosen_rows_are_spread_and_hold_the_first(n_rows: int, max_rows: int, first: int) -> None:
    found = chosen_rows(n_rows, max_rows, first)
    assert found == sorted(set(found))
    assert min(n_rows, max_rows) <= len(found) <= max_rows + 1
    assert first in found or first >= n_rows
    assert all(0 <= row < n_rows for row in found)


@pytest.mark.parametrize("column", ["labels", "spans", "metadata", "quality"])
def test_a_row_that_does_not_hold_together_is_named(column: str, rows: Dataset) -> None:
    broken: dict[str, Any] = rows[0] | {"labels": [1], "metadata": "{", "quality": None, "spans": None}
    row = rows[0] | {column: broken[column]}
    dataset = Dataset.from_list([rows[1], row], features=SAD_FEATURES)
    with pytest.raises(SchemaError, match="see deepcoder-hf validate") as raised:
        page_of(dataset)
    assert "\n" not in str(raised.value)


def test_columns_that_are_missing_are_named(rows: Dataset) -> None:
    with pytest.raises(SchemaError, match=r"missing: labels, spans"):
        page_of(rows.remove_columns(["labels", "spans"]))


def test_numbers_that_json_cannot_hold_become_null() -> None:
    text = packed({"a": [float("nan"), 1.5], "b": float("inf")})
    assert Page(f'<script id="x">{text}</script>').unpacked("x") == {"a": [None, 1.5], "b": None}


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("🙂\U000e0041é")))
def test_utf16_places_are_those_of_the_encoding(text: str) -> None:
    units = utf16_places(text)
    expected = [len(text[:n].encode("utf-16-le")) // 2 for n in range(len(text) + 1)]
    assert (list(range(len(text) + 1)) if units is None else units.tolist()) == expected


def test_nothing_invisible_is_left() -> None:
    seen = set(range(0x600, 0x606)) | {0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    for code in range(0x110000):
        kind = unicodedata.category(chr(code))
        hides = kind in ("Cc", "Zl", "Zp", "Cs") or (
            kind == "Cf" and code not in seen and not 0x13430 <= code <= 0x1343F
        )
        if hides and chr(code) not in "\n\t":
            assert visible(chr(code)).startswith("⟨"), hex(code)
    assert visible("x\u202e\x1b\x7f\r\U000e0041\n\té日本🙂") == "x⟨U+202E⟩⟨ESC⟩⟨U+007F⟩⟨CR⟩⟨U+E0041⟩\n\té日本🙂"


def test_colours_can_be_read_on_their_backgrounds() -> None:
    def light(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    blocks = re.findall(r"color-scheme: (?:light|dark);(.*?)\}", source_of("page.css"), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
        pairs = [(kind, "page") for kind in ("reasoning", "action", "observation", "answer", "other", "soft", "bad")]
        pairs += [
            ("ink", name) for name in colours if name.endswith("wash") or name in ("page", "panel", "pick", "hit")
        ]
        pairs += [("soft", "panel"), ("soft", "pick"), ("sign", "observation-wash")]
        for ink, ground in pairs:
            a, b = sorted((light(colours[ink]), light(colours[ground])))
            assert (b + 0.05) / (a + 0.05) >= 4.5, (ink, ground, colours[ink], colours[ground])


def test_a_page_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "missing" / "page.html"):
        with pytest.raises(OutputError, match="cannot be written"):
            write_html("page", path)
    write_html("<!doctype html>page", tmp_path / "page.html")
    write_html("<!doctype html>again", tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == "<!doctype html>again"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "page.html"]


def test_a_file_that_is_no_page_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "rows.parquet"
    target.write_bytes(b"PAR1")
    with pytest.raises(OutputError, match="is no page"):
        write_html("<!doctype html>", target)
    assert target.read_bytes() == b"PAR1"
    target = tmp_path / "page.html"
    for page in ("<!doctype html>1", "<!doctype html>2"):
        write_html(page, target)
        assert target.read_text() == page
