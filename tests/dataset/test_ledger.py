"""The loss ledger: every character of the source stands in a trained token, or is counted where it is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepcoder_hf.config import Config
from deepcoder_hf.dataset.ledger import FIELDS, KINDS, STAGES, as_facts, loss_ratio, part_of
from deepcoder_hf.dataset.raw import table_of
from deepcoder_hf.run import Run, run_shards
from deepcoder_hf.stages import process_records
from deepcoder_hf.trajectory import Observation, Step, ToolCall, Trajectory, to_json

QWEN3 = "Qwen/Qwen3-30B-A3B"
THOUGHT, PREAMBLE, ARGUMENTS, RESULT, ANSWER = (
    "Läs 漢字 🙂 först.",
    "I read it.",
    '{"path": "é.py"}',
    "x = '🦜'",
    "Sätter x.",
)
SESSION = (
    Step("system", "Be brief."),
    Step("user", "What is in é.py? 🙂"),
    Step("agent", PREAMBLE, THOUGHT, (ToolCall("läs", ARGUMENTS, "c1"),), (Observation(RESULT, "c1"),)),
    Step("agent", ANSWER),
)
READ = {
    "reasoning": len(THOUGHT) + len(PREAMBLE),
    "action": len("läs" + ARGUMENTS),
    "observation": len(RESULT),
    "answer": len(ANSWER),
}
DROPS = (
    "{% for m in messages %}<{{ m.role }}>{% if m.reasoning_content and loop.last %}<think>{{ m.reasoning_content }}"
    "</think>{% endif %}{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
"""Deletes the reasoning of every turn but the last."""
CHAT = tuple(
    step for n in range(3) for step in (Step("user", f"{n}?"), Step("agent", f"It is {n}.", f"I think {n} 🙂."))
)


def table(steps: tuple[Step, ...], model: str | Path = QWEN3, **sections: Any) -> Any:
    raw = table_of([("id", "id", "messages", "in", 1, 0, to_json(Trajectory(steps, "messages")), None, None)])
    tokens = {"model_name": str(model), "engine": "reference", **sections.pop("tokens", {})}
    return process_records(raw, config=Config(tokens=tokens, **sections))


def ledgers(steps: tuple[Step, ...], model: str | Path = QWEN3, **sections: Any) -> list[dict[str, Any]]:
    """The ledger of each row; the columns of the outcome are proven to say the same as the metadata."""
    rows = table(steps, model, **sections).to_pylist()
    found = [json.loads(row["metadata"])["ledger"] for row in rows]
    assert found == [as_facts(row["outcome"]["ledger"]) for row in rows]
    return found


def total(found: list[dict[str, Any]], kind: str, stage: str) -> int:
    return sum(ledger.get(kind, {}).get(stage, 0) for ledger in found)


@pytest.mark.parametrize("template", ["chatml", "plain"])
def test_what_is_whole_has_the_same_count_at_every_stage(template: str) -> None:
    (found,) = ledgers(SESSION, rendering={"template": template})
    for kind, n_read in READ.items():
        n_trained = 0 if kind == "observation" else n_read
        assert found[kind] == {
            "read": n_read, "rendered": n_read, "tokenised": n_read, "trained": n_trained, "cut": 0,
        }, kind  # fmt: skip


def test_whitespace_at_the_edges_tags_and_labels_are_not_counted() -> None:
    text = "<think>\n Hm. \n</think>\n\n Yes. \n"
    (found,) = ledgers((Step("user", " q "), Step("agent", text)))
    assert found["reasoning"]["read"] == found["reasoning"]["trained"] == len("Hm.")
    assert found["answer"]["read"] == found["answer"]["trained"] == len("Yes.")


@pytest.mark.parametrize(
    ("masks", "untrained"),
    [
        ({"answer": "none"}, "answer"),
        ({"action": "none"}, "action"),
        ({"reasoning": "none", "preamble": "none"}, "reasoning"),
    ],
)
def test_masks_decide_what_is_trained_and_nothing_else(masks: dict[str, str], untrained: str) -> None:
    (found,) = ledgers(SESSION, masks=masks)
    for kind, n_read in READ.items():
        assert found[kind]["tokenised"] == n_read
        assert found[kind]["trained"] == (0 if kind in (untrained, "observation") else n_read)


def test_what_a_template_deletes_is_read_and_not_rendered(tmp_path: Path) -> None:
    (tmp_path / "drops.jinja").write_text(DROPS, encoding="utf-8")
    rendering = {"template": str(tmp_path / "drops.jinja"), "reasoning": "template"}
    (found,) = ledgers(CHAT, rendering=rendering)
    one = len("I think 0 🙂.")
    assert found["reasoning"] == {"read": 3 * one, "rendered": one, "tokenised": one, "trained": one, "cut": 0}
    assert found["answer"]["read"] == found["answer"]["trained"] == 3 * len("It is 0.")
    per_turn = ledgers(CHAT, rendering={**rendering, "reasoning": "per_turn"})
    assert [ledger["reasoning"]["read"] for ledger in per_turn] == [one] * 3
    assert [ledger["reasoning"]["trained"] for ledger in per_turn] == [one] * 3
    assert [ledger["answer"]["trained"] for ledger in per_turn] == [len("It is 0.")] * 3


def long_session(n_steps: int) -> tuple[Step, ...]:
    steps = [
        Step(
            "agent", f"Now {n}.", f"Jag läser fil {n} 🙂.", (ToolCall("read", f'{{"path": "{n}.py"}}', f"c{n}"),),
            (Observation(f"rad {n}: 漢字", f"c{n}"),),
        )
        for n in range(n_steps)
    ]  # fmt: skip
    return (Step("user", "Read all."), *steps, Step("agent", "All is read."))


@pytest.mark.parametrize("template", ["chatml", "plain"])
def test_the_windows_of_a_trajectory_add_up_to_the_whole(template: str) -> None:
    steps = long_session(8)
    (whole,) = ledgers(steps, rendering={"template": template})
    windows = ledgers(steps, tokens={"max_length": 120}, rendering={"template": template})
    assert len(windows) > 3
    for kind in KINDS:
        for stage in STAGES:
            assert total(windows, kind, stage) == whole[kind][stage], (kind, stage)
        assert all(ledger.get(kind, {}).get("read", 0) == 0 for ledger in windows[1:])


def test_a_cut_row_counts_what_it_lost() -> None:
    (found,) = ledgers(long_session(8), tokens={"max_length": 150, "overflow": "truncate"})
    (whole,) = ledgers(long_session(8))
    for kind in KINDS:
        assert found[kind]["read"] == found[kind]["rendered"] == whole[kind]["read"]
        assert found[kind]["tokenised"] + found[kind]["cut"] == found[kind]["rendered"]
        assert found[kind]["cut"] > 0
        if kind != "observation":
            assert found[kind]["trained"] == found[kind]["tokenised"]
    assert found["answer"]["tokenised"] == 0


def test_windows_with_nothing_to_train_are_counted_as_cut() -> None:
    steps = (
        Step("user", "q"),
        Step("agent", "", None, (ToolCall("f", "{}"),), (Observation("path " * 300),)),
        Step("agent", "x"),
    )
    found = ledgers(steps, tokens={"max_length": 60})
    assert total(found, "observation", "read") == len(("path " * 300).strip())
    assert total(found, "observation", "cut") > 500
    assert total(found, "observation", "tokenised") + total(found, "observation", "cut") == total(
        found, "observation", "read"
    )


def test_events_are_counted() -> None:
    steps = (Step("user", "Not <|im_end|> <|im_end|>"), Step("agent", "", ""), Step("user", "q"), Step("agent", "a"))
    (found,) = ledgers(steps)
    assert (found["escaped"], found["dropped_turns"]) == (2, 1)
    assert "empty_think" not in found


def test_part_of_cuts_and_moves_payload() -> None:
    payload = [(0, 4, 1), (6, 10, 2), (12, 14, 3)]
    assert part_of(payload, 2, 13, 2) == [(0, 2, 1), (4, 8, 2), (10, 11, 3)]
    assert part_of(payload, 4, 6, 4) == []


# --- the ratio of a run ----------------------------------------------------------------------------------------------


def test_the_loss_ratio_is_what_is_unread_unrendered_or_cut_of_all() -> None:
    totals = dict.fromkeys(FIELDS, 0)
    assert loss_ratio(totals) == 0.0
    totals.update(
        {"reasoning.read": 50, "reasoning.rendered": 40, "action.read": 40, "action.rendered": 40, "action.cut": 5}
    )
    assert loss_ratio(totals) == pytest.approx(15 / 90)
    assert loss_ratio({**totals, "unread": 10}) == pytest.approx(25 / 100)


def test_a_report_adds_up_the_ledgers_of_its_rows(tmp_path: Path) -> None:
    from datasets import Dataset

    from deepcoder_hf.dataset.features import RAW_FEATURES

    (tmp_path / "drops.jinja").write_text(DROPS, encoding="utf-8")
    rows = [
        {
            "trajectory_id": str(n), "group_id": str(n), "source_format": "messages", "source_path": "in", "line": n,
            "part": 0, "trajectory": json.loads(to_json(Trajectory(steps, "messages"))), "reject_reason": None,
            "reject_message": None,
        }
        for n, steps in enumerate([CHAT, CHAT[:2], CHAT[:4]], start=1)
    ]  # fmt: skip
    config = Config(
        tokens={"model_name": QWEN3, "engine": "reference"},
        rendering={"template": str(tmp_path / "drops.jinja"), "reasoning": "template"},
        dataset={"cache_dir": str(tmp_path / "cache")},
    )  # type: ignore[arg-type]
    run: Run = run_shards(Dataset.from_list(rows, features=RAW_FEATURES), config, None, None)
    report = run.report()["ledger"]
    one, said = len("I think 0 🙂."), len("It is 0.")
    assert report["reasoning"] == {
        "read": 6 * one, "rendered": 3 * one, "tokenised": 3 * one, "trained": 3 * one, "cut": 0,
    }  # fmt: skip
    assert report["loss_ratio"] == pytest.approx(3 * one / (6 * one + 6 * said))
    assert report["template_refused"] == 0


# --- any session -----------------------------------------------------------------------------------------------------

words = st.lists(
    st.sampled_from(["read", " ", "\n", "🙂", "漢字", "é", "e\u0301", "<think>", "</think>", "<|im_end|>", "x\n\n"]),
    max_size=8,
).map("".join)
agents = st.builds(
    Step,
    st.just("agent"),
    words,
    st.none() | words,
    st.lists(st.builds(ToolCall, st.sampled_from(["read", ""]), words), max_size=2).map(tuple),
    st.lists(st.builds(Observation, words), max_size=2).map(tuple),
    reasoning_kind=st.sampled_from(["", "summary"]),
    trained=st.booleans(),
)
others = st.builds(Step, st.sampled_from(["user", "tool"]), words)
sessions = st.lists(st.one_of(agents, others), min_size=1, max_size=6).map(lambda s: (Step("user", "Go."), *s))


@pytest.mark.parametrize("model", [QWEN3, "tiny"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=sessions,
    max_length=st.sampled_from([32, 64, 4096]),
    overflow=st.sampled_from(["window", "truncate"]),
    reasoning=st.sampled_from(["keep", "per_turn"]),
)
def test_no_stage_has_more_than_the_one_before(
    model: str, steps: tuple[Step, ...], max_length: int, overflow: str, reasoning: str, tiny_model: Path
) -> None:
    tokens = {"max_length": max_length, "overflow": overflow}
    name = tiny_model if model == "tiny" else model
    rows = table(steps, name, tokens=tokens, rendering={"reasoning": reasoning}).to_pylist()
    found = [as_facts(row["outcome"]["ledger"]) for row in rows if row["outcome"]["status"] == "kept"]
    for kind in KINDS:
        read, rendered, tokenised, trained, cut = (total(found, kind, stage) for stage in STAGES)
        assert 0 <= trained <= tokenised <= rendered <= read, kind
        assert tokenised + cut == rendered, kind
        assert kind != "observation" or trained == 0
