"""Gemini API: `contents` of `parts` (text, functionCall, functionResponse), a response with `candidates`, or both.

Keys in camel case or snake case. Parts with `thought: true` are what the API documents as thought summaries, not the
thoughts themselves, so their kind is summary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import emission, fields, provider_bodies, turn_facts
from deepcoder_hf.readers.emission import Part
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.readers.provider_bodies import text
from deepcoder_hf.trajectory import Observation, Step, ToolCall, Trajectory

SYSTEM = ("systemInstruction", "system_instruction")
KEPT = (
    *("groundingMetadata", "grounding_metadata", "urlContextMetadata", "url_context_metadata"),
    *("promptFeedback", "prompt_feedback", "finishMessage", "finish_message"),
)
"""Fields of a response that are kept as facts."""
STATISTICS = ("usageMetadata", "usage_metadata", "logprobsResult", "logprobs_result")
IGNORED = {
    **provider_bodies.IGNORED,
    "thoughtSignature": "opaque data of the provider",
    "thought_signature": "opaque data of the provider",
    **dict.fromkeys(("**.executableCode.language", "**.executable_code.language"), "kept in lower case"),
    **dict.fromkeys(
        ("**.codeExecutionResult.outcome", "**.code_execution_result.outcome"), "stands only for no output"
    ),
    **dict.fromkeys(("searchEntryPoint", "search_entry_point"), "the page of a search widget"),
    **dict.fromkeys(("safetyRatings", "safety_ratings"), "ratings of the provider"),
    **dict.fromkeys(("citationMetadata", "citation_metadata"), "citations that the provider attached to a text"),
    **dict.fromkeys(STATISTICS, "statistics"),
    **dict.fromkeys(("responseId", "response_id", "cachedContent", "cached_content"), "an id"),
    **dict.fromkeys(("createTime", "create_time"), "a time"),
}
"""What is left out, with the reason."""


def matches(record: Record) -> bool:
    """Contents or candidates that hold parts."""
    contents, candidates = record.get("contents"), record.get("candidates")
    if isinstance(candidates, list) and any(
        isinstance(c, Mapping) and _has_parts(c.get("content")) for c in candidates
    ):
        return True
    return any(_has_parts(content) for content in (contents if isinstance(contents, list) else [contents]))


def read(record: Record) -> Trajectory | list[Trajectory]:
    """Read one record: a trajectory for each candidate of its response; the first trains the turns before them.

    Raises:
        RecordError: No turn of the model (`no_assistant_turn`), an unknown role (`unknown_role`), a part that is no
            text (`unsupported_modality`) or says nothing that is known (`unknown_part`), or something that is not what
            the API has there (`missing_content`, `bad_tools`).
    """
    counts: Counter[str] = Counter()
    steps: list[Step] = []
    for name in SYSTEM:
        if said := _plain(record.get(name), name):
            steps.append(Step("system", said))
    given = record.get("contents")
    for number, content in enumerate(given if isinstance(given, list) else [] if given is None else [given]):
        steps += _content_steps(content, f"content {number}", counts)
    tools = _tools(record.get("tools"))
    candidates = provider_bodies.mappings(record.get("candidates") or [], "candidates", "missing_content")
    found = [_trajectory(record, steps, tools, counts, None, 0)] if not candidates else []
    for number, candidate in enumerate(candidates):
        before = [replace(step, trained=False) if number and step.source == "agent" else step for step in steps]
        own = Counter(counts)
        now = _candidate_steps(candidate, f"candidate {number}", own)
        found.append(_trajectory(record, [*before, *now], tools, own, candidate, number))
    return found if len(found) > 1 else found[0]


def _trajectory(
    record: Record,
    steps: list[Step],
    tools: tuple[str, ...],
    counts: Counter[str],
    candidate: Mapping[str, Any] | None,
    number: int,
) -> Trajectory:
    """The trajectory of a candidate, or of contents without a response."""
    used = [*SYSTEM, "contents", "candidates", "tools", *KEPT, *STATISTICS, "responseId", "response_id"]
    found = provider_bodies.trajectory_of(record, "gemini", steps, used, tools, counts)
    kept = {name: value for source in (record, candidate or {}) for name in KEPT if (value := source.get(name))}
    facts = dict(found.metadata)
    if kept:
        facts["settings"] = {**facts.get("settings", {}), **kept}
    name = found.trajectory_id or fields.identifier(record, ("responseId", "response_id"))
    if number == 0:
        return replace(found, metadata=facts, trajectory_id=name)
    name = None if name is None else f"{name}#{number}"
    return replace(found, metadata={**facts, "candidate": number}, trajectory_id=name)


def _has_parts(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and isinstance(content.get("parts"), list)
        and any(isinstance(part, Mapping) and "type" not in part for part in content["parts"])
    )


def _candidate_steps(candidate: Mapping[str, Any], where: str, counts: Counter[str]) -> list[Step]:
    """The turn of a candidate; one that was blocked has no content."""
    reason = candidate.get("finishReason") or candidate.get("finish_reason")
    content = candidate.get("content")
    if content in (None, {}):
        return []
    if not isinstance(content, Mapping):
        raise RecordError(f"{where}: expected content with parts, got {type(content).__name__}", "missing_content")
    return _content_steps({**content, "role": "model", "finishReason": reason}, where, counts)


def _content_steps(content: Any, where: str, counts: Counter[str]) -> list[Step]:
    """Steps of one content."""
    if isinstance(content, str):
        return [Step("user", content)] if content else []
    if not isinstance(content, Mapping):
        raise RecordError(f"{where}: expected an object with parts, got {type(content).__name__}", "missing_content")
    given = content.get("parts")
    parts = provider_bodies.mappings([] if given is None else given, where, "missing_content")
    role = content.get("role") or "user"
    if role == "model":
        said = [part for item in parts if (part := _part(item, where, counts)) is not None]
        reason = provider_bodies.finish_reason(content.get("finishReason"))
        return emission.turn_steps(said, reason, trained=turn_facts.is_trained(content))
    if role not in ("user", "function", "tool", "system"):
        raise RecordError(f"{where}: unknown role {role!r}; known: user, model, function, system", "unknown_role")
    return _other_steps(parts, role, where, counts)


def _other_steps(parts: list[Mapping[str, Any]], role: str, where: str, counts: Counter[str]) -> list[Step]:
    """Results and texts that are not the model's; texts that follow each other are one."""
    steps: list[Step] = []
    for item in parts:
        part = _part(item, where, counts)
        if part is None:
            continue
        if isinstance(part.value, Observation):
            steps.append(Step("tool", part.value.content, tool_call_id=part.value.tool_call_id, name=part.value.name))
        elif not isinstance(part.value, str):
            raise RecordError(f"{where}: a call in a content of role {role!r}; calls are the model's", "unknown_part")
        elif steps and steps[-1].source in ("user", "system"):
            steps[-1] = replace(steps[-1], message=f"{steps[-1].message}{part.value}")
        elif part.value:
            steps.append(Step("system" if role == "system" else "user", part.value))
    return steps


