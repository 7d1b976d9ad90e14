"""Events of OpenHands before its SDK (`action` with args, `observation` with content) -> turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import fields, turns
from deepcoder_hf.readers.openhands_turns import Conversation, Turn, framed
from deepcoder_hf.trajectory import Observation, Step, ToolCall

SILENT_ACTIONS = ("recall", "change_agent_state", "null", "condensation_request", "pause", "resume", "start_hook")
"""Actions of the harness itself, which the model neither took nor saw."""
SILENT_RESULTS = ("recall", "agent_state_changed", "null", "condense", "server_ready", "success")
SPEECH = ("message", "think", "finish", "reject")
"""Actions that are words of the agent, where no tool call is recorded."""
CODE = {
    "run": ("command", "bash"),
    "run_ipython": ("code", "python"),
    "browse_interactive": ("browser_actions", "python"),
}
"""Actions that are code, where no tool call is recorded: the argument that holds it, and its language."""
RECALLED = ("repo_instructions", "additional_agent_instructions", "conversation_instructions")
"""Texts of a recall that the harness adds to the prompt, beside its pieces of knowledge."""
ERRORS = ("last_browser_action_error",)
PAGES = ("axtree_txt", "text_content", "page_content", "text", "content", "diff")
"""Notes that hold the result where its content is empty."""
SETTINGS = frozenset(
    (
        *("thought", "confirmation_state", "impl_source", "security_risk", "hidden", "blocking", "is_static"),
        *("is_input", "cwd", "include_extra", "kernel_init_code", "return_axtree", "wait_for_response"),
    )
)


class Session:
    """Reads events one after another.

    Args:
        counts: Metadata that counts condensations and redacted reasoning.
        tools: Tool definitions are added here.

    Attributes:
        talk: The conversation that events belong to now.
    """

    def __init__(self, counts: dict[str, Any], tools: list[Any]) -> None:
        self.talk = Conversation()
        self._counts = counts
        self._tools = tools
        self._above: list[tuple[Conversation, Turn]] = []
        self._ended: list[Conversation] = []

    def finished(self) -> list[Conversation]:
        """The main conversation and those of the agents that were started in it."""
        while self._above:
            self._leave()
        return [self.talk, *self._ended]

    def put(self, event: Mapping[str, Any], where: str) -> None:
        """Add an event.

        Raises:
            RecordError: An image (`unsupported_modality`), or what `turns.steps_of` refuses.
        """
        action, args = event.get("action"), turns.object_of(event.get("args"))
        if isinstance(event.get("observation"), str):
            self._result(event, where)
        elif not isinstance(action, str) or action in SILENT_ACTIONS:
            return
        elif action == "system":
            self._say("system", args, event, where)
            self._tools += args["tools"] if isinstance(args.get("tools"), list) else []
        elif action == "condensation":
            turns.add(self._counts, "condensations")
            self.talk.condense(_forgotten(args), turns.string_of(args.get("summary")), args.get("summary_offset"))
        elif event.get("source") != "agent":
            self._say("user", args, event, where)
        else:
            self._act(action, args, event, where)

    def _say(self, source: Any, args: Mapping[str, Any], event: Mapping[str, Any], where: str) -> None:
        """What the system or a user says; a user's own command is told as it is."""
        _refuse_images(where, args.get("image_urls"))
        content = args.get("content")
        if content is None and not args:
            content = turns.string_of(event.get("message"))
        if content is None and source == "user":
            left = {key: value for key, value in args.items() if key not in SETTINGS and value not in (None, "", [])}
            content = left.get("command", fields.verbatim(left)) if left else None
        if text := turns.text_of(content, f"{where}.args.content"):
            self.talk.put([Step(source, text)], event.get("id"))

    def _act(self, action: str, args: Mapping[str, Any], event: Mapping[str, Any], where: str) -> None:
        _refuse_images(where, args.get("image_urls"))
        call = turns.object_of(event.get("tool_call_metadata"))
        response = turns.object_of(call.get("model_response"))
        answer = turns.string_of(response.get("id"))
        turn = self.talk.answers.get(answer) if answer else None
        if turn is None or not turn.trained:
            said = self._answer(response, where) or _thought(args, action)
            if not said and not call and action in SPEECH:
                said = _message(action, args)
                if not said:
                    return
            turn = self.talk.put(said or [Step("agent")], event.get("id"), answer)
        if written := thought_by_call(event):
            turn.think(*written)
            self.talk.thoughts.add(written[1])
        elif call:
            turn.add_call(_call(call, action, args))
        elif action not in SPEECH:
            turn.add_call(_own_call(action, args))
        elif action != "think":
            turn.steps += [step for step in _message(action, args) if step not in turn.steps]
        self.talk.note(turn, event.get("id"))
        if action == "delegate":
            self._above.append((self.talk, turn))
            self.talk = Conversation(kind="sub_agent")
            if args.get("inputs") not in (None, "", {}, []):
                self.talk.put([Step("user", fields.verbatim(args["inputs"]))], None)

    def _answer(self, response: Mapping[str, Any], where: str) -> list[Step]:
        """The steps of the model's answer, all its calls included."""
        choice = next(iter(turns.objects_of(response.get("choices"))), {})
        message = choice.get("message")
        if not isinstance(message, Mapping):
            return []
        place = f"{where}.tool_call_metadata.model_response"
        reason = turns.string_of(choice.get("finish_reason"))
        if isinstance(response.get("model"), str):
            self._counts.setdefault("model", response["model"])
        return turns.agent_steps(message, place, self._counts, finish_reason=reason)

    def _result(self, event: Mapping[str, Any], where: str) -> None:
        kind = event["observation"]
        call = turns.object_of(event.get("tool_call_metadata"))
        if kind == "delegate" and self._above:
            self._leave()
        number, name = turns.string_of(call.get("tool_call_id")), turns.string_of(call.get("function_name"))
        turn = self.talk.turn_of(number, event.get("cause"))
        number = None if number in self.talk.thoughts else number  # a call that became reasoning has no id to meet
        if kind == "recall":
            self._recall(turns.object_of(event.get("extras")), event, where)
            return
        text = _shown(event, where)
        if turn is not None and turn.steps[-1].source == "agent":
            turn.add_result(Observation(text, number, name))
            self.talk.note(turn, event.get("id"))
        elif kind not in SILENT_RESULTS and text:
            self.talk.put([Step("tool", text, tool_call_id=number, name=name)], event.get("id"))

    def _recall(self, extras: Mapping[str, Any], event: Mapping[str, Any], where: str) -> None:
        """Knowledge that the harness adds to the prompt, each piece once, as it does."""
        texts = [turns.text_of(extras.get(name), f"{where}.extras.{name}") for name in RECALLED]
        pieces = turns.objects_of(extras.get("microagent_knowledge"))
        texts += [turns.text_of(piece.get("content"), f"{where}.extras.microagent_knowledge") for piece in pieces]
        told = [step.message for turn in self.talk.turns for step in turn.steps if step.source == "user"]
        new = [text for text in dict.fromkeys(texts) if text.strip() and not any(text in (old or "") for old in told)]
        if new:
            self.talk.put([Step("user", text) for text in new], event.get("id"))

    def _leave(self) -> None:
        """Go back to the agent that started this one."""
        if self.talk.turns:
            self._ended.append(self.talk)
        self.talk, _ = self._above.pop()


