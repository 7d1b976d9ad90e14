"""Formats of sessions: which objects are events, and no mutation of a session crashes its reader or hides a text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mutations import GOLDEN, LENIENT, fuzzed, golden, silent_leaves

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import READERS
from deepcoder_hf.readers.sessions import harness_of, opens_session
from deepcoder_hf.trajectory import from_json, to_json

FORMATS = ("claude_code", "codex", "pi", "session_traces", "otel")


@pytest.mark.parametrize(
    ("event", "harness"),
    [
        ({"type": "user", "message": {"role": "user", "content": "q"}}, "claude_code"),
        ({"type": "summary", "summary": "s", "leafUuid": "u"}, "claude_code"),
        ({"type": "file-history-snapshot", "messageId": "m", "snapshot": {}}, "claude_code"),
        ({"type": "system", "subtype": "init", "session_id": "s"}, "claude_code"),
        ({"type": "session_meta", "payload": {"id": "a"}}, "codex"),
        ({"id": "a", "timestamp": "t", "instructions": None}, "codex"),
        ({"type": "session", "id": "a", "cwd": "/"}, "pi"),
        ({"name": "chat", "context": {"span_id": "1"}, "attributes": {}}, "otel"),
        ({"resourceSpans": []}, "otel"),
        ({"messages": [{"role": "user", "content": "q"}]}, ""),
        ({"type": "user", "text": "q"}, ""),
        ({"type": "summary", "text": "q"}, ""),
        ({"type": "message", "role": "user", "content": "q"}, ""),
        ({"id": "a", "timestamp": "t", "instructions": "i", "output": "o"}, ""),
        ({"id": 1, "source": "agent", "action": "run"}, ""),
        ({"instruction": "i", "output": "o"}, ""),
        ({"type": ["user"], "message": 3}, ""),
        ({}, ""),
    ],
)
def test_the_harness_of_an_event_is_known_by_its_content(event: dict[str, Any], harness: str) -> None:
    assert harness_of(event) == harness
    assert opens_session(event) is bool(harness)


def test_no_golden_sample_of_another_format_is_taken_for_a_session() -> None:
    for raw in GOLDEN.glob("*/raw.jsonl"):
        for line in raw.read_text(encoding="utf-8").splitlines():
            name = raw.parent.name
            taken = [mine for mine in FORMATS if READERS[mine].matches(json.loads(line))]
            assert taken == ([name] if name in FORMATS else []), f"{name}: {line[:80]}"


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_mutated_session_is_a_trajectory_or_a_reject(name: str) -> None:
    n_read = 0
    for seed, record in enumerate(golden(name)):
        for changed in fuzzed(record, 400, seed):
            try:
                found = LENIENT.parse_all(changed)
            except RecordError:
                continue
            for trajectory in found:
                n_read += 1
                assert trajectory.steps
                assert from_json(to_json(trajectory), name).steps == trajectory.steps
    assert n_read >= 200


@pytest.mark.parametrize("name", FORMATS)
def test_each_text_of_a_session_changes_its_trajectories_or_is_known_to_be_left_out(name: str) -> None:
    for record in golden(name):
        assert silent_leaves(record, name) == []
        assert "unread" not in LENIENT.parse_all(record)[0].metadata["read"]


@pytest.mark.parametrize("name", FORMATS)
def test_no_turn_of_a_session_is_trained_twice(name: str) -> None:
    for record in golden(name):
        trained = [s for t in LENIENT.parse_all(record) for s in t.steps if s.source == "agent" and s.trained]
        said = [(s.message, s.reasoning_content, s.tool_calls) for s in trained]
        assert len(said) == len(set(said))


@pytest.mark.parametrize("name", ["claude_code", "codex", "pi"])
@pytest.mark.parametrize("events", [[], [None], ["x", 3], [{}], [{"type": None}]])
def test_events_that_are_none_are_no_session(name: str, events: list[Any]) -> None:
    assert not READERS[name].matches({"events": events})
