"""The conventions that published agent data uses most, in the forms that agents and chat templates give them."""

from __future__ import annotations

import json

from gold_text import (
    GoldText,
    Turn,
    arguments_json,
    as_brackets,
    as_call,
    as_chat,
    as_code,
    as_json,
    by_marks,
    plain,
    rounds,
    without_loose_reasoning,
)


def react_plain(text: GoldText, turns: list[Turn]) -> None:
    """`Thought:`, `Action: search[x]`, `Observation:`, and `finish[...]` at the end."""
    for turn in turns:
        if turn.kind == "user":
            text.add(turn, "", "\n")
        elif turn.kind == "answer":
            text.add(Turn("action"), "Action: ", "\n", f"finish[{turn.text}]", subtype="final_answer")
        elif turn.kind == "action":
            text.add(turn, "Action: ", "\n", as_brackets(turn))
        elif turn.kind != "system":
            text.add(turn, "Observation: " if turn.kind == "observation" else "Thought: ", "\n")


def react_numbered(text: GoldText, turns: list[Turn]) -> None:
    """`Thought 1:`, `Action 1:`, `Observation 1:`, with names of actions in capitals."""
    n = 1
    for turn in turns:
        if turn.kind == "user":
            text.add(turn, "", "\n")
        elif turn.kind == "answer":
            text.add(Turn("action"), f"Action {n}: ", "\n", f"Finish[{turn.text}]", subtype="final_answer")
        elif turn.kind == "action":
            text.add(turn, f"Action {n}: ", "\n", as_brackets(turn)[:1].upper() + as_brackets(turn)[1:])
        elif turn.kind == "observation":
            text.add(turn, f"Observation {n}: ", "\n")
            n += 1
        elif turn.kind != "system":
            text.add(turn, f"Thought {n}: ", "\n")


def langchain_react(text: GoldText, turns: list[Turn]) -> None:
    """`Question:`, `Thought:`, `Action:` with `Action Input:`, `Observation:`, `Final Answer:`."""
    marks = {
        "user": ("Question: ", "\n"),
        "reasoning": ("Thought: ", "\n"),
        "action": ("Action: ", "\n"),
        "observation": ("Observation: ", "\n"),
        "answer": ("Final Answer: ", "\n"),
    }
    by_marks(text, as_chat(turns), marks, lambda turn: f"{turn.name}\nAction Input: {arguments_json(turn)}")


def chatml(text: GoldText, turns: list[Turn], preamble_as_think: bool = False) -> None:
    """ChatML turns with `<think>`, `<tool_call>` and a `<tool_response>` in a user turn."""
    for spoken in rounds(turns):
        head = spoken[0]
        if head.kind in ("system", "user"):
            text.add(head, f"<|im_start|>{head.kind}\n", "<|im_end|>\n")
        elif head.kind == "observation":
            text.raw("<|im_start|>user")
            text.add(head, "\n<tool_response>\n", "\n</tool_response>")
            text.raw("<|im_end|>\n")
        else:
            text.raw("<|im_start|>assistant")
            for turn in spoken:
                if turn.kind == "action":
                    text.add(turn, "\n<tool_call>\n", "\n</tool_call>", as_json(turn))
                elif turn.kind == "reasoning" or (preamble_as_think and turn.kind == "preamble"):
                    text.add(turn, "\n<think>\n", "\n</think>", subtype="think")
                elif turn.kind == "answer" and preamble_as_think:
                    text.add(turn, "\n<answer>\n", "\n</answer>", subtype="answer")
                else:
                    text.add(turn, "\n")
            text.raw("<|im_end|>\n")


def hermes_chatml(text: GoldText, turns: list[Turn]) -> None:
    """ChatML with tool calls; visible text before a call stays visible."""
    chatml(text, as_chat(turns))


def qwen_think_toolcall(text: GoldText, turns: list[Turn]) -> None:
    """ChatML where all reasoning is inside `<think>` and the answer inside `<answer>`."""
    chatml(text, as_chat(turns), preamble_as_think=True)


def llama3_ipython(text: GoldText, turns: list[Turn]) -> None:
    """Llama 3 headers; a call is bare JSON with `parameters`, its result a turn of `ipython`."""

    def header(role: str) -> str:
        return f"<|start_header_id|>{role}<|end_header_id|>\n\n"

    for spoken in rounds(without_loose_reasoning(as_chat(turns))):
        head = spoken[0]
        if head.kind in ("system", "user", "observation"):
            text.add(head, header("ipython" if head.kind == "observation" else head.kind), "<|eot_id|>")
            continue
        text.raw(header("assistant"))
        for place, turn in enumerate(spoken):
            before = "\n\n" if place else ""
            if turn.kind == "action":
                text.add(turn, before, "", as_json(turn, "parameters"))
            elif turn.kind == "answer":
                text.add(turn, before)
            else:
                text.add(turn, before, subtype="preamble")
        text.raw("<|eot_id|>")


def openhands_fn(text: GoldText, turns: list[Turn]) -> None:
    """`<function=...>` with `<parameter=...>`, and `EXECUTION RESULT of [...]` as the result."""

    def function_xml(turn: Turn) -> str:
        lines = [f"<parameter={key}>{plain(value)}</parameter>" for key, value in turn.args.items()]
        return "\n".join([f"<function={turn.name}>", *lines, "</function>"])

    for turn in without_loose_reasoning(as_chat(turns)):
        if turn.kind == "action":
            text.add(turn, "", "\n", function_xml(turn), subtype="function_xml")
        elif turn.kind == "observation":
            text.add(turn, f"EXECUTION RESULT of [{turn.name}]:\n", "\n\n")
        elif turn.kind != "system":
            text.add(turn, "", "\n\n", subtype="preamble" if turn.kind == "reasoning" else None)


