"""Examples in a prompt are nobody's words; the word "example" in a real dialogue makes none."""

from __future__ import annotations

import pytest

from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.types import SpanType

DETECTOR = SpanDetector()
AGENT = {SpanType.REASONING, SpanType.ACTION, SpanType.OBSERVATION}


def steps(place: str, capital: str) -> str:
    return (
        f"Question: What is the capital of {place}?\nThought: I look it up.\nAction: search[{place}]\n"
        f"Observation: {capital}\nThought: That is it.\nAction: finish[{capital}]\n"
    )


SHOT, REAL = steps("Peru", "Lima"), steps("Chile", "Santiago")
TAGS = (
    "<thought>I look it up.</thought>\n<action>search[Peru]</action>\n<observation>Lima</observation>\n"
    "<thought>That is it.</thought>\n<action>finish[Lima]</action>\n\n"
)
PROMPTS = {
    "an end that is announced": f"Think, then act. Here are some examples.\n{SHOT}(END OF EXAMPLES)\n\n",
    "a format before Begin": "Use the following format:\n\nQuestion: the question\nThought: what you think\n"
    "Action: search[what]\nObservation: the result\n\nBegin!\n\n",
    "the task's own label once more": f"Here is an example:\n\n{SHOT}\n",
    "two conventions, one wholly before the other": TAGS,
    "German": f"Beispiele:\n{SHOT}\nJetzt deine Aufgabe:\n",
    "Spanish": f"Ejemplos:\n{SHOT}\nAhora tu tarea:\n",
    "Chinese": f"示例：\n{SHOT}\n现在请回答：\n",
}


def agent_text(text: str) -> str:
    spans = DETECTOR.detect(text)
    return "".join(text[span.start_char : span.end_char] for span in spans if span.span_type in AGENT)


@pytest.mark.parametrize("form", PROMPTS)
def test_what_a_prompt_quotes_is_nobodys_and_what_follows_is_the_agents(form: str) -> None:
    assert agent_text(PROMPTS[form] + REAL) == REAL.partition("\n")[2]


@pytest.mark.parametrize(
    "text",
    [
        SHOT.replace("What is the capital of Peru?", "Give me an example: the capital of Peru."),
        SHOT.replace("I look it up.", "I look up an example first."),
        SHOT.replace("Observation: Lima", "Observation: Lima, for example. Examples: Lima, Cusco"),
        "User: List the examples: all of them.\n" + SHOT.partition("\n")[2],
    ],
)
def test_the_word_example_makes_no_example(text: str) -> None:
    assert agent_text(text) == text.partition("\n")[2]
