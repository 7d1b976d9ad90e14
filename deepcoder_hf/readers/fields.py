"""Fields that several formats share: ids, task, reward, licence, and message text made of parts."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from math import isfinite
from typing import Any

from deepcoder_hf.errors import RecordError

Record = Mapping[str, Any]

ID_FIELDS = ("trajectory_id", "id", "uid", "uuid")
GROUP_FIELDS = ("group_id", "problem_id", "task_id", "instance_id", "question_id")
TASK_FIELDS = ("task", "problem", "question", "instruction", "prompt", "query", "goal")
SYSTEM_FIELDS = ("system", "system_prompt", "system_message")
TOOL_FIELDS = ("tools", "functions", "tool_definitions", "available_tools")
KNOWN_METADATA = ("reward", "model", "teacher", "licence", "license", "difficulty", "category", "success")
BOOKKEEPING = frozenset(
    (
        *("role", "from", "source", "type", "name", "model", "status", "finish_reason", "stop_reason", "usage"),
        *("id", "uuid", "message_id", "parent_id", "tool_call_id", "call_id", "tool_use_id"),
        *("index", "step", "step_number", "step_id", "turn", "weight"),
        *("timestamp", "created_at", "updated_at", "time", "date"),
    )
)
"""Keys of a message or a step that say nothing that belongs into the text."""
LABELS = (
    *("answer", "answers", "correct_answer", "expected_answer", "final_answer_label", "reference", "references"),
    *("reference_answer", "reference_answers", "reference_solution", "reference_output", "label", "labels"),
    *("target", "targets", "target_output", "gold", "gold_answer", "gold_answers", "gold_label", "gold_labels"),
    *("gold_patch", "gold_solution", "golden_answer", "golden_answers", "golden_patch", "ground_truth"),
    *("ground_truth_answer", "ground_truths"),
)
"""Fields of a record with what the right answer is: not words of the model."""
IGNORED = {
    **dict.fromkeys(("=role", "=from", "=type", "=object", "=status", "=index"), "structure, not text"),
    **dict.fromkeys(("=id", "=uuid", "=message_id", "=parent_id"), "an id"),
    **dict.fromkeys(("=tool_call_id", "=call_id", "=tool_use_id"), "an id"),
    **dict.fromkeys(("=timestamp", "=created_at", "=updated_at", "=created", "=time", "=date"), "a time"),
    **dict.fromkeys(("=usage", "=metrics", "=model_stats", "=cost"), "statistics"),
    **dict.fromkeys(("=service_tier", "=inference_geo"), "how the provider served the request"),
    **dict.fromkeys(("=signature", "=encrypted_content"), "opaque data of the provider"),
    **dict.fromkeys((f"^{name}" for name in LABELS), "a label of the task"),
}
"""What every reader may leave out, by path (readers/claims.py), with the reason: values, never whole texts."""
MAX_DEPTH = 200
"""Levels of JSON that stands in a string; what is nested deeper stays text."""
MAX_EXTRA = 200
"""Longest string field, in characters, that is carried along in the metadata."""

_HOLDING = (str, list, Mapping)


def first_text(record: Record, names: Iterable[str], used: list[str]) -> str | None:
    """The first of some fields that holds a text with something in it; its name is added to `used`."""
    for name in names:
        value = record.get(name)
        if isinstance(value, str) and value.strip():
            used.append(name)
            return value
    return None


def tools_of(record: Record, used: list[str]) -> tuple[str, ...]:
    """Definitions of the tools of a record, each as a JSON text; the names of their fields are added to `used`.

    A field may hold a list, one object, or JSON of them; what is none of these stays unread.
    """
    found: list[str] = []
    for name in TOOL_FIELDS:
        given = record.get(name)
        texts = _definitions_in(given) if isinstance(given, str) else _definitions(given)
        if texts is not None:
            used.append(name)
            found += [text for text in texts if text not in found]
    return tuple(found)


@lru_cache(maxsize=256)
def _definitions_in(text: str) -> tuple[str, ...] | None:
    """`_definitions` of a text; the records of a dataset mostly have the same."""
    return _definitions(_decoded(text))


def _definitions(given: Any) -> tuple[str, ...] | None:
    """The tools of a list or of one object, each as JSON; None for what is neither."""
    listed = [given] if isinstance(given, Mapping) else given
    if not isinstance(listed, list):
        return None
    tools = [_decoded(tool) for tool in listed]
    if not all(isinstance(tool, Mapping) for tool in tools):
        return None
    try:
        return tuple(dict.fromkeys(map(verbatim, tools)))
    except RecursionError:  # an object in memory may be nested deeper than JSON can be written
        return None


def _decoded(value: Any) -> Any:
    """What a string says as JSON; other values, and strings that are no JSON, as they are."""
    if not isinstance(value, str):
        return value
    try:
        return json_of(value)
    except ValueError:
        return value


def json_of(text: str) -> Any:
    """The JSON value that a string of a record holds.

    Raises:
        ValueError: It is no JSON, or nested deeper than `MAX_DEPTH`: how deep Python reads and writes depends on who
            calls, and every reader must see the same.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"JSON that is nested deeper than {MAX_DEPTH}") from None
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return value
    raise ValueError(f"JSON that is nested deeper than {MAX_DEPTH}")


