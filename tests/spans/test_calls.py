"""What looks like a call does so whatever marks it."""

from __future__ import annotations

import pytest
from any_text import anything, thorough
from hypothesis import given

from deepcoder_hf.spans.calls import callness

CALLS = [
    '{"name": "ls", "arguments": {}}',
    '[{"tool": "ls"}]',
    "search[capital of Peru]",
    "get(x=1)",
    "click(12)",
    "print(6 * 7)",
    "<function=ls>",
    "ls -la",
    "cat a.py | wc -l",
    "git status",
    "go to shelf 1",
    "```bash\nls\n```",
    "import os\nprint(os)",
    "calling search(query)",
]
WORDS = [
    "The capital is Lima.",
    "I will look it up.",
    "total 3\n-rw-r--r-- a.py",
    "Traceback (most recent call last):",
    "What is the capital of Peru?",
    "利马是秘鲁的首都。",
    '{"temperature": 12}',
    "Lima",
    "",
]


@pytest.mark.parametrize("text", CALLS)
def test_a_call_looks_like_one(text: str) -> None:
    assert callness(text) > 0.5
    assert callness(f"\n  {text}\n") > 0.5


@pytest.mark.parametrize("text", WORDS)
def test_words_and_results_do_not(text: str) -> None:
    assert callness(text) < 0.3


@thorough
@given(anything)
def test_how_much_any_text_looks_like_a_call_is_a_share(text: str) -> None:
    assert 0 <= callness(text) <= 1


def test_a_long_call_still_looks_like_one() -> None:
    assert callness('{"name": "write", "arguments": {"text": "' + "a " * 5000) > 0.5
    assert callness('write(text="' + "a " * 5000) > 0.5
