"""What two trajectories have in common, whatever shape their steps have; random ones; rows made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from tokenizers import Tokenizer

from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import RecordError
from deepcoder_hf.export.json_text import json_object
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.trajectory import Observation, Step, ToolCall, Trajectory

DATA = Path(__file__).resolve().parents[1] / "data"
PARSER = TrajectoryParser(ReadersConfig(ignore=("metadata", "tools", "extra", "prompt")))
"""Fields beside the turns are compared in the records themselves."""
THINK, THOUGHT = "<think>\n", "\n</think>\n\n"
Event = list[Any]


def golden() -> list[Trajectory]:
    """The trajectories of all golden samples that have turns."""
    found = []
    for raw in sorted(DATA.glob("*/raw.jsonl")):
        for line in raw.read_text(encoding="utf-8").splitlines():
            try:
                found += TrajectoryParser().parse_all(json.loads(line))
            except RecordError:
                continue  # its own test says so
    return [item for item in found if not any(step.source == "text" for step in item.steps)]


def events(trajectory: Trajectory) -> list[Event]:
    """What was said, thought, called and seen: `[who, message, reasoning, calls]` or `[tool, text, id, name]`.

    Consecutive steps of the agent are one event as long as a call does not stand between their texts.
    """
    found: list[Event] = []
    for step in trajectory.steps:
        if step.source == "tool":
            found.append(["tool", step.message or "", step.tool_call_id, step.name])
            continue
        if step.source != "agent":
            if step.message:
                found.append([step.source, step.message, step.name])
            continue
        message, reasoning = _thought(step)
        calls = [[call.function_name, _value(call.arguments), call.tool_call_id] for call in step.tool_calls]
        if message or reasoning or calls:
            if found and found[-1][0] == "agent" and not message and not reasoning:
                found[-1][3] += calls
            else:
                found.append(["agent", message, reasoning, calls])
        found += [["tool", result.content, result.tool_call_id, result.name] for result in step.observations]
    return found


def without(found: list[Event], *fields: str) -> list[Event]:
    """Events without what a format does not hold: reasoning, name, id."""
    kept = []
    for event in found:
        event = list(event)
        if event[0] == "agent":
            if "reasoning" in fields:
                event[2] = None
            if "id" in fields:
                event[3] = [[name, value, None] for name, value, _ in event[3]]
            if not event[1] and not event[2] and not event[3]:
                continue
            if kept and kept[-1][0] == "agent" and not event[1] and not event[2]:
                kept[-1][3] += event[3]
                continue
        elif event[0] == "tool":
            event[2] = None if "id" in fields else event[2]
            event[3] = None if "name" in fields else event[3]
        elif "name" in fields:
            event[2] = None
        kept.append(event)
    return kept


def _thought(step: Step) -> tuple[str | None, str | None]:
    """Message and reasoning, also where a format writes reasoning in think tags before the message."""
    message = step.message or None
    if step.reasoning_content is None and message and message.startswith(THINK) and THOUGHT in message:
        reasoning, _, said = message.removeprefix(THINK).partition(THOUGHT)
        return said or None, reasoning
    return message, step.reasoning_content or None


def _value(arguments: str) -> Any:
    """Arguments as the value that they are."""
    found = json_object(arguments)
    return arguments if found is None else found


# --- random trajectories ---------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="<>"), min_size=1, max_size=12).filter(
    lambda text: bool(text.strip())
)
NAME = st.sampled_from(["bash", "read_file", "grep", "näme"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner, max_size=2), max_leaves=3
)
OBJECTS = st.dictionaries(st.sampled_from(["path", "command", "n", "ключ"]), VALUES, max_size=3)
ARGUMENTS = st.one_of(
    OBJECTS.map(lambda value: json.dumps(value, ensure_ascii=False)),
    OBJECTS.map(lambda value: json.dumps(value, indent=1)),
    st.sampled_from(["{not json", "ls -la | wc\n", "[1, 2]", '{"a": 1, "a": 2}', '{"n": 1e400}', '{"x": NaN}']),
)


@st.composite
def trajectories(draw: st.DrawFn, ids: bool | None = None) -> Trajectory:
    """A trajectory of one to four turns of the agent, with results in the step or standing alone."""
    steps = [Step("system", draw(TEXT))] if draw(st.booleans()) else []
    number = 0
    for _ in range(draw(st.integers(1, 4))):
        if not steps or steps[-1].source in ("agent", "tool", "system"):
            steps.append(Step("user", draw(TEXT)))
        with_ids = draw(st.booleans()) if ids is None else ids
        calls, results = [], []
        for _ in range(draw(st.integers(0, 3))):
            number += 1
            name = f"c{number}" if with_ids else None
            calls.append(ToolCall(draw(NAME), draw(ARGUMENTS), name))
            results.append(Observation(draw(TEXT), name))
        message = draw(st.none() | TEXT) if calls else draw(TEXT)
        step = Step("agent", message, draw(st.none() | TEXT), tuple(calls), trained=draw(st.booleans()))
        if draw(st.booleans()):
            steps.append(replace(step, observations=tuple(results)))
        else:
            steps += [step, *(Step("tool", item.content, tool_call_id=item.tool_call_id) for item in results)]
        if results:
            steps.append(Step("agent", draw(TEXT)))
    tools = draw(
        st.lists(OBJECTS.map(lambda value: json.dumps({"name": "t", **value}, ensure_ascii=False)), max_size=2)
    )
    return Trajectory(tuple(steps), "messages", draw(st.none() | NAME), draw(st.none() | NAME), {}, tuple(tools))


# --- rows of a SAD dataset -------------------------------------------------------------------------------------------

Part = tuple[str, str, bool]
"""A text, the type of its span, whether it is trained."""
PARTS: tuple[Part, ...] = (
    ("User: Rename `a` to `naïve 🙂` in main.py.\n\n", "other", False),
    ("Thought: First see where it is used.\n", "reasoning", True),
    ('Action: grep\nAction Input: {"pattern": "\\\\ba\\\\b"}\n', "action", True),
    ("Observation: main.py:3: a = 1\r\nmain.py:7: print(a)\n", "observation", False),
    ("Thought: Two places.\n", "reasoning", True),
    ("Assistant: Renamed in two places.", "answer", True),
)


def sad_row(model: Path, parts: tuple[Part, ...] = PARTS, name: str = "rename") -> dict[str, Any]:
    """A row with the columns of `SAD_FEATURES`: a token belongs to the span that holds its first character."""
    backend = Tokenizer.from_file(str(model))
    text = "".join(part for part, _, _ in parts)
    encoding = backend.encode(text, add_special_tokens=False)
    starts = [start for start, _ in encoding.offsets]
    types, trained, spans, place, token = [], [], [], 0, 0
    numbers = {"other": 0, "reasoning": 1, "action": 2, "observation": 3, "answer": 4}
    for part, kind, is_trained in parts:
        end = place + len(part)
        n_tokens = sum(place <= start < end for start in starts)
        spans.append(
            {
                **{"span_type": kind, "subtype": "", "start_char": place, "end_char": end, "confidence": 1.0},
                **{"start_token": token, "end_token": token + n_tokens, "origin": "structure", "step_id": 0},
                "pattern": "",
            }
        )
        types += [numbers[kind]] * n_tokens
        trained += [is_trained] * n_tokens
        place, token = end, token + n_tokens
    ids = list(encoding.ids)
    quality = dict.fromkeys(("reasoning", "action", "observation", "answer", "other", "mean_confidence"), 0.5)
    return {
        **{"trajectory_id": name, "group_id": name, "window": {"index": 0, "n": 1, "start_step": 0}},
        **{"length": len(ids), "input_ids": ids, "attention_mask": [1] * len(ids), "token_types": types},
        "reasoning_mask": [int(t and k == 1) for t, k in zip(trained, types, strict=True)],
        "action_mask": [int(t and k in (2, 4)) for t, k in zip(trained, types, strict=True)],
        "labels": [number if t else -100 for number, t in zip(ids, trained, strict=True)],
        **{"spans": spans, "text": text, "original_text": None, "quality": quality, "row_weight": 1.0},
        "metadata": json.dumps({"tokenizer": f"{model}@0"}),
    }
