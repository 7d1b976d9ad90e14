"""tau-bench: the simulated user is a user, its instructions stay out, tau2 simulations are trajectories."""

from __future__ import annotations

from mutations import golden
from reading import PARSER, read, steps

CALLS, TEXT, TAU2 = golden("tau_bench")


def test_reward_and_task_are_kept_and_the_users_instruction_is_not_told() -> None:
    found = read(CALLS)
    assert (found.group_id, found.metadata["reward"], found.metadata["extra"]) == ("17", 1.0, {"trial": 2})
    assert not any("You are Lena" in (step.message or "") for step in found.steps)


def test_flattened_turns_stay_flattened() -> None:
    assert steps(TEXT)[2].message == TEXT["traj"][2]["content"]


def test_simulations_pair_grouped_results_and_keep_the_users_own_calls_apart() -> None:
    first, second = PARSER.parse_all(TAU2)
    assert [one.trajectory_id for one in (first, second)] == ["sim-1", "sim-2"]
    assert (first.metadata["model"], first.metadata["reward"]) == ("acme/agent-8b", 1.0)
    assert [step.tool_call_id for step in first.steps if step.source == "tool"] == ["c1", "c2"]
    calls = [call.function_name for step in first.steps for call in step.tool_calls]
    assert calls == ["get_line", "get_plan"]
    assert read(TAU2["simulations"][1]).source_format == "tau_bench"
