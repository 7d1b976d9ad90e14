"""Writes gold.jsonl: conversations x styles, sampled with a fixed seed.

The one command, from the root of the checkout: `python tests/data/gold/render.py` (another target as its argument).
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import styles_classic as classic
import styles_labels as labels
import styles_markup as markup
from gold_text import FOLDER, Conversation, GoldText, Style, read_conversations

SEED = 7
PER_STYLE = 9
CODE = ("shell", "python")
TOOLS = ("shell", "python", "tools", "search")
CHATS = (*TOOLS, "chat")
GAMES = ("search", "house")

STYLES: dict[str, tuple[Style, tuple[str, ...]]] = {
    "react_plain": (classic.react_plain, GAMES),
    "react_numbered": (classic.react_numbered, GAMES),
    "langchain_react": (classic.langchain_react, (*TOOLS, "house")),
    "hermes_chatml": (classic.hermes_chatml, CHATS),
    "llama3_ipython": (classic.llama3_ipython, CHATS),
    "openhands_fn": (classic.openhands_fn, TOOLS),
    "smolagents": (classic.smolagents, TOOLS),
    "sweagent_discussion": (classic.sweagent_discussion, CODE),
    "codeact_execute": (classic.codeact_execute, ("python", "search")),
    "mint_thought_execute": (classic.mint_thought_execute, ("python", "search")),
    "qwen_think_toolcall": (classic.qwen_think_toolcall, CHATS),
    "claude_terminal": (classic.claude_terminal, CHATS),
    "think_md": (classic.think_md, CHATS),
    "xml_tags": (classic.xml_tags, (*CHATS, "house")),
    **{style: (labels.language_labels(style), (*TOOLS, "house")) for style in labels.WORDS},
    "upper_labels": (labels.upper_labels, ("tools", "search", "house")),
    "bold_labels": (labels.bold_labels, CHATS),
    "markdown_headings": (labels.markdown_headings, CHATS),
    "role_labels": (labels.role_labels, CHATS),
    "mini_swe_agent": (labels.mini_swe_agent, CODE),
    "terminal_transcript": (labels.terminal_transcript, CODE),
    "household_prompt": (labels.household_prompt, GAMES),
    "invented_hunch": (labels.invented_hunch, (*CHATS, "house")),
    "harmony": (markup.harmony, CHATS),
    "mistral": (markup.mistral, CHATS),
    "search_r1": (markup.search_r1, ("search",)),
    "terminus_json": (markup.terminus_json, CODE),
    "bracket_tags": (markup.bracket_tags, CHATS),
    "plan_shell_tags": (markup.plan_shell_tags, CODE),
    "invented_tags": (markup.invented_tags, (*CHATS, "house")),
}
"""Style -> its function and the kinds of conversation that are written that way."""
LANGUAGES = {
    "chinese_labels": "zh",
    "spanish_labels": "es",
    "german_labels": "de",
    "french_labels": "fr",
    "japanese_labels": "ja",
}
"""Styles whose labels belong to a language: its conversations come first."""


def record(conversation: Conversation, style: str) -> dict[str, Any]:
    """The gold record of a conversation in a style."""
    text = GoldText()
    STYLES[style][0](text, list(conversation.turns))
    return {
        "id": f"{conversation.id}#{style}",
        "source": "own",
        "style": style,
        "rendering": "rendered",
        "lang": conversation.lang,
        "text": text.text,
        "spans": text.spans,
    }


def sample(conversations: list[Conversation]) -> list[tuple[Conversation, str]]:
    """For each style, the conversations that it has shown least so far, in an order that the seed decides."""
    rng = random.Random(SEED)
    used = dict.fromkeys((c.id for c in conversations), 0)
    pairs = []
    for style, (_, kinds) in STYLES.items():
        fitting = [c for c in conversations if c.kind in kinds]
        rng.shuffle(fitting)
        fitting.sort(key=lambda c: (c.lang != LANGUAGES.get(style, c.lang), used[c.id]))
        for conversation in fitting[:PER_STYLE]:
            used[conversation.id] += 1
            pairs.append((conversation, style))
    return pairs


def gold_lines() -> str:
    """The whole content of gold.jsonl."""
    records = [record(conversation, style) for conversation, style in sample(read_conversations())]
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in records)


def main() -> None:
    """Write gold.jsonl, or the file that the first argument names."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "gold.jsonl"
    target.write_text(gold_lines(), encoding="utf-8")


if __name__ == "__main__":
    main()
