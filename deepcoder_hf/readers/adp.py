"""ADP (Agent Data Protocol), standardized: a `content` list of actions and observations that are named by `class_`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Observation, Step, ToolCall, Trajectory

ACTIONS = ("api_action", "code_action", "message_action")
OBSERVATIONS = ("text_observation", "web_observation", "image_observation", "json_observation")
AVAILABLE = ("available_apis", "available_custom_tools", "available_code_languages")
PAGE = (("url", "URL: "), ("axtree", ""), ("html", ""))
"""What a web observation shows, with what stands before it where there is more than one."""
IGNORED = {
    "content[].class_": "structure, not text",
    "content[].image_observation.class_": "structure, not text",
    "content[].source": "structure, not text",
    "content[].image_observation.source": "structure, not text",
    "schema_version": "structure, not text",
}
"""What is no part of a trajectory (readers/claims.py)."""


def matches(record: Record) -> bool:
    """A list `content` in which an object has one of the known `class_`."""
    content = record.get("content")
    known = (*ACTIONS, *OBSERVATIONS)
    return isinstance(content, list) and any(isinstance(c, Mapping) and c.get("class_") in known for c in content)


def read(record: Record) -> Trajectory:
    """Read one record.

    A text that the user sends right after an action of code or of an API is what the action gave. Screenshots beside
    a text are named in the metadata under `images`.

    Raises:
        RecordError: There is no action (`no_assistant_turn`), an item is none of the known ones (`bad_step`), or is an
            image without text (`unsupported_modality`).
    """
    steps: list[Step] = []
    images: list[str] = []
    for number, item in enumerate(record["content"]):
        where = f"content {number}"
        kind = item.get("class_") if isinstance(item, Mapping) else None
        if kind in ACTIONS:
            steps += _action(item, kind, where)
        elif kind in OBSERVATIONS:
            _observe(steps, item, _seen(item, kind, where, images))
        else:
            known = ", ".join((*ACTIONS, *OBSERVATIONS))
            raise RecordError(f"{where}: expected an object with class_ {known}, got {kind!r:.80}", "bad_step")
    if not any(step.source == "agent" for step in steps):
        raise RecordError("expected an api_action, code_action or message_action, got observations only",
                          "no_assistant_turn")  # fmt: skip
    return Trajectory(
        steps=tuple(steps),
        source_format="adp",
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata=_facts(record, images),
    )


def _facts(record: Record, images: Sequence[str]) -> dict[str, Any]:
    details = record.get("details")
    facts = fields.metadata_of(record, ("content", "details", "schema_version", *AVAILABLE))
    facts |= {"details": dict(details)} if isinstance(details, Mapping) and details else {}
    facts |= {name: record[name] for name in AVAILABLE if record.get(name)}
    return {**facts, "images": list(images)} if images else facts


def _action(item: Mapping[str, Any], kind: str, where: str) -> list[Step]:
    """The step of an action; a description beside longer reasoning is what the agent says before the call."""
    reasoning, described = _text(item, "reasoning_content", where), _text(item, "description", where)
    thought, preamble = (reasoning, described) if reasoning else (described, None)
    if kind == "message_action":
        said = _text(item, "content", where)
        first = [Step("agent", preamble, thought), Step("agent", said)]
        found = first if preamble and said else [Step("agent", said or preamble, thought)]
    else:
        found = [Step("agent", preamble, thought, (_call(item, kind, where),))]
    return [step for step in found if step.message or step.reasoning_content or step.tool_calls]


def _call(item: Mapping[str, Any], kind: str, where: str) -> ToolCall:
    number = fields.identifier(item, ("tool_call_id",))
    if kind == "code_action":
        code = _text(item, "content", where)
        if code is None:
            raise RecordError(f"{where}: expected a code_action with content, got {sorted(map(str, item))}", "bad_step")
        return ToolCall("", code, number, _text(item, "language", where))
    name, given = _text(item, "function", where), item.get("kwargs")
    if name is None:
        raise RecordError(f"{where}: expected an api_action with function, got {sorted(map(str, item))}", "bad_step")
    return ToolCall(name, "{}" if given is None else fields.verbatim(given), number)


def _observe(steps: list[Step], item: Mapping[str, Any], content: str | None) -> None:
    """Add what was seen: to the action before it, as a user's turn, or as a result that stands alone."""
    number, name = fields.identifier(item, ("tool_call_id",)), item.get("name")
    name = name if isinstance(name, str) and name else None
    last = steps[-1] if steps else None
    own = last.tool_calls[-1].tool_call_id if last is not None and last.tool_calls else None
    if last is not None and last.tool_calls and not last.observations and number in (None, own):
        steps[-1] = replace(last, observations=(Observation(content or "", number, name),))
    elif content and item.get("source") == "agent":
        steps.append(Step("agent", content, name=name, trained=False))
    elif (
        content and number is None and item.get("class_") == "text_observation" and item.get("source") != "environment"
    ):
        steps.append(Step("user", content, name=name))
    elif content:
        steps.append(Step("tool", content, tool_call_id=number, name=name))


def _seen(item: Mapping[str, Any], kind: str, where: str, images: list[str]) -> str | None:
    """The text of an observation; paths of its images are added to `images`."""
    if kind == "web_observation":
        image = item.get("image_observation")
        page = [(label, text) for key, label in PAGE if (text := _text(item, key, where))]
        noted = _seen(image, "", where, images) if isinstance(image, Mapping) else None
        shown = [text if len(page) == 1 else f"{label}{text}" for label, text in page] + ([noted] if noted else [])
        if not shown and image:
            raise fields.refused_part({"type": "image"}, where)
        return "\n\n".join(shown) or None
    if kind in ("image_observation", ""):
        if path := _text(item, "content", where):
            images.append(path)
        if not item.get("annotations") and kind:
            raise fields.refused_part({"type": kind}, where)
        return fields.verbatim(item["annotations"]) if item.get("annotations") else None
    content = item.get("content")
    return None if content is None else fields.verbatim(content)


def _text(item: Mapping[str, Any], name: str, where: str) -> str | None:
    """A text field, None where it is absent or empty."""
    value = item.get(name)
    if value is not None and not isinstance(value, str):
        raise RecordError(f"{where}: expected text in {name}, got {type(value).__name__}", "bad_step")
    return value or None
