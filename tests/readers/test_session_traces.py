"""HF session traces: the raw trace is read, the converted messages only where its harness is unknown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import TrajectoryParser

PARSER = TrajectoryParser()
EVENTS = [
    {"type": "user", "uuid": "1", "parentUuid": None, "sessionId": "s", "message": {"role": "user", "content": "q"}},
    {"type": "assistant", "uuid": "2", "parentUuid": "1", "sessionId": "s",
     "message": {"id": "m", "role": "assistant", "content": [{"type": "text", "text": "from the trace"}]}},
]  # fmt: skip
MESSAGES = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "converted"}]
TOOL = {"type": "function", "function": {"name": "Bash"}}


def row(trace: Any, **more: Any) -> dict[str, Any]:
    known = {"harness": "claude_code", "session_id": "s", "prompt": "q", "messages": MESSAGES, "tools": [TOOL]}
    return {**known, "metadata": {"model": "m"}, "sent_at": "now", "num_user_messages": 1, "num_tool_calls": 0,
            "file_path": "a.jsonl", "trace": trace, **more}  # fmt: skip


@pytest.mark.parametrize(
    "trace",
    [EVENTS, {"events": EVENTS}, json.dumps(EVENTS), "\n".join(json.dumps(event) for event in EVENTS) + "\n"],
)
def test_the_trace_is_read_however_it_is_stored(trace: Any) -> None:
    (found,) = PARSER.parse_all(row(trace))
    assert [step.message for step in found.steps] == ["q", "from the trace"]
    assert (found.source_format, found.trajectory_id, found.metadata["harness"]) == (
        "session_traces",
        "s",
        "claude_code",
    )
    assert found.tools == (json.dumps(TOOL),)
    assert "unread" not in found.metadata["read"]


@pytest.mark.parametrize("trace", [None, '{"started_at": 1}', [{"type": "session_start", "id": "x"}]])
def test_the_messages_are_read_where_the_harness_is_not_known(trace: Any) -> None:
    (found,) = PARSER.parse_all(row(trace, harness="droid"))
    assert [step.message for step in found.steps] == ["q", "converted"]
    assert found.metadata["model"] == "m"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (row(None, messages=None), "no_assistant_turn"),
        (row('{"type": "us\n'), "broken_json"),
        (row(EVENTS[:1]), "no_assistant_turn"),
        (
            row(json.dumps([*EVENTS, {**EVENTS[1], "uuid": "3", "parentUuid": "2", "secret_plan": "x" * 400}])),
            "unread_fields",
        ),
    ],
)
def test_what_cannot_be_read_is_a_reject(record: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        PARSER.parse_all(record)
    assert caught.value.reason in (reason, "unknown_format")


def test_a_trace_of_an_unknown_harness_is_left_out_only_where_the_messages_hold_its_text() -> None:
    text = "I will first read the configuration, then compare it with the one that the server was started with."
    trace = [{"kind": "turn", "body": text}]
    with pytest.raises(RecordError) as caught:
        PARSER.parse_all(row(trace, harness="droid"))
    assert caught.value.reason == "unread_fields"
    told = [MESSAGES[0], {"role": "assistant", "content": text}]
    for form in (trace, json.dumps(trace)):
        assert PARSER.parse(row(form, harness="droid", messages=told)).steps[1].message == text
