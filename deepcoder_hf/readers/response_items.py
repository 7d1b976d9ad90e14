"""Items of the OpenAI Responses API -> parts of a turn, or a step of somebody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import emission, fields, parts
from deepcoder_hf.readers.emission import Part
from deepcoder_hf.readers.provider_bodies import text
from deepcoder_hf.trajectory import Observation, Source, Step, ToolCall

Item = Mapping[str, Any]

ROLES: dict[str, Source] = {"user": "user", "system": "system", "developer": "system", "critic": "user"}
CALLS = ("function_call", "custom_tool_call")
PROVIDER_CALLS = {
    "web_search_call": ("action", "query", "queries"),
    "file_search_call": ("queries",),
    "code_interpreter_call": ("code",),
    "mcp_call": ("arguments",),
    "mcp_approval_request": ("arguments",),
    "local_shell_call": ("action",),
    "shell_call": ("action",),
    "apply_patch_call": ("operation",),
    "computer_call": ("action", "actions"),
    "tool_search_call": ("arguments", "query"),
}
"""Calls of tools that the API knows by type, with the fields in which the model's arguments stand."""
RESULTS = ("results", "outputs", "output", "error")
"""Fields of such a call in which its result stands, inside the turn."""
TEXT_PARTS = ("input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text")
FINAL = "final_answer"
"""The phase of a message that ends the task."""


def is_item(value: Any) -> bool:
    """Whether this is an item that no other format has."""
    if not isinstance(value, Mapping):
        return False
    kind, content = value.get("type"), value.get("content")
    if kind in CALLS:
        return "call_id" in value or "arguments" in value or "input" in value
    if kind == "reasoning":
        return isinstance(value.get("summary"), list) or "encrypted_content" in value
    if isinstance(kind, str) and (kind in PROVIDER_CALLS or kind.endswith("_call_output")):
        return True
    given = content if isinstance(content, list) else ()
    known = ("input_text", "output_text", "refusal")
    return "role" in value and any(isinstance(part, Mapping) and part.get("type") in known for part in given)


def other_step(item: Item, where: str) -> Step | None:
    """The step of an item that is not the agent's: a message of somebody else, or a result that a client sent."""
    kind = str(item.get("type"))
    if kind == "message":
        role = item.get("role")
        if role == "assistant":
            return None
        source = ROLES.get(role) if isinstance(role, str) else None
        if source is None:
            raise RecordError(f"{where}: unknown role {role!r}; known: assistant, {', '.join(ROLES)}", "unknown_role")
        return Step(source, _text(item.get("content"), where))
    if kind.endswith("_output") or kind == "mcp_approval_response":
        taken = (*fields.BOOKKEEPING, "approval_request_id", "output")
        given = {key: value for key, value in item.items() if key not in taken and value is not None}
        content = item["output"] if item.get("output") is not None else given or ""
        shown = _text(content, where) if isinstance(content, str | list) else _result(content, where)
        number = text(item.get("call_id") or item.get("approval_request_id"))
        return Step("tool", shown, tool_call_id=number, name=text(item.get("name")))
    return None


def agent_parts(item: Item, where: str, counts: Counter[str]) -> list[Part]:
    """Parts of an item that the model or its provider made; encrypted reasoning and compactions are counted.

    Raises:
        RecordError: See `openai_responses.read`.
    """
    kind = str(item.get("type"))
    if kind == "message":
        return [Part(emission.TEXT, _text(item.get("content"), where), answer=item.get("phase") == FINAL)]
    if kind == "reasoning":
        return _reasoning(item, where, counts)
    if kind in CALLS:
        return [Part(emission.CALL, _named_call(item, where))]
    if kind == "compaction":
        counts["compactions"] += 1
        return []
    if kind == "image_generation_call":
        raise fields.refused_part(item, where)
    if kind == "item_reference":
        raise RecordError(f"{where}: only the provider's server has this item; record items whole", "item_reference")
    if kind in PROVIDER_CALLS or kind.endswith("_call"):
        return _provider_call(item, kind, where)
    raise RecordError(f"{where}: unknown item of type {kind!r}; expected message, reasoning or a call", "unknown_item")


