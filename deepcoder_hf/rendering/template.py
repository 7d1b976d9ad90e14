"""The template layout: a conversation rendered by a chat template, byte for byte as `apply_chat_template` does it.

Reasoning of past turns, which many templates delete, is kept by the first of these means that keeps it all; the row's
metadata says which:

    template   nothing was deleted
    switch     a variable of the template's own, such as preserve_thinking
    spliced    each turn that lost its reasoning is put in as the template writes it when it is the last one, which is
               how the student will be prompted to write it
    in_text    reasoning stands in the content, in think tags; spliced_in_text where that needs both
    per_turn   several rows, each with the turns that the template renders whole there

Where none of them keeps all of it, it is `template`, and the ledger counts what is lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from deepcoder_hf.config import RenderingConfig
from deepcoder_hf.errors import RecordError
from deepcoder_hf.rendering.abilities import Abilities, abilities_of
from deepcoder_hf.rendering.attribution import Attribution
from deepcoder_hf.rendering.chat_template import ChatTemplate, TemplateRefused
from deepcoder_hf.rendering.messages import ArgumentsError, Form, Numbered, Tool, expected_characters, messages_of
from deepcoder_hf.rendering.rendered import Rendered
from deepcoder_hf.rendering.traced import Traced, concat, runs_of
from deepcoder_hf.rendering.turns import ACTION, OBSERVATION, REASONING
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
        draft, rendered, lost = self._best(conversation, tools, switches)
        if not lost or self._config.reasoning == "template":
            return [self._finished(rendered, draft, "template")]
        for name, kept in self._keeping(conversation, tools, switches, draft, lost):
            complete, still_lost = self._attribute(conversation, kept)
            if not still_lost:
                return [self._finished(complete, kept, name)]
        if all(self._is_whole_alone(conversation, draft, turn, switches) for turn in lost):
            return self._per_turn(conversation, tools, switches)
        return [self._finished(rendered, draft, "template")]  # no rendering keeps it: the loss is counted

    def _best(
        self, conversation: Conversation, tools: tuple[str, ...], switches: Mapping[str, Any]
    ) -> tuple[_Draft, Rendered, set[int]]:
        """The rendering as the template likes it; with calls and results in the text where it leaves some of them out.

        Raises:
            TemplateRefused: It writes nothing of the conversation.
        """
        draft = self._draft(conversation, tools, switches)
        rendered, lost = self._attribute(conversation, draft)
        if draft.form.tools and any(rendered.counts.get(f"missing:{kind}") for kind in (ACTION, OBSERVATION)):
            with suppress(TemplateRefused):
                again = self._in_form(conversation, tools, switches, replace(draft.form, tools=False))
                complete, still_lost = self._attribute(conversation, again)
                if sum(_missing(complete)) < sum(_missing(rendered)):
                    draft, rendered, lost = again, complete, still_lost
        if not rendered.payload:
            raise TemplateRefused(f"the chat template {self._name} writes no text of the conversation; use another one")
        return draft, rendered, lost

    def _keeping(
        self,
        conversation: Conversation,
        tools: tuple[str, ...],
        switches: Mapping[str, Any],
        draft: _Draft,
        lost: Collection[int],
    ) -> Iterator[tuple[str, _Draft]]:
        """Renderings of the whole conversation that may keep all reasoning, and what they are called."""
        for switch, value in self._abilities(_key(switches)).keep_switches.items():
            with suppress(TemplateRefused):
                yield f"switch:{switch}", self._draft(conversation, tools, {**switches, switch: value})
        if (spliced := self._splice(conversation, draft, sorted(lost), switches)) is not None:
            yield "spliced", spliced
        if draft.form.reasoning is None:
            return
        with suppress(TemplateRefused):
            in_text = self._in_form(conversation, tools, switches, replace(draft.form, reasoning=None))
            yield "in_text", in_text
            _, left = self._attribute(conversation, in_text)
            if left and (spliced := self._splice(conversation, in_text, sorted(left), switches)) is not None:
                yield "spliced_in_text", spliced

    def _is_whole_alone(
        self, conversation: Conversation, draft: _Draft, turn: int, switches: Mapping[str, Any]
    ) -> bool:
        """Whether the template renders all reasoning of a turn when it is the last one."""
        alone = self._alone(draft, turn, switches)
        return alone is not None and turn not in self._attribute(conversation, alone, None, {turn})[1]

    def _alone(self, draft: _Draft, turn: int, switches: Mapping[str, Any]) -> _Draft | None:
        """One turn behind a user's message; None where the template does not take that."""
        item = next(item for item in draft.items if turn in item.turns)
        items = [Numbered({"role": "user", "content": ASKED}, ()), item]
        try:
            return _Draft(self._rendered(items, [], switches), items, draft.form)
        except TemplateRefused:
            return None

    def _probe(self, key: tuple[tuple[str, Any], ...]) -> Abilities:
        return abilities_of(self._template, dict(key), self._controls, self._eos)

    def _draft(self, conversation: Conversation, tools: tuple[str, ...], switches: Mapping[str, Any]) -> _Draft:
        """Render in the first form that the template takes."""
        first: TemplateRefused | None = None
        form = self._abilities(_key(self._config.switches)).form
        changes = (("short_ids", True), ("adjacent_users", False), ("preamble", False), ("tools", False))
        others = (replace(form, **{name: value}) for name, value in changes)  # type: ignore[arg-type]
        for candidate in (form, *others):
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
        expected = self._template.plain(messages, [tool.plain for tool in tools] or None, **switches)
        if str.__ne__(text, expected):
            raise RecordError(
                f"the traced rendering of {self._name} differs from apply_chat_template ({len(text)} and "
                f"{len(expected)} characters); please report the template",
                "template_mismatch",
            )
        return text

    def _look(
        self,
        conversation: Conversation,
        draft: _Draft,
        trained: Collection[int] | None = None,
        counted: Collection[int] | None = None,
    ) -> Attribution:
        runs: Any = runs_of(draft.text)
        frame = self._abilities(_key(self._config.switches)).frame
        return Attribution("".join([draft.text]), runs, conversation, frame, trained, counted)

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
        attribution = self._look(conversation, draft, trained, counted)
        rendered = attribution.rendered
        rendered.read = characters_read(conversation, counted)
        looked_at = counted if counted is not None else {number for item in draft.items for number in item.turns}
        lost: set[int] = set()
        missing: dict[int, int] = {}
        for number, expected in expected_characters(conversation, draft.form).items():
            unit = conversation.units[number]
            absent = expected - attribution.marked.get(number, 0)
            if absent > 0 and unit.turn in looked_at:
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
        whole = self._look(conversation, draft).stretches
        parts: list[str] = []
        at = 0
        for turn in turns:
            if (alone := self._alone(draft, turn, switches)) is None:
                return None
            mine, theirs = whole.get(turn), self._look(conversation, alone).stretches.get(turn)
            if mine is None or theirs is None or mine[0] < at:
                return None
            parts += [draft.text[at : mine[0]], alone.text[theirs[0] : theirs[1]]]
            at = mine[1]
        made = concat([*parts, draft.text[at:]])
        return _Draft(Traced("".join([made]), runs_of(made)), draft.items, draft.form)

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
            last = len(conversation.turns) if not ends else end + 1
            seen = {n for n in range(last) if n not in waiting} - told
            told |= seen
            rendered, _ = self._attribute(conversation, draft, whole, whole | seen)
            rows.append((end, self._finished(rendered, draft, "per_turn")))
            skipped = [n for n in waiting if n < end and n not in done]
            ends = sorted({*ends, *skipped})
        return [rendered for _, rendered in sorted(rows, key=lambda row: row[0])]


def _missing(rendered: Rendered) -> Iterator[int]:
    """Characters that a rendering left out, by type."""
    return (count for name, count in rendered.counts.items() if name.startswith("missing:"))


def _key(switches: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(switches.items()))


def _prefix(conversation: Conversation, end: int) -> Conversation:
    """The conversation up to a turn; its units keep their numbers."""
    return Conversation(conversation.turns[: end + 1], conversation.units)
