"""The second reader's sessions of harnesses: SWE-agent, Claude Code, OpenHands events."""

from __future__ import annotations

import json
import re
from typing import Any

from stretches import Trajectory, call, in_call_order, said, shown, stretch


def swe_agent(record: dict[str, Any]) -> list[Trajectory]:
    """SWE-agent: thoughts and commands of the trajectory; calls and prompts as the history has them."""
    steps = iter(record.get("trajectory") or [])
    found: Trajectory = []
    for message in record["history"]:
        demo = bool(message.get("is_demo"))
        if message["role"] != "assistant":
            acted = message["role"] == "tool" or (found and found[-1].kind == "action")
            kind = "system" if message["role"] == "system" else "observation" if acted else "user"
            found += said("untrained" if demo else kind, message["content"])
            continue
        step = next(steps, message) if not demo else message
        calls = message.get("tool_calls") or []
        thought, action = step.get("thought"), step.get("action")
        if not calls and not (action or "").strip():
            ended = re.match(r"Exit(ed)? ", message["content"])
            found += stretch("untrained" if demo or ended else "said", message["content"])
            continue
        found += stretch("untrained" if demo else "reasoning", message["content"] if thought is None else thought)
        written = [call(c["function"]["name"], c["function"]["arguments"]) for c in calls]
        found += written or stretch("untrained" if demo else "action", action)
    last = (record.get("trajectory") or [{}])[-1].get("observation") or ""  # no history tells what the last call gave
    told = any(last.strip() in str(message["content"]) for message in record["history"])
    return [found if told else found + stretch("observation", last)]


def claude_code(record: Any) -> list[Trajectory]:
    """A Claude Code session: the main thread, then each side chain."""
    lines = record if isinstance(record, list) else record["loglines"]
    told = [line for line in lines if line.get("type") in ("user", "assistant")]
    by_id = {line.get("uuid"): line for line in told}
    threads: dict[Any, list[Any]] = {}
    for line in told:
        root = line
        while line.get("isSidechain") and root.get("parentUuid") in by_id:
            root = by_id[root["parentUuid"]]
        threads.setdefault(root["uuid"] if line.get("isSidechain") else None, []).append(line)
    return [found for thread in threads.values() for found in _segments(thread)]


def _segments(lines: list[Any]) -> list[Trajectory]:
    """A summary after compaction begins a trajectory of its own."""
    borders = [number for number, line in enumerate(lines) if line.get("isCompactSummary") and number]
    starts = [0, *borders]
    return [_thread(lines[start:end]) for start, end in zip(starts, [*borders, len(lines)], strict=True)]


def _thread(lines: list[Any]) -> Trajectory:
    """Lines of one message are one turn; results stand after all of its calls, in their order."""
    found: Trajectory = []
    calls: list[str] = []
    results: list[tuple[str, Trajectory]] = []
    for turn in _turns(lines):
        blocks = [block for line in turn for block in _blocks(line["message"]["content"])]
        given = [block for block in blocks if block["type"] == "tool_result"]
        results += [(block["tool_use_id"], said("observation", block.get("content"))) for block in given]
        if len(given) == len(blocks):
            continue
        found += in_call_order(calls, results)
        calls, results = [block["id"] for block in blocks if block["type"] == "tool_use"], []
        if turn[0]["message"]["role"] == "assistant":
            found += _agents(blocks)
        else:
            found += [item for b in blocks if b["type"] == "text" for item in stretch("user", b["text"])]
    return found + in_call_order(calls, results)


def _turns(lines: list[Any]) -> list[list[Any]]:
    turns: list[list[Any]] = []
    by_message: dict[str, list[Any]] = {}
    for line in lines:
        number = line["message"].get("id")
        if number in by_message:
            by_message[number].append(line)
            continue
        turns.append([line])
        if number is not None:
            by_message[number] = turns[-1]
    return turns


def _blocks(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _agents(blocks: list[Any]) -> Trajectory:
    found: Trajectory = []
    for place, block in enumerate(blocks):
        if block["type"] == "thinking":
            found += stretch("reasoning", block["thinking"])
        elif block["type"] == "tool_use":
            found.append(call(block["name"], block["input"]))
        elif block["type"] == "text":
            before = any(later["type"] == "tool_use" for later in blocks[place + 1 :])
            found += stretch("reasoning" if before else "said", block["text"])
    return found


SILENT = ("recall", "change_agent_state")


def openhands_events(record: dict[str, Any]) -> list[Trajectory]:
    """OpenHands events: an agent's event is the call of an answer of the model, or a thought."""
    found: Trajectory = []
    answered: set[Any] = set()
    for event in record["history"]:
        action, args = event.get("action"), event.get("args") or {}
        if event.get("observation") not in (None, "recall", "agent_state_changed"):
            notes = event["extras"].get("metadata") or {}
            found += shown("observation", f"{notes.get('prefix', '')}{event.get('content')}{notes.get('suffix', '')}")
        elif event.get("observation") == "recall":
            for piece in event["extras"]["microagent_knowledge"]:
                found += stretch("user", piece["content"])
        elif action in ("system", "message"):
            agents = action == "message" and event["source"] == "agent"
            kind = "said" if agents else "system" if action == "system" else "user"
            found += stretch(kind, args.get("content"))
        elif event.get("source") == "agent" and action and action not in SILENT:
            found += _event(event, args, answered)
    return [found]


def _event(event: dict[str, Any], args: dict[str, Any], answered: set[Any]) -> Trajectory:
    response = event["tool_call_metadata"]["model_response"]
    message = response["choices"][0]["message"]
    assert response["id"] not in answered, "two events of one answer: this reader does not know their order"
    answered.add(response["id"])
    (made,) = message["tool_calls"]
    found = stretch("reasoning", message.get("content"))
    if event["action"] == "think":
        assert json.loads(made["function"]["arguments"])["thought"] in args["thought"]
        return stretch("reasoning", args["thought"])
    assert (message.get("content") or "").strip() in (args.get("thought") or "").strip()
    return [*found, call(made["function"]["name"], made["function"]["arguments"])]
