"""The figures of a dataset: equal to a plain count of its rows, in the charts as in the terminal."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from datasets import Dataset
from page_data import HOSTILE, Page, hostile_rejects, hostile_rows
from rich.console import Console

from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.errors import InputError, SchemaError
from deepcoder_hf.spans.types import TYPES
from deepcoder_hf.view import page_facts
from deepcoder_hf.view.page_facts import Facts, dataset_facts, rejects_beside, report_beside
from deepcoder_hf.view.page_report import bar_of, report_page, report_tables, sparks_of


@pytest.fixture(scope="module")
def rows(tiny_model: Path) -> Dataset:
    return hostile_rows(tiny_model)


@pytest.fixture
def facts(rows: Dataset, monkeypatch: pytest.MonkeyPatch) -> Facts:
    monkeypatch.setattr(page_facts, "BATCH_ROWS", 3)  # several batches
    return dataset_facts(rows, {}, hostile_rejects())


def test_tokens_and_spans_are_those_of_the_rows(facts: Facts, rows: Dataset) -> None:
    types, trained, spans = Counter[int](), Counter[int](), Counter[tuple[str, str]]()
    in_spans, confidence = Counter[tuple[str, str]](), Counter[str]()
    for row in rows:
        types.update(row["token_types"])
        trained.update(t for t, label in zip(row["token_types"], row["labels"], strict=True) if label != -100)
        for span in row["spans"]:
            spans[span["span_type"], span["subtype"]] += 1
            labels = row["labels"][span["start_token"] : span["end_token"]]
            in_spans[span["span_type"], span["subtype"]] += sum(label != -100 for label in labels)
            confidence[span["pattern"]] += span["confidence"]
    for number, kind in enumerate(TYPES):
        counts = facts["tokens"]["by_type"][kind]
        assert (counts["tokens"], counts["trained"]) == (types[number], trained[number])
    assert {(r["span_type"], r["subtype"]): r["spans"] for r in facts["subtypes"]} == spans
    assert {(r["span_type"], r["subtype"]): r["trained"] for r in facts["subtypes"]} == in_spans
    sums = Counter[str]()
    for row in facts["patterns"]:
        sums[row["pattern"]] += row["mean"] * row["spans"]
    assert sums == pytest.approx(confidence, abs=0.01)
    assert sum(row["tokens"] for row in facts["patterns"]) == facts["tokens"]["total"] == sum(rows["length"][:])
    assert facts["formats"] == dict.fromkeys(sorted(HOSTILE), 1)


def test_every_row_is_in_each_distribution(facts: Facts, rows: Dataset) -> None:
    for found in [*facts["shares"].values(), facts["confidence"], facts["lengths"]]:
        assert sum(found["counts"]) == len(rows) == facts["rows"]
    edges = facts["lengths"]["edges"]
    assert edges[0] <= min(rows["length"][:])
    assert edges[-1] > max(rows["length"][:])


def test_reasons_come_from_the_report_or_from_the_rejects(rows: Dataset, facts: Facts) -> None:
    assert sum(sum(counts.values()) for counts in facts["reasons"].values()) == len(HOSTILE)
    assert facts["records"] is None
    report = {"n_read": 3, "n_kept": 1, "n_dropped": 2, "n_failed": 0, "reasons": {"dropped": {"b": 1, "a": 1}}}
    told = dataset_facts(rows, report, hostile_rejects())
    assert told["reasons"] == {"dropped": {"a": 1, "b": 1}}
    assert told["records"] == {"n_read": 3, "n_kept": 1, "n_dropped": 2, "n_failed": 0}


def test_an_empty_dataset_has_a_report(tmp_path: Path) -> None:
    facts = dataset_facts(Dataset(SAD_FEATURES.arrow_schema.empty_table()), {}, [])
    assert (facts["rows"], facts["tokens"]["total"]) == (0, 0)
    assert "no rows" in report_page(facts, "empty")
    assert "rows" in shown(facts)
    json.dumps(facts, allow_nan=False)


def test_the_page_has_charts_and_no_script(facts: Facts) -> None:
    page = report_page(facts, HOSTILE[0])
    found = Page(page)
    tags = [tag for tag, _ in found.tags]
    assert "script" not in tags
    assert "script-src" not in found.policy()
    assert tags.count("svg") == len([a for t, a in found.tags if t == "svg" and a["role"] == "img" and a["aria-label"]])
    assert tags.count("svg") == tags.count("figure") >= 10
    assert not {name for _, a in found.tags for name in a if name.startswith("on") or name in ("style", "href", "src")}
    assert "<script" not in page
    assert "<img" not in page


def shown(facts: Facts, width: int = 80) -> str:
    file = io.StringIO()
    Console(file=file, width=width, markup=False, emoji=False, highlight=False).print(report_tables(facts))
    return file.getvalue()


def test_the_terminal_shows_the_same_figures_and_nothing_acts_on_it(facts: Facts) -> None:
    text = shown(facts, 300)
    for name in ("tokens by type", "confidence by pattern", "not kept", "rows by format", "tokens of a row"):
        assert name in text
    assert f"{facts['tokens']['total']:,}" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "…" not in shown(facts | {"patterns": [], "formats": {}, "reasons": {}})


def test_bars_show_whatever_is_not_nothing() -> None:
    assert (bar_of(0), bar_of(1, 4), bar_of(1e-9, 4), bar_of(0.5, 3)) == ("", "████", "▏", "█▌")
    assert sparks_of([0, 1, 50, 100]) == " ▁▄█"


def test_files_beside_a_dataset_are_read_or_named(tmp_path: Path) -> None:
    assert report_beside(tmp_path) == {}
    assert rejects_beside(tmp_path) == []
    (tmp_path / "rows.rejected.jsonl").write_text('{"reason": "a"}\n\n{"reason": "b"}\n')
    assert [reject["reason"] for reject in rejects_beside(tmp_path / "rows.parquet")] == ["a", "b"]
    (tmp_path / "rejected.jsonl").write_text('{"reason": "a"}\n[1]\n')
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(InputError, match=r"rejected\.jsonl:2: expected a JSON object"):
        rejects_beside(tmp_path)
    with pytest.raises(InputError, match=r"report\.json cannot be read"):
        report_beside(tmp_path)


def test_rows_that_cannot_be_counted_are_an_error_in_one_line(rows: Dataset) -> None:
    row = rows[0]
    row["spans"][0]["end_token"] = 10**6
    with pytest.raises(SchemaError, match="see deepcoder-hf validate") as raised:
        dataset_facts(Dataset.from_list([row], features=SAD_FEATURES), {}, [])
    assert "\n" not in str(raised.value)
    with pytest.raises(SchemaError, match="missing: text"):
        dataset_facts(rows.remove_columns("text"), {}, [])
