"""What of OpenHands events belongs to no turn: notes of the harness beside an action or a result, with the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from deepcoder_hf.readers import turns
from deepcoder_hf.readers.openhands_actions import SILENT_ACTIONS, SILENT_RESULTS, thought_by_call

Notes = list[tuple[Any, str]]
STRUCTURE = "structure, not text"
SETTING = "a setting of the harness"
PROMPTED = "a fact that the harness words anew for the prompt"
ANSWER = "again: the answer of the model, with each of its events"
BESIDE = "a note of the harness beside a result, which the model is not shown"
EVENT = {
    "message": "what the user interface shows, made of the other fields of the event",
    **dict.fromkeys(("source", "kind", "action", "observation"), STRUCTURE),
    "security_risk": "a judgement of the harness",
    "critic_result": "a judgement of the harness",
    "summary": "again: what the call is for, as the model wrote it beside the arguments",
    **dict.fromkeys(("action_id", "llm_response_id", "forgotten_event_ids", "activated_skills", "sender"), "an id"),
}
ARGS = {
    "recall_type": STRUCTURE,
    "query": "again: the message that the harness looked up knowledge for",
    **dict.fromkeys(("confirmation_state", "impl_source", "cwd", "security_risk", "kernel_init_code"), SETTING),
    **dict.fromkeys(("agent_class", "openhands_version"), SETTING),
}
EXTRAS = {
    **dict.fromkeys(("command", "code"), "again: the command or the code of the call"),
    **dict.fromkeys(("path", "impl_source", "recall_type", "error_id", "agent", "name"), STRUCTURE),
    **dict.fromkeys(("old_content", "new_content", "diff", "_diff_cache"), BESIDE),
    **dict.fromkeys(("repo_name", "repo_directory", "repo_branch", "runtime_hosts", "date", "working_dir"), PROMPTED),
    **dict.fromkeys(("url", "trigger_by_action", "last_browser_action", "focused_element_bid"), BESIDE),
    **dict.fromkeys(("open_pages_urls", "screenshot", "screenshot_path", "set_of_marks"), BESIDE),
    "custom_secrets_descriptions": PROMPTED,
}
KNOWLEDGE = {"name": "name of a piece of knowledge", "trigger": "the word that brought a piece of knowledge"}
OBSERVATION = {
    "kind": STRUCTURE,
    "command": "again: the command of the call",
    **dict.fromkeys(("path", "full_output_save_dir"), STRUCTURE),
    **dict.fromkeys(("old_content", "new_content", "diff"), BESIDE),
}
SHELL = dict.fromkeys(("hostname", "username", "working_dir", "py_interpreter_path", "pid"), "the state of the shell")
PAGE = ("dom_object", "axtree_object", "extra_element_properties")
OF_THE_HARNESS = {
    "ConversationStateUpdateEvent": "a state of the harness",
    "ConversationErrorEvent": "an error of the run",
    "PauseEvent": "a state of the harness",
}


def notes_of(events: list[Mapping[str, Any]]) -> Notes:
    """The parts of events that are in no turn."""
    found: Notes = [(event.get("tool_call_metadata"), ANSWER) for event in events]
    found += _thoughts(events)  # what is named later counts
    for event in events:
        found += _named(event, EVENT, strings=True)
        kind, action, seen = (turns.string_of(event.get(name)) or "" for name in ("kind", "action", "observation"))
        if kind in OF_THE_HARNESS:
            found.append((event, OF_THE_HARNESS[kind]))
        elif action in SILENT_ACTIONS:
            found += _silent(event)
        elif seen in SILENT_RESULTS:
            found += _silent(event) if event["observation"] != "recall" else _recalled(event)
        elif turns.object_of(event.get("tool_call")):
            found.append((event.get("action"), "the recorded call again, as the harness understood it"))
            found.append((turns.object_of(event["tool_call"]).get("origin"), STRUCTURE))
        found += _of_action(event) if isinstance(event.get("args"), Mapping) else []
        found += _of_result(event)
    return found


def _named(value: Any, table: Mapping[str, str], *, strings: bool = False) -> Notes:
    """The fields of an object that a table names."""
    fields = turns.object_of(value)
    return [(fields[k], why) for k, why in table.items() if k in fields and (not strings or _is_flat(fields[k]))]


def _is_flat(value: Any) -> bool:
    """Whether a value is a string or a list of strings, or an object that the harness made (`critic_result`)."""
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _silent(event: Mapping[str, Any]) -> Notes:
    if event.get("action") == "recall":
        return []
    return [(event, "an event of the harness itself, which the model neither wrote nor saw")]


def _recalled(event: Mapping[str, Any]) -> Notes:
    knowledge = turns.objects_of(turns.object_of(event.get("extras")).get("microagent_knowledge"))
    named = [note for item in knowledge for note in _named(item, KNOWLEDGE)]
    return [(event.get("content"), "what the user interface shows of knowledge that is read"), *named]


def _of_action(event: Mapping[str, Any]) -> Notes:
    args = event["args"]
    found = _named(args, ARGS)
    if _is_recorded(event):
        found.append((args.get("thought"), "again: what the model said before its call"))
        taken = {key: value for key, value in args.items() if key != "thought"}
        found.append((taken, "the recorded call again, as the harness understood it"))
    return found


def _of_result(event: Mapping[str, Any]) -> Notes:
    extras, seen = turns.object_of(event.get("extras")), turns.object_of(event.get("observation"))
    found = [*_named(extras, EXTRAS), *_named(seen, OBSERVATION)]
    for notes in (extras.get("metadata"), seen.get("metadata")):
        found += _named(notes, SHELL)
    if turns.string_of(event.get("content")):
        found += [(extras.get(name), "the page as the browser has it, which the content tells") for name in PAGE]
    return found


def _is_recorded(event: Mapping[str, Any]) -> bool:
    """Whether the call of an event stands, with its own id, in an answer of the model that is recorded with it."""
    given = turns.object_of(event.get("tool_call_metadata"))
    choices = turns.objects_of(turns.object_of(given.get("model_response")).get("choices"))
    message = turns.object_of(choices[0].get("message")) if choices else {}
    number = given.get("tool_call_id")
    return number is not None and any(call.get("id") == number for call in turns.objects_of(message.get("tool_calls")))


def _thoughts(events: Iterable[Mapping[str, Any]]) -> Notes:
    """The calls by which thoughts were written, and their ids, wherever the answers of the model stand."""
    listed = list(events)
    numbers = {written[1] for event in listed if (written := thought_by_call(event))}
    found: Notes = []
    for event in listed if numbers else ():
        given = turns.object_of(event.get("tool_call_metadata"))
        if turns.string_of(given.get("tool_call_id")) in numbers:
            found.append((given["tool_call_id"], "an id"))
        for choice in turns.objects_of(turns.object_of(given.get("model_response")).get("choices")):
            message = turns.object_of(choice.get("message"))
            calls = [c for c in turns.objects_of(message.get("tool_calls")) if turns.string_of(c.get("id")) in numbers]
            found += [(call, "the thought again, as the call of a tool") for call in calls]
            found += [(message.get("content"), "again: what was said before the thought")] if calls else []
    return found
