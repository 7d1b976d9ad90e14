"""mini-swe-agent: fenced commands stay in the text, tool calls are apart, shell output is a result."""

from __future__ import annotations

from typing import Any

import pytest
from mutations import golden
from reading import PARSER, read, steps

from deepcoder_hf.errors import RecordError

TEXT, TOOLS, ITEMS = golden("mini_swe_agent")


def test_a_fenced_command_stays_where_the_model_wrote_it() -> None:
    agent = [step for step in steps(TEXT) if step.source == "agent"]
    assert [step.message for step in agent] == [m["content"] for m in TEXT["messages"] if m["role"] == "assistant"]
    assert not any(step.tool_calls for step in agent)


def test_what_the_shell_gave_back_is_a_result() -> None:
    assert [step.source for step in steps(TEXT)] == ["system", "user", "agent", "tool", "agent", "user"]


def test_parallel_calls_pair_with_results_that_came_out_of_order() -> None:
    found = steps(TOOLS)
    assert [call.tool_call_id for call in found[2].tool_calls] == ["c1", "c2"]
    assert [step.tool_call_id for step in found[3:5]] == ["c1", "c2"]


def test_a_response_that_the_harness_refused_is_kept_beside_the_conversation() -> None:
    assert read(TOOLS).metadata["refused_responses"] == ["There are three TODO comments, all in io.py."]


def test_arguments_that_are_no_json_stay_verbatim_and_a_summary_is_no_reasoning() -> None:
    step = steps(ITEMS)[2]
    assert step.tool_calls[0].arguments == '{"command": "python -V"'
    assert (step.reasoning_kind, step.message) == ("summary", "I ask the interpreter.")


def test_a_bare_list_of_messages_is_recognised_by_the_output_of_the_shell() -> None:
    assert read({"messages": TEXT["messages"]}).source_format == "mini_swe_agent"
    other = [{"role": "system", "content": "s"}, {"role": "assistant", "content": "hi"}]
    assert PARSER.format_of({"messages": other}) == "messages"


def turn(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def shell(text: str) -> dict[str, Any]:
    return {"role": "user", "content": f"<returncode>0</returncode>\n<output>\n{text}\n</output>"}


PROMPTS = [
    {"role": "system", "content": "You interact with a shell. Give a THOUGHT and one ```bash fence."},
    {"role": "user", "content": "Find out why the importer skips the last row of every sheet."},
]
EARLY = turn("THOUGHT: The loop in importer.py must be read first.\n\n```bash\ncat importer.py\n```")
KEPT = turn("THOUGHT: range() ends one row early.\n\n```bash\nsed -n 40,60p importer.py\n```")
LATE = turn("THOUGHT: I correct the bound.\n\n```bash\nsed -i 's/n - 1/n/' importer.py\n```")
SUMMARY = {"role": "user", "content": "Summary of what was done: importer.py was read, its loop ends early."}


@pytest.mark.parametrize("wrap", [lambda messages: messages, lambda messages: {"messages": messages}])
def test_what_was_said_before_a_compaction_is_a_trajectory_and_what_was_kept_is_context(wrap: Any) -> None:
    before = [*PROMPTS, EARLY, shell("for row in range(n - 1):"), KEPT, shell("    for row in range(n - 1):")]
    after = [*PROMPTS, SUMMARY, KEPT, shell("    for row in range(n - 1):"), LATE, shell("")]
    record = {"id": "run-7", "trajectory_format": "mini-swe-agent-1.1", "segments": [wrap(before)], "messages": after}
    first, second = PARSER.parse_all(record)
    assert [step.message for step in first.steps if step.source == "agent"] == [EARLY["content"], KEPT["content"]]
    assert [(step.message, step.trained) for step in second.steps if step.source == "agent"] == [
        (KEPT["content"], False),
        (LATE["content"], True),
    ]
    assert (second.parent_id, second.metadata["kind"]) == ("run-7", "segment")


def test_a_segment_that_the_messages_hold_is_not_told_twice() -> None:
    record = {"trajectory_format": "mini-swe-agent-1.1", "segments": [[*PROMPTS, EARLY]], "messages": [*PROMPTS, EARLY]}
    assert len(PARSER.parse_all(record)) == 1


def test_reasoning_that_only_the_answer_of_the_provider_has_is_read() -> None:
    thought = "The importer counts from zero, so the bound of the loop is off by one, as the report suggests."
    answer = {"choices": [{"message": {"content": LATE["content"], "reasoning_content": thought}}]}
    record = {
        "trajectory_format": "mini-swe-agent-1.1",
        "messages": [*PROMPTS, {**LATE, "extra": {"response": answer, "actions": []}}],
    }
    assert (steps(record)[2].reasoning_content, steps(record)[2].message) == (thought, LATE["content"])


def test_an_answer_of_the_provider_that_says_something_else_is_not_ignored() -> None:
    answer = {"choices": [{"message": {"content": "Something else entirely, which no message of the run repeats."}}]}
    record = {
        "trajectory_format": "mini-swe-agent-1.1",
        "messages": [*PROMPTS, {**LATE, "extra": {"response": answer}}],
    }
    with pytest.raises(RecordError) as caught:
        PARSER.parse_all(record)
    assert caught.value.reason == "unread_fields"


def test_an_output_before_it_was_shortened_is_not_read() -> None:
    raw = "\n".join(f"importer/row_{n}.py" for n in range(400))
    shown = {**shell(raw[:200] + "\n... output shortened ..."), "extra": {"raw_output": raw}}
    record = {"trajectory_format": "mini-swe-agent-1.1", "messages": [*PROMPTS, EARLY, shown]}
    assert [step.source for step in steps(record)] == ["system", "user", "agent", "tool"]