def _part(item: Mapping[str, Any], where: str, counts: Counter[str]) -> Part | None:
    """What a part is; None for one with a signature only."""
    signed = "thoughtSignature" in item or "thought_signature" in item
    if isinstance(item.get("text"), str):
        counts["encrypted_reasoning"] += signed and not item["text"]
        kind = emission.REASONING if item.get("thought") is True else emission.TEXT
        return Part(kind, item["text"], "summary" if item.get("thought") is True else "", joins=True)
    for key, value in item.items():
        if key in ("functionCall", "function_call", "toolCall", "tool_call") and isinstance(value, Mapping):
            return Part(emission.CALL, _call(value, where))
        if key in ("functionResponse", "function_response", "toolResponse", "tool_response"):
            return Part(emission.RESULT, _result(value, where))
        if key in ("executableCode", "executable_code") and isinstance(value, Mapping):
            code, language = value.get("code"), value.get("language")
            spoken = language.lower() if isinstance(language, str) and language else None
            return Part(emission.CALL, ToolCall("", fields.verbatim(code or ""), text(value.get("id")), spoken))
        if key in ("codeExecutionResult", "code_execution_result") and isinstance(value, Mapping):
            return Part(emission.RESULT, _code_result(value))
        if key in ("inlineData", "inline_data", "fileData", "file_data"):
            raise fields.refused_part({"type": key}, where)
    if signed:
        counts["encrypted_reasoning"] += 1
        return None
    keys = ", ".join(repr(key) for key in list(item)[:8]) or "none"
    raise RecordError(f"{where}: expected a part with text, a call or a result, got the keys {keys}", "unknown_part")


def _call(value: Mapping[str, Any], where: str) -> ToolCall:
    name, given = value.get("name") or value.get("toolType"), value.get("args")
    if not name and given in (None, "", {}):
        came = fields.verbatim(value)[:200]
        raise RecordError(f"{where}: expected a call with a name or args, got {came}", "bad_tool_calls")
    return ToolCall(text(name) or "", "" if given is None else fields.verbatim(given), text(value.get("id")))


def _result(value: Any, where: str) -> Observation:
    """A result as the JSON that the model was given."""
    if not isinstance(value, Mapping):
        raise RecordError(f"{where}: expected a response as an object, got {type(value).__name__}", "missing_content")
    if value.get("parts"):
        raise fields.refused_part({"type": "functionResponse.parts"}, where)
    given = value.get("response")
    content = "" if given is None else fields.verbatim(given)
    return Observation(content, text(value.get("id")), text(value.get("name") or value.get("toolType")))


def _code_result(value: Mapping[str, Any]) -> Observation:
    """The output of code that the provider ran; where there is none, how it ended."""
    output, outcome = value.get("output"), value.get("outcome")
    return Observation(fields.verbatim(output if output not in (None, "") else outcome or ""), text(value.get("id")))


def _plain(system: Any, where: str) -> str:
    """The text of a system instruction: a text, a content or a list of parts."""
    given = system.get("parts") if isinstance(system, Mapping) else system
    if isinstance(system, Mapping) and given is None:
        given = system.get("text")
    if given in (None, "") or isinstance(given, str):
        return given or ""
    return fields.text_of_parts([given] if isinstance(given, Mapping) else _list(given, where), where)


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise RecordError(f"{where}: expected text or parts, got {type(value).__name__}", "missing_content")
    return value


def _tools(given: Any) -> tuple[str, ...]:
    """Each function as a definition of its own; tools of the provider as they stand."""
    found: list[Any] = []
    for tool in given if isinstance(given, list) else [] if given is None else [given]:
        names = [
            n for n in ("functionDeclarations", "function_declarations") if isinstance(tool, Mapping) and n in tool
        ]
        for name in names:
            found += tool[name] if isinstance(tool[name], list) else [tool[name]]
        if isinstance(tool, Mapping) and names:
            tool = {key: value for key, value in tool.items() if key not in names}
        found.append(tool)
    return provider_bodies.tool_texts([tool for tool in found if tool not in (None, {}, [])])
