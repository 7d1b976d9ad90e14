"""The template layout: a conversation rendered by a chat template, byte for byte as `apply_chat_template` does it.

Reasoning of past turns, which many templates delete, is kept by the first of these means that keeps it all; the row's
metadata says which:

    template   nothing was deleted
    switch     a variable of the template's own, such as preserve_thinking
    spliced    each turn that lost its reasoning is put in as the template writes it when it is the last one, which is
               how the student will be prompted to write it
    per_turn   several rows, each with the turns that the template renders whole there
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from deepcoder_hf.config import RenderingConfig
from deepcoder_hf.errors import RecordError
from deepcoder_hf.rendering.abilities import Abilities, abilities_of
from deepcoder_hf.rendering.attribution import Attribution
from deepcoder_hf.rendering.chat_template import ChatTemplate, TemplateRefused
from deepcoder_hf.rendering.messages import (
    ArgumentsError,
    Form,
    Numbered,
    Tool,
    expected_characters,
    messages_of,
    unmarked,
)
from deepcoder_hf.rendering.rendered import Rendered
from deepcoder_hf.rendering.traced import Traced, concat, runs_of
from deepcoder_hf.rendering.turns import REASONING
from deepcoder_hf.rendering.units import Conversation, characters_read

ASKED = "Q"
"""What the user says in a rendering of one turn alone."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """One rendering that is not yet looked at as a whole."""

    text: Traced
    items: list[Numbered]
    form: Form


class TemplateLayout:
    """Renders conversations with one chat template.

    Args:
        template: The template.
        name: What the metadata calls it: `tokenizer`, `chatml` or a file name, and its digest.
        config: The rendering settings.
        controls: Control tokens of the tokenizer, longest first.
        eos: Its end-of-sequence token.
    """

    def __init__(
        self, template: ChatTemplate, name: str, config: RenderingConfig, controls: Sequence[str], eos: str | None
    ) -> None:
        self._template, self._name, self._config = template, name, config
        self._controls, self._eos = tuple(controls), eos
        self._abilities = lru_cache(maxsize=8)(self._probe)

    def render(self, conversation: Conversation, tools: tuple[str, ...]) -> list[Rendered]:
        """Render a conversation: one row, or several where the policy is per_turn.

        Raises:
            TemplateRefused: The template does not take the conversation.
            RecordError: The rendering differs from `apply_chat_template` (`template_mismatch`).
        """
        switches = dict(self._config.switches)
        if self._config.reasoning == "per_turn":
            return self._per_turn(conversation, tools, switches)
        draft = self._draft(conversation, tools, switches)
        rendered, lost = self._attribute(conversation, draft)
        if not lost or self._config.reasoning == "template":
            return [self._finished(rendered, draft, "template")]
        abilities = self._abilities(_key(switches))
        for switch, value in abilities.keep_switches.items():
            again = self._draft(conversation, tools, {**switches, switch: value})
            kept, still_lost = self._attribute(conversation, again)
            if not still_lost:
                return [self._finished(kept, again, f"switch:{switch}")]
        spliced = self._splice(conversation, draft, sorted(lost), switches)
        if spliced is not None:
            kept, still_lost = self._attribute(conversation, spliced)
            if not still_lost:
                return [self._finished(kept, spliced, "spliced")]
        return self._per_turn(conversation, tools, switches)

    def _probe(self, key: tuple[tuple[str, Any], ...]) -> Abilities:
        return abilities_of(self._template, dict(key), self._controls, self._eos)

    def _draft(self, conversation: Conversation, tools: tuple[str, ...], switches: Mapping[str, Any]) -> _Draft:
        """Render in the first form that the template takes."""
        first: TemplateRefused | None = None
        form = self._abilities(_key(self._config.switches)).form
        for candidate in (form, replace(form, short_ids=True), replace(form, adjacent_users=False)):
            try:
                return self._in_form(conversation, tools, switches, candidate)
            except TemplateRefused as refused:
                first = first or refused
        assert first is not None
        raise first

    def _in_form(
        self, conversation: Conversation, tools: tuple[str, ...], switches: Mapping[str, Any], form: Form
    ) -> _Draft:
        try:
            items, definitions = messages_of(conversation, form, tools)
        except ArgumentsError:  # arguments that are no object go into the text, verbatim
            form = replace(form, tools=False)
            items, definitions = messages_of(conversation, form, tools)
        return _Draft(self._rendered(items, definitions, switches), items, form)

    def _rendered(self, items: Sequence[Numbered], tools: list[Tool], switches: Mapping[str, Any]) -> Traced:
        """Render, and make sure that `apply_chat_template` gives the same text."""
        messages = [item.message for item in items]
        text = self._template.render(messages, [tool.traced for tool in tools] or None, **switches)
        bare = [unmarked(message) for message in messages]
        expected = self._template.plain(bare, [tool.plain for tool in tools] or None, **switches)
        if str.__ne__(text, expected):
            raise RecordError(
                f"the traced rendering of {self._name} differs from apply_chat_template ({len(text)} and "
                f"{len(expected)} characters); please report the template",
                "template_mismatch",
            )
        return text

    def _attribute(
        self,
        conversation: Conversation,
        draft: _Draft,
        trained: Collection[int] | None = None,
        counted: Collection[int] | None = None,
    ) -> tuple[Rendered, set[int]]:
        """The rendering with its spans, and the turns whose reasoning is not whole in it.

        Args:
            conversation: What was rendered.
            draft: The rendering.
            trained: Turns that may be trained; None for all.
            counted: Turns that the ledger of this rendering counts; None for all.
        """
        runs: Any = runs_of(draft.text)
        frame = self._abilities(_key(self._config.switches)).frame
        attribution = Attribution("".join([draft.text]), runs, conversation, frame, trained, counted)
        rendered = attribution.run()
        rendered.read = characters_read(conversation, counted)
        present = {number for item in draft.items for number in item.turns}
        lost: set[int] = set()
        missing: dict[int, int] = {}
        for number, expected in expected_characters(conversation, draft.form).items():
            unit = conversation.units[number]
            absent = expected - attribution.marked.get(number, 0)
            if absent > 0 and unit.turn in present:
                if counted is None or unit.turn in counted:
                    missing[unit.kind] = missing.get(unit.kind, 0) + absent
                if unit.kind == REASONING:
                    lost.add(unit.turn)
        for kind, count in missing.items():
            rendered.counts[f"missing:{kind}"] = count
        return rendered, lost

    def _finished(self, rendered: Rendered, draft: _Draft, reasoning: str) -> Rendered:
        rendered.facts = {"template": self._name, "reasoning": reasoning}
        if self._config.switches:
            rendered.facts["switches"] = dict(self._config.switches)
        if not draft.form.tools and any("tool_response" in str(item.message.get("content")) for item in draft.items):
            rendered.facts["calls"] = "in_text"
        return rendered

    def _splice(
        self, conversation: Conversation, draft: _Draft, turns: list[int], switches: Mapping[str, Any]
    ) -> _Draft | None:
        """The draft with the turns that lost their reasoning as the template writes them when they are the last."""
        of_turn = {number: item for item in draft.items for number in item.turns}
        whole = self._stretches(conversation, draft.text)
        parts: list[str] = []
        at = 0
        for turn in turns:
            alone = self._rendered([Numbered({"role": "user", "content": ASKED}, ()), of_turn[turn]], [], switches)
            mine, theirs = whole.get(turn), self._stretches(conversation, alone).get(turn)
            if mine is None or theirs is None or mine[0] < at:
                return None
            parts += [draft.text[at : mine[0]], alone[theirs[0] : theirs[1]]]
            at = mine[1]
        made = concat([*parts, draft.text[at:]])
        return _Draft(Traced("".join([made]), runs_of(made)), draft.items, draft.form)

    def _stretches(self, conversation: Conversation, text: Traced) -> dict[int, tuple[int, int]]:
        """Where each agent's turn stands between its header and its stop token, by the number of the turn."""
        runs: Any = runs_of(text)
        frame = self._abilities(_key(self._config.switches)).frame
        spans = Attribution(text, runs, conversation, frame).run().spans
        turn_at = {start: conversation.units[mark >> 1].turn for start, _, mark in runs if mark >= 0}
        found: dict[int, tuple[int, int]] = {}
        begin: int | None = None
        last = 0
        current: int | None = None
        starts = sorted(turn_at)
        position = 0
        for start, end, _, subtype, *_ in spans:
            if subtype == "header":
                begin, current = end, None
            while position < len(starts) and starts[position] < end:
                current = turn_at[starts[position]]
                position += 1
            if subtype in ("stop", "untrained") and begin is not None and current is not None and subtype == "stop":
                found.setdefault(current, (begin, start))
                begin = None
            last = end
        if begin is not None and current is not None:
            found.setdefault(current, (begin, last))
        return found

    def _per_turn(
        self, conversation: Conversation, tools: tuple[str, ...], switches: Mapping[str, Any]
    ) -> list[Rendered]:
        """Rows in which every agent's turn stands once as it was prompted: whole, and trained only there."""
        agents = [n for n, typed in enumerate(conversation.turns) if typed.turn.role == "assistant"]
        waiting = [n for n in agents if conversation.turns[n].turn.trained]
        ends = [n for n in waiting if n + 1 == len(conversation.turns) or conversation.turns[n + 1].turn.role == "user"]
        ends = sorted({*ends, *waiting[-1:]}) or agents[-1:]
        rows: list[tuple[int, Rendered]] = []
        done: set[int] = set()
        told: set[int] = set()
        while ends:
            end = ends.pop(0)
            draft = self._draft(_prefix(conversation, end), tools, switches)
            _, lost = self._attribute(conversation, draft)
            whole = {n for n in waiting if n <= end and n not in lost and n not in done}
            if end in waiting and end in lost:
                whole.add(end)  # its loss is counted; there is no rendering that keeps it
            done |= whole
            seen = {n for n in range(end + 1) if n not in agents} - told
            told |= seen
            rendered, _ = self._attribute(conversation, draft, whole, whole | seen)
            rows.append((end, self._finished(rendered, draft, "per_turn")))
            skipped = [n for n in waiting if n < end and n not in done]
            ends = sorted({*ends, *skipped})
        return [rendered for _, rendered in sorted(rows, key=lambda row: row[0])]


def _key(switches: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(switches.items()))


def _prefix(conversation: Conversation, end: int) -> Conversation:
    """The conversation up to a turn; its units keep their numbers."""
    return Conversation(conversation.turns[: end + 1], conversation.units)
