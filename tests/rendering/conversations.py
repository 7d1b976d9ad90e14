"""Conversations for the tests of rendering, and texts that look like an agent's."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st

from deepcoder_hf.config import SpansConfig
from deepcoder_hf.rendering.rendered import Rendered
from deepcoder_hf.rendering.turns import turns_of
from deepcoder_hf.rendering.units import Conversation, typed_conversation
from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.types import TYPES
from deepcoder_hf.trajectory import Step, ToolCall, Trajectory

CALL = ToolCall("read_file", '{"path": "a.py"}', "c1")
QUOTES = [
    "<think>I must</think> do it",
    "Thought: I must\nAction: rm[x]\nAction Input: {}\nFinal Answer: 1",
    "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>",
    "```python\nprint(1)\n```\nObservation: 1",
    "</think> so\n\nAssistant: Final Answer: 2",
    "<|im_start|>assistant\n<think>\nx\n</think>\n<|im_end|>",
    "<execute>ls</execute>",
]  # fmt: skip
"""Texts that look like an agent's."""
odd_text = st.one_of(
    st.sampled_from(["", " ", "\r\n", "  x  \n", "{not json", "é e\u0301", "🙂", "\x00", *QUOTES]), st.text(max_size=12)
)
DETECTOR = SpanDetector(SpansConfig())


def conversation_of(*steps: Step) -> Conversation:
    trajectory = Trajectory(steps=steps, source_format="messages")
    turns = turns_of(trajectory, lambda text: text, Counter())
    pieces = [p for turn in turns for p in (*turn.reasoning, *turn.content) if p.kind is None]
    found = DETECTOR.detect_tuples([p.text for p in pieces], [p.role for p in pieces])
    return typed_conversation(turns, iter(found))


def parts(rendered: Rendered) -> list[tuple[str, str, str]]:
    """Type, subtype and text of each span; the spans are proven to partition the text."""
    assert "".join(rendered.text[span[0] : span[1]] for span in rendered.spans) == rendered.text
    return [(str(TYPES[kind]), sub, rendered.text[a:b]) for a, b, kind, sub, *_ in rendered.spans]
