"""Each rule of the machine, on a small text. `shape` writes a span as its type's letter and its text."""

from __future__ import annotations

import pickle

import pytest

from deepcoder_hf.config import SpansConfig
from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.types import check_partition

DETECTOR = SpanDetector()
LETTERS = {"reasoning": "R", "action": "A", "observation": "O", "answer": "F", "other": "-"}
Shape = list[tuple[str, str]]


def shape(text: str, role: str | None = None) -> Shape:
    spans = DETECTOR.detect(text, role)
    check_partition(spans, len(text))
    return [(LETTERS[span.span_type.value], text[span.start_char : span.end_char]) for span in spans]


RULES: dict[str, tuple[str, Shape]] = {
    "text without markup is other": ("Just text.", [("-", "Just text.")]),
    "tags belong to their span, and so does the space after it": (
        "<think>a</think>\n\nb",
        [("R", "<think>a</think>\n\n"), ("F", "b")],
    ),
    "leading whitespace belongs to the first span": (
        "\n\n<think>a</think>b",
        [("R", "\n\n<think>a</think>"), ("F", "b")],
    ),
    "a tag inside a line is text": ("He said <think>a</think> b.", [("-", "He said <think>a</think> b.")]),
    "a literal tag inside reasoning stays reasoning": (
        "<think>The tag <think> opens.</think>b",
        [("R", "<think>The tag <think> opens.</think>"), ("F", "b")],
    ),
    "a call inside closed reasoning stays reasoning": (
        "<think>\n<tool_call>\n{}\n</tool_call>\n</think>b",
        [("R", "<think>\n<tool_call>\n{}\n</tool_call>\n</think>"), ("F", "b")],
    ),
    "a call ends reasoning that is not closed": (
        "<think>a\n<tool_call>{}</tool_call>",
        [("R", "<think>a\n"), ("A", "<tool_call>{}</tool_call>")],
    ),
    "unclosed reasoning runs to the end": ("<think>a\nb", [("R", "<think>a\nb")]),
    "an orphan close closes reasoning from the start": ("a\n</think>\nb", [("R", "a\n</think>\n"), ("F", "b")]),
    "an orphan close after labelled text is text": (
        "Thought: a\n</think>\nAction: b",
        [("R", "Thought: a\n</think>\n"), ("A", "Action: b")],
    ),
    "a nested block ends at the first close, and an orphan close ends the rest": (
        "<think>a\n<think>b</think>c</think>d",
        [("R", "<think>a\n<think>b</think>"), ("R", "c</think>"), ("F", "d")],
    ),
    "an unclosed call ends where the next one begins": (
        "<tool_call>a\n<tool_call>b</tool_call>",
        [("A", "<tool_call>a\n"), ("A", "<tool_call>b</tool_call>")],
    ),
    "text before a call is preamble": (
        "<think>a</think>I look.\n<tool_call>{}</tool_call>",
        [("R", "<think>a</think>"), ("R", "I look.\n"), ("A", "<tool_call>{}</tool_call>")],
    ),
    "interleaved thinking keeps its order": (
        "<think>a</think><tool_call>b</tool_call><tool_response>c</tool_response><think>d</think>e",
        [
            ("R", "<think>a</think>"),
            ("A", "<tool_call>b</tool_call>"),
            ("O", "<tool_response>c</tool_response>"),
            ("R", "<think>d</think>"),
            ("F", "e"),
        ],
    ),
    "labels end where the next one begins": (
        "Q?\nThought: a\nAction: b\nObservation: c\nThought: d\nFinal Answer: e",
        [("-", "Q?\n"), ("R", "Thought: a\n"), ("A", "Action: b\n"), ("O", "Observation: c\n"), ("R", "Thought: d\n"),
         ("F", "Final Answer: e")],
    ),
    "an input belongs to its action, and a second action is another one": (
        "Action: a\nAction Input: b\nAction: c\nAction Input: d",
        [("A", "Action: a\nAction Input: b\n"), ("A", "Action: c\nAction Input: d")],
    ),
    "labels may be bold, indented or headings": (
        "**Thought:** a\n  Action: b\n### Observation: c",
        [("R", "**Thought:** a\n"), ("A", "  Action: b\n"), ("O", "### Observation: c")],
    ),
    "a label may follow a block on an indented line": (
        "<think>a</think>\n  Action: b",
        [("R", "<think>a</think>\n"), ("A", "  Action: b")],
    ),
    "a label inside a line is text": ("I saw Action: b\n", [("-", "I saw Action: b\n")]),
    "labels inside a fence are text": (
        "Thought: The format is:\n```text\nAction: x\n```\nSo I should look first.\nAction: c",
        [("R", "Thought: The format is:\n```text\nAction: x\n```\nSo I should look first.\n"), ("A", "Action: c")],
    ),
    "a fence after its label belongs to the action": (
        "Action:\n```json\n{\n\"Thought: \": 1}\n```\nObservation: b",
        [("A", "Action:\n```json\n{\n\"Thought: \": 1}\n```\n"), ("O", "Observation: b")],
    ),
    "a fence in the label's line is opaque": (
        "Action: ```\nThought: x\n```\nObservation: b",
        [("A", "Action: ```\nThought: x\n```\n"), ("O", "Observation: b")],
    ),
    "a fence that is not closed is text": (
        "Thought: a\n```\nAction: b",
        [("R", "Thought: a\n```\n"), ("A", "Action: b")],
    ),
    "a fence that teaches is part of the answer": (
        "<think>a</think>You can write:\n```python\nx\n```",
        [("R", "<think>a</think>"), ("F", "You can write:\n```python\nx\n```")],
    ),
    "a fence acts where a result follows": (
        "<think>a</think>\n```python\nx\n```\nObservation: b",
        [("R", "<think>a</think>\n"), ("A", "```python\nx\n```\n"), ("O", "Observation: b")],
    ),
    "a fence acts where labelled reasoning ends with it": (
        "THOUGHT: a\n\n```bash\nls\n```",
        [("R", "THOUGHT: a\n\n"), ("A", "```bash\nls\n```")],
    ),
    "a fence in an observation is part of it": (
        "Action: a\nObservation: b\n```bash\nls\n```\nThought: c",
        [("A", "Action: a\n"), ("O", "Observation: b\n```bash\nls\n```\n"), ("R", "Thought: c")],
    ),
    "text between a call and the next reasoning is a result where none is marked": (
        "DISCUSSION\na\n```\nls\n```\nfile.py\n\nDISCUSSION\nb",
        [("R", "DISCUSSION\na\n"), ("A", "```\nls\n```\n"), ("O", "file.py\n\n"), ("R", "DISCUSSION\nb")],
    ),
    "a weak result needs a call before it": ("Text.\nResult: 3", [("-", "Text.\nResult: 3")]),
    "a weak result directly after a call counts": ("Action: a\nResult: 3", [("A", "Action: a\n"), ("O", "Result: 3")]),
    "a weak answer inside an answer is text": (
        "<think>a</think>b\nAnswer: c",
        [("R", "<think>a</think>"), ("F", "b\nAnswer: c")],
    ),
    "one word means a call or a result, by what stands before it": (
        "Thought: a\nTool: ls\nTool: file.py",
        [("R", "Thought: a\n"), ("A", "Tool: ls\n"), ("O", "Tool: file.py")],
    ),
    "a JSON call counts where a result follows": (
        "<|start_header_id|>assistant<|end_header_id|>\n\nI look. {\"name\": \"ls\", \"parameters\": {}}<|eot_id|>"
        "<|start_header_id|>ipython<|end_header_id|>\n\na.py",
        [
            ("-", "<|start_header_id|>assistant<|end_header_id|>\n\n"),
            ("R", "I look. "),
            ("A", '{"name": "ls", "parameters": {}}<|eot_id|>'),
            ("O", "<|start_header_id|>ipython<|end_header_id|>\n\na.py"),
        ],
    ),
    "an end-of-turn marker belongs to the span it ends": (
        "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n",
        [("-", "<|im_start|>user\nq<|im_end|>\n"), ("-", "<|im_start|>assistant\n"), ("F", "a<|im_end|>\n")],
    ),
    "an end of turn closes what the turn left open": (
        "<|im_start|>assistant\n<tool_call>{}<|im_end|>",
        [("-", "<|im_start|>assistant\n"), ("A", "<tool_call>{}<|im_end|>")],
    ),
    "a user who quotes markup stays user": (
        "<|im_start|>user\nWhy\n<think>a</think>\nAction: b<|im_end|>",
        [("-", "<|im_start|>user\nWhy\n<think>a</think>\nAction: b<|im_end|>")],
    ),
    "a result at the start of a user turn is a result": (
        "<|im_start|>user\n<tool_response>a</tool_response><|im_end|>",
        [("-", "<|im_start|>user\n"), ("O", "<tool_response>a</tool_response><|im_end|>")],
    ),
    "a tool's turn is a result, whatever it holds": (
        "<|im_start|>tool\n<think>a</think>\nThought: b<|im_end|>",
        [("O", "<|im_start|>tool\n<think>a</think>\nThought: b<|im_end|>")],
    ),
    "line labels are turns in a text that begins with one": (
        "User: q\n\nAssistant: a\n\nUser: r",
        [("-", "User: q\n\n"), ("-", "Assistant: "), ("F", "a\n\n"), ("-", "User: r")],
    ),
    "line labels are text in another text": (
        "Fill in the form.\nUser: your name\nHost: where you log in\nPort: 22",
        [("-", "Fill in the form.\nUser: your name\nHost: where you log in\nPort: 22")],
    ),
    "line labels are turns below a title": (
        "A chat\nUser: q\nAssistant: a\nUser: r\nAssistant: b",
        [("-", "A chat\n"), ("-", "User: q\n"), ("-", "Assistant: "), ("F", "a\n"), ("-", "User: r\n"),
         ("-", "Assistant: "), ("F", "b")],
    ),
    "channels of harmony are reasoning, call, result and answer": (
        "<|start|>assistant<|channel|>analysis<|message|>a<|end|>"
        "<|start|>assistant<|channel|>commentary to=functions.ls <|constrain|>json<|message|>{}<|call|>"
        "<|start|>functions.ls to=assistant<|channel|>commentary<|message|>b<|end|>"
        "<|start|>assistant<|channel|>final<|message|>c<|return|>",
        [
            ("-", "<|start|>assistant"),
            ("R", "<|channel|>analysis<|message|>a<|end|>"),
            ("-", "<|start|>assistant"),
            ("A", "<|channel|>commentary to=functions.ls <|constrain|>json<|message|>{}<|call|>"),
            ("O", "<|start|>functions.ls to=assistant<|channel|>commentary<|message|>b<|end|>"),
            ("-", "<|start|>assistant"),
            ("F", "<|channel|>final<|message|>c<|return|>"),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_the_machine_keeps_the_rule(rule: str) -> None:
    text, expected = RULES[rule]
    assert shape(text) == expected


MARKUP = "<think>a</think>\nAction: b\n<tool_call>c</tool_call>\nFinal Answer: d"


@pytest.mark.parametrize("role", ["user", "system"])
def test_text_of_others_never_becomes_the_agents(role: str) -> None:
    assert shape(MARKUP, role) == [("-", MARKUP)]


def test_text_of_a_tool_is_one_observation() -> None:
    assert shape(MARKUP, "tool") == [("O", MARKUP)]


def test_text_of_the_agent_without_markup_is_its_answer() -> None:
    assert shape("Hello.", "assistant") == [("F", "Hello.")]


def test_turn_markers_are_text_where_the_role_is_known() -> None:
    assert shape("a <|im_start|>user\nb", "assistant") == [("F", "a <|im_start|>user\nb")]


def test_an_orphan_close_in_an_agents_turn_closes_what_the_prompt_opened() -> None:
    assert shape("a</think>b", "assistant") == [("R", "a</think>"), ("F", "b")]


def test_the_empty_text_has_no_spans() -> None:
    assert DETECTOR.detect("") == []
    assert DETECTOR.detect("", "tool") == []
    assert DETECTOR.detect_batch([]) == []


def test_closed_markup_is_surer_than_unclosed_and_orphaned() -> None:
    closed, unclosed, orphan = (DETECTOR.detect(t)[0].confidence for t in ("<think>a</think>", "<think>a", "a</think>"))
    assert closed > orphan > unclosed


def test_spans_below_the_least_confidence_become_other() -> None:
    spans = SpanDetector(SpansConfig(min_confidence=0.9)).detect("<think>a</think>b\n<tool_call>{}</tool_call>")
    assert [(s.span_type.value, s.subtype) for s in spans][1] == ("other", "uncertain")


def test_characters_are_counted_not_bytes() -> None:
    text = "<think>日本語 🙂</think>é"
    first, second = DETECTOR.detect(text)
    assert (first.end_char, second.end_char) == (len(text) - 1, len(text))


def test_steps_begin_where_the_agent_speaks_again() -> None:
    text = "q\nThought: a\nAction: b\nObservation: c\nThought: d\nAction: e\nObservation: f"
    assert [span.step_id for span in DETECTOR.detect(text)] == [0, 1, 1, 1, 2, 2, 2]


def test_a_batch_with_too_few_roles_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        DETECTOR.detect_batch(["a", "b"], ["user"])


def test_a_detector_survives_pickling() -> None:
    again = pickle.loads(pickle.dumps(DETECTOR))
    assert again.detect(MARKUP) == DETECTOR.detect(MARKUP)
