"""Claude Code: the live branch, segments after a compaction, side chains, and messages spread over several lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import find_files
from deepcoder_hf.trajectory import Step, ToolCall, Trajectory

PARSER = TrajectoryParser()


def user(uuid: str, parent: str | None, content: Any, **more: Any) -> dict[str, Any]:
    message = {"role": "user", "content": content}
    return {"type": "user", "uuid": uuid, "parentUuid": parent, "sessionId": "s", "message": message, **more}


def agent(uuid: str, parent: str | None, *blocks: Any, name: str | None = None, **more: Any) -> dict[str, Any]:
    message = {"id": name or f"msg-{uuid}", "role": "assistant", "content": list(blocks)}
    return {"type": "assistant", "uuid": uuid, "parentUuid": parent, "sessionId": "s", "message": message, **more}


def say(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def call(name: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": name, "name": "Bash", "input": {"command": name}}


def result(name: str, content: Any = None) -> list[Any]:
    return [{"type": "tool_result", "tool_use_id": name, "content": f"out {name}" if content is None else content}]


def read_all(*events: Any) -> list[Trajectory]:
    return PARSER.parse_all({"events": list(events)})


def texts(trajectory: Trajectory) -> list[str | None]:
    return [step.message or (step.tool_calls[0].tool_call_id if step.tool_calls else None) for step in trajectory.steps]


def test_an_abandoned_branch_is_left_out_and_counted() -> None:
    (found,) = read_all(
        user("1", None, "q"),
        agent("2", "1", say("wrong way")),
        user("3", "2", "no, really"),
        agent("4", "3", say("still wrong")),
        user("5", "2", "other question"),
        agent("6", "5", say("right")),
    )
    assert texts(found) == ["q", "wrong way", "other question", "right"]
    assert found.metadata["dropped_branches"] == {"branches": 1, "steps": 2, "characters": 25}
    assert "unread" not in found.metadata["read"]


def test_an_edited_first_message_is_a_branch_too() -> None:
    (found,) = read_all(
        user("1", None, "frist"), agent("2", "1", say("typo?")), user("3", None, "first"), agent("4", "3", say("ok"))
    )
    assert texts(found) == ["first", "ok"]


def test_parallel_results_that_hang_beside_the_branch_are_read_in_the_order_of_the_calls() -> None:
    (found,) = read_all(
        user("1", None, "q"),
        agent("2", "1", say("both"), name="m"),
        agent("3", "2", call("a"), name="m"),
        agent("4", "3", call("b"), name="m"),
        user("5", "4", result("b")),
        user("6", "3", result("a")),
        agent("7", "5", say("done")),
    )
    assert texts(found) == ["q", "both", "out a", "out b", "done"]
    assert [c.tool_call_id for c in found.steps[1].tool_calls] == ["a", "b"]
    assert "dropped_branches" not in found.metadata


def test_results_between_the_lines_of_one_message_do_not_divide_it() -> None:
    lines = [
        user("1", None, "q"), agent("2", "1", call("a"), name="m"), user("3", "2", result("a")),
        agent("4", "3", call("b"), name="m"), user("5", "4", result("b")), agent("6", "5", say("done")),
    ]  # fmt: skip
    for events in (lines, [{k: v for k, v in e.items() if k not in ("parentUuid", "uuid")} for e in lines]):
        (found,) = read_all(*events)
        assert texts(found) == ["q", "a", "out a", "out b", "done"]
        assert len(found.steps[1].tool_calls) == 2


def test_missing_results_are_counted_and_a_missing_line_does_not_cut_off_what_came_before() -> None:
    (found,) = read_all(
        user("1", None, "q"), agent("2", "1", call("a")), agent("4", "broken", say("later")), user("5", "4", "end")
    )
    assert texts(found) == ["q", "a", "later", "end"]
    assert found.metadata["calls_without_result"] == 1
    assert found.metadata["missing_parents"] == 1


def compacted(**facts: Any) -> list[dict[str, Any]]:
    boundary = {"type": "system", "subtype": "compact_boundary", "uuid": "b", "parentUuid": None,
                "logicalParentUuid": "4", "sessionId": "s", "content": "Conversation compacted", **facts}  # fmt: skip
    return [
        user("1", None, "q"), agent("2", "1", say("one")), user("3", "2", "more"), agent("4", "3", say("two")),
        boundary, user("5", "b", "summary", isCompactSummary=True, isVisibleInTranscriptOnly=True),
        agent("6", "5", say("three")),
    ]  # fmt: skip


def test_a_compaction_begins_a_segment_that_points_to_the_session() -> None:
    main, segment = read_all(*compacted())
    assert texts(main) == ["q", "one", "more", "two"]
    assert texts(segment) == ["summary", "three"]
    assert (main.trajectory_id, segment.trajectory_id, segment.parent_id) == ("s", "s#1", "s")
    assert (segment.metadata["kind"], segment.group_id) == ("segment", "s")


def test_context_that_a_compaction_kept_is_not_trained_again() -> None:
    kept = {"preservedSegment": {"headUuid": "3", "anchorUuid": "5", "tailUuid": "4"}}
    _, segment = read_all(*compacted(compactMetadata=kept))
    assert texts(segment) == ["summary", "more", "two", "three"]
    assert [step.trained for step in segment.steps if step.source == "agent"] == [False, True]


def test_history_that_a_fork_copied_is_not_trained_again() -> None:
    fork = {"forkedFrom": {"sessionId": "old", "messageUuid": "2"}}
    (found,) = read_all(
        user("1", None, "q", **fork),
        agent("2", "1", say("old"), **fork),
        user("3", "2", "r"),
        agent("4", "3", say("n")),
    )
    assert [step.trained for step in found.steps if step.source == "agent"] == [False, True]


def test_side_chains_and_sub_agents_are_trajectories_of_their_own() -> None:
    side, sub = {"isSidechain": True}, {"isSidechain": True, "agentId": "x"}
    found = read_all(
        user("1", None, "q"), agent("2", "1", call("t")),
        user("10", None, "task", **side), agent("11", "10", say("side"), **side),
        user("20", None, "job", **sub), agent("21", "20", say("sub"), **sub),
        user("3", "2", result("t")), agent("4", "3", say("done")),
    )  # fmt: skip
    assert [texts(t) for t in found] == [["q", "t", "out t", "done"], ["task", "side"], ["job", "sub"]]
    assert [(t.trajectory_id, t.parent_id, t.metadata.get("kind")) for t in found] == [
        ("s", None, None), ("s/10", "s", "side_chain"), ("s/x", "s", "sub_agent"),
    ]  # fmt: skip


def test_hidden_reasoning_is_marked_and_never_invented() -> None:
    (found,) = read_all(
        user("1", None, "q"),
        agent("2", "1", {"type": "thinking", "thinking": "", "signature": "Er"}, say("a")),
        user("3", "2", "r"),
        agent("4", "3", {"type": "redacted_thinking", "data": "Em"}, say("b")),
        user("5", "4", "t"),
        agent("6", "5", {"type": "thinking", "thinking": " real ", "signature": "Er"}, say("c")),
    )
    agents = [step for step in found.steps if step.source == "agent"]
    assert [(s.reasoning_content, s.reasoning_kind) for s in agents] == [
        (None, "encrypted"), (None, "redacted"), (" real ", ""),
    ]  # fmt: skip
    assert (found.metadata["encrypted_reasoning"], found.metadata["redacted_reasoning"]) == (1, 1)


def test_errors_of_the_api_are_no_turns_and_cut_off_turns_say_so() -> None:
    cut = agent("3", "2e", say("half"))
    cut["message"]["stop_reason"] = "max_tokens"
    (found,) = read_all(
        user("1", None, "q"), agent("2e", "1", say("API Error: 529"), isApiErrorMessage=True), cut,
        user("4", "3", "go on"), agent("5", "4", say("hal")), user("6", "5", "[Request interrupted by user]"),
    )  # fmt: skip
    assert [(s.message, s.finish_reason) for s in found.steps if s.source == "agent"] == [
        ("half", "length"), ("hal", "aborted"),
    ]  # fmt: skip


def test_content_of_results_is_read_as_string_list_or_nothing() -> None:
    (found,) = read_all(
        user("1", None, "q"),
        agent("2", "1", call("a"), call("b"), call("c")),
        user("3", "2", result("a", "x") + result("b", [say("y"), {"type": "tool_reference", "tool_name": "Glob"}])
             + [{"type": "tool_result", "tool_use_id": "c", "content": None}]),
        agent("4", "3", say("d")),
    )  # fmt: skip
    assert [step.message for step in found.steps[2:5]] == ["x", 'y{"type": "tool_reference", "tool_name": "Glob"}', ""]
    assert found.steps[1] == Step(
        "agent", tool_calls=tuple(ToolCall("Bash", f'{{"command": "{n}"}}', n) for n in "abc")
    )


def test_an_image_rejects_a_session_only_where_the_live_branch_shows_it() -> None:
    image = [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}]
    away = [user("1", None, "q"), user("2", "1", image), agent("3", "2", say("a"))]
    with pytest.raises(RecordError) as caught:
        read_all(*away)
    assert caught.value.reason == "unsupported_modality"
    (found,) = read_all(*away, user("4", "1", "no picture"), agent("5", "4", say("b")))
    assert texts(found) == ["q", "no picture", "b"]


@pytest.mark.parametrize("events", [[user("1", None, "q")], [user("1", "1", "q"), user("2", "2", "r")]])
def test_a_session_without_a_turn_of_the_agent_is_a_reject(events: list[Any]) -> None:
    with pytest.raises(RecordError) as caught:
        read_all(*events)
    assert caught.value.reason == "no_assistant_turn"


def test_parents_that_go_round_in_a_circle_end(tmp_path: Path) -> None:
    (found,) = read_all(user("1", "2", "q"), agent("2", "1", say("a")))
    assert texts(found) == ["q", "a"]


REAL = {
    "fe5e1c67.jsonl": [(23, 11), (18, 8), (68, 33), (80, 39), (50, 24), (106, 52)],
    "simonw_sample_session.json": [(28, 11), (5, 1)],
    "simonw_sample_session.jsonl": [(7, 2)],
}
"""Steps and calls of each trajectory of each real file."""


def test_real_sessions_are_read_whole(shared_data: Path) -> None:
    found: dict[str, list[tuple[int, int]]] = {}
    for file in find_files(shared_data / "trajectories" / "claude-code"):
        for row in iter_records(file, ReadersConfig()):
            trajectories = PARSER.parse_all(row.record)
            found[file.name] = [(len(t.steps), sum(len(s.tool_calls) for s in t.steps)) for t in trajectories]
            assert "unread" not in trajectories[0].metadata["read"]
            assert not any("calls_without_result" in t.metadata for t in trajectories), file.name
    assert found == REAL
