"""mini-swe-agent: `messages` beside `info` and `trajectory_format` mini-swe-agent-1 or 1.1, or with `extra.actions`.

The text of a turn holds the thought and the command in a fence and stays as it is; where the model called a tool, the
calls are apart. What the shell gave back is a result, whatever role carries it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepcoder_hf.readers import fields, logged_items, turns
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, Trajectory

OUTPUT = ("<returncode>", "<exception>", "<error>")  # "<returncode>0</returncode>\n<output>\nREADME.md\n</output>"
INFO = ("exit_status", "submission", "mini_version")
IGNORED = {
    "info.*": "results and configuration of the run",
    "trajectory_format": "structure, not text",
    "segments[].*": "the messages again, before each compaction",
    "messages[].extra.actions": "the commands again, as the harness cut them out of the text or the calls",
    "messages[].extra.response": "the answer of the provider again",
    "messages[].extra.raw_output": "the output again, before it was shortened for the model",
    "messages[].extra.exception_info": "the error again that the result tells",
    "messages[].extra.traceback": "a trace of the harness's own code",
    "messages[].extra.interrupt_type": "structure, not text",
    "messages[].extra.exit_status": "how the run ended, in the metadata",
    "messages[].extra.submission": "the patch that the run submitted",
    "messages[].extra.model": "name of the model",
    "messages[].extra.usage": "statistics",
    "messages[].model": "name of the model",
    "messages[].provider_specific_fields": "opaque data of the provider",
    "messages[].cache_control": "a setting of the request",
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


def read(record: Record) -> Trajectory:
    """Read one record.

    Raises:
        RecordError: No turn of the agent (`no_assistant_turn`), or what `turns.steps_of` refuses.
    """
    counts: dict[str, Any] = {}
    refused: list[str] = []
    steps: list[Step] = []
    for number, message in enumerate(record["messages"]):
        where = f"messages[{number}]"
        extra = turns.object_of(message.get("extra")) if isinstance(message, Mapping) else {}
        if (text := _refused(extra)) is not None:
            refused.append(text)
        steps += _steps(message, where, counts, after_agent=bool(steps) and steps[-1].source in ("agent", "tool"))
    turns.require_agent(steps)
    info = turns.object_of(record.get("info"))
    model = turns.object_of(turns.object_of(info.get("config")).get("model"))
    facts = fields.metadata_of(record, ("messages", "info", "trajectory_format", "segments", *fields.GROUP_FIELDS))
    facts.pop("unread_fields", None)
    if isinstance(info.get("exit_status"), str) and info["exit_status"]:
        facts["exit_status"] = info["exit_status"]
    if isinstance(model.get("model_name"), str):
        facts["model"] = model["model_name"]
    if refused:
        facts["refused_responses"] = refused
    return Trajectory(
        steps=tuple(steps),
        source_format="mini_swe_agent",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata={**facts, **counts},
        tools=turns.definitions(record.get("tools")),
    )


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
    return turns.message_steps(message, where, counts)
