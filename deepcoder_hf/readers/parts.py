"""Lists of typed content parts -> steps: text, thinking / reasoning, tool_use / tool_call, tool_result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields
from deepcoder_hf.trajectory import Observation, Step, ToolCall

THINKING = ("thinking", "reasoning")
REDACTED = "redacted_thinking"
CALLS = ("tool_use", "tool_call", "function_call", "server_tool_use", "mcp_tool_use")
CALL_ROLES = ("function_call", "tool_call")
"""Roles of turns that are calls, in ShareGPT."""
FLAT_CALL = {"name", "arguments", "id", "type", "call_id", "tool_call_id"}
RESULTS = ("tool_result", "function_call_output", "tool_response", "mcp_tool_result")
SERVER_RESULT = "_tool_result"
"""How the types of results end whose content is an object or a list of objects, such as `web_search_tool_result`."""
OPAQUE = "encrypted_content"
REASONING, TEXT, CALL, RESULT = range(4)
"""Order of the parts of a step."""
Part = str | ToolCall | Observation
"""The text of reasoning or of a message, a call, or a result."""


def agent_steps(
    content: Sequence[Any], where: str, calls_beside: Sequence[ToolCall] = (), one_turn: bool = True
) -> list[Step]:
    """Steps of an agent whose parts stand in one list; a part that cannot follow in a step begins the next.

    Consecutive texts are one text. A text before a call is preamble and stands in the step of that call; where
    a result lies between them it becomes reasoning of a step of its own, and before reasoning it is said in a step of
    its own, since the order is kept.

    Args:
        content: The parts, in order.
        where: What to name in errors.
        calls_beside: Calls of the same message that stand outside the list; those that the list has too are left out.
        one_turn: The list is one message: every text before its last call is preamble. Else it is a whole trajectory
            in which a result ends the turn.

    Returns:
        Steps of source agent, in the order reasoning, message, calls, results; text is kept verbatim.

    Raises:
        RecordError: A part has no text (`unsupported_modality`), or a call says nothing (`bad_tool_calls`).
    """
    ranked = _ranked(content, where)
    inside = [part for _, part in ranked if isinstance(part, ToolCall)]
    ranked += [(CALL, call) for call in calls_beside if not any(same_call(call, other) for other in inside)]
    groups: list[list[tuple[int, Part]]] = []
    before = RESULT
    for (rank, part), early in zip(ranked, _early(ranked, one_turn), strict=True):
        place = REASONING if early else rank
        if not groups or place == REASONING or place < before:
            groups.append([])
        groups[-1].append((place, part))
        before = place
    return [_step(group) for group in groups]


def _ranked(content: Sequence[Any], where: str) -> list[tuple[int, Part]]:
    """The parts that say something, with their place in a step; consecutive texts are joined."""
    ranked: list[tuple[int, Part]] = []
    for part in content:
        if is_redacted(part):
            continue
        rank = _rank(part, where)
        value: Part
        if rank == CALL and isinstance(text := part.get("value"), str) and "name" not in part:
            ranked += [(CALL, call) for call in flat_calls(text)]
            continue
        if rank == REASONING:
            value = _thinking_text(part, where)
        elif rank == TEXT:
            value = part if isinstance(part, str) else fields.text_of(part) or ""
        else:
            value = tool_call(part, where) if rank == CALL else result(part, where)
        last = ranked[-1][1] if ranked and ranked[-1][0] == TEXT else None
        if rank == TEXT and isinstance(last, str) and isinstance(value, str):
            ranked[-1] = (TEXT, fields.joined((last, value)))
        elif value != "":
            ranked.append((rank, value))
    return ranked


def _early(ranked: Sequence[tuple[int, Part]], one_turn: bool) -> list[bool]:
    """For each part, whether it is a text before a call of its turn, and a result or a text lies between."""
    early = []
    has_call, following = False, RESULT
    for rank, _ in reversed(ranked):
        early.append(rank == TEXT and has_call and following not in (CALL, REASONING))
        has_call = rank == CALL or (has_call and (one_turn or rank != RESULT))
        following = rank
    return early[::-1]


def _step(group: Sequence[tuple[int, Part]]) -> Step:
    """A step of parts in order; it has at most one reasoning and one text."""
    texts = {rank: part for rank, part in group if isinstance(part, str)}
    calls = tuple(part for _, part in group if isinstance(part, ToolCall))
    results = tuple(part for _, part in group if isinstance(part, Observation))
    return Step("agent", texts.get(TEXT), texts.get(REASONING), calls, results)


def _rank(part: Any, where: str) -> int:
    if isinstance(part, str) or (isinstance(part, Mapping) and fields.text_of(part) is not None):
        return TEXT
    kind = part.get("type") if isinstance(part, Mapping) else None
    for rank, kinds in ((REASONING, THINKING), (CALL, CALLS)):
        if kind in kinds:
            return rank
    if is_result(part):
        return RESULT
    raise fields.refused_part(part, where)


def is_redacted(part: Any) -> bool:
    """Whether a part says that there was reasoning which the provider keeps to itself."""
    return isinstance(part, Mapping) and part.get("type") == REDACTED


def is_result(part: Any) -> bool:
    """Whether a part is the result of a call."""
    kind = part.get("type") if isinstance(part, Mapping) else None
    return kind in RESULTS or (isinstance(kind, str) and kind.endswith(SERVER_RESULT))


def _thinking_text(part: Mapping[str, Any], where: str) -> str:
    for name in ("thinking", "reasoning", "text", "value", "content"):
        if isinstance(part.get(name), str):
            return str(part[name])
    raise fields.refused_part(part, where)


def tool_call(part: Mapping[str, Any], where: str) -> ToolCall:
    """A call from any of the usual shapes: flat, or with its `function`; arguments stay verbatim.

    Args:
        part: The call.
        where: What to name in errors.

    Raises:
        RecordError: It has neither a name nor arguments (`bad_tool_calls`).
    """
    function = part.get("function") or part.get("custom")
    inner = {**part, **function} if isinstance(function, Mapping) else part
    name = inner.get("name") or inner.get("function_name") or (function if isinstance(function, str) else "")
    given = next(
        (inner[key] for key in ("arguments", "input", "parameters", "args") if inner.get(key) is not None), None
    )
    if not name and given in (None, "", {}, []):
        came = fields.verbatim(part)[:200]
        raise RecordError(
            f"{where}: expected a call with a name or arguments, got {came}; name the tool in `function.name`",
            "bad_tool_calls",
        )
    number = part.get("id") or part.get("call_id") or part.get("tool_call_id")
    arguments = "" if given is None else fields.verbatim(given)
    return ToolCall(fields.verbatim(name), arguments, None if number is None else str(number))


def flat_calls(text: str) -> tuple[ToolCall, ...]:
    """The calls of a text: JSON of one call or of several; anything else stays verbatim, without a name."""
    try:
        value = fields.json_of(text)
    except ValueError:
        return (ToolCall("", text),)
    calls = value if isinstance(value, list) else [value]
    if not calls or not all(_is_flat_call(call) for call in calls):
        return (ToolCall("", text),)
    return tuple(tool_call(call, "call") for call in calls)


def is_call_turn(message: Mapping[str, Any]) -> bool:
    """Whether a message is a call of its own, as ShareGPT has them: its text is the JSON of calls."""
    name = message.get("role")
    if name is None:
        name = message.get("from")
    return isinstance(name, str) and name.lower() in CALL_ROLES


def _is_flat_call(call: Any) -> bool:
    """Whether an object is a call and no more: a further key would be lost."""
    named = isinstance(call, Mapping) and isinstance(call.get("name"), str) and call["name"] != ""
    return named and call.get("arguments") is not None and call.keys() <= FLAT_CALL


def same_call(one: ToolCall, other: ToolCall) -> bool:
    """Whether two fields of a message tell of the same call: by id where both have one, else by name and arguments."""
    if one.tool_call_id and other.tool_call_id:
        return one.tool_call_id == other.tool_call_id
    return (one.function_name, one.arguments) == (other.function_name, other.arguments)


def result_text(part: Mapping[str, Any], where: str) -> str:
    """The text of a result, whose content is a string, a list of text parts, or JSON."""
    keys = ("content", "output", "result", "text", "value")
    content = next((part[key] for key in keys if part.get(key) is not None), "")
    if isinstance(content, list) and part.get("type") in RESULTS:
        return fields.text_of_parts(content, where)
    if isinstance(content, list):
        opened = [
            {k: v for k, v in item.items() if k != OPAQUE} if isinstance(item, Mapping) else item for item in content
        ]
        return fields.verbatim(opened)
    return fields.verbatim(content)


def result(part: Mapping[str, Any], where: str) -> Observation:
    """A result with the id of its call and the name of the tool, where the part has them."""
    number = next((part[key] for key in ("tool_use_id", "tool_call_id", "call_id") if part.get(key)), None)
    name = part.get("name")
    return Observation(
        result_text(part, where), None if number is None else str(number), name if isinstance(name, str) else None
    )
