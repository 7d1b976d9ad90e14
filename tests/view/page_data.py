"""What the tests of the page share: hostile rows and rejects, and a reader of what a page embeds."""

from __future__ import annotations

import base64
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from datasets import Dataset

from deepcoder_hf import TrajectoryProcessor
from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.view.page_signs import visible

HOSTILE = (
    "</script><script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "\"'><svg onload=window.hit=1>",
    "<a href='javascript:window.hit=1'>javascript:window.hit=1</a>",
    "</style><style>*{display:none}</style>",
    "<!--<script>window.hit=1//-->",
    "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>",
    "\u2028window.hit=1\u2029",
    "{{ 7 * 7 }} ${window.hit=1} {% raw %}",
    "</textarea></title></noscript><base href=//example.org/>",
    "&lt;b&gt; &amp; &#60;script&#62;",
    "a\u202eb\u2066c\u200bd\ufeffe\x1b[31mf\x07g\r\nh\u00adi\U000e0041j",
    "日本語 é 🙂👩‍🚀 naïve",
)
TEXT = (
    "User: go {n}\nThought: I look at {n}: {hostile}\nAction: look[{n}]\nObservation: it is {hostile}\n"
    "Thought: Done.\nFinal Answer: {n}"
)


def hostile_rows(model: Path, n_rows: int = len(HOSTILE)) -> Dataset:
    """Rows whose every text is hostile; in row 1 a span begins inside a token."""
    every = " ".join(HOSTILE)
    texts = [TEXT.format(n=n, hostile=HOSTILE[n] if n < len(HOSTILE) else every) for n in range(n_rows)]
    settings = {"tokens": {"model_name": str(model), "max_length": 100_000}}
    run = TrajectoryProcessor(settings).run(Dataset.from_list([{"text": text} for text in texts]))
    rows = run.dataset().to_list()
    for number, row in enumerate(rows):
        attack = HOSTILE[number % len(HOSTILE)]
        row["trajectory_id"], row["group_id"] = f"{number} {attack}", attack
        row["metadata"] = json.dumps(json.loads(row["metadata"]) | {"source_format": attack, "note": attack})
        row["spans"][0]["pattern"], row["spans"][0]["subtype"] = attack, f"sub {attack}"
        row["original_text"] = attack
    move_border(rows[1])
    return Dataset.from_list(rows, features=SAD_FEATURES)


def move_border(row: dict[str, Any]) -> int:
    """Let the second span begin inside its first token of two characters or more; returns the character."""
    border = row["spans"][1]["start_char"] + 2
    row["spans"][0]["end_char"] = row["spans"][1]["start_char"] = border
    return int(border)


def hostile_rejects() -> list[dict[str, Any]]:
    return [
        {
            "source": attack,
            "line": number,
            "part": 0,
            "status": "failed" if number % 2 else "dropped",
            "reason": attack,
            "message": f"message {attack}",
            "record": f"record {attack}",
        }
        for number, attack in enumerate(HOSTILE)
    ]


class Page(HTMLParser):
    """A page as its tags, and the content of its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.data: dict[str, str] = {}
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = ""
        if tag in self.raw:
            self._inside = str(dict(attrs).get("id") or tag)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.raw:
            self.raw[self._inside].append(data)
        elif self._inside:
            self.data[self._inside] = self.data.get(self._inside, "") + data

    def policy(self) -> str:
        (policy,) = [a["content"] for t, a in self.tags if t == "meta" and "http-equiv" in a]
        return str(policy)

    def unpacked(self, name: str) -> Any:
        return json.loads(zlib.decompress(base64.b64decode(self.data[name], validate=True)))

    def item(self, place: int) -> tuple[dict[str, Any], str, dict[str, Any]]:
        """An entry of the list, its text and its details."""
        item = self.unpacked("index")["items"][place]
        number = item["chunk"]
        return item, self.unpacked(f"texts-{number}")[item["place"]], self.unpacked(f"details-{number}")[item["place"]]


def without_data(page: str) -> str:
    """The page without what it embeds in base64."""
    return re.sub(r'(<script type="text/plain" id="[a-z0-9-]+">)[^<]*', r"\1", page)


def text_of(page: Any, selector: str) -> str:
    found: str = page.locator(selector).first.text_content()
    return found


def opened(page: Any, words: str) -> None:
    """Wait until the trajectory or reject is open whose title begins so."""
    page.wait_for_function(
        "words => document.querySelector('#trajectory h2')?.textContent.startsWith(words)", arg=words
    )


def seen(text: str) -> str:
    """A text as the page shows it: signs stand in frames instead of brackets."""
    return visible(text).replace("⟨", "").replace("⟩", "")
