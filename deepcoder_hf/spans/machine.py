"""The state machine that pairs the markers of one text: linear in the number of markers, whatever their order.

A turn is what one participant writes. Within the agent's turn, text that no marker explains is loose: it becomes
preamble (REASONING) when a call follows in the same turn, and ANSWER when none does. Outside of it, it is OTHER. In a
text without any markup of results, loose text between a call and the next reasoning is the result.

Evidence that a marker needs, beside its words:

- A tag that does not begin its line is text; only a call may, if it closes and no quotation mark stands before it.
- A block that a turn or the next call ends is less sure than a closed one; weak and quoted ones must be closed.
- A weak pattern (confidence below WEAK) counts only in context: a result directly after a call; a call within labelled
  reasoning, where a result follows, or as a label with a fence after a result; reasoning at the start of what the agent
  says, with a call or answer to come; an answer directly after reasoning or a result; a turn in a text that begins with
  a turn.
- A fence is opaque. It is a call under the same condition, and labelled reasoning must end with it.
- A strong turn of user or system makes all markup in it text, but for results at its start; a weak one does not.
"""

from __future__ import annotations

from collections.abc import Sequence

from deepcoder_hf.config import PatternConfig
from deepcoder_hf.spans.library import WEAK, Library
from deepcoder_hf.spans.lookahead import Lookahead
from deepcoder_hf.spans.refine import refine
from deepcoder_hf.spans.resolve import Segment
from deepcoder_hf.spans.scan import Hit
from deepcoder_hf.spans.segments import ACTION, ANSWER, LOOSE, OBSERVATION, OTHER, REASONING, Segments
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.spans.voice import PLAN, WORLD, voices

UNCLOSED = 0.7
"""Factor on the confidence of a span whose closing marker never came."""
ORPHAN = 0.85
"""Factor where only the closing marker of reasoning came: the opener stood in the prompt."""
ANSWERED = -0.9
"""Least log-probability of the world's voice after a fence that was a call."""
GOES_ON = -0.7
"""Log-probability of a plan's voice from which on words after a fence go on with the plan."""
UNKNOWN = 0.3
"""Confidence of OTHER in a text in which the agent never speaks."""


ANY_FENCE = PatternConfig(
    name="fence", span_type="action", kind="fence", open="```", subtype="code", confidence=0.7, example="x", counter_example="y"
)
"""Code in a fence of any language: a call where the world answers it."""


