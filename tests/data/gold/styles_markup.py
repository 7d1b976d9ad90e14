"""Conventions that enclose a turn in tags, control tokens or JSON: model families, search agents, invented tags."""

from __future__ import annotations

import json

from gold_text import (
    GoldText,
    Turn,
    arguments_json,
    as_call,
    as_chat,
    as_shell,
    by_marks,
    plain,
    rounds,
    without_loose_reasoning,
)


def harmony(text: GoldText, turns: list[Turn]) -> None:
    """Channels: analysis for reasoning, commentary for calls and preambles, final for the answer."""
    shown = as_chat(turns)
    for place, turn in enumerate(shown):
        if turn.kind in ("system", "user"):
            role = "developer" if turn.kind == "system" else "user"
            text.add(turn, f"<|start|>{role}<|message|>", "<|end|>")
        elif turn.kind == "action":
            header = f"<|start|>assistant<|channel|>commentary to=functions.{turn.name} <|constrain|>json<|message|>"
            text.add(turn, header, "<|call|>", arguments_json(turn))
        elif turn.kind == "observation":
            header = f"<|start|>functions.{turn.name} to=assistant<|channel|>commentary<|message|>"
            text.add(turn, header, "<|end|>")
        else:
            channel = {"answer": "final", "preamble": "commentary"}.get(turn.kind, "analysis")
            end = "<|return|>" if place == len(shown) - 1 else "<|end|>"
            text.add(turn, f"<|start|>assistant<|channel|>{channel}<|message|>", end)


def mistral(text: GoldText, turns: list[Turn]) -> None:
    """`[INST]`, `[THINK]`, `[TOOL_CALLS]name[ARGS]{...}`, `[TOOL_RESULTS]`."""
    around = {
        "system": ("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
        "user": ("[INST]", "[/INST]"),
        "observation": ("[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
    }
    text.raw("<s>")
    for spoken in rounds(as_chat(turns)):
        if spoken[0].kind in around:
            text.add(spoken[0], *around[spoken[0].kind])
            continue
        for turn in spoken:
            if turn.kind == "action":
                text.add(turn, "[TOOL_CALLS]", "", f"{turn.name}[ARGS]{arguments_json(turn)}")
            elif turn.kind == "reasoning":
                text.add(turn, "[THINK]", "[/THINK]", subtype="think")
            else:
                text.add(turn)
        text.raw("</s>")


def search_r1(text: GoldText, turns: list[Turn]) -> None:
    """`<think>`, `<search>`, `<information>`, `<answer>`, after a question without a mark."""
    for turn in as_chat(turns):
        if turn.kind == "user":
            text.add(turn, "Question: ", "\n")
        elif turn.kind == "action":
            query = ", ".join(plain(value) for value in turn.args.values())
            text.add(turn, "<search> ", " </search>\n\n", query, subtype="search")
        elif turn.kind == "observation":
            text.add(turn, "<information>", "</information>\n\n")
        elif turn.kind == "answer":
            text.add(turn, "<answer> ", " </answer>\n", subtype="answer")
        elif turn.kind != "system":
            text.add(turn, "<think> ", " </think>\n", subtype="think")


def terminus_json(text: GoldText, turns: list[Turn]) -> None:
    """A turn is one JSON object with analysis, plan and commands; payloads are the escaped values."""

    def escaped(words: str) -> str:
        return json.dumps(words, ensure_ascii=False)[1:-1]

    for spoken in rounds(without_loose_reasoning(as_chat(turns))):
        head = spoken[0]
        if head.kind in ("system", "user", "answer"):
            text.add(head, "", "\n\n")
            continue
        if head.kind == "observation":
            text.add(head, "New Terminal Output:\n\n", "\n\n")
            continue
        actions = [turn for turn in spoken if turn.kind == "action"]
        text.raw('{\n  "analysis": "')
        analysis, stop, plan = head.text.partition(". ") if head.kind != "action" else ("Next command.", "", "")
        parts = ((analysis + stop, "analysis"), (plan, "plan"))
        for place, (part, subtype) in enumerate(parts):
            text.add(Turn("reasoning"), "", "", escaped(part), subtype=subtype)
            text.raw('",\n  "plan": "' if place == 0 else '",\n  "commands": ')
        commands = [{"keystrokes": as_shell(turn) + "\n", "duration": 1.0} for turn in actions]
        text.add(actions[0], "", "", json.dumps(commands, ensure_ascii=False), subtype="commands")
        text.raw(',\n  "task_complete": false\n}\n\n')


def bracket_tags(text: GoldText, turns: list[Turn]) -> None:
    """`[REASONING]` ... `[/REASONING]` and the like."""
    names = {"user": "USER", "reasoning": "REASONING", "action": "CALL", "observation": "RESULT", "answer": "REPLY"}
    marks = {kind: (f"[{name}]\n", f"\n[/{name}]\n") for kind, name in names.items()}
    by_marks(text, as_chat(turns), marks, as_call)


def plan_shell_tags(text: GoldText, turns: list[Turn]) -> None:
    """`<request>`, `<plan>`, `<shell>`, `<terminal_output>`, `<summary>`."""
    names = ("request", "plan", "shell", "terminal_output", "summary")
    kinds = ("user", "reasoning", "action", "observation", "answer")
    marks = {kind: (f"<{name}>\n", f"\n</{name}>\n") for kind, name in zip(kinds, names, strict=True)}
    by_marks(text, as_chat(turns), marks, as_shell)


def invented_tags(text: GoldText, turns: list[Turn]) -> None:
    """Tags that nobody uses: `<wish>`, `<brood>`, `<pounce>`, `<splash>`, `<croak>`."""
    names = ("wish", "brood", "pounce", "splash", "croak")
    kinds = ("user", "reasoning", "action", "observation", "answer")
    marks = {kind: (f"<{name}>", f"</{name}>\n") for kind, name in zip(kinds, names, strict=True)}
    by_marks(text, as_chat(turns), marks, as_call)
