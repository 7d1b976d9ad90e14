"""mini-swe-agent: fenced commands stay in the text, tool calls are apart, shell output is a result."""

from __future__ import annotations

from mutations import golden
from reading import PARSER, read, steps

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
