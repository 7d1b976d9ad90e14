"""mini-swe-agent: `messages` beside `info` and `trajectory_format` mini-swe-agent-1 or 1.1, or with `extra.actions`.

The text of a turn holds the thought and the command in a fence and stays as it is; where the model called a tool, the
calls are apart. What the shell gave back is a result, whatever role carries it. What was said before a compaction
(`segments`) is a trajectory of its own; what was carried over is context.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.readers import fields, logged_items, turns
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, Trajectory

OUTPUT = ("<returncode>", "<exception>", "<error>")  # "<returncode>0</returncode>\n<output>\nREADME.md\n</output>"
N_HEAD = 40
"""Characters by which an output is known that was shortened for the model."""
REASONING = ("reasoning_content", "reasoning", "thinking_blocks")
_MESSAGE = {
    "extra.actions": "again: the commands, as the harness cut them out of the text or the calls",
    "extra.exception_info": "again: the error that the result tells",
    "extra.traceback": "a trace of the harness's own code",
    "extra.interrupt_type": "structure, not text",
    "extra.exit_status": "how the run ended, in the metadata",
    "extra.submission": "the patch that the run submitted",
    "extra.model": "name of the model",
    "extra.usage": "statistics",
    **{f"extra.response.{name}": "name of the model" for name in ("model", "provider")},
    "extra.response.system_fingerprint": "opaque data of the provider",
    "extra.response.service_tier": "structure, not text",
    "extra.response": "again: the answer of the provider",
    "model": "name of the model",
    "provider_specific_fields": "again: what the provider said beside the fields of the message",
    "cache_control": "a setting of the request",
}
_LISTS = ("messages", "segments[]", "segments[].messages")
IGNORED = {
    "info.*": "results and configuration of the run",
    "trajectory_format": "structure, not text",
    **{f"{listed}[].{name}": reason for listed in _LISTS for name, reason in _MESSAGE.items()},
    "segments[].id": "an id",
    "segments[].reason": "why the harness began a new segment",
}


def matches(record: Record) -> bool:
    """A format name mini-swe-agent-*, or messages whose info or extra fields only mini-swe-agent writes."""
    if not isinstance(record.get("messages"), list):
        return False
    name = record.get("trajectory_format")
    if isinstance(name, str):
        return name.startswith("mini-swe-agent")
    info = turns.object_of(record.get("info"))
    if "mini_version" in info or ("exit_status" in info and "model_stats" in info):
        return True
    messages = turns.objects_of(record["messages"])
    return any(_output(message) for message in messages) and any(
        message.get("role") == "system" for message in messages
    )


def read(record: Record) -> list[Trajectory]:
    """Read one record: what was said up to each compaction, and what was said after the last one.

    Raises:
        RecordError: No turn of the agent (`no_assistant_turn`), or what `turns.steps_of` refuses.
    """
    contexts = _contexts(record)
    known: set[str] = set()
    found: list[Trajectory] = []
    for messages, where in contexts:
        counts: dict[str, Any] = {}
        steps = _told(messages, where, counts, known)
        if not found or any(step.source == "agent" and step.trained for step in steps):
            facts = {"kind": "segment", "segment": len(found)} if found else {}
            found.append(_trajectory(record, steps, {**counts, **facts}))
        known.update(_mark(message) for message in messages if _is_agents(message))
    turns.require_agent([step for one in found for step in one.steps])
    refused = [
        text for message in _all(record) if (text := _refused(turns.object_of(message.get("extra")))) is not None
    ]
    if refused:
        found[0] = replace(found[0], metadata={**found[0].metadata, "refused_responses": refused})
    later = [replace(one, trajectory_id=None, parent_id=one.trajectory_id) for one in found[1:]]
    return [found[0], *later]


def left_out(record: Record) -> list[tuple[Any, str]]:
    """Outputs before they were shortened, refused responses, and a context in which the agent said nothing."""
    found: list[tuple[Any, str]] = []
    for message in _all(record):
        extra = turns.object_of(message.get("extra"))
        raw, shown = extra.get("raw_output"), message.get("content") or message.get("output")
        shown = "".join(turns.text_of(shown, "content").split()) if isinstance(raw, str) else ""
        if isinstance(raw, str) and "".join(raw.split())[:N_HEAD] in shown:
            found.append((raw, "the output before it was shortened for the model"))
        found.append((extra.get("model_response"), "a response that the harness refused, in the metadata"))
    known: set[str] = set()
    for number, (messages, _) in enumerate(_contexts(record)):
        said = {_mark(message) for message in messages if _is_agents(message)}
        if number and said <= known:
            found.append((messages, "a context in which the agent said nothing new"))
        known |= said
    return found


def _contexts(record: Record) -> list[tuple[list[Any], str]]:
    """The messages of each segment and the last ones; a segment that the last messages hold is not told again."""
    last = record["messages"]
    held = {_mark(message) for message in last}
    found: list[tuple[list[Any], str]] = []
    listed = record.get("segments")
    for number, segment in enumerate(listed if isinstance(listed, list) else []):
        messages = segment.get("messages") if isinstance(segment, Mapping) else segment
        if isinstance(messages, list) and not {_mark(message) for message in messages} <= held:
            found.append((messages, f"segments[{number}]"))
    return [*found, (last, "messages")]


def _all(record: Record) -> list[Mapping[str, Any]]:
    """The messages of all contexts."""
    return [message for messages, _ in _contexts(record) for message in turns.objects_of(messages)]


def _mark(message: Any) -> str:
    """What tells a message: all of it but the notes of the harness."""
    beside = {k: v for k, v in message.items() if k != "extra"} if isinstance(message, Mapping) else message
    return json.dumps(beside, sort_keys=True, default=str)


def _is_agents(message: Any) -> bool:
    if not isinstance(message, Mapping):
        return False
    said = message.get("role") == "assistant" or (message.get("role") is None and message.get("type") != "message")
    return said and message.get("type") not in logged_items.OUTPUTS


def _told(messages: list[Any], where: str, counts: dict[str, Any], known: set[str]) -> list[Step]:
    """Steps of a context; what the agent said in one before is not trained again."""
    steps: list[Step] = []
    for number, message in enumerate(messages):
        after_agent = bool(steps) and steps[-1].source in ("agent", "tool")
        found = _steps(message, f"{where}[{number}]", counts, after_agent=after_agent)
        steps += [replace(step, trained=False) for step in found] if _mark(message) in known else found
    return steps


def _trajectory(record: Record, steps: list[Step], counts: dict[str, Any]) -> Trajectory:
    info = turns.object_of(record.get("info"))
    model = turns.object_of(turns.object_of(info.get("config")).get("model"))
    facts = fields.metadata_of(record, ("messages", "info", "trajectory_format", "segments", *fields.GROUP_FIELDS))
    facts.pop("unread_fields", None)
    if isinstance(info.get("exit_status"), str) and info["exit_status"]:
        facts["exit_status"] = info["exit_status"]
    if isinstance(model.get("model_name"), str):
        facts["model"] = model["model_name"]
    return Trajectory(
        steps=tuple(steps),
        source_format="mini_swe_agent",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata={**facts, **counts},
        tools=turns.definitions(record.get("tools")),
    )


def _whole(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """A message with the reasoning that only the provider's answer has."""
    if any(message.get(name) for name in REASONING):
        return message
    response = turns.object_of(turns.object_of(message.get("extra")).get("response"))
    choice = next(iter(turns.objects_of(response.get("choices"))), {})
    said = turns.object_of(choice.get("message"))
    return {**message, **{name: said[name] for name in REASONING if said.get(name)}}


