"""What a chat template can hold and what it writes around turns, found out by rendering small probes once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepcoder_hf.rendering.attribution import Frame
from deepcoder_hf.rendering.chat_template import ChatTemplate, TemplateRefused
from deepcoder_hf.rendering.messages import Form, Message

REASONING_KEYS = ("reasoning_content", "thinking", "reasoning")
KEEP_SWITCHES: dict[str, bool] = {
    "preserve_thinking": True,
    "truncate_history_thinking": False,
    "clear_thinking": False,
}
"""Variables by which published templates keep the reasoning of past turns."""
_ASKED, _SAID, _AGAIN, _LAST, _RESULT, _THOUGHT = ("Qq1 asks", "Aa1 says", "Qq2 asks", "Aa2 says", "Rr1 gives", "Tt1 I")
_RAW = '{"city":  "Zz1"}'
_TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Looks.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
_STOP_TEXT = re.compile(r"<[^<>\s]{1,40}>|\[/?[A-Z_]{2,30}\]")
_OPEN_TAG = re.compile(r"<[^<>\n]*\Z")


@dataclass(frozen=True, slots=True)
class Abilities:
    """What one template, with its switches, can do."""

    form: Form
    frame: Frame
    keep_switches: Mapping[str, bool]
    """Those of `KEEP_SWITCHES` that the template reads."""


Render = Callable[..., str | None]


def abilities_of(
    template: ChatTemplate, switches: Mapping[str, Any], controls: Sequence[str], eos: str | None
) -> Abilities:
    """Probe a template.

    Args:
        template: The template.
        switches: Variables that every rendering gets.
        controls: Control tokens of the tokenizer, longest first.
        eos: Its end-of-sequence token.
    """

    def render(messages: list[Message], tools: list[Any] | None = None, prompt: bool = False) -> str | None:
        try:
            return template.plain(messages, tools, add_generation_prompt=prompt, **switches)
        except TemplateRefused:
            return None

    user, said = _message("user", _ASKED), _message("assistant", _SAID)
    call, is_raw = _call(render)
    form = Form(
        reasoning=next((key for key in REASONING_KEYS if _holds_reasoning(render, key)), None),
        tools=call is not None,
        raw_arguments=is_raw,
        system=_holds(render([_message("system", "Ss1 rules"), user]), "Ss1 rules"),
        adjacent_users=_holds(render([user, _message("user", _AGAIN), said]), _ASKED, _AGAIN),
    )
    frame = _frame(render, user, said, call, controls, eos)
    return Abilities(form, frame, {name: value for name, value in KEEP_SWITCHES.items() if template.uses(name)})


def _message(role: str, content: str, **more: Any) -> Message:
    return {"role": role, "content": content, **more}


def _holds(text: str | None, *words: str) -> bool:
    """Whether words stand in a text in this order."""
    at = 0
    for word in words:
        at = -1 if text is None else text.find(word, at)
        if at < 0:
            return False
    return True


def _holds_reasoning(render: Render, key: str) -> bool:
    messages = [_message("user", _ASKED), _message("assistant", _SAID, **{key: _THOUGHT})]
    return _holds(render(messages), _THOUGHT, _SAID)


def _called(arguments: Any) -> list[Message]:
    function = {"name": "look", "arguments": arguments}
    calls = [{"id": "000000001", "type": "function", "function": function}]
    result = _message("tool", _RESULT, name="look", tool_call_id="000000001")
    return [_message("user", _ASKED), _message("assistant", "", tool_calls=calls), result]


def _call(render: Render) -> tuple[list[Message] | None, bool]:
    """The probe of a call that the template renders, and whether it writes argument strings as they are."""
    for arguments in (_RAW, {"city": "Zz1"}):
        messages = [*_called(arguments), _message("assistant", _SAID)]
        text = render(messages, [_TOOL])
        words = _RAW if isinstance(arguments, str) else "Zz1"
        if _holds(text, "look", words, _RESULT, _SAID) or _holds(text, words, "look", _RESULT, _SAID):
            return messages, isinstance(arguments, str)
    return None, True


def _frame(
    render: Render, user: Message, said: Message, call: list[Message] | None, controls: Sequence[str], eos: str | None
) -> Frame:
    once = render([user, said])
    twice = render([user, said, _message("user", _AGAIN), _message("assistant", _LAST)])
    called = render(call, [_TOOL]) if call else None
    entry = _between(once, _ASKED, _SAID)
    mid_entry = _between(twice, _ASKED, _SAID)
    prompts = _prompts(render, user)
    header = _header(prompts[-1] if prompts else "", mid_entry if mid_entry is not None else entry or "")
    tails = {"user": _tail(mid_entry, header), "tool": _tail(_between(called, _RESULT, _SAID), header)}
    exits = [_after(once, _SAID), _between(twice, _SAID, _AGAIN)]
    stops = [eos] if eos and any(eos in (text or "") for text in exits) else []
    stops += [token for text in exits if (token := _first(text, controls))]
    if call:
        cut = _between(called, "Zz1", _RESULT) or ""
        last = render(call[:2], [_TOOL])
        ending = _after(last, "Zz1") or cut
        if token := _last(ending, controls):
            stops.append(token)
    if not stops and (written := _written_stop(exits)):
        stops.append(written)
    unique = tuple(dict.fromkeys(stop for stop in stops if stop))
    return Frame(header, tuple(prompts), unique, {role: tail for role, tail in tails.items() if tail})


def _written_stop(exits: Sequence[str | None]) -> str:
    """What ends a turn in a template whose stop is no token of the tokenizer: `<|eot_id|>` as mere text."""
    ends = [match[0] for text in exits if text and (match := _STOP_TEXT.match(text))]
    return ends[0] if ends and ends.count(ends[0]) == len([text for text in exits if text]) else ""


def _between(text: str | None, first: str, second: str) -> str | None:
    if text is None or first not in text:
        return None
    start = text.index(first) + len(first)
    end = text.find(second, start)
    return text[start:end] if end >= 0 else None


def _after(text: str | None, word: str) -> str | None:
    return text[text.rindex(word) + len(word) :] if text and word in text else None


def _prompts(render: Render, user: Message) -> list[str]:
    """What the template emits for add_generation_prompt."""
    without, with_prompt = render([user]), render([user], None, True)
    if without is None or with_prompt is None:
        return []
    pairs = zip(without, with_prompt, strict=False)
    start = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(without), len(with_prompt)))
    return [with_prompt[start:]] if with_prompt[start:] else []


def _header(prompt: str, entry: str) -> str:
    """The longest beginning of the prompt that also begins a finished turn; never a part of a tag."""
    for size in range(len(prompt), 0, -1):
        if prompt[:size] in entry:
            header = prompt[:size]
            return header if size == len(prompt) else _OPEN_TAG.sub("", header) or header
    return ""


def _tail(entry: str | None, header: str) -> str:
    """What ends a turn, before the header of the agent's."""
    if entry is None:
        return ""
    return entry[: entry.rfind(header)] if header and header in entry else entry


def _first(text: str | None, controls: Sequence[str]) -> str | None:
    found = [(at, -len(token), token) for token in controls if (at := (text or "").find(token)) >= 0]
    return min(found)[2] if found else None


def _last(text: str, controls: Sequence[str]) -> str | None:
    found = [(at, len(token), token) for token in controls if (at := text.rfind(token)) >= 0]
    return max(found)[2] if found else None
