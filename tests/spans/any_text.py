"""Texts for property tests: any characters, and soups of what the survey, the voices and the gaps look at."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

PIECES = (
    "Thought:",
    "Action: ls",
    "Zorp>> I look.",
    "[Blick] ls -la",
    "(quam) a",
    "**Plan:** a",
    "## Reasoning",
    "=== CALL ===",
    "----",
    "🤔 I wonder",
    "🔧 ls",
    "思考：我先看看。",
    "行动：search[利马]",
    "【観察】a",
    "<muse>",
    "</muse>",
    '<step kind="thought">',
    "<|im_start|>assistant",
    "<|end|>",
    "$ ls",
    ">>> print(1)",
    "In [3]: x",
    "Out[3]: 1",
    "user@host:~$ ls",
    "-> ls",
    "<- a.py",
    "```bash",
    "```",
    '{"thought": "a", "action": {"name": "ls"}}',
    '{"role": "tool", "content": "b"}',
    '{"thought": "a',
    "12:04 <bot> hi",
    "Here are examples:",
    "(END OF EXAMPLES)",
    "Begin!",
    "示例：",
    "Question: why?",
    "Traceback (most recent call last):",
    "I have to look first.",
    "You can use a list.",
    "Could you try again?",
    "total 3",
    "name: x",
    '{"a": [1, 2]}',
    "]}",
    '"\\',
)
GLUE = (
    "\n",
    "\n\n",
    "\r\n",
    "\r\n\r\n",
    " ",
    "\t",
    "",
    "\x00",
    "é",
    "🙂",
    "漢字",
    "：",
    "\ud800",
    "a\u0301",
    "\x1b[0m",
)
soup = st.lists(st.sampled_from(PIECES + GLUE * 4), max_size=16).map("".join)
anything = st.one_of(st.text(st.characters(), max_size=60), soup)
thorough = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def as_blob(text: str) -> tuple[bytes, int, int]:
    """A text as the detector holds it, with a newline before and after; and where it begins and ends, in bytes."""
    data = text.encode("utf-8", "surrogatepass")
    return b"\n" + data + b"\n", 1, 1 + len(data)
