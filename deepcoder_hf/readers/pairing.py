"""Calls and results paired by id: results stand in the order of their calls, and orphans are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deepcoder_hf.trajectory import Observation, Step


def paired(steps: Sequence[Step]) -> tuple[tuple[Step, ...], dict[str, int]]:
    """Order the results that follow parallel calls as the calls are ordered.

    Results without an id keep their place. A result whose call stands further back is left where it came.

    Args:
        steps: Steps in order.

    Returns:
        The steps, and counts under `calls_without_result` and `results_without_call` (only of ids; zero counts are
        left out).
    """
    ordered: list[Step] = []
    waiting: list[str] = []
    called: set[str] = set()
    answered: set[str] = set()
    at = 0
    while at < len(steps):
        step = steps[at]
        at += 1
        if step.source == "tool":
            run = [step]
            while at < len(steps) and steps[at].source == "tool":
                run.append(steps[at])
                at += 1
            answered.update(item.tool_call_id for item in run if item.tool_call_id)
            ids = [item.tool_call_id for item in run]
            ordered.extend(run[n] for n in _order(ids, waiting))
            continue
        if step.tool_calls:
            waiting = [call.tool_call_id for call in step.tool_calls if call.tool_call_id]
            called.update(waiting)
        if step.observations:
            ids = [item.tool_call_id for item in step.observations]
            answered.update(item for item in ids if item)
            order = _order(ids, waiting)
            if order != list(range(len(ids))):
                results: tuple[Observation, ...] = tuple(step.observations[n] for n in order)
                step = replace(step, observations=results)
        ordered.append(step)
    counts = {"calls_without_result": len(called - answered), "results_without_call": len(answered - called)}
    return tuple(ordered), {name: n for name, n in counts.items() if n}


def _order(ids: Sequence[str | None], calls: Sequence[str]) -> list[int]:
    """The places of results with the ones that answer a call sorted by the calls, in the places that they held."""
    if len(ids) == 1:
        return [0]
    rank = {call: n for n, call in enumerate(calls)}
    places = [n for n, name in enumerate(ids) if name in rank]
    by_call = sorted(places, key=lambda n: rank[str(ids[n])])
    order = list(range(len(ids)))
    for place, taken in zip(places, by_call, strict=True):
        order[place] = taken
    return order
