"""Accounting: what stands in no turn is unread, however a key is named and whatever another message says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from reading import LENIENT, chat, steps

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import TrajectoryParser, claims
from deepcoder_hf.readers.claims import Claims, claims_of, leaves, reason_to_ignore
from deepcoder_hf.readers.fields import IGNORED, joined, verbatim
from deepcoder_hf.readers.taken import Taken, is_fact, is_small
from deepcoder_hf.trajectory import Step, ToolCall, Trajectory

PARSER = TrajectoryParser()
ASKED = {"role": "user", "content": "Run ls -la src, then click the link that says done."}
SAID = {"role": "assistant", "content": "First I look at what is there, and then I go on with the link."}
THOUGHT = "The offsets are wrong because the header counts as a line, so I subtract it first."


def unread(record: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = LENIENT.parse(record).metadata["read"].get("unread_paths", {})
    return found


def made(*given: Step, **metadata: Any) -> list[Trajectory]:
    return [Trajectory(given, "messages", metadata=metadata)]


def status(record: dict[str, Any], found: list[Trajectory], table: dict[str, str] | None = None) -> dict[str, str]:
    return {leaf.path: leaf.status for leaf in leaves(record, found, table or {})}


# --- what is lost is counted -----------------------------------------------------------------------------------------

LOST = [
    (chat(ASKED, {**SAID, "bash": "ls -la src"}), "messages[].bash"),
    (chat(ASKED, {**SAID, "gesture": "click"}), "messages[].gesture"),
    ({**chat(ASKED, SAID), "final_code": "print(sum(range(100)))"}, "final_code"),
    ({**chat(ASKED, SAID), "final_code": "for n in range(100):\n    print(n * n)\nprint('done')"}, "final_code"),
    ({"instruction": "Mend the parser.", "output": "Done.", "thought": THOUGHT}, "thought"),
    ({"instruction": "Mend the parser.", "output": "Done.", "thought": "Off by one."}, "thought"),
    ({**chat(ASKED, SAID), "remark": THOUGHT}, "remark"),
    ({**chat(ASKED, SAID), "cost": {"reason": THOUGHT}}, "cost.reason"),
    ({**chat(ASKED, SAID), "metrics": {"trajectory": [{"role": "assistant", "said": THOUGHT}]}},
     "metrics.trajectory[].said"),
    ({**chat(ASKED, SAID), "answer_reasoning": THOUGHT}, "answer_reasoning"),
    ({**chat(ASKED, SAID), "answer": {"why": THOUGHT}}, "answer.why"),
    (chat(ASKED, {**SAID, "status": THOUGHT}), "messages[].status"),
    (chat(ASKED, {**SAID, "answer": THOUGHT}), "messages[].answer"),
    (chat(ASKED, {**SAID, "usage": {"note": THOUGHT}}), "messages[].usage.note"),
]  # fmt: skip


@pytest.mark.parametrize(("record", "path"), LOST)
def test_what_no_turn_holds_is_unread_and_a_reject(record: dict[str, Any], path: str) -> None:
    assert list(unread(record)) == [path]
    with pytest.raises(RecordError) as caught:
        PARSER.parse(record)
    assert caught.value.reason == "unread_fields"


@pytest.mark.parametrize(
    "facts",
    [
        {"answer": THOUGHT},
        {"labels": [THOUGHT], "gold_answer": "42"},
        {"title": "How to find out which line an offset belongs to", "rating": "very good", "lang": "en"},
        {"repo": "https://example.org/a/very/long/path/to/a/repository/of/parsers.git", "licence": "MIT"},
        {"status": "done", "created_at": "Mon, 02 Mar 2026 10:00:00 GMT", "action_type": "shell", "output": "0.75"},
    ],
)
def test_labels_and_small_facts_are_known(facts: dict[str, Any]) -> None:
    assert unread({**chat(ASKED, SAID), **facts}) == {}


def test_a_fact_that_only_the_metadata_hold_is_noted_not_claimed() -> None:
    read = PARSER.parse({**chat(ASKED, SAID), "category": "shell"}).metadata["read"]
    assert (read["claimed"], read["noted"]) == (len(ASKED["content"]) + len(SAID["content"]), len("shell"))
    assert Claims(total=3, noted=3).facts() == {"total": 3, "noted": 3}


@pytest.mark.parametrize(
    ("key", "text", "fact"),
    [
        ("bash", "ls", False), ("final_code", "x=1", False), ("thought", "ok", False), ("exit_code", "OK", True),
        ("action_type", "shell", True), ("level", "expert", True), ("level", "two\nlines", False),
        ("task_description", "d " * 50, True), ("category", "c " * 50, True), ("remark", "r " * 50, False),
        ("token", "a" * 200, True), ("token", "a" * 201, False), ("reply", "-12.5", True),
    ],
)  # fmt: skip
def test_what_a_small_fact_is(key: str, text: str, fact: bool) -> None:
    assert is_fact(key, text) is fact


# --- what is read is found -------------------------------------------------------------------------------------------


def test_short_texts_that_a_reader_joined_are_claimed() -> None:
    parts = [{"type": "text", "text": "Use "}, {"type": "text", "text": "sed."}]
    assert unread(chat({"role": "user", "content": parts}, {"role": "assistant", "content": "ok"})) == {}
    assert unread({"instruction": "Add.", "input": "1 2", "output": "3"}) == {}
    lines = {"lines": ["one\n", "two\n", "three"]}
    assert set(status(lines, made(Step("text", "".join(lines["lines"])))).values()) == {"claimed"}
    assert set(status(lines, made(Step("text", "two\n and three and one\n"))).values()) == {"unread"}


def test_joined_texts_know_their_pieces_and_stay_plain_where_there_is_one() -> None:
    one, two, three = "first piece", "second piece", "third piece"
    twice = joined((joined((one, two)), three), "\n")
    assert twice == "first piecesecond piece\nthird piece"
    assert set(status({"a": one, "b": two, "c": three}, made(Step("agent", twice))).values()) == {"claimed"}
    assert joined((one,)) is one
    assert joined(()) == ""
    call = ToolCall("f", verbatim({"q": one}))
    assert status({"arguments": {"q": one}}, made(Step("agent", None, None, (call,)))) == {"arguments.q": "claimed"}


def test_a_short_text_counts_only_where_its_own_message_says_it() -> None:
    first, second = "Now I call\nls -la src\nin the shell.", "It is done, I think."
    record = {"turns": [{"said": first, "cut": "ls -la src"}, {"said": second, "cut": "ls -la src"}]}
    found = list(leaves(record, made(Step("agent", first), Step("agent", second)), {}))
    assert [leaf.status for leaf in found] == ["claimed", "repeated", "claimed", "unread"]


@pytest.mark.parametrize(("cut", "found"), [("pwd", "repeated"), ("pw", "unread"), ("call pwd", "unread")])
def test_a_part_of_a_message_is_a_word_or_a_line(cut: str, found: str) -> None:
    said = "Now I call pwd to see where I am."
    assert status({"said": said, "cut": cut}, made(Step("agent", said)))["cut"] == found


def test_a_long_text_is_found_wherever_it_stands() -> None:
    found = made(Step("agent", f"I said: {THOUGHT} So be it."), Step("agent", THOUGHT + "\n"))
    assert status({"a": {"b": THOUGHT[:-1]}, "c": THOUGHT + "\n"}, found) == {"a.b": "claimed", "c": "repeated"}


# --- reasons ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (THOUGHT, "repeated"),
        ("pwd", "repeated"),
        (f"{THOUGHT}\n```\npwd\n```", "repeated"),
        (f"{THOUGHT}\nrm -r build", "unread"),
        ("Something else altogether.", "unread"),
    ],
)
def test_a_reason_that_says_again_holds_for_what_was_read(text: str, found: str) -> None:
    trajectories = made(Step("agent", None, f"{THOUGHT}", (ToolCall("", "pwd"),)))
    given = {"response": "".join(text)}
    assert status(given, trajectories, {"response": "again: the thought and the action"}) == {"response": found}
    left_out = [(given, "again: the thought and the action")]
    assert claims_of(given, trajectories, {}, left_out).unread == (len(text) if found == "unread" else 0)


def test_patterns_cover_values_labels_or_all_below() -> None:
    table = tuple({"=status": "s", "^gold": "g", "info": "i", "a.*[].b": "p"}.items())
    assert reason_to_ignore("x[].status", table, "done") == "s"
    assert reason_to_ignore("x[].status", table, THOUGHT) == ""
    assert reason_to_ignore("status.text", table, "done") == ""
    assert [reason_to_ignore(path, table, THOUGHT) for path in ("gold", "gold[]", "gold[][]")] == ["g"] * 3
    assert [reason_to_ignore(path, table, "x") for path in ("gold.x", "x.gold", "golden")] == [""] * 3
    assert [reason_to_ignore(path, table, THOUGHT) for path in ("info", "x.info.y[]", "a.c[].b.d")] == ["i", "i", "p"]
    assert all(is_small(text) for text in ("x" * 500, "in progress", ""))
    assert not is_small("x " * 21)


def test_the_short_way_counts_what_the_long_way_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    record = {
        **chat(ASKED, {**SAID, "status": "ok", "name": " "}),
        "answer": THOUGHT,
        "label": "yes",
        "model": "m-1",
        "id": "r-1",
    }
    found = [PARSER.parse(record)]
    quick = claims_of(record, found, IGNORED)
    monkeypatch.setattr(claims, "_count_known", lambda *_: False)
    assert claims_of(record, found, IGNORED) == quick
    assert quick.noted == len("m-1")
    assert Taken(found).is_noted("r-1")


# --- messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["finish_reason", "stop_reason"])
@pytest.mark.parametrize(("reason", "normal"), [("length", "length"), ("content_filter", "aborted"), ("stop", "stop")])
def test_a_reason_beside_the_messages_is_that_of_the_last_turn(name: str, reason: str, normal: str) -> None:
    first, last = {**SAID, "finish_reason": "tool_calls"}, {"role": "assistant", "content": "Cut"}
    found = steps({**chat(ASKED, first, {"role": "tool", "content": "x"}, last), name: reason})
    assert [step.finish_reason for step in found if step.source == "agent"] == ["tool_calls", normal]
    assert steps({**chat(ASKED, first), name: reason})[-1].finish_reason == "tool_calls"


def test_text_before_thinking_is_said_before_it_and_empty_arguments_stay_empty() -> None:
    content = [
        {"type": "text", "text": "I look."},
        {"type": "thinking", "thinking": "Where?"},
        {"type": "tool_use", "name": "pwd", "input": ""},
    ]
    assert steps(chat(ASKED, {"role": "assistant", "content": content}))[1:] == [
        Step("agent", "I look."),
        Step("agent", None, "Where?", (ToolCall("pwd", ""),)),
    ]
    call = {"id": "1", "function": {"name": "pwd", "arguments": ""}}
    assert steps(chat(ASKED, {"role": "assistant", "tool_calls": [call]}))[-1].tool_calls[0].arguments == ""


def test_a_tool_that_is_listed_twice_is_read_whatever_its_strings_begin_with() -> None:
    tool = {"name": "t", "options": ["\r1", "0"], "path": None}
    messages = [{"role": "user", "content": "0"}, {"role": "assistant", "content": "0"}]
    found = TrajectoryParser().parse({"messages": messages, "tools": [tool, json.loads(json.dumps(tool))]})
    assert len(found.tools) == 1
    assert "unread" not in found.metadata["read"]
