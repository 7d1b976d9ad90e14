"""What request and response bodies of model providers share: tools, settings, ends of turns, and what is no text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, turn_facts
from deepcoder_hf.readers.fields import Record
from deepcoder_hf.trajectory import Step, Trajectory

SETTINGS = (
    *("tool_choice", "response_format", "reasoning", "text", "thinking", "output_config", "metadata", "error"),
    *("generationConfig", "generation_config", "toolConfig", "tool_config", "safetySettings", "safety_settings"),
    *("mcp_servers", "container", "stop", "stop_sequences", "include", "truncation", "stream_options", "labels"),
    *("context_management", "search_settings", "compound_custom", "modalities", "service_tier", "stop_details"),
    *("prompt", "conversation", "moderation", "error_body", "failed_generation"),
)
"""Fields of a body that are kept as facts, whatever they hold."""
ENDS = {
    **turn_facts.CUT_OFF,
    **dict.fromkeys(("MAX_TOKENS", "model_length", "context_length"), "length"),
    **dict.fromkeys(("in_progress", "failed"), "aborted"),
}
"""Normal forms of the ends of a turn that is not whole; other reasons stay as the source says them."""
IGNORED = {
    "**.annotations": "citations that the provider attached to a text",
    "**.citations": "citations that the provider attached to a text",
    "**.logprobs": "statistics of tokens",
    "system_fingerprint": "an id of the deployment",
    **dict.fromkeys(("stop_reason", "finish_reason", "finishReason"), "read in its normal form"),
    "incomplete_details": "read in its normal form",
    "usage_breakdown": "statistics",
    "x_groq": "ids and statistics of the provider",
    "**.cache_control": "a hint for the provider's cache",
    "**.caller": "who ran a tool of the provider",
    "**.encrypted_index": "opaque data of the provider",
    "previous_response_id": "an id",
    "request_id": "an id",
    "expires_at": "a time",
    "prompt_cache_key": "an id",
    "safety_identifier": "an id",
}
"""What the readers of providers leave out, with the reason."""


def finish_reason(reason: Any) -> str | None:
    """The end of a turn as the contract writes it, or None where the source does not say it."""
    return ENDS.get(reason, reason) if isinstance(reason, str) and reason else None


def tool_texts(tools: Any) -> tuple[str, ...]:
    """Tool definitions as JSON texts.

    Raises:
        RecordError: They are neither a list nor an object (`bad_tools`).
    """
    if tools is None:
        return ()
    if isinstance(tools, Mapping):
        tools = [tools]
    if not isinstance(tools, list):
        raise RecordError(f"expected tools to be a list of objects, got {type(tools).__name__}", "bad_tools")
    return tuple(fields.verbatim(tool) for tool in tools if tool)


def facts_of(record: Record, used: Iterable[str]) -> dict[str, Any]:
    """Metadata of a body: the usual facts, and its settings under `settings`."""
    settings = {name: record[name] for name in SETTINGS if isinstance(record.get(name), Mapping | list | str)}
    settings = {name: value for name, value in settings.items() if value}
    facts = fields.metadata_of(record, [*used, *settings, "object", "status", "usage", "x_groq", "usage_breakdown"])
    if settings:
        facts["settings"] = settings
    return facts


def trajectory_of(
    record: Record,
    name: str,
    steps: Sequence[Step],
    used: Iterable[str],
    tools: Sequence[str],
    counts: Mapping[str, int],
) -> Trajectory:
    """The trajectory of a body.

    Args:
        record: The body.
        name: Name of the reader.
        steps: Its steps.
        used: Fields that are in the trajectory.
        tools: Definitions of tools.
        counts: Facts that were counted; zeros are left out.

    Raises:
        RecordError: No step is an agent's (`no_assistant_turn`).
    """
    require_agent(steps)
    metadata = facts_of(record, used)
    metadata.update({key: n for key, n in counts.items() if n})
    return Trajectory(
        steps=tuple(steps),
        source_format=name,
        trajectory_id=fields.identifier(record, fields.ID_FIELDS),
        group_id=fields.identifier(record, fields.GROUP_FIELDS),
        metadata=metadata,
        tools=tuple(dict.fromkeys(tools)),
    )


def require_agent(steps: Sequence[Step]) -> None:
    """Raise RecordError (`no_assistant_turn`) unless an agent says, thinks or calls something."""
    if any(
        step.source == "agent" and ((step.message or "").strip() or step.reasoning_content or step.tool_calls)
        for step in steps
    ):
        return
    roles = ", ".join(sorted({step.source for step in steps if step.source != "agent"})) or "nothing"
    raise RecordError(f"expected a turn of the assistant, got only {roles}; record responses too", "no_assistant_turn")


def mappings(value: Any, where: str, reason: str) -> list[Mapping[str, Any]]:
    """A value that must be a list of objects.

    Raises:
        RecordError: It is not, with the given reason code.
    """
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        kinds = sorted({type(item).__name__ for item in value}) if isinstance(value, list) else type(value).__name__
        raise RecordError(f"{where}: expected a list of objects, got {kinds}", reason)
    return value


def text(value: Any) -> str | None:
    """An id or a name as text; None where there is none."""
    if value is None or value == "" or isinstance(value, bool):
        return None
    return value if isinstance(value, str) else fields.verbatim(value)
