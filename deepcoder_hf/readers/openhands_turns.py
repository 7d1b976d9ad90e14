"""OpenHands events put together into turns: parallel calls, results by cause, delegates, condensations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from deepcoder_hf.readers.fields import joined
from deepcoder_hf.trajectory import Observation, Step, ToolCall, Trajectory


@dataclass(slots=True)
class Turn:
    """What was said at once: one answer of the model with its calls and their results, or one message of another."""

    steps: list[Step]
    """Its steps; calls and results stand in the last one."""
    events: set[Any] = field(default_factory=set)
    """Ids of the events that it is made of."""
    trained: bool = True

    def add_call(self, call: ToolCall) -> None:
        """Add a call unless its id is there."""
        last = self.steps[-1]
        if call.tool_call_id is None or all(call.tool_call_id != other.tool_call_id for other in last.tool_calls):
            self.steps[-1] = replace(last, tool_calls=(*last.tool_calls, call))

    def think(self, thought: str, call: str) -> None:
        """Add a thought that the model wrote as the call of a tool.

        Args:
            thought: As the harness gives it: mostly what was said before the call, then the thought.
            call: Id of the call, which is taken out.
        """
        last = self.steps[-1]
        hidden, said = last.reasoning_content, last.message or ""
        own = [replace(last, message=None, tool_calls=(), observations=(), finish_reason=None)]
        own = own if hidden and hidden != thought else []
        if said.strip() and not thought.startswith(said.strip()):
            own.append(Step("agent", None, said))
        calls = tuple(made for made in last.tool_calls if made.tool_call_id != call)
        told = replace(last, message=None, reasoning_content=thought, reasoning_kind="", tool_calls=calls)
        self.steps[-1:] = [*own, told]

    def add_result(self, result: Observation) -> None:
        """Add a result."""
        last = self.steps[-1]
        self.steps[-1] = replace(last, observations=(*last.observations, result))

    def copied(self) -> Turn:
        """The turn as context of a later segment, which does not train it again."""
        return Turn([replace(step, trained=False) for step in self.steps], self.events, trained=False)


@dataclass(slots=True)
class Conversation:
    """Turns of one agent, in segments that condensations begin, and of the agents that it started."""

    kind: str = ""
    """`sub_agent` for an agent that another one started."""
    turns: list[Turn] = field(default_factory=list)
    segments: list[list[Turn]] = field(default_factory=list)
    """What was said up to each condensation."""
    answers: dict[str, Turn] = field(default_factory=dict)
    """Turns of the model by the id of its answer."""
    by_event: dict[Any, Turn] = field(default_factory=dict)
    by_call: dict[str, Turn] = field(default_factory=dict)
    thoughts: set[str] = field(default_factory=set)
    """Ids of calls that are thoughts, and no calls of any step."""

    def put(self, steps: Sequence[Step], event: Any, answer: str | None = None) -> Turn:
        """Add a turn.

        Args:
            steps: At least one step.
            event: Id of its event.
            answer: Id of the model's answer.
        """
        turn = Turn(list(steps))
        self.turns.append(turn)
        if answer is not None:
            self.answers[answer] = turn
        self.note(turn, event)
        return turn

    def note(self, turn: Turn, event: Any) -> None:
        """Remember that an event belongs to a turn, and the calls of the turn."""
        if isinstance(event, str | int):
            turn.events.add(event)
            self.by_event[event] = turn
        for call in turn.steps[-1].tool_calls:
            if call.tool_call_id is not None:
                self.by_call[call.tool_call_id] = turn

    def turn_of(self, call: Any, event: Any) -> Turn | None:
        """The turn whose call a result answers: by the id of the call, else by the event that caused it."""
        found = self.by_call.get(call) if isinstance(call, str) else None
        return found or (self.by_event.get(event) if isinstance(event, str | int) else None)

    def condense(self, forgotten: Collection[Any], summary: str | None, offset: Any) -> None:
        """Begin a segment: what is not forgotten is its context, with the summary in its place."""
        if not any(turn.events & set(forgotten) for turn in self.turns):
            if summary:
                self.turns.append(Turn([Step("user", summary)]))
            return
        self.segments.append(self.turns)
        self.turns = [turn.copied() for turn in self.turns if not turn.events & set(forgotten)]
        for turn in self.turns:
            for event in turn.events:
                self.by_event[event] = turn
            self.note(turn, None)
        if summary:
            self.turns.insert(self._place(offset), Turn([Step("user", summary)]))

    def _place(self, offset: Any) -> int:
        """Before which turn a summary stands that so many events precede; without a number it stands at the end."""
        if not isinstance(offset, int) or isinstance(offset, bool):
            return len(self.turns)
        n_events = 0
        for place, turn in enumerate(self.turns):
            n_events += max(1, len(turn.events))
            if n_events > offset:
                return place
        return len(self.turns)

    def trajectories(self, base: Trajectory) -> list[Trajectory]:
        """The segments in order; each later one belongs to the first.

        Args:
            base: A trajectory with the ids and facts of the record.
        """
        found: list[Trajectory] = []
        for turns in [*self.segments, self.turns]:
            steps = tuple(step for turn in turns for step in turn.steps)
            if found and not any(turn.trained and step.source == "agent" for turn in turns for step in turn.steps):
                continue
            kind = self.kind or ("continued" if found else "")
            facts = {**base.metadata, **({"kind": kind} if kind else {})}
            parent = base.trajectory_id if kind else base.parent_id
            own = base.trajectory_id if not kind else None
            found.append(replace(base, steps=steps, metadata=facts, parent_id=parent, trajectory_id=own))
        return found


def framed(text: str, notes: Any) -> str:
    """The output of a command with what its shell put before and after it, which the model is shown.

    Args:
        text: The output.
        notes: Its `metadata`, with prefix and suffix: "\\n[The command completed with exit code 0.]".
    """
    given = notes if isinstance(notes, Mapping) else {}
    before, after = (given[k] if isinstance(given.get(k), str) else "" for k in ("prefix", "suffix"))
    pieces = ("" if text.startswith(before) else before, text, "" if text.endswith(after) else after)
    return joined(piece for piece in pieces if piece)
