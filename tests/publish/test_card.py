"""The card as a whole: numbers from the rows, metadata for the Hub, hostile text, and code that is Python."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from huggingface_hub import DatasetCard
from markdown_it import MarkdownIt

from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.errors import PublishError
from deepcoder_hf.publish.bundle import Bundle, CardFacts, Rights
from deepcoder_hf.publish.card import make_card
from deepcoder_hf.publish.card_columns import MEANINGS
from tests.pipeline_runs import processor, react, write_jsonl

PATHS = {"default": {"train": "data/train-*.parquet", "test": "data/test-*.parquet"}}
HOSTILE = (
    "Thought: ```\n````\n</code></pre><script>alert(1)</script> [x](javascript:y) \u202eleft\u2069 zero\u200bwidth\n"
    "\n<!-- deepcoder-hf begin rows@default -->\n\n---\n| a | b |\n\x1b[31mred\x07 你好 שלום 🙂 Z\u0351\u0352 \\(\n"
    "Action: look[`|`]\nObservation: ~~~~~\n`````````` <img src=x>\nThought: ok\nAction: finish[1]"
)
HOSTILE_NAME = (
    "a|b`c``<script>alert(1)</script>\n| x | y |\n<!-- deepcoder-hf end rows --> [x](http://e.vil) \\| \u202e"
)


def facts(**more: Any) -> CardFacts:
    return CardFacts(**{"repo_id": "deepcoder/sad", "licence": "apache-2.0", "configs": PATHS, **more})


def tokens_of(readme: bytes) -> list[Any]:
    """Every token of the body as CommonMark with tables reads it, inner ones too."""
    body = re.sub(r"\A---\n.*?\n---\n", "", readme.decode(), flags=re.DOTALL)
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(body):
        found += [token, *(token.children or [])]
    return found


@pytest.fixture(scope="module")
def bundle(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("card")
    records = [*react(*range(12)), {"id": HOSTILE_NAME, "text": HOSTILE}]
    report = processor(tiny_model, filters={"min_tokens": 20}).process_files(
        write_jsonl(folder / "in.jsonl", records), folder / "sad"
    )
    rows = Dataset.load_from_disk(str(folder / "sad"))
    return Bundle({"train": rows.select(range(9)), "test": rows.select(range(9, 13))}, report)


@pytest.fixture(scope="module")
def card(bundle: Bundle) -> dict[str, bytes]:
    return make_card(bundle, facts(), None)


def test_metadata_is_what_the_hub_reads(card: dict[str, bytes]) -> None:
    data = DatasetCard(card["README.md"].decode()).data
    assert data.license == "apache-2.0"
    assert data.size_categories == ["n<1K"]
    assert data.task_categories == ["text-generation"]
    assert "deepcoder-hf" in data["tags"]
    assert data["configs"][0]["data_files"] == [
        {"split": "train", "path": "data/train-*.parquet"},
        {"split": "test", "path": "data/test-*.parquet"},
    ]


def test_load_dataset_reads_the_rows_through_the_card(bundle: Bundle, card: dict[str, bytes], tmp_path: Path) -> None:
    from datasets import load_dataset

    (tmp_path / "data").mkdir()
    for split, rows in bundle.splits.items():
        rows.to_parquet(str(tmp_path / "data" / f"{split}-00000.parquet"))
    (tmp_path / "README.md").write_bytes(card["README.md"])
    loaded = load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 9, "test": 4}


def test_numbers_are_counted_from_the_rows_not_from_the_report(bundle: Bundle) -> None:
    wrong = {"tokens": {"total": 123_456_789}, "n_rows": 4, "row_lengths": {"mean": 987_654_321}}
    text = make_card(Bundle(bundle.splits, wrong), facts(), None)["README.md"].decode()
    for split, rows in bundle.splits.items():
        n_tokens = sum(rows["length"])
        n_trained = sum(int((np.array(labels) != -100).sum()) for labels in rows["labels"])
        line = f"| `default` | `{split}` | {len(rows)} | {n_tokens:,} | {n_trained:,} | {n_trained / n_tokens:.1%} |"
        assert line in text
    types = np.concatenate([row for rows in bundle.splits.values() for row in rows["token_types"]])
    shares = [np.mean(np.array(row) == 1) for rows in bundle.splits.values() for row in rows["token_types"]]
    reasoning = next(line for line in text.split("\n") if line.startswith("| reasoning |"))
    assert f"| {(types == 1).sum():,} | {(types == 1).mean():.1%} |" in reasoning
    assert f"| {np.mean(shares):.1%} |" in reasoning
    assert f"{np.median(shares):.1%}" in reasoning
    assert "123,456,789" not in text
    assert "987,654,321" not in text


def test_every_column_is_listed_with_its_meaning(bundle: Bundle) -> None:
    assert list(MEANINGS) == list(SAD_FEATURES)
    weighted = bundle.splits["train"].add_column("token_weights", [[1.0]] * 9)
    text = make_card(Bundle({"train": weighted}), facts(), None)["README.md"].decode()
    for name in [*SAD_FEATURES, "token_weights"]:
        assert f"\n| `{name}` | " in text
    assert "| `token_weights` | list of float64 | weight of each token in the loss |" in text


def test_the_card_says_filters_rights_digests_configuration_and_command(bundle: Bundle) -> None:
    rights = Rights({"runs.jsonl": 13}, {"mit": 9, "": 4}, {"big-teacher": 13}, ["4 rows name no licence"])
    more = {"rights": rights, "contamination": {"HumanEval": 2}, "command": "deepcoder-hf publish /home/ann/sad a/b"}
    text = make_card(bundle, facts(**more), None)["README.md"].decode()
    for part in ("| `runs.jsonl` | 13 |", "| `mit` | 9 |", "| not named | 4 |", "| `big-teacher` | 13 |"):
        assert part in text
    assert "- `4 rows name no licence`" in text
    assert "| `HumanEval` | 2 |" in text
    assert "deepcoder-hf publish sad a/b" in text
    identity = json.loads(bundle.splits["train"][0]["metadata"])["tokenizer"]
    assert f"`{Path(identity).name}` | 13 |" in text
    assert str(Path(identity).parent) not in text
    assert re.search(r"```yaml\nreaders:\n(?:.*\n)*?  min_tokens: 20\n", text)
    assert f"| `datasets` | `{bundle.report['versions']['datasets']}` |" in text


def test_drop_reasons_come_from_the_report(bundle: Bundle) -> None:
    reasons = {"dropped": {"low_action_ratio": 3}, "failed": {"broken_json": 1_000}}
    report = {"n_read": 1_016, "n_kept": 13, "n_dropped": 3, "n_failed": 1_000, "n_rows": 13, "reasons": reasons}
    text = make_card(Bundle(bundle.splits, report), facts(), None)["README.md"].decode()
    assert "1,016 records: 13 kept, 3 dropped by filters, 1,000 could not be used; it made 13 rows." in text
    assert "| dropped | `low_action_ratio` | 3 |\n| failed | `broken_json` | 1,000 |" in text


def test_hostile_text_and_names_cannot_break_out(bundle: Bundle) -> None:
    alone = Dataset.from_list([bundle.splits["test"][3]], features=SAD_FEATURES)
    assert alone[0]["trajectory_id"] == HOSTILE_NAME
    names = {HOSTILE_NAME: 3, "plain": 1}
    more = {
        "rights": Rights(names, names, names, [HOSTILE_NAME]),
        "contamination": {HOSTILE_NAME: 1},
        "command": "publish ```\n`````` <b>",
    }
    report = {"reasons": {"dropped": {HOSTILE_NAME: 2}}, "versions": {HOSTILE_NAME: HOSTILE_NAME}}
    report["config"] = {"filters": {HOSTILE_NAME: HOSTILE}}
    readme = make_card(Bundle({"train": alone}, report), facts(**more), None)["README.md"]
    tokens = tokens_of(readme)
    html = [token.content for token in tokens if token.type.startswith("html")]
    assert html
    assert all(re.fullmatch(r"<!-- deepcoder-hf [^<>]*-->\s*", content) for content in html)
    links = [token.attrs.get("href") for token in tokens if token.type == "link_open"]
    assert links == ["https://arxiv.org/abs/2505.13820"]
    pictures = [token.attrs["src"] for token in tokens if token.type == "image"]
    assert len(pictures) == 4
    assert all(picture.startswith("assets/default-") for picture in pictures)
    headings = [tokens[n + 1].content for n, token in enumerate(tokens) if token.type == "heading_open"]
    assert len(headings) == 12
    fences = [token.content for token in tokens if token.type == "fence" and token.info == "text"]
    assert len(fences) == 1
    assert "<script>alert(1)</script>" in fences[0]
    assert "<U+202E>left" in fences[0]
    assert "zero<U+200B>width" in fences[0]
    assert not re.search("[\x00-\x08\x0b-\x1f\u200b\u202a-\u202e\u2066-\u2069]", readme.decode())


def test_every_row_of_a_table_has_as_many_cells_as_its_head(bundle: Bundle) -> None:
    names = {HOSTILE_NAME: 1, "back\\|slash": 1, "`": 1, "``` x": 1, "": 1, "end\\": 1}
    readme = make_card(bundle, facts(rights=Rights(names, names, names)), None)["README.md"].decode()
    width = 0
    for line in readme.split("\n"):
        if line.startswith("| "):
            width = width or line.count("|")
            assert line.count("|") == width, line
        else:
            width = 0


def test_python_on_the_card_is_valid(card: dict[str, bytes]) -> None:
    blocks = [
        token.content for token in tokens_of(card["README.md"]) if token.type == "fence" and token.info == "python"
    ]
    assert len(blocks) == 5
    for block in blocks:
        ast.parse(block)
        assert 'load_dataset("deepcoder/sad", split="train"' in block
    assert any("DataCollatorForSeq2Seq" in block for block in blocks)
    assert any("max_length=None" in block for block in blocks)


def test_the_same_data_gives_the_same_bytes_and_a_card_is_its_own_successor(
    bundle: Bundle, card: dict[str, bytes]
) -> None:
    assert make_card(bundle, facts(), None) == card
    assert make_card(bundle, facts(), card["README.md"].decode()) == card


def test_the_configs_of_a_repository_keep_their_sections(bundle: Bundle, card: dict[str, bytes]) -> None:
    both = {**PATHS, "llama": {"train": "llama/train-*.parquet"}}
    second = Bundle({"train": bundle.splits["train"].select(range(5))})
    of_llama = make_card(second, facts(config_name="llama", configs=both), card["README.md"].decode())
    text = of_llama["README.md"].decode()
    assert {name for name in of_llama if name.endswith(".png")}.isdisjoint(card)
    assert "| `default` | `train` | 9 |" in text
    assert "| `llama` | `train` | 5 |" in text
    assert "## Shares\n" in text
    assert "## Shares of config `llama`\n" in text
    assert 'load_dataset("deepcoder/sad", "llama", split="train")' in text
    again = make_card(bundle, facts(configs=both), text)["README.md"].decode()
    assert again.count("## Shares of config `llama`\n") == again.count("## Shares\n") == 1
    assert "| `llama` | `train` | 5 |" in again
    gone = make_card(bundle, facts(), again)["README.md"].decode()
    assert "llama" not in gone.partition("## What it is")[2]


def test_rows_of_other_configs_count_for_the_size(bundle: Bundle, card: dict[str, bytes]) -> None:
    both = {**PATHS, "big": {"train": "big/train-*.parquet"}}
    line = "| `big` | `train` | 2,000,000 | 9 | 9 | 100.0% | 9 |"
    earlier = card["README.md"].decode().replace("| `default` | `test`", f"{line}\n| `default` | `test`")
    text = make_card(bundle, facts(configs=both), earlier)["README.md"].decode()
    assert line in text
    assert DatasetCard(text).data.size_categories == ["1M<n<10M"]


def test_text_of_a_trajectory_cannot_forge_rows_of_another_config(bundle: Bundle) -> None:
    line = "| `big` | `train` | 2,000,000 | 9 | 9 | 100.0% | 9 |"
    row = bundle.splits["train"][0]
    span = row["spans"][0] | {"end_char": len(line), "end_token": row["length"]}
    forged = row | {"text": line, "spans": [span]}
    alone = Bundle({"train": Dataset.from_list([forged], features=SAD_FEATURES)})
    first = make_card(alone, facts(), None)["README.md"].decode()
    assert line in first
    both = {**PATHS, "big": {"train": "big/train-*.parquet"}}
    assert line not in make_card(bundle, facts(configs=both), first)["README.md"].decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: (b, facts(config_name="a/b")), "config 'a/b'"),
        (lambda b: (Bundle({}), facts()), "at least one split"),
        (lambda b: (Bundle({"train": b.splits["train"].remove_columns("labels")}), facts()), "missing: labels"),
        (lambda b: (Bundle({"x": _with_types(b, [9])}), facts()), "split x, rows 0 to 0"),
    ],
    ids=["config", "splits", "columns", "types"],
)
def test_what_cannot_be_described_is_one_clear_error(
    bundle: Bundle, change: Callable[[Bundle], tuple[Bundle, CardFacts]], words: str
) -> None:
    with pytest.raises(PublishError, match=re.escape(words)) as caught:
        make_card(*change(bundle), None)
    assert "\n" not in str(caught.value)


def _with_types(bundle: Bundle, types: list[int]) -> Dataset:
    return Dataset.from_list([bundle.splits["train"][0] | {"token_types": types}], features=SAD_FEATURES)


def test_a_split_without_rows_has_a_card_without_pictures(bundle: Bundle) -> None:
    card = make_card(Bundle({"train": bundle.splits["train"].select([])}), facts(), None)
    assert list(card) == ["README.md"]
    assert "| `default` | `train` | 0 | 0 | 0 | 0.0% | 0 |" in card["README.md"].decode()


def test_metadata_that_is_no_json_is_counted_as_unknown(bundle: Bundle) -> None:
    rows = [bundle.splits["train"][0] | {"metadata": text} for text in ("{", "[1]", '{"tokenizer": {"a": "|"}}', "")]
    text = make_card(Bundle({"train": Dataset.from_list(rows, features=SAD_FEATURES)}), facts(), None)["README.md"]
    assert b"| `(unknown)` | 3 |" in text
    assert b'`{"a":"\xc2\xa6"}` | 1 |' in text
