"""Turns of SWE-agent: messages of the history put together with the entries of the trajectory that tell the same turn.

Nothing is taken for told twice because of where it stands: a text of the one is left out where it stands in the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import turns
from deepcoder_hf.trajectory import Observation, Step, ToolCall

EXIT = re.compile(r"Exit(?:ed)? (?:due to|\(|because)")  # "Exit due to cost limit": the harness says so, not the model
EXIT_ACTION = re.compile(r"\s*exit_[a-z_]+\s*")  # "exit_cost"
OMITTED = re.compile(r"\(\d+ lines? omitted\)")  # "Old environment output: (7 lines omitted)"
OPENS = re.compile(r"(?:```\w*|<command>|(?:<function=[^<>]*>)?(?:<parameter=[^<>]*>)?)$")
CLOSES = re.compile(r"^(?:```|</command>|(?:</parameter>)?(?:</function>)?)")
LABEL = re.compile(r"^(?:DISCUSSION|THOUGHT:?)")
N_HEAD = 40
"""Characters by which a result is known that was shortened for the model."""
TOLD = "the turn again, as its thought and its command"
EDITED = "a turn that somebody edited; the trajectory has what the model said"
COMMAND = "the command that the harness made of a call"


@dataclass(slots=True)
class Telling:
    """Steps of a run, and what of its record is in none of them because it stands in another.

    Args:
        counts: Metadata; redacted and encrypted reasoning is counted there.
    """

    counts: dict[str, Any]
    steps: list[Step] = field(default_factory=list)
    left_out: list[tuple[Any, str]] = field(default_factory=list)
    _entry: Mapping[str, Any] | None = None
    """The entry of the last turn of the agent, whose result is still to come."""
    _at: int = -1
    """Where the step of that turn stands."""

    def tell(self, history: list[Any], listed: list[Any]) -> None:
        """Read a history and the entries of the trajectory; entries that it does not tell stand in their order.

        Raises:
            RecordError: A message or an entry cannot be read (`bad_step`, or what `turns.message_steps` refuses).
        """
        for number, entry in enumerate(listed):
            if not isinstance(entry, Mapping):
                got = f"got {type(entry).__name__}"
                message = f"trajectory[{number}]: expected an object with thought, action and observation, {got}"
                raise RecordError(message, "bad_step")
        twins = _twins(history, listed)
        after = 0
        for number, message in enumerate(history):
            if number in twins:
                self._entries(listed, after, twins[number])
                after = twins[number] + 1
                self._agents(message, f"history[{number}]", listed[twins[number]])
            elif is_agents(message):
                self._agents(message, f"history[{number}]", None)
            else:
                self._others(message, f"history[{number}]")
        self._entries(listed, after, len(listed))
        self._close()

    def _entries(self, listed: list[Any], start: int, end: int) -> None:
        """Entries that no message tells."""
        for number in range(start, end):
            entry = listed[number]
            said = {name: entry.get(name) for name in ("thought", "action", "tool_calls")}
            content = entry.get("response") if isinstance(entry.get("response"), str) else None
            blank = not (turns.string_of(entry.get("action")) or "").strip()
            content = entry.get("thought") if blank and content is None else content
            self._agents({"role": "assistant", "content": content, **said}, f"trajectory[{number}]", entry)

    def _agents(self, message: Mapping[str, Any], where: str, entry: Mapping[str, Any] | None) -> None:
        self._close()
        given = _as_said(message, entry)
        found = _agent(given, where, self.counts)
        self.steps += found
        self._entry, self._at = entry, len(self.steps) - 1 if found else -1
        told = _squeezed(*_texts(found))
        native = bool(given.get("tool_calls"))
        self._repeated(message, told, native)
        ours, theirs = turns.string_of(given.get("thought")), turns.string_of(message.get("thought"))
        if ours and _squeezed(ours) != _squeezed(theirs or ""):
            edited = ("content", "thought") if given.get("content") != message.get("content") else ("thought",)
            self.left_out += [(message.get(name), EDITED) for name in edited]
        if entry is not None:
            content = {"content": entry.get("response"), "thought": entry.get("thought"), "action": entry.get("action")}
            self._repeated(content, told, native)

    def _repeated(self, message: Mapping[str, Any], told: str, native: bool) -> None:
        """Leave out what of a message stands in its steps."""
        content, thought, action = (message.get(name) for name in ("content", "thought", "action"))
        for text in (content, thought):
            if isinstance(text, str) and _squeezed(text) in told:
                self.left_out.append((text, TOLD))
        if isinstance(content, str) and isinstance(thought, str) and _is_told(content, thought, action, native=native):
            self.left_out.append((content, TOLD))
        if isinstance(action, str) and (native or EXIT_ACTION.fullmatch(action) or _squeezed(action) in told):
            self.left_out.append((action, COMMAND))

    def _others(self, message: Any, where: str) -> None:
        """A message of somebody else: a result stands with the turn before it."""
        role = message.get("role") if isinstance(message, Mapping) else None
        demo = isinstance(message, Mapping) and bool(message.get("is_demo"))
        if role == "assistant":
            found = _agent(message, where, self.counts)
        elif role == "tool":
            found = _tool(message, where)
        else:
            found = turns.message_steps(message, where, self.counts)
            kind = message.get("message_type", "observation")
            if role == "user" and kind == "observation" and not demo and self.steps and _acts(self.steps[-1]):
                last = self.steps.pop()
                seen = tuple(Observation(step.message or "") for step in found)
                found = [replace(last, observations=(*last.observations, *seen))]
        self.steps += [replace(step, trained=False) for step in found] if demo else found

    def _close(self) -> None:
        """Add the result of the last turn's entry unless the model was shown it."""
        entry, at = self._entry, self._at
        self._entry, self._at = None, -1
        if entry is None or entry.get("observation") in (None, ""):
            return
        seen = turns.text_of(entry["observation"], "trajectory[].observation")
        since = self.steps[at:] if at >= 0 else []
        shown = "\n".join(text for step in since for text in _shown(step))
        if seen.strip() and seen.strip() in shown:
            self.left_out.append((entry["observation"], "the result again, without the prompt around it"))
        elif OMITTED.search(shown) or (len(seen.strip()) > N_HEAD and seen.strip()[:N_HEAD] in shown):
            self.left_out.append((entry["observation"], "the result before it was shortened for the model"))
        elif at < 0:
            self.steps.append(Step("agent", observations=(Observation(seen),)))
        else:
            step = self.steps[at]
            self.steps[at] = replace(step, observations=(Observation(seen), *step.observations))