def _reasoning(item: Item, where: str, counts: Counter[str]) -> list[Part]:
    """Summaries, then what the model thought itself, where the provider shows it."""
    summary, content = item.get("summary"), item.get("content")
    summaries = summary if isinstance(summary, list) else [summary] if summary else []
    found = [Part(emission.REASONING, _text([part], where), "summary") for part in summaries]
    if content not in (None, "", []):
        found.append(Part(emission.REASONING, _text(content, where)))
    if item.get("encrypted_content") and not any(part.value for part in found):
        counts["encrypted_reasoning"] += 1
    return found


def _named_call(item: Item, where: str) -> ToolCall:
    """A call of a function, or of a tool that takes free text."""
    called = {**item, "id": item.get("call_id") or item.get("id")}
    if item.get("arguments") is None and isinstance(item.get("input"), str):
        called["arguments"] = item["input"]
    return parts.tool_call(called, where)


def _provider_call(item: Item, kind: str, where: str) -> list[Part]:
    """A call of a tool of the provider, and its result where the item holds one."""
    number = text(item.get("call_id") or item.get("id"))
    names = [n for n in PROVIDER_CALLS.get(kind, ()) if item.get(n) is not None]
    if kind not in PROVIDER_CALLS:
        names = [n for n in item if n not in (*fields.BOOKKEEPING, *RESULTS) and item[n] is not None]
    given: Any = {name: item[name] for name in names}
    if len(names) == 1 and names[0] in ("code", "arguments", "action", "operation"):
        given = item[names[0]]
    sources = None
    if kind == "web_search_call" and isinstance(given, Mapping) and given.get("sources"):
        sources = given["sources"]
        given = {key: value for key, value in given.items() if key != "sources"}
    called, server = text(item.get("name")) or kind.removesuffix("_call"), item.get("server_label")
    called = f"{server}.{called}" if isinstance(server, str) and server else called
    found = [Part(emission.CALL, ToolCall(called, fields.verbatim(given) if names else "", number))]
    for content in (sources, *(item.get(name) for name in RESULTS)):
        if content not in (None, "", [], {}):
            found.append(Part(emission.RESULT, Observation(_result(content, where), number)))
    return found


def _result(content: Any, where: str) -> str:
    """What a tool of the provider gave: logs as text, the rest as JSON."""
    if isinstance(content, list) and all(isinstance(part, Mapping) and "type" in part for part in content):
        kinds = {str(part["type"]) for part in content}
        if any(_is_picture(kind) for kind in kinds):
            raise fields.refused_part({"type": sorted(kinds)[0]}, where)
        if kinds <= {"logs"} and all(isinstance(part.get("logs"), str) for part in content):
            return fields.joined(part["logs"] for part in content)
    if isinstance(content, Mapping) and _is_picture(content.get("type")):
        raise fields.refused_part(content, where)
    return fields.verbatim(content)


def _is_picture(kind: Any) -> bool:
    return isinstance(kind, str) and ("image" in kind or "screenshot" in kind)


def _text(content: Any, where: str) -> str:
    """Text of a content, which is a string or a list of typed parts."""
    if isinstance(content, str) or content is None:
        return content or ""
    if not isinstance(content, list):
        raise RecordError(f"{where}: expected text or a list of parts, got {type(content).__name__}", "missing_content")
    texts = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
            continue
        kind = part.get("type", "text") if isinstance(part, Mapping) else None
        said = part.get("refusal" if kind == "refusal" else "text") if isinstance(part, Mapping) else None
        if not isinstance(said, str) or kind not in TEXT_PARTS:
            raise fields.refused_part(part, where)
        texts.append(said)
    return fields.joined(texts)