def _thought(args: Mapping[str, Any], action: str) -> list[Step]:
    """What stands before an action whose answer is not recorded; a thought that is an action is reasoning."""
    text = turns.string_of(args.get("thought"))
    if text is None:
        return []
    return [Step("agent", None, text) if action == "think" else Step("agent", text)]


def thought_by_call(event: Mapping[str, Any]) -> tuple[str, str] | None:
    """The thought of an event that is the call of a tool, and the id of the call."""
    thought = turns.string_of(turns.object_of(event.get("args")).get("thought"))
    number = turns.string_of(turns.object_of(event.get("tool_call_metadata")).get("tool_call_id"))
    return (thought, number) if event.get("action") == "think" and thought and number else None


def _message(action: str, args: Mapping[str, Any]) -> list[Step]:
    """What the agent says to the user with a message or at its end."""
    if action == "message":
        text = args.get("content")
        return [Step("agent", fields.verbatim(text))] if text else []
    said = [turns.string_of(args.get(name)) for name in ("final_thought", "reason")]
    outputs = args.get("outputs")
    said.append(None if outputs in (None, "", {}, []) else fields.verbatim(outputs))
    return [Step("agent", text, answer=True) for text in said if text]


def _call(given: Mapping[str, Any], action: str, args: Mapping[str, Any]) -> ToolCall:
    """The call of an event; the answer of the model, where it is recorded, has it with its raw arguments."""
    name = turns.string_of(given.get("function_name")) or action
    return replace(_own_call(name, args, named=True), tool_call_id=turns.string_of(given.get("tool_call_id")))


def _own_call(action: str, args: Mapping[str, Any], *, named: bool = False) -> ToolCall:
    key, language = CODE.get(action, ("", None))
    if not named and isinstance(args.get(key), str):
        return ToolCall("", args[key], language=language)
    kept = SETTINGS if action != "think" else SETTINGS - {"thought"}
    given = {name: value for name, value in args.items() if name not in kept and value is not None}
    return ToolCall(action, fields.verbatim(given))


def _forgotten(args: Mapping[str, Any]) -> list[Any]:
    listed = args.get("forgotten_event_ids")
    if isinstance(listed, list):
        return [item for item in listed if isinstance(item, str | int)]
    start, end = args.get("forgotten_events_start_id"), args.get("forgotten_events_end_id")
    if isinstance(start, int) and isinstance(end, int) and 0 <= end - start < 1_000_000:
        return list(range(start, end + 1))
    return []


def _refuse_images(where: str, *images: Any) -> None:
    if any(images):
        raise RecordError(f"{where}: images cannot be trained as text; drop the record", "unsupported_modality")


def _shown(event: Mapping[str, Any], where: str) -> str:
    """What the model was shown of a result: its content as the shell framed it, or what stands in its notes only."""
    extras = turns.object_of(event.get("extras"))
    _refuse_images(where, extras.get("image_urls"))
    text = turns.text_of(event.get("content"), f"{where}.content")
    if event["observation"] == "delegate" and not text:
        outputs = extras.get("outputs")
        return "" if outputs in (None, "", {}, []) else fields.verbatim(outputs)
    text = framed(text, extras.get("metadata"))
    told = [turns.string_of(extras.get(name)) for name in (*ERRORS, *(() if text.strip() else PAGES))]
    beside = [one for one in told if one and one not in text]
    return fields.joined([part for part in (text, *beside) if part], "\n") if beside else text