def smolagents(text: GoldText, turns: list[Turn]) -> None:
    """`Thought:` and a `Code:` fence that ends with `<end_code>`; the answer is a call of final_answer."""
    for turn in as_chat(turns):
        if turn.kind == "user":
            text.add(turn, "New task:\n", "\n\n")
        elif turn.kind == "action":
            text.add(turn, "Code:\n```py\n", "\n```<end_code>\n", as_code(turn)[1], subtype="code")
        elif turn.kind == "observation":
            text.add(turn, "Observation:\nExecution logs:\n", "\n\n")
        elif turn.kind == "answer":
            answer = f"final_answer({turn.text!r})"
            text.add(Turn("action"), "Code:\n```py\n", "\n```<end_code>\n", answer, subtype="final_answer")
        elif turn.kind != "system":
            text.add(turn, "Thought: ", "\n", subtype="thought")


def sweagent_discussion(text: GoldText, turns: list[Turn]) -> None:
    """`DISCUSSION`, one fence with a command, and what the shell prints."""
    for turn in without_loose_reasoning(as_chat(turns)):
        if turn.kind == "action":
            text.add(turn, "```\n", "\n```\n\n", as_code(turn)[1], subtype="command")
        elif turn.kind in ("reasoning", "preamble"):
            text.add(turn, "DISCUSSION\n", "\n")
        elif turn.kind != "system":
            text.add(turn, "", "\n\n")


def codeact_execute(text: GoldText, turns: list[Turn]) -> None:
    """Plain text, then code inside `<execute>`; `Observation:`; the answer inside `<solution>`."""
    for turn in without_loose_reasoning(as_chat(turns)):
        if turn.kind == "user":
            text.add(turn, "Task:\n", "\n\n")
        elif turn.kind == "action":
            text.add(turn, "<execute>\n", "\n</execute>\n\n", as_code(turn)[1], subtype="code")
        elif turn.kind == "observation":
            text.add(turn, "Observation:\n", "\n\n")
        elif turn.kind == "answer":
            text.add(turn, "<solution> ", " </solution>\n\n", subtype="answer")
        elif turn.kind != "system":
            text.add(turn, "", "\n", subtype="preamble")


def mint_thought_execute(text: GoldText, turns: list[Turn]) -> None:
    """`Task:`, `Assistant:`, `<thought>`, `<execute>`, `Observation:`, `<solution>`."""
    marks = {
        "user": ("Task:\n", "\n\nAssistant:\n"),
        "reasoning": ("<thought>\n", "\n</thought>\n"),
        "action": ("<execute>\n", "\n</execute>\n\n"),
        "observation": ("Observation:\n", "\n\nAssistant:\n"),
        "answer": ("<solution>\n", "\n</solution>\n\n"),
    }
    by_marks(text, as_chat(turns), marks, lambda turn: as_code(turn)[1])


def claude_terminal(text: GoldText, turns: list[Turn]) -> None:
    """The screen of a coding agent in a terminal: a bullet for what it says and does, a hook for results."""

    def call(turn: Turn) -> str:
        values = ", ".join(f"{k}: {json.dumps(v, ensure_ascii=False)}" for k, v in turn.args.items())
        return f"{turn.name}({values})"

    marks = {
        "user": ("> ", "\n\n"),
        "reasoning": ("✻ Thinking…\n\n  ", "\n\n"),
        "preamble": ("⏺ ", "\n\n"),
        "action": ("⏺ ", "\n"),
        "observation": ("  ⎿  ", "\n\n"),
        "answer": ("⏺ ", "\n\n"),
    }
    by_marks(text, as_chat(turns), marks, call)


def think_md(text: GoldText, turns: list[Turn]) -> None:
    """`User:`, `<think>`, a fence with JSON or code as the call, `Observation:`, and the answer unmarked."""
    for turn in as_chat(turns):
        if turn.kind == "action":
            is_code = turn.name in ("bash", "python")
            language, source = as_code(turn) if is_code else ("json", as_json(turn))
            text.add(turn, f"```{language}\n", "\n```\n\n", source, subtype="code" if is_code else None)
        elif turn.kind in ("reasoning", "preamble"):
            text.add(turn, "<think>\n", "\n</think>\n\n", subtype="think")
        elif turn.kind != "system":
            before = {"user": "User: ", "observation": "Observation:\n"}.get(turn.kind, "")
            text.add(turn, before, "\n\n")


def call_or_code(turn: Turn) -> str:
    """The code of a code action, a call for any other."""
    return as_code(turn)[1] if turn.name in ("bash", "python") else as_call(turn)


def xml_tags(text: GoldText, turns: list[Turn]) -> None:
    """`<task>`, `<thinking>`, `<action>`, `<observation>`, `<answer>`."""
    names = {"user": "task", "reasoning": "thinking", "action": "action", "observation": "observation"}
    marks = {kind: (f"<{tag}>\n", f"\n</{tag}>\n") for kind, tag in (names | {"answer": "answer"}).items()}
    by_marks(text, as_chat(turns), marks, call_or_code)
