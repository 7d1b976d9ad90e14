"""Rendered text with marks -> typed spans: what a template writes around the source's words belongs to whom.

    <|im_start|>assistant\n     header: what the template emits for add_generation_prompt, weight 0
    <think>\n\n</think>\n\n     empty_think: put in by the template where there is no reasoning, weight 0
    <think>\nI look.\n</think>\n\n   reasoning, its tags with it
    <tool_call>\n{..}\n</tool_call>  action, its wrapper with it
    <|im_end|>                  stop: trained where anything of the turn is
    \n                          turn_end: nobody's
    <tool_response>..           observation, its wrapper with it

Each gap between two marked stretches is looked at once, so the cost is linear in the text and the marks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from deepcoder_hf.rendering.rendered import Range, Rendered, put_payload
from deepcoder_hf.rendering.turns import ACTION, ANSWER, OBSERVATION, OTHER, REASONING
from deepcoder_hf.rendering.units import Conversation, Unit
from deepcoder_hf.spans.resolve import SpanTuple, number_steps

Runs = Sequence[tuple[int, int, int]]
"""Start, end, mark: sorted, disjoint."""

CLOSERS = re.compile(
    r"(?:[\s\"'}\]),]{0,64}(?:</[^<>\n]{1,40}>|<\|(?:end|call|return|/[^|\n]{1,30})\|>|\[/[A-Z_]{1,30}\]"
    r"|<[|｜](?:[^<>|｜\n]{1,30}[▁_])?(?i:end)[^<>|｜\n]{0,30}[|｜]>))*\s{0,64}"
)
"""What ends what stands before it: `\\n</think>\\n\\n`, `\\n</tool_call>`, `<|end|>`, `<｜tool▁call▁end｜>`."""
EMPTY_THINK = re.compile(
    r"\s{0,8}(?:<(think|thinking|thought|seed:think)>\s{0,8}</\1>|</think>|\[THINK\]\[/THINK\]|◁think▷\s{0,8}◁/think▷"
    r"|<\|START_THINKING\|>\s{0,8}<\|END_THINKING\|>)\s{0,8}"
)
"""A think block in which nothing stands, or only its end, where the prompt holds its beginning."""
_SPACE = re.compile(r"\s*")
TRAINABLE = (REASONING, ACTION, ANSWER)


@dataclass(frozen=True, slots=True)
class Frame:
    """What a template writes around turns, found out by probing it (rendering/abilities.py)."""

    header: str = ""
    """What begins an agent's turn in any rendering; empty where the template writes nothing there."""
    prompts: tuple[str, ...] = ()
    """What it emits for add_generation_prompt, longer than `header` where it opens a think block."""
    stops: tuple[str, ...] = ()
    """Tokens that end an agent's turn."""
    tails: dict[str, str] = field(default_factory=dict)
    """What ends the turns of the other roles."""


