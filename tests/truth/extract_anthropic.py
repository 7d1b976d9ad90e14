"""The second reader's recordings of Anthropic's API: requests with their answers, as JSON or as a stream of events."""

from __future__ import annotations

import json
from typing import Any

from stretches import Trajectory, call, in_call_order, said, shown, stretch

CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")


def anthropic(record: dict[str, Any]) -> list[Trajectory]:
    """A cassette: a request that goes on from the one before it is the same conversation."""
    talks: list[tuple[dict[str, Any], list[Any]]] = []
    for interaction in record["interactions"]:
        asked = interaction["request"]["parsed_body"]
        before = talks[-1][0]["messages"] if talks else []
        if talks and len(before) < len(asked["messages"]) and before == asked["messages"][: len(before)]:
            talks.pop()
        talks.append((asked, _answer(interaction["response"])))
    return [_talk(asked, answer) for asked, answer in talks]


def _talk(asked: dict[str, Any], answer: list[Any]) -> Trajectory:
    found = said("system", asked.get("system"))
    for message in [*asked["messages"], {"role": "assistant", "content": answer}]:
        found += _agents(message["content"]) if message["role"] == "assistant" else said("user", message["content"])
    return found


def _agents(blocks: list[Any]) -> Trajectory:
    """What an agent thought, said and called; tools of the server answer between its own blocks."""
    found: Trajectory = []
    ids: list[str] = []
    results: list[tuple[str, Trajectory]] = []
    for place, block in enumerate(blocks):
        if block["type"].endswith("_result"):
            content = block["content"]
            seen = said("observation", content) if isinstance(content, list) else shown("observation", content)
            results.append((block["tool_use_id"], seen))
            continue
        if results:
            found += in_call_order(ids, results)
            ids, results = [], []
        if block["type"] in CALLS:
            server = f"{block['server_name']}." if block["type"] == "mcp_tool_use" else ""
            found.append(call(f"{server}{block['name']}", block["input"]))
            ids.append(block["id"])
        elif block["type"] == "thinking":
            found += stretch("reasoning", block["thinking"])
        else:
            before = any(later["type"] in CALLS for later in blocks[place + 1 :])
            found += stretch("reasoning" if before else "said", block["text"])
    return found + in_call_order(ids, results)


def _answer(response: dict[str, Any]) -> list[Any]:
    """The content blocks of an answer."""
    if "parsed_body" in response:
        blocks: list[Any] = response["parsed_body"]["content"]
        return blocks
    streamed: dict[int, Any] = {}
    written: dict[int, str] = {}
    for line in response["body"]["string"].splitlines():
        event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
        number, delta = event.get("index", -1), event.get("delta", {})
        if event.get("type") == "content_block_start":
            streamed[number] = event["content_block"]
        elif delta.get("type") == "input_json_delta":
            written[number] = written.get(number, "") + delta["partial_json"]
        elif delta.get("type") in ("text_delta", "thinking_delta"):
            name = delta["type"].removesuffix("_delta")
            streamed[number][name] += delta[name]
    for number, text in written.items():
        streamed[number]["input"] = json.loads(text or "{}")
    return [streamed[number] for number in sorted(streamed)]
