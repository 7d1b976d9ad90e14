"""The plain layout: how a structured trajectory becomes text when no chat template is used.

    System: <system prompt>

    User: <message>

    Thought: <reasoning kept apart by the source>
    Assistant: <visible text before a call: preamble>
    Action: <tool name>
    Action Input: <arguments, verbatim>
    Observation: <result, verbatim>

    Assistant: <visible text without a call: an answer>

    Final Answer: <message that the source marks as final>

A blank line ends what the system, the user or an answer says; one newline ends every other part. A call without a name
is `Action: <code or command>`. An empty message is no part; an empty result or empty arguments are one. A label belongs
to the span of what it labels; before what a source left flattened it is a span of its own.
"""

from __future__ import annotations

from deepcoder_hf.rendering.rendered import Layout, Rendered
from deepcoder_hf.rendering.turns import OBSERVATION, OTHER, REASONING
from deepcoder_hf.rendering.units import Conversation, TypedTurn, Unit, characters_read, tags_of

LABELS = {"system": "System: ", "user": "User: ", "assistant": "Assistant: ", "tool": "Observation: ", "text": ""}


def render_plain(conversation: Conversation) -> Rendered:
    """Write a conversation in the plain layout."""
    layout = Layout()
    for typed in conversation.turns:
        _turn(layout, typed, conversation.units)
    rendered = layout.rendered({"template": "plain"})
    rendered.read = characters_read(conversation)
    return rendered


def _turn(layout: Layout, typed: TypedTurn, units: list[Unit]) -> None:
    role = typed.turn.role
    for number in typed.reasoning:
        _labelled(layout, units[number], "Thought: ", "\n")
    if typed.content:
        _content(layout, [units[number] for number in typed.content], role, bool(typed.calls))
    for call, number in typed.calls:
        unit = units[number]
        layout.put("Action: ", unit)
        if call.function_name:
            layout.put(call.function_name, unit, joins=True, is_payload=True)
            layout.put("\nAction Input: ", unit, joins=True)
        layout.put(call.arguments, unit, joins=True, is_payload=True)
        layout.put("\n", unit, joins=True)


def _content(layout: Layout, units: list[Unit], role: str, calls: bool) -> None:
    """The visible text of a turn: one part of known type, or the parts that detection found."""
    first = units[0]
    if first.kind == OBSERVATION and first.origin == "structure":
        _labelled(layout, first, LABELS["tool"], "\n")
    elif first.origin == "structure":
        label = "Final Answer: " if first.subtype == "final_answer" else LABELS[role]
        _labelled(layout, first, label, "\n" if first.kind == REASONING else "\n\n")
    else:
        label = LABELS[role]
        layout.put_free(label.rstrip(), OTHER, "header")
        layout.put(label[len(label.rstrip()) :], first)  # a tokenizer joins the space to the word behind it
        joins = bool(label)
        for unit in units:
            opening, words, closing = tags_of(unit.text) if unit.kind == REASONING else ("", unit.text, "")
            layout.put(opening, unit, joins=joins)
            layout.put(words, unit, joins=joins or bool(opening), is_payload=True)
            layout.put(closing, unit, joins=joins or bool(opening or words))
            joins = False
        if role != "text":
            layout.put("\n" if calls else "\n\n", units[-1], joins=True)


def _labelled(layout: Layout, unit: Unit, label: str, end: str) -> None:
    layout.put(label, unit)
    layout.put(unit.text, unit, joins=True, is_payload=True)
    layout.put(end, unit, joins=True)
