"""Conversation -> messages as chat templates take them, every text of the source marked with its unit.

Named calls are `tool_calls`; code and commands without a name go into the content, fenced, and their results come back
as user messages, which is how agents of text are prompted. What a template has no place for is written into the content
(`Form`): calls as <tool_call> blocks, reasoning as a <think> block, the system prompt before the first user message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from deepcoder_hf.errors import RecordError
from deepcoder_hf.rendering.traced import concat, trace
from deepcoder_hf.rendering.traced_text import Definition, json_text
from deepcoder_hf.rendering.turns import REASONING, is_json
from deepcoder_hf.rendering.units import CallUnit, Conversation, TypedTurn, Unit, tags_of

Message = dict[str, Any]
TOOLS = -2
"""Mark of what the definitions of tools say."""
TOOLS_TEXT = """# Tools

These functions can be called; each line is the JSON schema of one:
<tools>
{tools}
</tools>

A call is a JSON object with the name and the arguments of the function, in a block of its own:
<tool_call>
{{"name": "<name>", "arguments": {{"<parameter>": "<value>"}}}}
</tool_call>"""
"""What the system prompt says of tools where the template has no place for them; chatml.jinja uses the same words."""
_BACKTICKS = re.compile(r"`{3,}")


class ArgumentsError(ValueError):
    """Arguments that are no JSON object, where a template takes only objects."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a conversation is put into messages."""

    reasoning: str | None = "reasoning_content"
    """Key of the reasoning; None writes it into the content."""
    tools: bool = True
    """Calls and results are `tool_calls` and role `tool`; else they are written into the content."""
    raw_arguments: bool = True
    """Argument strings are passed as they are; else as objects."""
    system: bool = True
    """There is a role for the system prompt."""
    adjacent_users: bool = True
    """Two user messages may follow each other; else they are joined."""
    preamble: bool = True
    """A turn may hold reasoning, text before a call, and calls; else that text stands with the reasoning."""
    short_ids: bool = False
    """Ids of calls are written anew, with nine digits, for templates that demand that."""


class Numbered(NamedTuple):
    """A message and the numbers of the turns that it is made of."""

    message: Message
    turns: tuple[int, ...]


def messages_of(conversation: Conversation, form: Form, tools: tuple[str, ...]) -> tuple[list[Numbered], list[Tool]]:
    """Messages and tool definitions.

    Args:
        conversation: Turns whose parts all have a type; none of role `text`.
        form: What the template has a place for.
        tools: Definitions of the tools, each a JSON object as text.

    Raises:
        ArgumentsError: The form takes objects, and arguments are none.
    """
    ids: dict[str, str] = {}
    found = [_message(conversation, number, form, ids) for number in range(len(conversation.turns))]
    if not form.tools and tools:
        found = _with_tools(found, tools)
    if not form.system:
        found = _without_system(found)
    if not form.adjacent_users:
        found = _joined_users(found)
    return found, [tool_of(tool) for tool in tools] if form.tools else []


def _message(conversation: Conversation, number: int, form: Form, ids: dict[str, str]) -> Numbered:
    typed = conversation.turns[number]
    units, turn = conversation.units, typed.turn
    content = [part for unit in typed.content for part in _parts(unit, units[unit])]
    if turn.role == "assistant":
        return Numbered(_agent_message(typed, units, content, form, ids), (number,))
    if turn.role != "tool":
        return Numbered({"role": turn.role, "content": concat(content)}, (number,))
    if not form.tools:
        mark = 2 * typed.content[0] + 1 if typed.content else TOOLS
        content = [trace("<tool_response>\n", mark), *content, trace("\n</tool_response>", mark)]
        return Numbered({"role": "user", "content": concat(content)}, (number,))
    message: Message = {"role": "tool", "content": concat(content)}
    if turn.name:
        message["name"] = turn.name
    if turn.call_id:
        message["tool_call_id"] = _id(turn.call_id, form, ids)
    return Numbered(message, (number,))


def _parts(number: int, unit: Unit) -> Iterator[str]:
    """The text of a unit as marked parts: tags apart from what stands in them."""
    if unit.kind != REASONING or unit.origin == "structure":
        yield trace(unit.text, 2 * number)
        return
    opening, words, closing = tags_of(unit.text)
    yield trace(opening, 2 * number + 1)
    yield trace(words, 2 * number)
    yield trace(closing, 2 * number + 1)


def _agent_message(typed: TypedTurn, units: list[Unit], content: list[str], form: Form, ids: dict[str, str]) -> Message:
    reasoning: list[str] = [trace(units[number].text, 2 * number) for number in typed.reasoning]
    message: Message = {"role": "assistant"}
    if reasoning and content and typed.calls and form.reasoning and not form.preamble:
        reasoning, content = [*reasoning, *content], []
    if reasoning and form.reasoning:
        message[form.reasoning] = concat(_between(reasoning, "\n\n"))
    elif reasoning:
        mark = 2 * typed.reasoning[0] + 1
        thought = [trace("<think>\n", mark), *_between(reasoning, "\n\n"), trace("\n</think>\n\n", mark)]
        content = [*thought, *content]
    named = [call for call in typed.calls if call.call.function_name and form.tools]
    for call in typed.calls:
        if not (call.call.function_name and form.tools):
            content += _in_text(call, content)
    message["content"] = concat(content)
    if named:
        message["tool_calls"] = [_tool_call(call, form, ids) for call in named]
    return message