class Machine:
    """Segments one text.

    Args:
        blob: The joined batch.
        hits: Markers of this text, sorted.
        start: Byte where the text begins in the blob.
        end: Byte where it ends.
        role: Who wrote the text, or None where it holds a whole trajectory.
        library: The patterns behind the markers.
    """

    def __init__(self, blob: bytes, hits: Sequence[Hit], start: int, end: int, role: str | None, library: Library):
        self.hits, self.start, self.end, self.library = hits, start, end, library
        self.ahead = Lookahead(blob, hits, start, end, library, turns=role is None)
        self.whole = role is None
        self.role = role
        """Who speaks: of a whole text None until the first marker, and "between" after the end of a turn."""
        self.blocked = role in ("user", "system")
        """Whether markup here is only text, because somebody else than the agent surely speaks."""
        self.agent_seen = role == "assistant"
        self.out = Segments(self.ahead)
        self.label: PatternConfig | None = None
        """The pattern of the last segment, if that is open: it ends where the next marker begins."""
        self.dialogue = False
        """Whether the text begins with a turn, so that weak turns count."""
        self.layout: set[str] = set()
        """The conventions of this first turn: weak turns of others do not count."""
        self.mention = 0
        """Where the last opening tag of reasoning that is only text ends: its closing tag is text too."""
        self.fences = False
        """Whether a fence was a call in this text."""
        self.ended_by = ""
        """The pattern that ended the last turn."""

    def run(self) -> list[Segment]:
        """Segments in order; the first begins at `start` unless the text is empty."""
        if self.start == self.end:
            return []
        if self.role == "tool":
            return [(self.start, OBSERVATION, "tool", 1.0, "role_tool")]
        if self.whole and self.hits and self.hits[0][0] <= self.out.fresh:
            keys = self.library.markers[self.hits[0][2]].keys
            self.dialogue = "any_turn" in keys and "turn" not in keys
            self.layout = {s for i in self.library.markers[self.hits[0][2]].opens for s in self.library.patterns[i].styles}
        position = self.start
        for index, hit in enumerate(self.hits):
            if hit[0] >= position:
                self.ahead.at = index
                position = self._take(hit)
        self._end_turn()
        if self.whole and not self.agent_seen and len(self.out.items) == 1 and not self.out.items[0][1]:
            self.out.items = [(self.start, OTHER, "user", UNKNOWN, self.out.items[0][4])]
        return refine(self.out, self.end) if self.whole else self.out.items

    def _take(self, hit: Hit) -> int:
        """Act on one marker; returns the byte from which markers count again."""
        marker = self.library.markers[hit[2]]
        for opened in marker.opens:
            pattern = self.library.patterns[opened]
            if pattern.kind == "turn":
                stop = self._turn(hit, pattern)
            elif self.blocked and (
                pattern.span_type != "observation" or hit[0] > self.out.fresh or self.role == "tool"
            ):
                continue
            elif pattern.kind == "label":
                stop = self._label(hit, pattern)
            elif pattern.kind == "fence":
                stop = self._fence(hit, pattern)
            else:
                stop = self._tag(hit, opened, pattern)
            if stop is not None:
                return min(stop, self.end)
        if marker.fence:
            stop = None if self.blocked else self._fence(hit, ANY_FENCE)
            closing = self.ahead.closing_fence(hit[1]) if stop is None else None
            return min(stop or (closing[1] if closing else hit[1]), self.end)
        if marker.closes and not self.blocked:
            return self._orphan_close(hit, self.library.patterns[marker.closes[0]])
        return hit[0]  # another marker may begin here

    # --- turns -------------------------------------------------------------------------------------------------------

    def _turn(self, hit: Hit, pattern: PatternConfig) -> int | None:
        weak = pattern.confidence < WEAK
        if not self.whole or (weak and (self.blocked or not self.dialogue)):
            return None
        if weak and self.layout and pattern.styles and self.layout.isdisjoint(pattern.styles):
            return None
        if pattern.role is None:
            return self._turn_end(hit, pattern.name)
        start = self.out.make_room(hit[0])
        if pattern.role != self.role:  # a second header of the agent goes on with its turn
            self._end_turn()
        self.role, self.label = pattern.role, None
        self.blocked = pattern.role != "assistant" and not weak
        kind = OBSERVATION if pattern.role == "tool" else OTHER
        subtype = "header" if pattern.role == "assistant" else pattern.role
        self.out.agent_turn = pattern.role == "assistant"
        self.out.turns |= {pattern.role} if weak else {pattern.role, "strong"}
        self.out.put(start, kind, subtype, pattern.confidence, pattern.name, hit[1] if weak else None)
        self.out.fresh = self.ahead.skip_space(hit[1])
        if pattern.role == "assistant":
            self.out.open_loose(hit[1])
            self.agent_seen = True
        return hit[1]

    def _turn_end(self, hit: Hit, name: str) -> int:
        """A marker that ends a turn belongs to the span that it ends."""
        if len(self.out.items) > 1:
            self.out.make_room(hit[0])
        self._end_turn()
        self.out.agent_turn = False
        self.role, self.label, self.blocked, self.ended_by = "between", None, False, name
        self.out.open_loose(hit[1])
        return hit[1]

    def _end_turn(self) -> None:
        """Decide what the loose text of the turn was, now that no call follows."""
        if self.role == "assistant":
            self.out.settle(ANSWER, "message")
        elif self.role == "between":
            self.out.settle(OTHER, "header", pattern=self.ended_by)
        else:
            self.out.settle(OTHER, self.role or "user", LOOSE if self.whole else 1.0)

    # --- blocks ------------------------------------------------------------------------------------------------------

    def _tag(self, hit: Hit, opened: int, pattern: PatternConfig) -> int | None:
        weak = pattern.confidence < WEAK
        initial = hit[0] <= self.out.fresh or self.ahead.line_initial(hit[0])
        quoted = not initial and self.ahead.quoted(hit[0])
        if not pattern.close:  # an open block, which the next marker ends
            inside = self.label is not None and self.label.span_type == pattern.span_type
            if quoted or inside or (weak and not self._expected(pattern, hit[0], hit[1])):
                return None
            self._begin(hit[0], pattern, pattern.confidence, hit[1])
            self.label = pattern
            return hit[1]
        close = self.ahead.closer(opened, pattern, hit[1])
        inline = pattern.span_type == "action" or (pattern.span_type == "answer" and self.agent_seen and not weak)
        if (close is None and (weak or not initial)) or (not initial and (not inline or quoted)):
            self.mention = hit[1] if pattern.span_type == "reasoning" else self.mention
            return None
        if not initial and close and self.whole and not self.agent_seen and not self.ahead.ends_line(close[1]):
            return None  # a prompt explains the tag in a sentence
        if weak and close and not self._expected(pattern, hit[0], close[1]):
            return None
        if weak and self.ahead.holds_tags(hit[1]):
            return None  # the tags within say what they hold
        confidence = pattern.confidence
        if close is not None:
            stop = close[0] if self.library.markers[close[2]].opens else close[1]
        else:
            limit = self.ahead.limit(opened, pattern, hit[1], "any_turn" if self.dialogue else "turn")
            stop = limit[0] if limit else self.end
            if (
                pattern.span_type == "reasoning"
                or limit is None
                or "turn_end" not in self.library.markers[limit[2]].keys
            ):
                confidence *= UNCLOSED
        self._begin(hit[0], pattern, confidence)
        self.out.open_loose(stop)
        return stop

    def _label(self, hit: Hit, pattern: PatternConfig) -> int | None:
        if pattern.confidence < WEAK and not self._expected(pattern, hit[0], hit[1]):
            return None
        before = self.label
        in_action = before is not None and before.span_type == pattern.span_type == "action"
        if not in_action or before is pattern:  # `Action Input:` continues `Action:`
            self._begin(hit[0], pattern, pattern.confidence, hit[1])
            self.label = pattern
            self.out.labelled.add(pattern.span_type)
        after = self.ahead.skip_space(hit[1])
        if self.ahead.blob.startswith(b"```", after) and not self.ahead.line_initial(after):
            closing = self.ahead.closing_fence(after)  # a fence that begins in the label's line
            return closing[1] if closing else hit[1]
        return hit[1]

    def _fence(self, hit: Hit, pattern: PatternConfig) -> int | None:
        closing = self.ahead.closing_fence(hit[1])
        if closing is None or (self.label and self.label.span_type == pattern.span_type):
            return None
        if pattern.span_type == "observation":
            act = self.blocked or self.out.before(hit[0]) == ACTION
        elif self.label and self.label.span_type in ("observation", "answer"):
            act = self.label.span_type == "observation" and (
                self.ahead.result_follows(closing[1]) or (self.fences and self._answered(closing[1], labelled=True))
            )
        elif self.ahead.names_a_call(hit[1]):
            act = pattern.confidence >= WEAK or self.agent_seen or self.ahead.result_follows(closing[1])
        elif self.label and self.label.span_type == "reasoning":
            act = self.ahead.turn_ends(closing[1]) or self._answered(closing[1], labelled=True)
        else:
            act = pattern.confidence >= WEAK or self._answered(closing[1], labelled=False)
        if not act:
            return None
        self.fences = self.fences or pattern.span_type == "action"
        self._begin(hit[0], pattern, pattern.confidence)
        self.out.open_loose(closing[1])
        return closing[1]

    def _orphan_close(self, hit: Hit, pattern: PatternConfig) -> int:
        """A closing tag without opener closes reasoning that began where the agent began to speak."""
        only_loose = self.label is None and len(self.out.loose) == 1 and self.out.loose[0] == len(self.out.items) - 1
        if pattern.span_type != "reasoning" or not only_loose or self.ahead.quoted(hit[0]) or self._mentioned(hit[0]):
            return hit[1]
        if len(self.out.items) > 1 and self.out.items[-2][1] in (ACTION, ANSWER):
            return hit[1]
        self.out.settle(REASONING, pattern.subtype or pattern.name, pattern.confidence * ORPHAN, pattern.name)
        self.role, self.agent_seen = "assistant", True
        self.out.open_loose(hit[1])
        return hit[1]

    # --- evidence ----------------------------------------------------------------------------------------------------

    def _expected(self, pattern: PatternConfig, start: int, stop: int) -> bool:
        """Whether the context agrees with a weak marker; `stop` is where its block, or its label, ends."""
        before = self.out.before(start)
        if pattern.span_type == "observation":
            return before == ACTION
        if pattern.span_type == "action":
            labelled = self.label is not None and self.label.span_type == "reasoning"
            at_start = not pattern.close and start <= self.out.fresh and self.role == "assistant"
            whole_call = self.out.agent_turn and not pattern.close and self.ahead.closes_turn(stop)
            if labelled or at_start or whole_call or (before == OBSERVATION and self.ahead.fence_at(stop)):
                return True
            if before == OBSERVATION and self.label:
                return False
            return self.ahead.result_follows(stop, adjacent=bool(pattern.close))
        if pattern.span_type == "answer":
            return before in (REASONING, OBSERVATION)
        if before == ACTION or (start > self.out.fresh and before != OBSERVATION):
            return False
        turn = self.ahead.next("turn", stop)
        coming = [self.ahead.next(key, stop) for key in ("action", "answer")]
        return any(hit and (turn is None or hit < turn) for hit in coming)

    def _answered(self, position: int, labelled: bool) -> bool:
        """Whether a result follows a fence: a marked one, or words that sound like the world's.

        Args:
            position: Where the fence ends.
            labelled: Labelled reasoning stands before it: then words suffice that do not go on with a plan.
        """
        if self.ahead.result_follows(position):
            return True
        if not self.agent_seen or not self.whole or self.out.agent_turn:
            return False
        words = self.ahead.paragraph(position)
        if not words:
            return (labelled or self.fences) and self.ahead.opens_at(position, ("fence", "observation"))
        heard = voices([words])[0]
        return float(heard[PLAN]) < GOES_ON if labelled or self.fences else float(heard[WORLD]) > ANSWERED

    def _mentioned(self, position: int) -> bool:
        """Whether a closing tag stands in one line with an opening tag that is only text."""
        mention, self.mention = self.mention, 0
        return mention > 0 and self.ahead.blob.find(b"\n", mention, position) < 0

    # --- segments ----------------------------------------------------------------------------------------------------

    def _begin(self, position: int, pattern: PatternConfig, confidence: float, words: int | None = None) -> None:
        kind = TYPE_IDS[pattern.span_type]
        self.label = pattern if pattern.kind == "label" else None
        start = self.out.make_room(position)
        if not self.blocked:
            if self.out.loose:
                self._decide_loose(position, kind, pattern.subtype == "final_answer")
            self.role = "assistant" if kind else "user"
            self.out.agent_turn = self.out.agent_turn and bool(kind)
            self.agent_seen = self.agent_seen or kind not in (OTHER, OBSERVATION)
        self.out.put(start, kind, pattern.subtype or pattern.name, confidence, pattern.name, words)

    def _decide_loose(self, position: int, kind: int, final: bool) -> None:
        """Decide what the loose text before a block was; before a final answer that is marked, it reasons."""
        leads_on = kind in (REASONING, ACTION) or (kind == ANSWER and final)
        if self.role != "assistant" or not leads_on:
            self._end_turn()
            return
        after_call = (
            self.out.last_is_loose() and position > self.out.fresh and self.out.before(self.out.fresh) == ACTION
        )
        if after_call and self.whole and self.ahead.next("observation", self.start) is None:
            self.out.settle_last_as_result()
        if kind in (ACTION, ANSWER):
            self.out.settle(REASONING, "preamble")