def is_agents(message: Any) -> bool:
    """Whether a message of the history is a turn of this agent, not of a demonstration."""
    return isinstance(message, Mapping) and message.get("role") == "assistant" and not message.get("is_demo")


def strings_in(value: Any) -> Iterator[str]:
    """The strings inside a value."""
    inside: Iterable[Any] = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    if isinstance(value, str):
        yield value
    for item in inside:
        yield from strings_in(item)


def _twins(history: list[Any], listed: list[Any]) -> dict[int, int]:
    """The entry that tells the same turn, by the number of a message: all in order, or those that say the same."""
    said = [number for number, message in enumerate(history) if is_agents(message)]
    if len(said) == len(listed):
        return dict(zip(said, range(len(listed)), strict=True))
    twins: dict[int, int] = {}
    after = 0
    for number in said:
        place = next((n for n in range(after, len(listed)) if _same_turn(history[number], listed[n])), None)
        if place is not None:
            twins[number], after = place, place + 1
    return twins


def _same_turn(message: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    content, response = turns.string_of(message.get("content")), turns.string_of(entry.get("response"))
    if content is not None and response is not None and _squeezed(content) == _squeezed(response):
        return True
    names = ("thought", "action")
    ours, theirs = ([turns.string_of(one.get(name)) or "" for name in names] for one in (message, entry))
    return any(ours) and [_squeezed(text) for text in ours] == [_squeezed(text) for text in theirs]


def _as_said(message: Mapping[str, Any], entry: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The message with the thought of its entry, which stays what the model said where a history was edited."""
    thought, old = (entry or {}).get("thought"), turns.string_of(message.get("thought"))
    if not isinstance(thought, str) or old is None or _squeezed(thought) == _squeezed(old):
        return message
    again = {"content": thought} if thought.strip() and message.get("content") == old else {}
    return {**message, "thought": thought, **again}


def _agent(message: Mapping[str, Any], where: str, counts: dict[str, Any]) -> list[Step]:
    """The steps of a turn of the agent."""
    thought, action = turns.string_of(message.get("thought")), turns.string_of(message.get("action"))
    called, content = bool(message.get("tool_calls")), message.get("content")
    acts = bool(action and action.strip() and not EXIT_ACTION.fullmatch(action))
    if not (called or acts) or not _is_told(content, thought or "", action, native=called):
        return _unless_exit(_flattened(message, where, counts, action if acts and not called else None))
    found = turns.agent_steps({key: value for key, value in message.items() if key != "content"}, where, counts)
    head = found[-1] if found else Step("agent")
    if not called:
        head = replace(head, tool_calls=(ToolCall("", action or "", language="bash"),))
    thought = turns.string_of(content) if called and content else thought
    hidden = len(found) > 1 or head.reasoning_content is not None or head.reasoning_kind
    told = replace(head, message=thought) if hidden else replace(head, reasoning_content=thought)
    return [*found[:-1], told]


def _flattened(message: Mapping[str, Any], where: str, counts: dict[str, Any], action: str | None) -> list[Step]:
    """A turn whose text says more than its thought and its command: it stays as it is, with what it lacks of them."""
    found = turns.agent_steps(message, where, counts)
    said = _squeezed(*_texts(found))
    head = found.pop() if found else Step("agent")
    thought = turns.string_of(message.get("thought"))
    if thought is not None and _squeezed(thought) not in said:
        if head.reasoning_content is None and not head.reasoning_kind:
            head = replace(head, reasoning_content=thought)
        else:
            found.append(Step("agent", None, thought))
    if action is not None and _squeezed(action) not in said:
        head = replace(head, tool_calls=(*head.tool_calls, ToolCall("", action, language="bash")))
    return [*found, head] if head != Step("agent") else found


def _is_told(content: Any, thought: str, action: Any, *, native: bool) -> bool:
    """Whether a turn's text says nothing but its thought and its command, with the markup around it."""
    if content in (None, "", []):
        return True
    if not isinstance(content, str):
        return False
    said, thoughts = _squeezed(content), _squeezed(thought)
    if said == thoughts:
        return True
    command = _squeezed(action) if isinstance(action, str) else ""
    place = said.rfind(command) if command and not native else -1
    if place < 0:
        return False
    head, tail = OPENS.sub("", said[:place]), CLOSES.sub("", said[place + len(command) :])
    bare = {LABEL.sub("", text) for text in (head + tail, thoughts)}
    return len(bare) == 1 or head + tail == thoughts or _is_json_of(content, thoughts, command)


def _is_json_of(content: str, thought: str, command: str) -> bool:
    """`{"thought": "Look around.", "command": {"name": "ls", "arguments": {"path": "."}}}`."""
    if not content.lstrip().startswith("{"):
        return False
    try:
        texts = [_squeezed(text) for text in strings_in(json.loads(content))]
    except (ValueError, RecursionError):
        return False
    return all(text in thought or text in command for text in texts)


def _squeezed(*texts: str) -> str:
    """Texts without white space."""
    return "".join("".join(text.split()) for text in texts)


def _texts(steps: list[Step]) -> list[str]:
    """What an agent wrote, in order."""
    return [
        text
        for step in steps
        for text in (step.reasoning_content, step.message, *(call.arguments for call in step.tool_calls))
        if text
    ]


def _shown(step: Step) -> list[str]:
    return [*(result.content for result in step.observations), step.message or "" if step.source != "agent" else ""]


def _acts(step: Step) -> bool:
    return step.source == "agent" and bool(step.tool_calls) and not step.observations


def _unless_exit(steps: list[Step]) -> list[Step]:
    """Steps, not trained where the harness wrote them to say that the run ended."""
    said = [step.message or step.reasoning_content or "" for step in steps]
    ended = len(steps) == 1 and not steps[0].tool_calls and EXIT.match(said[0])
    return [replace(steps[0], trained=False, finish_reason="aborted")] if ended else steps


def _tool(message: Mapping[str, Any], where: str) -> list[Step]:
    ids = message.get("tool_call_ids")
    first = ids[0] if isinstance(ids, list) and ids else None
    beside = {key: value for key, value in message.items() if key != "id"}
    return turns.tool_steps({"tool_call_id": first, **beside} if first is not None else beside, where)