def identifier(record: Record, names: Iterable[str]) -> str | None:
    """The first of some fields that holds a string or a whole number, as a string; lone surrogates as their escapes."""
    for name in names:
        value = record.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).encode("utf-8", "backslashreplace").decode()
    return None


def metadata_of(record: Record, used: Iterable[str], unread_inside: Iterable[str] = ()) -> dict[str, Any]:
    """Facts to carry along: the known ones by name, other small scalars under `extra`.

    Fields that hold something and are neither used nor small scalars are named under `unread_fields`, so that nothing
    is left out in silence.

    Args:
        record: The raw record.
        used: Fields that the reader has put into the trajectory.
        unread_inside: What is named too: keys of messages or steps that were not read, such as `steps[].note`.
    """
    taken = {*used, *ID_FIELDS}
    facts: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    unread = set(unread_inside)
    for name, value in record.items():
        if name in taken or value is None or value in ("", [], {}):
            continue
        if isinstance(value, float) and not isfinite(value):  # NaN is how tables write a missing value
            continue
        if not isinstance(value, str | int | float | bool) or (isinstance(value, str) and len(value) > MAX_EXTRA):
            unread.add(name)
        elif name in KNOWN_METADATA:
            facts["licence" if name == "license" else name] = value
        else:
            extra[name] = value
    if extra:
        facts["extra"] = extra
    if unread:
        facts["unread_fields"] = sorted(unread)
    return facts


def left_over(item: Mapping[str, Any], used: Collection[str]) -> list[str]:
    """Keys of a message or a step that hold text, a list or an object and are not in the trajectory.

    Args:
        item: The message or step.
        used: Keys that are in the trajectory; another key with the same value is so too.
    """
    left = [
        key
        for key, value in item.items()
        if key not in used
        and key not in BOOKKEEPING
        and isinstance(value, _HOLDING)
        and (value.strip() if isinstance(value, str) else value)
    ]
    read = [item[key] for key in used if key in item] if left else []
    return [key for key in left if item[key] not in read]


class Written(str):
    """An object of the record as JSON text, or texts joined (`joined`); what it knows of the source counts as read."""

    __slots__ = ("source",)

    def __new__(cls, text: str, source: Any) -> Written:
        made = super().__new__(cls, text)
        made.source = source
        return made

    source: Any


def verbatim(value: Any) -> str:
    """Tool arguments as text: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else Written(json.dumps(value, ensure_ascii=False), value)


def joined(texts: Iterable[str], between: str = "") -> str:
    """Texts of the record as one text, which knows them: for readers/claims.py they are read, however short."""
    pieces = tuple(texts)
    if len(pieces) < 2:
        return "".join(pieces)
    sources: list[str] = []
    for piece in pieces:
        sources += piece.source if type(piece) is Written and type(piece.source) is tuple else (piece,)
    return Written(between.join(pieces), tuple(sources))


def text_of_parts(parts: Iterable[Any], where: str) -> str:
    """The text of a content list that holds text parts only.

    Raises:
        RecordError: A part is an image, audio or something else that has no text (`unsupported_modality`).
    """
    texts = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping) and (text := text_of(part)) is not None:
            texts.append(text)
        else:
            raise refused_part(part, where)
    return joined(texts)


def text_of(part: Mapping[str, Any]) -> str | None:
    """The text of a plain text part, under `text` or, as LLaMA-Factory has it, under `value`; None for others."""
    if not is_text_part(part):
        return None
    return next((part[key] for key in ("text", "value") if isinstance(part.get(key), str)), None)


def is_text_part(part: Mapping[str, Any]) -> bool:
    """Whether a content part is plain text."""
    return part.get("type", "text") in ("text", "input_text", "output_text")


def refused_part(part: Any, where: str) -> RecordError:
    """The reject for a content part that cannot become text."""
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    return RecordError(
        f"{where}: a content part of type {kind!r} has no text that can be trained; expected text, thinking, "
        "tool_use or tool_result parts",
        "unsupported_modality",
    )