def _between(parts: Sequence[str], separator: str) -> list[str]:
    return [part for number, text in enumerate(parts) for part in ((separator, text) if number else (text,))]


def _in_text(call: CallUnit, before: list[str]) -> Iterator[str]:
    """A call as text: a fence around code, a <tool_call> block around a named call."""
    text, mark = call.call.arguments, 2 * call.unit
    if before and before[-1] and not before[-1].endswith("\n"):
        yield trace("\n", mark + 1)
    if call.call.function_name:
        yield trace('<tool_call>\n{"name": "', mark + 1)
        yield trace(call.call.function_name, mark)
        yield trace('", "arguments": ', mark + 1)
        yield _json_arguments(call)
        yield trace("}\n</tool_call>", mark + 1)
        return
    fence = "`" * (1 + max((len(run) for run in _BACKTICKS.findall(text)), default=2))
    yield trace(f"{fence}{call.call.language or ''}\n", mark + 1)
    yield trace(text, mark)
    yield trace(f"\n{fence}", mark + 1)


def _tool_call(call: CallUnit, form: Form, ids: dict[str, str]) -> Message:
    mark = 2 * call.unit
    arguments: Any = _json_arguments(call) if form.raw_arguments else _as_object(call.call.arguments, mark)
    made: Message = {"type": "function", "function": {"name": trace(call.call.function_name, mark)}}
    made["function"]["arguments"] = arguments
    if call.call.tool_call_id:
        made["id"] = _id(call.call.tool_call_id, form, ids)
    return made


def _json_arguments(call: CallUnit) -> str:
    """Arguments as they stand in JSON: verbatim, also where the model's JSON is broken; free text as a JSON string."""
    text, mark = call.call.arguments, 2 * call.unit
    if not text.strip():
        return "{}"
    if (text.lstrip()[0] in "{[" and call.call.language is None) or is_json(text):
        return trace(text, mark)
    return json_text(trace(text, mark))


def _as_object(arguments: str, mark: int) -> Any:
    try:
        value = json.loads(arguments) if arguments.strip() else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ArgumentsError(f"arguments are no JSON object: {arguments[:80]!r}")
    return _traced(value, mark)


def _traced(value: Any, mark: int) -> Any:
    """A JSON value whose strings are marked, keys too."""
    if isinstance(value, str):
        return trace(value, mark)
    if isinstance(value, dict):
        return {trace(key, mark): _traced(item, mark) for key, item in value.items()}
    return [_traced(item, mark) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Tool:
    """The definition of a tool as an object, with its texts marked as no text of the agent's, and without marks."""

    traced: Any
    plain: Any


@lru_cache(maxsize=1024)
def tool_of(definition: str) -> Tool:
    """A tool from its JSON text; the same object for the same text.

    Raises:
        RecordError: The text is not JSON (`bad_tools`).
    """
    try:
        value = json.loads(definition)
    except ValueError:
        raise RecordError(
            f"tools: expected the definition of a tool as JSON, got {definition!r:.80}; remove it", "bad_tools"
        ) from None
    traced = _traced(value, TOOLS)
    return Tool(Definition(traced, TOOLS) if isinstance(traced, dict) else traced, value)


def _id(call_id: str, form: Form, ids: dict[str, str]) -> str:
    return ids.setdefault(call_id, f"{len(ids):09d}") if form.short_ids else call_id


def _with_tools(messages: list[Numbered], tools: tuple[str, ...]) -> list[Numbered]:
    """The definitions in the system prompt, for a template that has no place for them."""
    listed = "\n".join(tools)
    text = trace(TOOLS_TEXT.format(tools=listed), TOOLS)
    if messages and messages[0].message["role"] == "system":
        first = messages[0]
        content = concat([first.message["content"], "\n\n", text])
        return [Numbered({"role": "system", "content": content}, first.turns), *messages[1:]]
    return [Numbered({"role": "system", "content": text}, ()), *messages]


def _without_system(messages: list[Numbered]) -> list[Numbered]:
    """System prompts as the beginning of the user message that follows, or as user messages."""
    found = [Numbered({**m.message, "role": "user"}, m.turns) if m.message["role"] == "system" else m for m in messages]
    return _joined_users(found)


def _joined_users(messages: list[Numbered]) -> list[Numbered]:
    found: list[Numbered] = []
    for item in messages:
        if found and item.message["role"] == "user" == found[-1].message["role"]:
            before = found.pop()
            content = concat([before.message["content"], "\n\n", item.message["content"]])
            item = Numbered({"role": "user", "content": content}, (*before.turns, *item.turns))
        found.append(item)
    return found


def expected_characters(conversation: Conversation, form: Form) -> dict[int, int]:
    """How many marked characters of each unit a complete rendering has, at least."""
    found = {}
    for number, unit in enumerate(conversation.units):
        found[number] = unit.n_payload
    if form.tools and not form.raw_arguments:
        for typed in conversation.turns:
            for call, number in typed.calls:
                if call.function_name:
                    found[number] = len(call.function_name) + _strings(_as_object(call.arguments, 0))
    return found


def _strings(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + _strings(item) for key, item in value.items())
    return sum(_strings(item) for item in value) if isinstance(value, list) else 0
