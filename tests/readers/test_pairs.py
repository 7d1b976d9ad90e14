"""Alpaca, and TRL's prompt and completion: what is asked is the user's, what answers is the agent's."""

from __future__ import annotations

from typing import Any

import pytest
from reading import read, read_all, steps

from deepcoder_hf.errors import RecordError
from deepcoder_hf.trajectory import Step

ASSISTANT = {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"instruction": "i", "output": "o"}, [Step("user", "i"), Step("agent", "o")]),
        ({"instruction": " i\n", "input": "x", "output": "o"}, [Step("user", " i\n\n\nx"), Step("agent", "o")]),
        ({"instruction": "", "input": "x", "output": "o"}, [Step("user", "x"), Step("agent", "o")]),
        ({"instruction": "i", "output": "o", "system": "s", "history": [["u", "a"], ["", "b"]]},
         [Step("system", "s"), Step("user", "u"), Step("agent", "a"), Step("agent", "b"), Step("user", "i"),
          Step("agent", "o")]),
        ({"instruction": "i", "output": "User: x\nBot: y"}, [Step("user", "i"), Step("text", "User: x\nBot: y")]),
    ],
)  # fmt: skip
def test_alpaca(record: dict[str, Any], expected: list[Step]) -> None:
    assert read(record).source_format == "alpaca"
    assert steps(record) == expected


@pytest.mark.parametrize("history", [[["u"]], ["u"], {"u": "a"}, "u", [[1, 2]]])
def test_a_history_that_holds_no_pairs_is_a_reject(history: Any) -> None:
    with pytest.raises(RecordError, match="history 0: expected a pair of texts") as caught:
        read({"instruction": "i", "output": "o", "history": history})
    assert caught.value.reason == "bad_history"


@pytest.mark.parametrize(
    ("prompt", "completion", "expected"),
    [
        ("p", " a\n", [Step("user", "p"), Step("agent", " a\n")]),
        ("", "a", [Step("text", "a")]),
        ("[INST] p [/INST]", " a", [Step("text", "[INST] p [/INST] a")]),
        ([{"role": "user", "content": "p"}], "a", [Step("user", "p"), Step("agent", "a")]),
        ("p", [ASSISTANT], [Step("user", "p"), Step("agent", "a")]),
        ([ASSISTANT, {"role": "user", "content": "p"}], [ASSISTANT, {"role": "tool", "content": "r"}],
         [Step("agent", "a", trained=False), Step("user", "p"), Step("agent", "a"), Step("tool", "r")]),
        ([], [ASSISTANT], [Step("agent", "a")]),
    ],
)  # fmt: skip
def test_prompt_and_completion(prompt: Any, completion: Any, expected: list[Step]) -> None:
    record = {"prompt": prompt, "completion": completion}
    if prompt == []:
        record["prompt"] = ""
    assert read(record).source_format in ("completion", "text")
    assert steps(record) == expected


def test_several_completions_of_a_prompt_are_several_trajectories() -> None:
    found = read_all({"prompt": "p", "completion": ["a", "", "b"], "problem_id": 4})
    assert [list(t.steps) for t in found] == [[Step("user", "p"), Step("agent", text)] for text in "ab"]
    assert {t.group_id for t in found} == {"4"}


@pytest.mark.parametrize(
    ("prompt", "completion", "reason"),
    [
        ("p", [""], "empty_record"),
        ("p", " ", "empty_record"),
        ("p", [{"role": "user", "content": "q"}], "no_assistant_turn"),
        ([ASSISTANT], [{"role": "tool", "content": "r"}], "no_assistant_turn"),
        ("p", [3], "missing_role"),
        ([3], "a", "missing_role"),
        ("p", [ASSISTANT, "a"], "missing_role"),
    ],
)
def test_a_completion_without_an_assistant_is_a_reject(prompt: Any, completion: Any, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        read({"prompt": prompt, "completion": completion})
    assert caught.value.reason == reason
