"""Which grammar a tokenizer has: proven on, or derived from, what its chat template renders for probe messages."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deepcoder_hf.audit.events import first_token
from deepcoder_hf.audit.grammar import FAMILIES, Grammar, Role
from deepcoder_hf.audit.structure import TokenClass
from deepcoder_hf.audit.turns import TurnReader
from deepcoder_hf.audit.vocabulary import Vocabulary

_SYSTEM, _FIRST, _ANSWER, _SECOND, _LAST = "Zqsystem", "Zqfirst", "Zqanswer", "Zqsecond", "Zqlast"
_WANTED = (
    (_FIRST, TokenClass.USER),
    (_ANSWER, TokenClass.TEXT),
    (_SECOND, TokenClass.USER),
    (_LAST, TokenClass.TEXT),
)
PROVEN, DERIVED, ASSUMED, UNKNOWN = (
    "built-in table, proven on the chat template",
    "derived from the chat template",
    "built-in table",
    "the tokenizer has no control tokens that are known",
)


@dataclass(frozen=True, slots=True)
class _Probe:
    """Renderings of probe messages: of a whole conversation, of one question, and of that with the prompt to answer."""

    whole: str
    asked: str
    prompted: str


def grammar_of(vocabulary: Vocabulary) -> Grammar:
    """How turns look for this tokenizer; `source` says where that came from."""
    families = [family for family in FAMILIES if all(token in vocabulary.added for token in family.needs)]
    probe = _probe(vocabulary)
    if probe is not None:
        for family in families:
            if _fits(family, probe, vocabulary):
                return replace(family, source=PROVEN)
        derived = _derived(probe, vocabulary)
        if derived is not None and _fits(derived, probe, vocabulary):
            return derived
    return families[0] if families else Grammar("none", source=UNKNOWN)


def _messages(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in pairs]


def _probe(vocabulary: Vocabulary) -> _Probe | None:
    """Render the probe; None without a template, or with one that refuses a plain conversation."""
    if vocabulary.chat_template is None:
        return None
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    question = ("user", _FIRST)
    rest = (question, ("assistant", _ANSWER), ("user", _SECOND), ("assistant", _LAST))
    asked = _rendered(vocabulary, _messages(question), False)
    prompted = _rendered(vocabulary, _messages(question), True)
    whole = _rendered(vocabulary, _messages(("system", _SYSTEM), *rest), False)
    whole = whole or _rendered(vocabulary, _messages(*rest), False)  # some refuse system messages
    return _Probe(whole, asked, prompted) if whole and asked and prompted else None


def _rendered(vocabulary: Vocabulary, messages: list[dict[str, str]], prompt: bool) -> str | None:
    from transformers.utils.chat_template_utils import render_jinja_template

    tokens = {
        name: text
        for name, value in vocabulary.config.items()
        if name.endswith("_token") and (text := value.get("content") if isinstance(value, dict) else value)
    }
    tokens = {"bos_token": "", "eos_token": "", **tokens}
    tokens = {name: text for name, text in tokens.items() if isinstance(text, str)}
    try:
        rendered: Any = render_jinja_template(
            conversations=[messages],
            chat_template=vocabulary.chat_template,
            add_generation_prompt=prompt,
            **tokens,
        )
    except Exception:  # a template raises what it likes; then the table decides
        return None
    texts = rendered[0] if isinstance(rendered, tuple) else rendered
    return str(texts[0])


def _fits(grammar: Grammar, probe: _Probe, vocabulary: Vocabulary) -> bool:
    """Whether the grammar finds every probe message of the rendered conversation where it is."""
    encoding = vocabulary.backend.encode(probe.whole, add_special_tokens=False)
    ids = np.array(encoding.ids, np.int64)
    blob, starts = vocabulary.decode(ids)
    classes = TurnReader(grammar, vocabulary).read(ids, np.array([0, ids.size]), blob, starts).classes
    for text, wanted in _WANTED:
        at = blob.find(text.encode())
        if at < 0:
            return False
        first = int(np.searchsorted(starts, at, "right")) - 1
        last = int(np.searchsorted(starts, at + len(text), "left"))
        if (classes[first:last] != wanted).any():
            return False
    return True


def _derived(probe: _Probe, vocabulary: Vocabulary) -> Grammar | None:
    """A grammar from the texts between the probe messages; None where these do not come apart."""
    user_close = probe.asked.partition(_FIRST)[2]
    if not probe.prompted.startswith(probe.asked) and user_close:
        return None
    between = probe.whole.partition(_FIRST)[2].partition(_ANSWER)[0]
    assistant_open = between.removeprefix(user_close)
    answer_close = probe.whole.partition(_LAST)[2]
    user_open = probe.whole.partition(_ANSWER)[2].partition(_SECOND)[0]
    user_open = user_open.removeprefix(answer_close)
    system_open = probe.whole.partition(_SYSTEM)[0] if _SYSTEM in probe.whole else ""
    stop = first_token(answer_close.lstrip(), vocabulary)
    openers = [(user_open.lstrip(), Role.USER), (assistant_open.lstrip(), Role.ASSISTANT)]
    if not all(text.strip() for text, _ in openers) or openers[0][0] == openers[1][0]:
        return None
    if system_open.strip() and system_open != user_open:
        openers.append((_last_header(system_open, vocabulary), Role.SYSTEM))
    stops = (stop,) if stop in vocabulary.added else ()
    return Grammar("template", openers=tuple(openers), stops=stops, before=Role.SYSTEM, source=DERIVED)


def _last_header(text: str, vocabulary: Vocabulary) -> str:
    """What remains of the text before the first system message without a token that begins every text."""
    bos = next((token for token, number in vocabulary.added.items() if number == vocabulary.bos), "")
    return text.removeprefix(bos).lstrip() if bos else text.lstrip()
