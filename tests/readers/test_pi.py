"""Pi: the live branch of the tree, what the model was shown beside it, compaction and forks."""

from __future__ import annotations

from typing import Any

import pytest

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.trajectory import Trajectory

PARSER = TrajectoryParser()
HEADER = {"type": "session", "version": 3, "id": "p", "timestamp": "2026-01-01T00:00:05Z", "cwd": "/"}


def entry(name: str, parent: str | None, role: str = "", **fields: Any) -> dict[str, Any]:
    kind = fields.pop("kind", "message")
    more = {"message": {"role": role, **fields}} if role else fields
    return {"type": kind, "id": name, "parentId": parent, "timestamp": f"2026-01-01T00:00:0{name}Z", **more}


def user(name: str, parent: str | None, text: str) -> dict[str, Any]:
    return entry(name, parent, "user", content=text)


def agent(name: str, parent: str, *parts: Any, **more: Any) -> dict[str, Any]:
    listed = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return entry(name, parent, "assistant", content=listed, **{"stopReason": "stop", **more})


def read_all(*entries: Any, **header: Any) -> list[Trajectory]:
    return PARSER.parse_all({"events": [{**HEADER, **header}, *entries]})


def said(trajectory: Trajectory) -> list[str | None]:
    return [step.message for step in trajectory.steps]


def test_only_the_branch_of_the_last_entry_is_read() -> None:
    (found,) = read_all(
        user("1", None, "q"), agent("2", "1", "wrong"), user("3", "2", "hm"),
        entry("4", "1", kind="branch_summary", fromId="3", summary="was wrong"), agent("5", "4", "right"),
    )  # fmt: skip
    assert said(found) == ["q", "was wrong", "right"]
    assert found.metadata["dropped_branches"] == {"branches": 1, "steps": 2, "characters": len("textwronghm")}


def test_a_compaction_begins_a_segment_with_what_it_kept_untrained() -> None:
    main, segment = read_all(
        user("1", None, "q"), agent("2", "1", "a"), user("3", "2", "r"), agent("4", "3", "b"),
        entry("6", "4", kind="compaction", summary="sum", firstKeptEntryId="3", tokensBefore=9),
        user("7", "6", "s"), agent("8", "7", "c"),
    )  # fmt: skip
    assert said(main) == ["q", "a", "r", "b"]
    assert said(segment) == ["sum", "r", "b", "s", "c"]
    assert [s.message for s in segment.steps if s.source == "agent" and s.trained] == ["c"]
    assert (segment.trajectory_id, segment.parent_id) == ("p#1", "p")


def test_what_a_fork_copied_is_not_trained_again() -> None:
    (found,) = read_all(
        user("1", None, "q"),
        agent("2", "1", "old"),
        user("6", "2", "r"),
        agent("7", "6", "new"),
        parentSession="/x.jsonl",
    )
    assert [s.trained for s in found.steps if s.source == "agent"] == [False, True]


def test_commands_of_the_user_are_context_unless_they_are_excluded() -> None:
    shell = {"command": "ls", "output": "a.py", "exitCode": 0}
    (found,) = read_all(
        user("1", None, "q"), entry("2", "1", "bashExecution", **shell),
        entry("3", "2", "bashExecution", **shell | {"output": "secret"}, excludeFromContext=True),
        entry("4", "3", "custom", customType="x", content=[{"type": "text", "text": "note"}]), agent("5", "4", "a"),
    )  # fmt: skip
    assert said(found) == ["q", "Ran `ls`\n```\na.py\n```", "note", "a"]


def test_turns_calls_and_results_keep_ids_reasons_and_hidden_reasoning() -> None:
    call = {"type": "toolCall", "id": "t", "name": "read", "arguments": {"path": "ä"}}
    (found,) = read_all(
        user("1", None, "q"),
        agent("2", "1", {"type": "thinking", "thinking": "", "thinkingSignature": "E"}, call, stopReason="toolUse"),
        entry("3", "2", "toolResult", toolCallId="t", toolName="read", content=[{"type": "text", "text": "out"}]),
        agent("4", "3", stopReason="error", errorMessage="529"),
        agent("5", "4", "half", stopReason="aborted"), agent("6", "5", "cut", stopReason="length"),
    )  # fmt: skip
    step, result, *rest = found.steps[1:]
    assert (step.reasoning_kind, step.reasoning_content, step.finish_reason) == ("encrypted", None, "toolUse")
    assert step.tool_calls[0].arguments == '{"path": "ä"}'
    assert (result.message, result.tool_call_id, result.name) == ("out", "t", "read")
    assert [(s.message, s.finish_reason) for s in rest] == [("half", "aborted"), ("cut", "length")]


def test_the_first_version_has_no_ids_and_is_read_in_order() -> None:
    lines = [
        {k: v for k, v in e.items() if k not in ("id", "parentId")}
        for e in (user("1", None, "q"), agent("2", "1", "a"))
    ]
    assert said(read_all(*lines)[0]) == ["q", "a"]


def test_two_sessions_in_one_file_are_two_trajectories() -> None:
    first, second = read_all(user("1", None, "q"), agent("2", "1", "a"), {**HEADER, "id": "o"}, user("3", None, "r"),
                             agent("4", "3", "b"))  # fmt: skip
    assert [(t.trajectory_id, said(t)) for t in (first, second)] == [("p", ["q", "a"]), ("o", ["r", "b"])]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([user("1", None, "q")], "no_assistant_turn"),
        ([], "no_assistant_turn"),
        ([entry("1", None, "user", content=[{"type": "image", "data": "iVB"}]), agent("2", "1", "a")],
         "unsupported_modality"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_reject(entries: list[Any], reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        read_all(*entries)
    assert caught.value.reason == reason
