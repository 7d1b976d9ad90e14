"""A second, minimal reader: files of the formats whose structure gives the truth -> trajectories of stretches.

It imports nothing of the package that it judges, and reads with json and yaml alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import extract_flat as flat
import extract_sessions as sessions
import yaml
from extract_anthropic import anthropic
from stretches import Stretch, Trajectory, call, in_call_order, said, shown, stretch

Extract = Callable[[Any], list[Trajectory]]


def chat(messages: Sequence[dict[str, Any]], agents: str = "said") -> Trajectory:
    """OpenAI messages.

    Args:
        messages: With roles system, user, assistant and tool.
        agents: `untrained` for messages that were only given as context.
    """
    found: Trajectory = []
    number = 0
    while number < len(messages):
        message = messages[number]
        number += 1
        if message["role"] != "assistant":
            kind = {"system": "system", "developer": "system", "tool": "observation"}.get(message["role"], "user")
            found += said(kind, message.get("content"))
            continue
        found += turn(message, agents)
        results = []
        while number < len(messages) and messages[number]["role"] == "tool":
            result = messages[number]
            results.append((result.get("tool_call_id"), said("observation", result.get("content"))))
            number += 1
        found += in_call_order([c.get("id") for c in message.get("tool_calls") or []], results)
    return found


def turn(message: dict[str, Any], agents: str = "said") -> Trajectory:
    """An assistant message: what is said before a call is preamble, which is reasoning."""
    thought, action = ("untrained", "untrained") if agents == "untrained" else ("reasoning", "action")
    calls = message.get("tool_calls") or []
    found = stretch(thought, message.get("reasoning_content"))
    found += said(thought if calls else agents, message.get("content"))
    return found + [call(c["function"]["name"], c["function"]["arguments"], action) for c in calls]


def adp(record: dict[str, Any]) -> list[Trajectory]:
    """ADP, standardized."""
    found: Trajectory = []
    acted = False
    for item in record["content"]:
        kind = item["class_"]
        if kind.endswith("_action"):
            found += stretch("reasoning", item.get("description"))
            if kind == "api_action":
                found.append(call(item["function"], item["kwargs"]))
            else:
                found += stretch("action" if kind == "code_action" else "said", item["content"])
            acted = kind != "message_action"
            continue
        seen = "observation" if acted or kind != "text_observation" else "user"
        if kind == "web_observation":
            for name in ("url", "axtree", "html"):
                found += stretch(seen, item.get(name))
            image = item.get("image_observation")
            found += shown(seen, image["annotations"]) if image and image.get("annotations") else []
        else:
            found += shown(seen, item["annotations"] if kind == "image_observation" else item["content"])
        acted = False
    return [found]


def atif(record: dict[str, Any]) -> list[Trajectory]:
    """ATIF."""
    found: Trajectory = []
    for step in record["steps"]:
        if step["source"] != "agent":
            found += said(step["source"], step["message"])
            continue
        calls = step.get("tool_calls") or []
        found += stretch("reasoning", step.get("reasoning_content"))
        found += said("reasoning" if calls else "said", step.get("message"))
        raw = step.get("extra", {}).get("agentpile", {}).get("calls", {})
        for one in calls:
            written = raw.get(one["tool_call_id"], {}).get("arguments_raw")
            found.append(call(one["function_name"], one["arguments"] if written is None else written))
        results = (step.get("observation") or {}).get("results") or []
        seen = [(r.get("source_call_id"), said("observation", r.get("content"))) for r in results]
        found += in_call_order([one["tool_call_id"] for one in calls], seen)
    return [found]


def openhands_log(record: Any) -> list[Trajectory]:
    """A log of OpenHands: a list of messages, or a request with its context and the answer to it."""
    if isinstance(record, list):
        return [chat(record)]
    answer = record["response"]["choices"][0]["message"]
    return [chat(record["messages"], "untrained") + turn(answer)]


def llamafactory(record: dict[str, Any]) -> list[Trajectory]:
    """LLaMA-Factory's ShareGPT: each call is a turn of its own."""
    found: Trajectory = []
    for message in record["conversations"]:
        kind, value = message["from"], message["value"]
        if kind == "function_call":
            given = json.loads(value)
            found += [call(c["name"], c["arguments"]) for c in (given if isinstance(given, list) else [given])]
        else:
            kinds = {"human": "user", "gpt": "said", "observation": "observation", "reasoning": "reasoning"}
            found += stretch(kinds[kind], value)
    return [found]


def fireact(record: dict[str, Any]) -> list[Trajectory]:
    """FireAct: messages or Alpaca, with labels."""
    if "messages" in record:
        return [[item for m in record["messages"] for item in flat.labelled(m["content"], m["role"])]]
    asked = stretch("user", record["instruction"]) + stretch("user", record["input"])
    return [asked + flat.labelled(record["output"], "assistant")]


EXTRACTS: dict[str, Extract] = {
    "adp-std": adp,
    "atif": atif,
    "swe-agent-traj": sessions.swe_agent,
    "tau-bench": lambda record: [chat(record["traj"])],
    "openhands-llm-logs": openhands_log,
    "claude-code": sessions.claude_code,
    "openhands-events": sessions.openhands_events,
    "fireact": fireact,
    "react-notebooks": flat.notebook,
    "webdancer": flat.webdancer,
    "llamafactory": llamafactory,
    "mint-codeact": flat.mint,
    "anthropic-http": anthropic,
}
"""The folders of real trajectories whose structure gives the truth."""


def trajectories(file: Path) -> list[Trajectory]:
    """What a file says; its folder names the format."""
    extract = EXTRACTS[file.parent.name]
    return [found for record in records(file) for found in extract(record) if any(map(_agents, found))]


def records(file: Path) -> Iterator[Any]:
    """The records of a file."""
    text = file.read_bytes().decode()
    if file.suffix == ".txt":
        yield text
    elif file.suffix == ".yaml":
        yield yaml.safe_load(text)
    elif file.suffix == ".jsonl":
        lines = [json.loads(line) for line in text.split("\n") if line.strip()]
        yield from [lines] if file.parent.name == "claude-code" else lines
    else:
        content = json.loads(text)
        whole = not isinstance(content, list) or file.parent.name == "openhands-llm-logs"
        yield from [content] if whole else content


def _agents(item: Stretch) -> bool:
    return item.kind in ("reasoning", "action", "said")
