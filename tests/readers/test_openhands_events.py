"""OpenHands events: one answer is one step, results find their calls, condensed context is not trained twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mutations import changed, golden
from reading import PARSER, read, steps

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import find_files

V0, PLAIN, SDK = golden("openhands_events")


def test_calls_of_one_answer_are_one_step_with_their_results_in_order() -> None:
    step = steps(V0)[3]
    assert [call.function_name for call in step.tool_calls] == ["execute_bash", "str_replace_editor"]
    assert [result.tool_call_id for result in step.observations] == ["t1", "t2"]
    assert step.reasoning_content == "The failing test names /v2/users."


def test_events_are_put_into_the_order_of_their_numbers() -> None:
    shuffled = {**V0, "history": list(reversed(V0["history"]))}
    assert steps(shuffled) == steps(V0)


def test_recorded_arguments_are_raw_and_the_system_prompt_brings_the_tools() -> None:
    found = read(V0)
    assert (
        found.steps[-1].tool_calls[0].arguments
        == '{"message": "Added the route; the test passes.", "task_completed": "true"}'
    )
    assert len(found.tools) == 1
    assert found.metadata["model"] == "acme/coder-32b"


def test_a_condensation_begins_a_segment_and_a_delegate_is_its_own_trajectory() -> None:
    main, continued, delegate = PARSER.parse_all(PLAIN)
    assert (main.trajectory_id, continued.parent_id, delegate.parent_id) == ("sess-4", "sess-4", "sess-4")
    assert [one.metadata.get("kind") for one in (main, continued, delegate)] == [None, "continued", "sub_agent"]
    trained = [
        step.message or step.tool_calls[0].arguments
        for step in continued.steps
        if step.source == "agent" and step.trained
    ]
    assert trained == ["python plot.py", "The plot is in plot.png – fertig."]
    assert delegate.steps[-1].answer


def test_code_without_a_recorded_call_has_its_language() -> None:
    assert steps(PLAIN)[1].tool_calls[0].language == "python"


def test_sdk_events_pair_errors_and_results_by_call_and_carry_token_ids() -> None:
    first, second = PARSER.parse_all(SDK)
    step = first.steps[-1]
    assert [result.content for result in step.observations] == [
        "LISTEN 0 128 127.0.0.1:8080",
        "Tool timed out after 30 s",
    ]
    assert step.completion_token_ids == (7, 8)
    assert first.metadata["redacted_reasoning"] == 1
    assert [step.message for step in second.steps][3:5] == [
        "<EXTRA_INFO>Use ss, not netstat.</EXTRA_INFO>",
        "Port 8080 is taken on IPv4.",
    ]
    assert second.steps[-2].reasoning_kind == "summary"


def test_images_and_elements_that_are_no_events_are_refused() -> None:
    for path, value, reason in (
        (("history", 1, "args", "image_urls"), ["data:image/png;base64,x"], "unsupported_modality"),
        (("history", 3), "x", "bad_event"),
    ):
        with pytest.raises(RecordError) as caught:
            PARSER.parse_all(changed(V0, path, value))
        assert caught.value.reason == reason


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("events", [V0["history"], SDK["events"]], ids=["v0", "sdk"])
def test_a_file_that_is_a_list_of_events_is_one_record(
    events: list[object], indent: int | None, tmp_path: Path
) -> None:
    (tmp_path / "trajectory.json").write_text(json.dumps(events, indent=indent), encoding="utf-8")
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    for file in find_files(tmp_path):
        (row,) = iter_records(file, ReadersConfig())
        assert steps(row.record) == steps({"events": events})


def test_a_broken_line_of_a_session_costs_itself_and_is_counted(tmp_path: Path) -> None:
    lines = [json.dumps(event) for event in V0["history"]]
    (tmp_path / "lines.jsonl").write_text("\n".join([*lines[:6], "{broken", *lines[6:]]), encoding="utf-8")
    rows = [row for file in find_files(tmp_path) for row in iter_records(file, ReadersConfig())]
    assert [row.reason for row in rows] == ["", "broken_json"]
    assert rows[0].record is not None
    assert rows[0].record["broken_lines"] == 1


# --- thoughts that are the call of a tool ----------------------------------------------------------------------------


def thinking(message: dict[str, object], thought: str | None = "Look first.\nThen add it.") -> dict[str, object]:
    """A session in which an answer calls `think` (id t3) and, beside it, maybe other tools."""
    answer = {"id": "gen-1", "choices": [{"message": {"role": "assistant", **message}, "finish_reason": "tool_calls"}]}
    call = {"function_name": "think", "tool_call_id": "t3", "model_response": answer}
    return {
        "history": [
            {"id": 0, "source": "user", "action": "message", "args": {"content": "Add /v2/users."}},
            {"id": 1, "source": "agent", "action": "think", "args": {"thought": thought}, "tool_call_metadata": call},
            {"id": 2, "source": "agent", "observation": "think", "content": "Logged.", "tool_call_metadata": call},
        ]
    }


def called(number: str, name: str, **arguments: str) -> dict[str, object]:
    return {"id": number, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


THINK = called("t3", "think", thought="Then add it.")


def test_a_thought_by_call_is_reasoning_and_what_was_said_before_it_stands_in_it() -> None:
    found = read(thinking({"content": "Look first.", "tool_calls": [THINK]}))
    step = found.steps[-1]
    assert (step.message, step.reasoning_content, step.tool_calls) == (None, "Look first.\nThen add it.", ())
    assert [result.content for result in step.observations] == ["Logged."]
    assert found.metadata["read"].get("unread", 0) == 0
    assert "results_without_call" not in found.metadata


def test_hidden_reasoning_and_words_that_a_thought_does_not_repeat_come_before_it() -> None:
    message = {"reasoning_content": "Hidden.", "content": "Said.", "tool_calls": [THINK, called("t4", "run", c="ls")]}
    found = read(thinking(message, "Then add it."))
    assert [step.reasoning_content for step in found.steps[1:]] == ["Hidden.", "Said.", "Then add it."]
    assert [call.tool_call_id for call in found.steps[-1].tool_calls] == ["t4"]
    assert found.metadata["read"].get("unread", 0) == 0


def test_a_call_of_think_without_a_thought_stays_a_call() -> None:
    step = read(thinking({"content": "Look first.", "tool_calls": [THINK]}, None)).steps[-1]
    assert (step.message, [call.function_name for call in step.tool_calls]) == ("Look first.", ["think"])


def act(number: int, action: str, **args: Any) -> dict[str, Any]:
    return {"id": number, "source": "agent", "action": action, "args": args}


def saw(number: int, kind: str, content: str, **extras: Any) -> dict[str, Any]:
    return {
        "id": number,
        "source": "agent",
        "observation": kind,
        "cause": number - 1,
        "content": content,
        "extras": extras,
    }


ASKED = {"id": 1, "source": "user", "action": "message", "args": {"content": "Which pages does the shop have?"}}


def test_knowledge_that_the_harness_recalls_is_in_the_prompt_once() -> None:
    piece = {
        "name": "github",
        "trigger": "shop",
        "content": "The shop is deployed from the branch release, never from main.",
    }
    recall = {
        **{"id": 2, "source": "environment", "observation": "recall", "cause": 1},
        **{"content": "Added workspace context", "extras": {"recall_type": "x", "microagent_knowledge": [piece]}},
    }
    record = {
        "events": [ASKED, recall, {**recall, "id": 3}, act(4, "run", command="ls pages"), saw(5, "run", "home.html")]
    }
    assert [step.message for step in steps(record) if step.source == "user"] == [
        ASKED["args"]["content"],
        piece["content"],
    ]


def test_what_the_shell_puts_around_an_output_is_shown_to_the_model() -> None:
    notes = {
        "prefix": "[Below is the output of the previous command.]\n",
        "suffix": "\n[The command completed with exit code 0.]",
    }
    record = {"events": [ASKED, act(2, "run", command="ls pages"), saw(3, "run", "home.html", metadata=notes)]}
    assert steps(record)[1].observations[0].content == notes["prefix"] + "home.html" + notes["suffix"]


def test_a_page_that_stands_in_the_notes_only_is_the_result() -> None:
    page = "heading 'Shop' link 'Basket' link 'Contact us for orders of more than a hundred pieces'"
    record = {"events": [ASKED, act(2, "browse", url="https://shop.example"), saw(3, "browse", "", axtree_txt=page)]}
    assert steps(record)[1].observations[0].content == page


def test_why_an_agent_rejects_a_task_is_said() -> None:
    reason = "The shop needs a login that I was not given, so I cannot see its pages."
    assert steps({"events": [ASKED, act(2, "reject", reason=reason)]})[-1].message == reason
