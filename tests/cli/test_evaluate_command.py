"""`deepcoder-hf evaluate` as a user meets it: tables, worst records, leaving out, JSON."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from labelled_texts import REACT, REACT_SPANS, RECORDS, numbered, write
from rich.console import Console

from deepcoder_hf.spans.evaluate import evaluate_spans
from deepcoder_hf.view.terminal import console
from deepcoder_hf.view.worst import worst_record

EVIL = "\x1b[31mred\x1b]0;title\x07\x9b2J\x7f\x00\u202etxt\u2066[bold red]m[/bold red]:smile:\rback"
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    """Three records in which the detector is right, and one in whose labels two characters are wrong."""
    return write(tmp_path / "gold.jsonl", *RECORDS)


def figures(result: Any, name: str) -> list[str]:
    """The cells of a row of the table."""
    (row,) = [line.split() for line in result.stdout.splitlines() if line.split()[:1] == [name]]
    return row[1:]


def test_the_table_shows_each_style_and_the_macro_average(call: Any, gold: Path) -> None:
    result = call("evaluate", "gold.jsonl")
    assert (result.exit_code, result.stderr) == (0, "")
    assert figures(result, "react_plain") == ["2", "1.0000", "1.0000", "1.0000", "0.0000", "1.0000"]
    assert figures(result, "xml_tags") == ["1", "1.0000", "-", "-", "0.0000", "1.0000"]
    assert figures(result, "house_react") == ["1", "0.8333", "-", "1.0000", "0.0000", "0.0000"]
    macro = evaluate_spans(RECORDS).macro
    assert figures(result, "macro")[:2] == ["4", f"{macro.reasoning:.4f}"]
    assert "expected calibration error" in result.stdout
    assert [figures(result, threshold)[0] for threshold in ("0.5", "0.7", "0.9")]
    assert re.search(r"4 records, 0\.0 MB, 0 malformed, 0 failed; [\d.]+ MB per CPU-second\n$", result.stdout)
    assert "reliability" not in result.stdout


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("style", ["house_react", "react_plain", "xml_tags"]),
        ("source", ["a", "b"]),
        ("lang", ["de", "en"]),
        ("rendering", ["native", "rendered"]),
    ],
)
def test_records_are_grouped_by_what_was_asked_for(by: str, names: list[str], call: Any, gold: Path) -> None:
    result = call("evaluate", "gold.jsonl", "--by", by)
    assert result.exit_code == 0
    assert result.stdout.split()[0] == by
    assert [name for name in names if figures(result, name)] == names


def test_by_pattern_shows_what_each_pattern_gets_wrong(call: Any, gold: Path) -> None:
    result = call("evaluate", "gold.jsonl", "--by", "pattern")
    rows = [line.split() for line in result.stdout.splitlines()[1:3]]
    assert rows[0][:3] == ["action_label", "action", "3"]
    assert rows[0][-1] == "2"
    assert "thought_label" in result.stdout


@pytest.mark.parametrize("words", [[], ["--leave-out", "all"], ["--by", "pattern"], ["--worst", "3", "--calibration"]])
def test_tables_are_at_most_a_hundred_columns_wide(words: list[str], run: Any, tmp_path: Path) -> None:
    long = [{**RECORDS[3], "style": f"a_style_with_a_rather_long_name_{n}", "id": "id" * 60} for n in range(3)]
    write(tmp_path / "gold.jsonl", *long)
    done = run("evaluate", "gold.jsonl", *words, cwd=tmp_path, env={"COLUMNS": "100"})
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "…" not in done.stdout
    for width in ("80", "200"):
        done = run("evaluate", "gold.jsonl", *words, cwd=tmp_path, env={"COLUMNS": width})
        assert max(map(len, done.stdout.splitlines())) <= int(width)
        assert "1.0000" in done.stdout


def test_calibration_adds_the_reliability_of_each_bin(call: Any, gold: Path) -> None:
    shown = call("evaluate", "gold.jsonl", "--calibration").stdout
    bins = [line for line in shown.splitlines() if re.match(r" ?\d\.\d - \d\.\d ", line)]
    assert len(bins) == 10
    n_spans = sum(int(line.split()[3]) for line in bins)
    assert n_spans == evaluate_spans(RECORDS).calibration.n_spans > 0


def test_json_is_all_that_stands_on_stdout_and_holds_every_figure(call: Any, gold: Path) -> None:
    result = call("evaluate", "gold.jsonl", "--json", "--by", "lang", "--worst", "5")
    assert (result.exit_code, result.stderr) == (0, "")
    content = json.loads(result.stdout)
    expected = json.loads(json.dumps(evaluate_spans(RECORDS).to_dict()))
    found = content["scores"]
    assert found["macro"] == expected["macro"]
    assert found["groups"] == expected["groups"]
    assert found["calibration"] == expected["calibration"]
    assert list(found["table"]) == ["de", "en"]
    assert content["worst"] == [{"id": "id-3", "n_wrong": 2}]
    assert (content["by"], content["n_malformed"], found["failed"]) == ("lang", 0, [])
    table = json.loads(call("evaluate", "gold.jsonl", "--json", "--by", "pattern").stdout)["scores"]["table"]
    assert {"pattern", "right_ratio", "mean_confidence"} <= set(table[0])


def test_the_worst_records_show_gold_and_detected_type_of_what_is_wrong(call: Any, gold: Path) -> None:
    result = call("evaluate", "gold.jsonl", "--worst", "3")
    assert result.exit_code == 0
    shown = result.stdout
    assert "id-3" in shown
    assert "2 of 12 labelled characters are wrong" in " ".join(shown.split())
    assert re.search(r"WRONG +ls *\ngold +reasoning *\ndetected action *\naction_label \d\.\d\d", shown)
    assert not {"id-0", "id-1", "id-2"} & set(shown.split())
    assert "no character is wrong" in call("evaluate", write(gold, RECORDS[0]), "--worst", "2").stdout


def test_right_stretches_are_short_and_wrong_ones_limited(call: Any, tmp_path: Path) -> None:
    right, wrong = "look at it " * 100, "list it now " * 100
    text = f"Thought: {right}\nAction: {wrong}\n"
    spans = [("reasoning", 9, 8 + len(right)), ("observation", 18 + len(right), 17 + len(right) + len(wrong))]
    write(tmp_path / "gold.jsonl", numbered(0, text, spans))
    shown = call("evaluate", "gold.jsonl", "--worst", "1").stdout
    assert 5 <= shown.count("look at it") <= 15
    assert 45 <= shown.count("list") <= 52
    assert "more characters" in shown
    many = numbered(1, REACT * 200, [("other", 15 + 45 * n + 8, 15 + 45 * n + 10) for n in range(200)])
    shown = call("evaluate", write(tmp_path / "gold.jsonl", many), "--worst", "1").stdout
    assert shown.count("WRONG") == 30
    assert "only the first 30 wrong stretches are shown" in shown


def test_runs_of_right_stretches_are_left_out(call: Any, tmp_path: Path) -> None:
    spans = [(kind, start + 45 * n, end + 45 * n) for n in range(9) for kind, start, end in REACT_SPANS]
    spans[-1] = ("action", *spans[-1][1:])
    shown = call("evaluate", write(tmp_path / "gold.jsonl", numbered(0, REACT * 9, spans)), "--worst", "1").stdout
    assert re.search(r"… \d+ stretches, \d+ characters, nothing wrong", shown)
    assert shown.count("WRONG") == 1


def test_no_text_of_a_record_acts_on_the_terminal(call: Any, tmp_path: Path) -> None:
    text = f"Thought: {EVIL}\nAction: {EVIL}"
    start = text.index("Action: ") + 8
    evil = numbered(0, text, [("observation", start, len(text))], style=EVIL, source=EVIL, lang=EVIL)
    write(tmp_path / "gold.jsonl", {**evil, "id": EVIL}, {**evil, "text": EVIL, EVIL: 1})
    for words in (
        [],
        ["--worst", "2"],
        ["--by", "lang"],
        ["--leave-out", "all"],
        ["--json"],
        ["--leave-out", EVIL + "x"],
    ):
        result = call("evaluate", "gold.jsonl", *words)
        assert result.exit_code in (0, 2), result.stderr
        assert ACTS.search(result.stdout + result.stderr) is None, words
    assert "[bold red]m[/bold red]:smile:" in call("evaluate", "gold.jsonl", "--worst", "1").stdout


def test_what_the_detector_fails_on_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from deepcoder_hf.cli.evaluate import show_tables

    class Failing:
        def detect_batch(self, texts: Any) -> Any:
            raise RuntimeError(EVIL)

    scores = evaluate_spans(RECORDS, detector=Failing())
    show_tables(scores, None, "style", 0, False, [])
    shown = capsys.readouterr()
    assert "4 failed" in shown.out
    assert "id-3: RuntimeError" in shown.err
    with console().capture() as captured:
        console().print(worst_record(scores.records[0]))
    console().print(worst_record(scores.records[0]))
    shown_again = captured.get() + capsys.readouterr().out
    assert "the detector failed: RuntimeError" in " ".join(shown_again.split())
    assert ACTS.search(shown.out + shown.err + shown_again) is None


def test_a_style_left_out_is_shown_beside_the_whole_detector(call: Any, gold: Path) -> None:
    result = call("evaluate", "gold.jsonl", "--leave-out", "react_plain", "--leave-out", "house_react")
    assert (result.exit_code, result.stderr) == (0, "")
    assert figures(result, "react_plain") == ["whole", "1.0000", "1.0000", "1.0000", "0.0000", "1.0000"]
    assert "xml_tags" not in result.stdout
    assert re.search(r"\n +-\d+ rules +\d", result.stdout)
    assert re.search(r"\n +no rules +0\.8333 ", result.stdout)
    assert "no rules: no pattern or rule names this style" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("3 records")
    assert "left out: expected calibration error" in result.stdout


def test_every_style_can_be_left_out_in_turn(call: Any, gold: Path) -> None:
    content = json.loads(call("evaluate", "gold.jsonl", "--leave-out", "all", "--json").stdout)
    expected = evaluate_spans(RECORDS, leave_out="all").to_dict()
    assert content["scores"]["macro"] == evaluate_spans(RECORDS).to_dict()["macro"]
    assert content["leave_out"]["macro"] == expected["macro"]
    assert content["leave_out"]["groups"] == expected["groups"]
    assert content["leave_out"]["left_out"]["house_react"] == 0
    assert content["leave_out"]["left_out"]["react_plain"] > 0
    shown = call("evaluate", "gold.jsonl", "--leave-out", "all", "--by", "source").stdout
    assert shown.count("left out") >= 3
    assert call("evaluate", "gold.jsonl", "--leave-out", "all", "--by", "pattern").exit_code == 0


def test_in_a_terminal_types_have_their_colours_and_what_is_wrong_is_red() -> None:
    (score,) = evaluate_spans([RECORDS[3]]).records
    file = io.StringIO()
    Console(file=file, width=100, force_terminal=True, color_system="standard").print(worst_record(score))
    shown = file.getvalue()
    assert re.search(r"\x1b\[1;31mWRONG *\x1b\[0m *\x1b\[31mls\x1b", shown)
    assert re.search(r"\x1b\[36mgold +reasoning", shown)
    assert re.search(r"\x1b\[32mdetected action", shown)
