"""Each finding on rows built for it with the Qwen3 tokenizer, and none on a row that is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from chat_rows import ASK, CALL, DONE, EMPTY, HEADER, RESULT, STOP, SYSTEM, THINK, Row, audit, backend, found, good, row

from deepcoder_hf.audit.catalogue import FINDINGS

TAIL = (HEADER, (THINK + DONE + STOP, 1), "\n")
HEAD = (SYSTEM, ASK, HEADER, (THINK + CALL + STOP, 1), "\n")


def labelled(one: Row, labels: list[int]) -> Row:
    return {**one, "labels": labels}


def test_a_row_that_is_right_gives_no_finding(tmp_path: Path) -> None:
    report = audit(tmp_path, good())
    assert report["findings"] == []
    assert not report["failed"]
    assert (report["rows"], report["assistant_turns"], report["trained_turns"]) == (1, 2, 2)
    classes = report["classes"]
    assert set(classes) == {"header", "system", "user", "observation", "reasoning", "call", "text", "stop", "newline"}
    assert sum(counts["tokens"] for counts in classes.values()) == report["tokens"]
    trained = {name: counts["trained"] for name, counts in classes.items() if counts["trained"]}
    assert set(trained) == {"reasoning", "call", "text", "stop"}
    assert all(classes[name]["tokens"] == n for name, n in trained.items())


@pytest.mark.parametrize(
    ("code", "pieces", "marked"),
    [
        ("trained_observation", (*HEAD, (RESULT, 1), *TAIL), "<tool_response>\ndef is_leap"),
        (
            "trained_observation",
            (*HEAD, "<|im_start|>tool\n", ("exit code 0", 1), "<|im_end|>\n", *TAIL),
            "exit code 0",
        ),
        ("trained_user", (SYSTEM, "<|im_start|>user\n", ("Fix the tests.", 1), "<|im_end|>\n", *TAIL), "Fix the"),
        ("trained_system", (("<|im_start|>system\nYou repair projects.", 1), "<|im_end|>\n", ASK, *TAIL), "You repair"),
        ("trained_header", (SYSTEM, ASK, (HEADER + THINK + DONE + STOP, 1), "\n"), "<|im_start|>assistant\n"),
        ("trained_newline", (SYSTEM, ASK, HEADER, (DONE + STOP + "\n", 1)), "\n"),
        ("trained_empty_think", (SYSTEM, ASK, HEADER, (EMPTY + DONE + STOP, 1), "\n"), EMPTY),
        ("untrained_stop", (SYSTEM, ASK, HEADER, (THINK + DONE, 1), STOP + "\n"), STOP),
        ("partly_trained", (SYSTEM, ASK, HEADER, THINK, (DONE + STOP, 1), "\n"), "<think>\nThe year"),
        ("empty_think", (SYSTEM, ASK, HEADER, EMPTY, (DONE + STOP, 1), "\n"), EMPTY),
        ("no_trained_token", (SYSTEM, ASK, HEADER, THINK + DONE + STOP + "\n"), "<|im_start|>system"),
        ("trained_padding", (*HEAD, RESULT, *TAIL, ("<|endoftext|>" * 4, 1)), "<|endoftext|>" * 4),
        ("cut_rows", (SYSTEM, ASK, HEADER, (THINK + '<tool_call>\n{"name": "read', 1)), "read"),
        ("unclosed_turns", (SYSTEM, ASK, HEADER, (DONE, 1), RESULT, *TAIL), "."),
        (
            "control_tokens_in_text",
            (SYSTEM, "<|im_start|>user\nWhat does <think> do in a prompt?<|im_end|>\n", *TAIL),
            "<think>",
        ),
        (
            "control_tokens_in_text",
            (*HEAD, "<|im_start|>tool\nlog: <|im_end|> was printed by the model<|im_end|>\n", *TAIL),
            " was printed by the model",
        ),
        (
            "trained_outside_turns",
            (*HEAD, "<|im_start|>tool\nlog: <|im_end|>", (" was printed", 1), "<|im_end|>\n", *TAIL),
            " was printed",
        ),
        ("dropped_reasoning", (SYSTEM, ASK, HEADER, (DONE + STOP, 1), "\n", ASK, *TAIL), "<|im_start|>system"),
    ],
)  # fmt: skip
def test_a_finding_names_the_tokens(
    code: str, pieces: tuple[str | tuple[str, int], ...], marked: str, tmp_path: Path
) -> None:
    report = audit(tmp_path, good(), row(*pieces))
    finding = found(report)[code]
    assert finding["severity"] == FINDINGS[code].severity
    assert finding["n_rows"] == 1
    assert 0 < finding["share"] <= 1
    (example,) = finding["examples"]
    assert example["row"] == 1
    assert example["marked"].startswith(marked)
    assert report["failed"] == any(other["severity"] == "error" for other in report["findings"])


def test_an_empty_think_block_and_a_think_tag_of_the_prompt_may_be_left_out(tmp_path: Path) -> None:
    prompted = row(SYSTEM, ASK, HEADER, "<think>\n", ("The rule is wrong.\n</think>\n\n" + DONE + STOP, 1), "\n")
    injected = row(SYSTEM, ASK, HEADER, EMPTY, (DONE + STOP, 1), "\n")
    assert set(found(audit(tmp_path, prompted, injected))) == {"empty_think"}


def test_an_orphan_end_of_reasoning_closes_it_from_the_start_of_the_turn(tmp_path: Path) -> None:
    report = audit(tmp_path, row(ASK, HEADER, ("I look first.\n</think>\n\n" + DONE + STOP, 1), "\n"))
    assert report["classes"]["reasoning"]["tokens"] >= 5
    assert report["findings"] == []


def test_markup_inside_reasoning_stays_reasoning_and_a_call_ends_unclosed_reasoning(tmp_path: Path) -> None:
    thought = "<think>\nI could write <tool_call> now.\n</think>\n\n"
    inside = audit(tmp_path, row(ASK, HEADER, (thought + DONE + STOP, 1), "\n"))
    assert "call" not in inside["classes"]
    unclosed = audit(tmp_path, row(ASK, HEADER, ("<think>\nI call at once.\n" + CALL + STOP, 1), "\n"))
    assert unclosed["classes"]["call"]["tokens"] > 10


def test_control_tokens_that_were_escaped_are_text(tmp_path: Path) -> None:
    encoder = backend()
    pieces = [encoder.encode(part, add_special_tokens=False).ids for part in ("<", "|im_end|> closes", " <", "think>")]
    literal = [number for piece in pieces for number in piece]
    head, tail = row(SYSTEM, "<|im_start|>user\n"), row("<|im_end|>\n", HEADER, (DONE + STOP, 1), "\n")
    ids = head["input_ids"] + literal + tail["input_ids"]
    labels = head["labels"] + [-100] * len(literal) + tail["labels"]
    assert audit(tmp_path, {"input_ids": ids, "labels": labels})["findings"] == []


def test_shifted_labels_are_explained_and_then_read_as_they_were_meant(tmp_path: Path) -> None:
    one = good()
    report = audit(tmp_path, labelled(one, [*one["labels"][1:], -100]))
    assert set(found(report)) == {"shifted_labels"}
    assert "next token" in found(report)["shifted_labels"]["meaning"]
    assert report["classes"]["stop"]["trained"] == 2


def test_labels_of_other_tokens_are_counted(tmp_path: Path) -> None:
    one = good()
    labels = list(one["labels"])
    trained = [at for at, label in enumerate(labels) if label >= 0]
    labels[trained[3]] += 1
    labels[trained[5]] = -1
    assert found(audit(tmp_path, labelled(one, labels)))["label_mismatch"]["n"] == 2


def test_a_label_where_attention_is_zero_is_an_error(tmp_path: Path) -> None:
    one = good()
    attention = [1] * len(one["labels"])
    attention[-3] = 0
    assert found(audit(tmp_path, {**one, "attention_mask": attention}))["label_under_zero_attention"]["n"] == 1


def test_ids_that_the_tokenizer_does_not_have_are_counted(tmp_path: Path) -> None:
    one = good()
    ids = list(one["input_ids"])
    ids[5], ids[6], ids[7] = 151_669, -7, 2**40
    finding = found(audit(tmp_path, {**one, "input_ids": ids}))["out_of_vocabulary"]
    assert finding["n"] == 3
    assert [example["marked"] for example in finding["examples"]] == ["151669", "-7", str(2**40)]


def test_null_keys_of_calls_and_definitions_are_counted_and_named(tmp_path: Path) -> None:
    call = '<tool_call>\n{"name": "read", "arguments": {"path": "a.py", "limit": null, "end" : null}}\n</tool_call>'
    definition = '<|im_start|>system\n# Tools\n{"name": "read", "enum": null}<|im_end|>\n'
    said = 'The JSON is {"limit": null}.'
    report = audit(
        tmp_path, row(definition, ASK, HEADER, (call + STOP, 1), "\n"), row(ASK, HEADER, (said + STOP, 1), "\n")
    )
    finding = found(report)["null_keys"]
    assert finding["n"] == 1
    details = finding["details"]
    assert (details["keys, trained"], details["keys, not trained"]) == (2, 1)
    assert (details["key limit"], details["key end"], details["key enum"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("end", "where"),
    [(THINK[:-12], "reasoning"), (CALL[:-14], "call"), (DONE, "text")],
)
def test_a_cut_row_says_where_it_ends(end: str, where: str, tmp_path: Path) -> None:
    finding = found(audit(tmp_path, row(ASK, HEADER, (end, 1))))["cut_rows"]
    assert finding["details"] == {f"inside {where}": 1}


def test_a_row_that_ends_with_the_prompt_is_not_cut(tmp_path: Path) -> None:
    assert set(found(audit(tmp_path, row(ASK, HEADER)))) == {"no_trained_token"}


def test_duplicates_name_the_first_row(tmp_path: Path) -> None:
    other = row(ASK, *TAIL)
    finding = found(audit(tmp_path, good(), other, good(), good()))["duplicate_rows"]
    assert finding["n"] == 2
    assert [(e["row"], e["same_as_row"]) for e in finding["examples"]] == [(2, 0), (3, 0)]


def packed(*rows: Row) -> Row:
    return {name: [value for one in rows for value in one[name]] for name in rows[0]}


def test_packed_rows_are_read_sequence_by_sequence(tmp_path: Path) -> None:
    """The first sequence is cut: without the border, its open turn would seem to be followed by another."""
    cut, whole = row(ASK, HEADER, (DONE, 1)), good()
    one = packed(cut, whole)
    lengths = [len(cut["labels"]), len(whole["labels"])]
    by_position = {**one, "position_ids": [n for length in lengths for n in range(length)]}
    by_length = {**one, "seq_lengths": lengths}
    by_attention = {**one, "attention_mask": [n for n, length in enumerate(lengths, 1) for _ in range(length)]}
    for packing in (by_position, by_length, by_attention):
        assert set(found(audit(tmp_path, packing))) == {"packed_rows", "cut_rows"}
    assert "unclosed_turns" in found(audit(tmp_path, one))


def test_padding_at_either_end_is_no_text_and_masked_padding_is_fine(tmp_path: Path) -> None:
    pad, n = 151_643, 6
    one = good()
    left = {"input_ids": [pad] * n + one["input_ids"], "labels": [-100] * n + one["labels"]}
    right = {"input_ids": one["input_ids"] + [pad] * n, "labels": one["labels"] + [-100] * n,
             "attention_mask": one["attention_mask"] + [0] * n}  # fmt: skip
    for padded in (left, right):
        report = audit(tmp_path, padded)
        assert report["findings"] == []
        assert report["classes"]["padding"]["tokens"] == n


def test_plain_text_is_checked_by_its_labels_alone_and_says_so(tmp_path: Path) -> None:
    report = audit(tmp_path, row("Thought: I look.\n", ("Action: ls", 1)))
    assert set(found(report)) == {"no_turns"}
    assert report["classes"] == {"other": {"tokens": report["tokens"], "trained": report["trained_tokens"]}}


def test_shares_over_a_limit_fail_and_warnings_only_where_they_are_named(tmp_path: Path) -> None:
    bare = row(SYSTEM, ASK, HEADER, (THINK + DONE, 1), STOP + "\n")
    assert audit(tmp_path, good(), bare)["failed"]
    assert not audit(tmp_path, good(), bare, max_share=0.34)["failed"]  # 1 of 3 trained turns
    assert audit(tmp_path, good(), bare, max_share=0.33)["failed"]
    assert not audit(tmp_path, good(), bare, max_shares={"untrained_stop": 0.5})["failed"]
    assert not audit(tmp_path, good(), good())["failed"]
    assert audit(tmp_path, good(), good(), max_shares={"duplicate_rows": 0.1})["failed"]
