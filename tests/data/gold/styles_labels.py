"""Conventions that mark a turn at the start of a line: words of five languages, headings, roles, prompts, invented."""

from __future__ import annotations

from gold_text import (
    GoldText,
    Style,
    Turn,
    as_brackets,
    as_call,
    as_chat,
    as_code,
    as_json,
    as_shell,
    as_words,
    by_marks,
    rounds,
    without_loose_reasoning,
)

WORDS = {
    "chinese_labels": ("问题：", "思考：", "行动：", "观察：", "最终答案："),
    "spanish_labels": ("Pregunta: ", "Pensamiento: ", "Acción: ", "Observación: ", "Respuesta final: "),
    "german_labels": ("Aufgabe: ", "Überlegung: ", "Aktion: ", "Ergebnis: ", "Antwort: "),
    "french_labels": ("Question : ", "Réflexion : ", "Action : ", "Observation : ", "Réponse : "),
    "japanese_labels": ("質問：", "思考：", "行動：", "観察：", "回答："),
}
"""Style -> labels of user, reasoning, action, observation and answer."""
KINDS = ("user", "reasoning", "action", "observation", "answer")


def language_labels(style: str) -> Style:
    """A style that writes the labels of one language, with actions as calls."""

    def render(text: GoldText, turns: list[Turn]) -> None:
        marks = {kind: (label, "\n") for kind, label in zip(KINDS, WORDS[style], strict=True)}
        by_marks(text, as_chat(turns), marks, as_call)

    return render


def upper_labels(text: GoldText, turns: list[Turn]) -> None:
    """`TASK:`, `THOUGHT:`, `ACTION:`, `OBSERVATION:`, `ANSWER:`, each with its text on the next line."""
    marks = {
        "user": ("TASK:\n", "\n\n"),
        "reasoning": ("THOUGHT:\n", "\n\n"),
        "action": ("ACTION:\n", "\n\n"),
        "observation": ("OBSERVATION:\n", "\n\n"),
        "answer": ("ANSWER:\n", "\n\n"),
    }
    by_marks(text, as_chat(turns), marks, as_brackets)


def bold_labels(text: GoldText, turns: list[Turn]) -> None:
    """`**Thinking:**` and the like, as people write them in issues and chats."""
    words = ("User", "Thinking", "Action", "Result", "Assistant")
    marks = {kind: (f"**{word}:** ", "\n\n") for kind, word in zip(KINDS, words, strict=True)}
    by_marks(text, as_chat(turns), marks, as_call)


def markdown_headings(text: GoldText, turns: list[Turn]) -> None:
    """`## Reasoning`, `## Action` with a fence, `### Tool output` with a fence, `## Response`."""
    for turn in as_chat(turns):
        if turn.kind == "action":
            language, source = as_code(turn)
            text.add(turn, f"## Action\n\n```{language}\n", "\n```\n\n", source, subtype="code")
        elif turn.kind == "observation":
            text.add(turn, "### Tool output\n\n```\n", "\n```\n\n")
        else:
            heading = {"system": "# System", "user": "# User", "answer": "## Response"}.get(turn.kind, "## Reasoning")
            text.add(turn, f"{heading}\n\n", "\n\n")


def role_labels(text: GoldText, turns: list[Turn]) -> None:
    """`user:`, `assistant:`, `tool:`; a turn of the assistant is text and then calls, one a line."""
    for spoken in rounds(without_loose_reasoning(as_chat(turns))):
        head = spoken[0]
        if head.kind in ("system", "user", "observation"):
            text.add(head, "tool: " if head.kind == "observation" else f"{head.kind}: ", "\n")
            continue
        text.raw("assistant: ")
        for turn in spoken:
            shown = as_json(turn) if turn.kind == "action" else None
            text.add(turn, "", "\n", shown, subtype="preamble" if turn.kind == "reasoning" else None)


def mini_swe_agent(text: GoldText, turns: list[Turn]) -> None:
    """`THOUGHT:`, one bash fence, and the result between `<output>` tags after its `<returncode>`."""
    for turn in as_chat(turns):
        if turn.kind == "action":
            text.add(turn, "```bash\n", "\n```\n\n", as_shell(turn), subtype="command")
        elif turn.kind == "observation":
            code = 1 if "Error" in turn.text else 0
            text.add(turn, f"<returncode>{code}</returncode>\n<output>\n", "\n</output>\n\n")
        elif turn.kind in ("reasoning", "preamble"):
            text.add(turn, "THOUGHT: ", "\n\n", subtype="thought")
        else:
            text.add(turn, "", "\n\n")


def terminal_transcript(text: GoldText, turns: list[Turn]) -> None:
    """What a terminal shows: thoughts as comments, commands after `$`, and the output as it comes."""
    for turn in without_loose_reasoning(as_chat(turns)):
        if turn.kind == "action":
            text.add(turn, "$ ", "\n", as_shell(turn), subtype="command")
        elif turn.kind == "observation":
            text.add(turn, "", "\n" if turn.text else "")
        elif turn.kind in ("reasoning", "preamble"):
            comment = "\n".join(f"# {line}".rstrip() for line in turn.text.splitlines())
            text.add(turn, "# ", "\n", comment.removeprefix("# "), subtype="comment")
        else:
            text.add(turn, "\n" if turn.kind == "answer" else "", "\n\n")


def household_prompt(text: GoldText, turns: list[Turn]) -> None:
    """Games in text: `> think: ...` with `OK.`, `> take tomato 1 from countertop 1`, and the answer of the game."""
    for turn in turns:
        if turn.kind == "user":
            text.add(turn, "", "\n\n")
        elif turn.kind == "action":
            text.add(turn, "> ", "\n", as_words(turn))
        elif turn.kind == "observation":
            text.add(turn, "", "\n")
        elif turn.kind == "answer":
            text.add(Turn("action"), "> ", "\n", f"answer[{turn.text}]", subtype="final_answer")
        elif turn.kind != "system":
            text.add(turn, "> think: ", "\n", " ".join(turn.text.split()))
            text.add(Turn("observation", text="OK."), "", "\n")


def invented_hunch(text: GoldText, turns: list[Turn]) -> None:
    """Labels that nobody uses: `Errand |`, `Hunch |`, `Move |`, `Aftermath |`, `Word |`."""
    words = ("Errand", "Hunch", "Move", "Aftermath", "Word")
    marks = {kind: (f"{word} | ", "\n") for kind, word in zip(KINDS, words, strict=True)}
    by_marks(text, as_chat(turns), marks, as_call)