class Attribution:
    """Makes the spans of one rendering.

    Args:
        text: The rendered text.
        runs: Its marked stretches.
        conversation: The units that the marks name.
        frame: What the template writes around turns.
        trained: Numbers of the turns that may be trained; None for all.
        counted: Numbers of the turns whose words are payload; None for all.
    """

    def __init__(
        self,
        text: str,
        runs: Runs,
        conversation: Conversation,
        frame: Frame,
        trained: Collection[int] | None = None,
        counted: Collection[int] | None = None,
    ) -> None:
        self._text, self._runs, self._frame = text, runs, frame
        self._trained, self._counted = trained, counted
        self._units, self._turns = conversation.units, conversation.turns
        self._begun: list[tuple[int, int, str, float, str, str]] = []
        self.marked: dict[int, int] = {}
        """Characters of each unit that stand in the text, markup not counted."""
        self.n_empty_think = 0
        self.payload: list[Range] = []
        self.foreign: list[tuple[int, int]] = []
        self.own: list[tuple[int, int]] = []
        self.stretches: dict[int, tuple[int, int]] = {}
        """Where each agent's turn stands between its header and its end, also one of which no character is left."""
        self._opened = 0
        self.rendered = self._run()
        """The rendering with its spans."""

    def _run(self) -> Rendered:
        before, at = None, 0
        for start, end, mark in self._runs:
            unit = mark >> 1
            if unit != before:
                self._gap(at, start, before, unit)
            self._note(start, end, mark, unit)
            before, at = unit, end
        self._gap(at, len(self._text), before, None)
        return Rendered(
            self._text,
            _with_their_blocks(number_steps(self._spans())),
            self.payload,
            self.foreign,
            own=self.own,
            counts={"empty_think": self.n_empty_think} if self.n_empty_think else {},
        )

    def _note(self, start: int, end: int, mark: int, number: int) -> None:
        if number < 0:
            self.foreign.append((start, end))
            return
        unit = self._units[number]
        (self.own if unit.by_agent else self.foreign).append((start, end))
        if not mark & 1:
            self.marked[number] = self.marked.get(number, 0) + end - start
            if self._counted is None or unit.turn in self._counted:
                put_payload(self.payload, self._text[start:end], start, unit.kind)

    def _spans(self) -> list[SpanTuple]:
        """Half-open spans from where each begins; those of no length are left out."""
        begun = [*self._begun, (len(self._text), OTHER, "", 1.0, "", "")]
        return [(first[0], after[0], *first[1:], 0) for first, after in pairwise(begun) if after[0] > first[0]]

    def _begin(self, at: int, kind: int, subtype: str) -> None:
        self._begun.append((at, kind, subtype, 1.0, "", "template"))

    def _begin_unit(self, at: int, number: int) -> None:
        if number < 0:
            self._begin(at, OTHER, "tools")
            return
        unit: Unit = self._units[number]
        subtype = unit.subtype
        if unit.kind != OTHER and self._trained is not None and unit.turn not in self._trained:
            subtype = "untrained"
        origin = "template" if unit.origin == "structure" else unit.origin
        self._begun.append((at, unit.kind, subtype, unit.confidence, unit.pattern, origin))

    def _may_train(self, turn: int | None) -> bool:
        """Whether the source and the rendering let a turn be trained; what stands after the last one is nobody's."""
        return turn is None or (self._turns[turn].turn.trained and (self._trained is None or turn in self._trained))

    def _is_agent(self, turn: int | None) -> bool:
        return turn is not None and self._turns[turn].turn.role == "assistant"

    def _gap(self, start: int, end: int, before: int | None, after: int | None) -> None:
        """Divide what the template wrote between two units and begin the second."""
        turn = self._units[before].turn if before is not None and before >= 0 else None
        next_turn = self._units[after].turn if after is not None and after >= 0 else None
        if turn is not None and turn == next_turn and after is not None:
            closers = CLOSERS.match(self._text, start, end)
            self._begin_unit(closers.end() if closers else start, after)
            return
        header = self._header(start, end) if self._is_agent(next_turn) else None
        at = start
        if self._is_agent(turn) and before is not None and turn is not None:
            at = self._close_agent(start, end if header is None else header[0], before, self._turns[turn].turn.whole)
        elif turn is not None:
            at = self._close_other(start, end, turn)
        elif before is not None:  # the definitions of tools: the template's words behind them belong to them
            tail = self._frame.tails.get("user", "")
            at += max(self._text.find(tail, start, end) - start, -len(tail)) + len(tail) if tail else 0
        edge = end if header is None else header[0]
        last, coming = -1 if turn is None else turn, len(self._turns) if next_turn is None else next_turn
        if last + 1 < coming:
            self._note_silent(at, edge, last, coming)
        if at < edge and (header is not None or after is None) and self._has_silent_result(turn, next_turn):
            self._begin(at, OBSERVATION, "observation")
            at = edge
        if header is not None or self._is_agent(next_turn):
            at = self._open_agent(at, end, header, at > start, next_turn)
        elif after is None and at < end:
            self._begin(at, OTHER, "end")
        if after is not None:
            self._begin_unit(at, after)

    def _note_silent(self, at: int, end: int, before: int, after: int) -> None:
        """Note where agent's turns stand of which the template left nothing: their headers tell."""
        header = self._frame.header
        for turn in range(before + 1, after):
            if not header or not self._is_agent(turn) or (found := self._text.find(header, at, end)) < 0:
                continue
            start = found + len(header)
            stops = [place for stop in self._frame.stops if (place := self._text.find(stop, start, end)) >= 0]
            at = min(stops, default=start)
            self.stretches[turn] = (start, at)

    def _has_silent_result(self, turn: int | None, next_turn: int | None) -> bool:
        """Whether a result without a word, of which no character has a mark, stands between two turns."""
        if turn is None or turn + 1 == next_turn:
            return False
        between = self._turns[turn + 1 : next_turn]
        return any(self._units[number].kind == OBSERVATION for typed in between for number in typed.content)

    def _close_other(self, start: int, end: int, turn: int) -> int:
        """What ends the turn of another participant, a result in a user's message too; returns where it is over."""
        role = self._turns[turn].turn.role
        tails = [self._frame.tails.get(role, ""), self._frame.tails.get("user", "") if role == "tool" else ""]
        tail = next((tail for tail in tails if tail and self._text.startswith(tail, start, end)), "")
        closers = CLOSERS.match(self._text, start, end) if role == "tool" and not tail else None
        return closers.end() if closers else start + len(tail)

    def _header(self, start: int, end: int) -> tuple[int, int] | None:
        """Where the header of an agent's turn stands, a prefilled think tag included."""
        header = self._frame.header
        at = self._text.rfind(header, start, end) if header else -1
        if at < 0:
            return None
        size = max(
            [len(prompt) for prompt in self._frame.prompts if self._text.startswith(prompt, at, end)] or [len(header)]
        )
        return at, at + size

    def _close_agent(self, start: int, end: int, unit: int, whole: bool) -> int:
        """What ends an agent's turn; returns where it is over."""
        found = [(at, -len(stop)) for stop in self._frame.stops if (at := self._text.find(stop, start, end)) >= 0]
        if not found:
            closers = CLOSERS.match(self._text, start, end)
            at = closers.end() if closers else start
            self.stretches[self._units[unit].turn] = (self._opened, at)
            return at
        at, size = min(found)
        kind = self._units[unit].kind
        self.stretches[self._units[unit].turn] = (self._opened, at)
        if whole:
            self._begin(at, kind if kind in TRAINABLE else ACTION, "stop")
        else:
            self._begin(at, OTHER, "untrained")
        at -= size
        space = _SPACE.match(self._text, at, end)
        if space and space.end() > at:
            self._begin(at, OTHER, "turn_end")
            at = space.end()
        return at

    def _open_agent(self, at: int, end: int, header: tuple[int, int] | None, tail_known: bool, turn: int | None) -> int:
        """What begins an agent's turn; returns where its first unit begins."""
        if header is not None:
            self._begin(at, OTHER, "header")
            at = header[1]
        elif not tail_known and at < end:
            self._begin(at, OTHER, "header")
            at = end
        self._opened = at
        empty = EMPTY_THINK.match(self._text, at, end)
        if empty and empty.end() > at:
            self._begin(at, OTHER, "empty_think" if self._may_train(turn) else "untrained")
            self.n_empty_think += 1
            at = empty.end()
        return at


def _with_their_blocks(spans: list[SpanTuple]) -> list[SpanTuple]:
    """Give a header and the empty think block after it the step of what follows: no window is cut between them."""
    for index in range(1, len(spans) - 1):
        header, block, step = spans[index - 1], spans[index], spans[index + 1][7]
        if header[3] == "header" and block[2] == OTHER and block[7] != step:
            spans[index - 1 : index + 1] = [(*header[:7], step), (*block[:7], step)]
    return spans