def _output(message: Mapping[str, Any]) -> bool:
    """Whether a user message is what the shell gave back."""
    content, extra = message.get("content"), message.get("extra")
    if message.get("role") != "user":
        return False
    shell = isinstance(extra, Mapping) and "raw_output" in extra
    return shell or (isinstance(content, str) and content.lstrip().startswith(OUTPUT))


def _refused(extra: Mapping[str, Any]) -> str | None:
    """A response that the harness could not parse, which the model was not shown again."""
    given = extra.get("model_response")
    return None if given in (None, "", {}, []) else fields.verbatim(given)


def _steps(message: Any, where: str, counts: dict[str, Any], *, after_agent: bool) -> list[Step]:
    if isinstance(message, Mapping) and message.get("role") is None:
        if isinstance(message.get("output"), list):  # a whole answer of the Responses API
            return logged_items.steps_of(message["output"], f"{where}.output", counts)
        if logged_items.is_item(message):
            return logged_items.steps_of([message], where, counts)
    if isinstance(message, Mapping) and message.get("role") == "exit":  # what the harness notes at the end of a run
        text = turns.text_of(message.get("content"), where)
        return [Step("user", text)] if text else []
    if isinstance(message, Mapping) and after_agent and _output(message):
        return [Step("tool", turns.text_of(message.get("content"), where))]
    if isinstance(message, Mapping) and message.get("role") == "assistant":
        return turns.message_steps(_whole(message), where, counts)
    return turns.message_steps(message, where, counts)
