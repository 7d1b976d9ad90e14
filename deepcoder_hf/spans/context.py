"""Context: what the machine knows of a text so far, and whether that agrees with a marker, a tag or a fence."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from deepcoder_hf.config import PatternConfig
from deepcoder_hf.spans.gaps import is_sentence
from deepcoder_hf.spans.library import WEAK, Library
from deepcoder_hf.spans.lookahead import Lookahead
from deepcoder_hf.spans.scan import Hit
from deepcoder_hf.spans.segments import ACTION, OBSERVATION, REASONING, Segments
from deepcoder_hf.spans.voice import PLAN, WORLD, voices

ANSWERED = -0.9
"""Least log-probability of the world's voice after a fence that was a call."""
GOES_ON = -0.7
"""Log-probability of a plan's voice from which on words after a fence go on with the plan."""


class Context:
    """State of the machine within one text.

    Args:
        blob: The joined batch.
        hits: Markers of this text, sorted.
        start: Byte where the text begins in the blob.
        end: Byte where it ends.
        role: Who wrote the text, or None where it holds a whole trajectory.
        library: The patterns behind the markers.
    """

    def __init__(
        self, blob: bytes, hits: Sequence[Hit], start: int, end: int, role: str | None, library: Library
    ) -> None:
        self.hits, self.start, self.end, self.library = hits, start, end, library
        self.ahead = Lookahead(blob, hits, start, end, library, turns=role is None)
        self.whole = role is None
        self.role = role
        """Who speaks: of a whole text None until the first marker, and "between" after the end of a turn."""
        self.blocked = role in ("user", "system")
        """Whether markup here is only text, because somebody else than the agent surely speaks."""
        self.surely = True
        """Whether a sure header said so: then weak headers are text as well."""
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

    # --- turns and tags ----------------------------------------------------------------------------------------------

    def turn_counts(self, pattern: PatternConfig) -> bool:
        """Whether a marker of a turn is one: a weak one only where a turn of its own layout began the text."""
        if not self.whole:
            return False
        if pattern.confidence >= WEAK:
            return True
        if (self.blocked and self.surely) or not self.dialogue:
            return False
        return not self.layout or not pattern.styles or not self.layout.isdisjoint(pattern.styles)

    def is_blocked(self, hit: Hit, pattern: PatternConfig) -> bool:
        """Whether a marker is text because somebody else than the agent surely speaks: all but results at the start."""
        if not self.blocked:
            return False
        return pattern.span_type != "observation" or hit[0] > self.out.fresh or self.role == "tool"

    def is_initial(self, position: int) -> bool:
        """Whether a tag begins what somebody says, or its line."""
        return position <= self.out.fresh or self.ahead.line_initial(position)

    def block_counts(self, hit: Hit, pattern: PatternConfig) -> bool:
        """Whether a marker begins a block that has no closing marker of its own."""
        if self.label is not None and self.label.span_type == pattern.span_type:
            return False
        if not self.is_initial(hit[0]) and self.ahead.quoted(hit[0]):
            return False
        return pattern.confidence >= WEAK or self.expected(pattern, hit[0], hit[1])

    def is_placed(self, hit: Hit, pattern: PatternConfig, close: Hit | None) -> bool:
        """Whether an opening tag stands where such a tag is markup: at a line's start, or inline where it closes."""
        weak = pattern.confidence < WEAK
        initial = self.is_initial(hit[0])
        if close is None:
            return initial and not weak
        if initial:
            return True
        inline = pattern.span_type == "action" or (pattern.span_type == "answer" and self.agent_seen and not weak)
        return inline and not self.ahead.quoted(hit[0])

    def tag_agrees(self, hit: Hit, pattern: PatternConfig, close: Hit) -> bool:
        """Whether what surrounds a closed tag that is placed as markup speaks for it."""
        prompt = self.whole and not self.agent_seen
        if prompt and not self.is_initial(hit[0]) and not self.ahead.ends_line(close[1]):
            return False  # a prompt explains the tag in a sentence
        if pattern.confidence >= WEAK:
            return True
        # of a container the tags within say what they hold
        return self.expected(pattern, hit[0], close[1]) and not self.ahead.holds_tags(hit[1])

    def mentioned(self, position: int) -> bool:
        """Whether a closing tag stands in one line with an opening tag that is text; forgets that tag."""
        mention, self.mention = self.mention, 0
        return mention > 0 and self.ahead.blob.find(b"\n", mention, position) < 0

    # --- fences ------------------------------------------------------------------------------------------------------

    def fence_counts(self, hit: Hit, pattern: PatternConfig, closing: Hit) -> bool:
        """Whether a fence is what its pattern says, a call or a result.

        Args:
            hit: The opening fence.
            pattern: Its pattern.
            closing: The fence that closes it.
        """
        if pattern.span_type == "action" and self.ahead.is_no_code(hit) and not self.ahead.result_follows(closing[1]):
            return False
        sure = pattern.confidence >= WEAK
        around = self.label.span_type if self.label else None
        if around == pattern.span_type:
            return False
        if pattern.span_type == "observation":
            return self.blocked or self.out.before(hit[0]) == ACTION
        if around == "answer":
            return False
        if around == "observation":
            if self.ahead.result_follows(closing[1]):
                return True
            return self.fences and self.answered(closing[1], labelled=True)
        if self.ahead.names_a_call(hit[1]):
            return sure or self.agent_seen or self.ahead.result_follows(closing[1])
        if around == "reasoning":
            return self.ahead.turn_ends(closing[1]) or self.answered(closing[1], labelled=True)
        first = hit[0] <= self.out.fresh and self.whole and not self.agent_seen
        return sure or (first and self._thoughts_follow(closing[1])) or self.answered(closing[1], labelled=False)

    def _thoughts_follow(self, position: int) -> bool:
        """Whether labelled reasoning begins behind a fence with which a text begins, and behind others like it."""
        at = bisect_left(self.hits, (position,))
        while at < len(self.hits) and self.hits[at][0] <= self.ahead.skip_space(position):
            hit = self.hits[at]
            marker = self.library.markers[hit[2]]
            if any(self.library.patterns[index].span_type == "reasoning" for index in marker.opens):
                return True
            closing = self.ahead.closing_fence(hit[1]) if marker.fence == "open" else None
            if closing is None:
                return False
            position = closing[1]
            at = bisect_left(self.hits, (position,))
        return False

    def answered(self, position: int, labelled: bool) -> bool:
        """Whether a result follows a fence: a marked one, or words that sound like the world's.

        Args:
            position: Where the fence ends.
            labelled: Labelled reasoning stands before it: then words suffice that do not go on with a plan.
        """
        if self.ahead.result_follows(position):
            return True
        if "answered_fences" not in self.library.rules:
            return False
        if not self.agent_seen or not self.whole or self.out.agent_turn:
            return False
        words = self.ahead.paragraph(position)
        if not words:
            return (labelled or self.fences) and self._block_follows(position)
        heard = voices([words])[0]
        if labelled or self.fences:
            return float(heard[PLAN]) < GOES_ON
        return float(heard[WORLD]) > ANSWERED and not is_sentence(words)  # sentences after one fence explain it

    def _block_follows(self, position: int) -> bool:
        """Whether a fence or a result, even a weakly marked one, begins where the next words do."""
        start = self.ahead.skip_space(position)
        at = bisect_left(self.hits, (position,))
        while at < len(self.hits) and self.hits[at][0] <= start:  # no slice: it would copy the rest of the markers
            marker = self.library.markers[self.hits[at][2]]
            if marker.fence or any(self.library.patterns[index].span_type == "observation" for index in marker.opens):
                return True
            at += 1
        return False

    # --- weak markers ------------------------------------------------------------------------------------------------

    def expected(self, pattern: PatternConfig, start: int, stop: int) -> bool:
        """Whether the context agrees with a weak marker.

        Args:
            pattern: Its pattern.
            start: Where it begins.
            stop: Where its block, or its label, ends.
        """
        before = self.out.before(start)
        if pattern.span_type == "observation":
            return before == ACTION
        if pattern.span_type == "answer":
            return before in (REASONING, OBSERVATION)
        if pattern.span_type == "action":
            return self._call_expected(pattern, before, start, stop)
        if before == ACTION or (start > self.out.fresh and before != OBSERVATION):
            return False
        turn = self.ahead.next("turn", stop)
        coming = [self.ahead.next(key, stop) for key in ("action", "answer")]
        return any(hit and (turn is None or hit < turn) for hit in coming)

    def _call_expected(self, pattern: PatternConfig, before: int, start: int, stop: int) -> bool:
        """Whether a weak marker of a call is one; `before` is the type of what stands before it."""
        if self.label is not None and self.label.span_type == "reasoning":
            return True
        if not pattern.close:
            if start <= self.out.fresh and self.role == "assistant":
                return True
            if self.out.agent_turn and self.ahead.closes_turn(stop):
                return True
        if before == OBSERVATION and self.ahead.fence_at(stop):
            return True
        if before == OBSERVATION and self.label:
            return False
        return self.ahead.result_follows(stop, adjacent=bool(pattern.close))
