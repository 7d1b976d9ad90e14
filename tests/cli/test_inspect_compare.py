"""`inspect --compare`: what a mask preset trains of a row and the row does not, and the other way round."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chat_templates import ALWAYS_THINKS
from click.testing import Result
from datasets import load_from_disk

from deepcoder_hf import TrajectoryProcessor, load_config
from deepcoder_hf.cli.inspect import PRESETS
from deepcoder_hf.config import PRESETS as KNOWN
from deepcoder_hf.config import MasksConfig
from deepcoder_hf.view.compare import DIFFERENCES, MAX_STRETCHES, compare

Call = Callable[..., Result]
Process = Callable[..., Path]
SETUP = ("tokens.engine=reference",)
ASKED = {"role": "user", "content": "Is the cache of CI keyed by the lock file?"}
THOUGHT = {"role": "assistant", "reasoning_content": "The key is in ci.yml.", "content": "Yes, by uv.lock."}
BARE = {"role": "assistant", "content": "Yes, see ci.yml."}
PAST = {"role": "assistant", "content": "Let me look.", "weight": 0}
SUMMARISED = {
    "input": [{"type": "message", **ASKED}],
    "output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Looked at the workflow."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]},
    ],
}
RECORDS = [
    {"id": "plain", "messages": [ASKED, BARE]},
    {"id": "turns", "messages": [ASKED, PAST, ASKED, THOUGHT, ASKED, BARE]},
    {"id": "summary", **SUMMARISED},
    {
        "id": "react",
        "text": "Thought: I look.\nAction: look[ci]\nObservation: uv.lock\nThought: So.\nAction: finish[yes]",
    },
]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Process:
    """Process records with settings, once; returns the folder of the rows, which are valid."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "thinks.jinja").write_text(ALWAYS_THINKS)
    made: dict[str, Path] = {}

    def process(*settings: str, records: list[Any] = RECORDS) -> Path:
        key = json.dumps([sorted(settings), records])
        if key not in made:
            source, made[key] = folder / f"{len(made)}.jsonl", folder / f"rows-{len(made)}"
            source.write_text("".join(json.dumps(record) + "\n" for record in records))
            processor = TrajectoryProcessor(
                load_config(None, [*SETUP, f"rendering.template={folder}/thinks.jinja", *settings])
            )
            report = processor.process_files(source, made[key])
            assert report["format_validation"]["rate"] == 1.0
            assert processor.validate_processed_trajectories(made[key])["invalid_trajectories"] == 0
        return made[key]

    return process


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Rows by their trajectory."""
    return {row["trajectory_id"]: dict(row) for row in load_from_disk(str(folder))}


def test_the_command_knows_every_preset() -> None:
    assert tuple(KNOWN) == PRESETS


OWN = (
    ("masks.preset=sad",),
    ("masks.preset=trl",),
    ("masks.preset=axolotl",),
    ("masks.preset=renderers",),
    ("masks.answer=own", "masks.preamble=none"),
    ("masks.answer=none", "masks.stop=none", "tokens.append_eos=true"),
    ("masks.preset=trl", "tokens.append_eos=true"),
    ("tokens.append_eos=true",),
    ("masks.straddle=majority", "masks.reasoning=none"),
)


@pytest.mark.slow
@pytest.mark.parametrize("own", OWN, ids=" ".join)
def test_a_comparison_says_what_processing_again_with_the_preset_would_give(
    own: tuple[str, ...], process: Process
) -> None:
    """For any settings of the rows: from the row alone, without the tokenizer, exactly the other run's masks."""
    kept = [setting for setting in own if "append_eos" in setting or "straddle" in setting]
    mine = rows_of(process(*own))
    for name in PRESETS:
        theirs = rows_of(process(f"masks.preset={name}", *kept))
        for trajectory_id, row in mine.items():
            other, found = theirs[trajectory_id], compare(row, name)
            codes = ["same"] * row["length"]
            for stretch in found.stretches:
                part = slice(stretch.start_token, stretch.end_token)
                codes[part] = [stretch.difference] * (stretch.end_token - stretch.start_token)
            assert codes == [expected(row, other, token) for token in range(row["length"])], (name, row["text"])
            labelled = [{n for n, label in enumerate(r["labels"]) if label != -100} for r in (row, other)]
            assert (found.n_row, found.n_preset) == (len(labelled[0]), len(labelled[1]))
            assert found.n_both == len(labelled[0] & labelled[1])


def expected(row: dict[str, Any], other: dict[str, Any], token: int) -> str:
    mine, theirs = row["labels"][token] != -100, other["labels"][token] != -100
    if mine != theirs:
        return "only_row" if mine else "only_preset"
    same = all(row[name][token] == other[name][token] for name in ("reasoning_mask", "action_mask"))
    return "same" if same else "other_mask"


def test_the_differences_are_counted_by_span_type_in_both_directions(process: Process, call: Call) -> None:
    ours, theirs = process(), process("masks.preset=trl")
    found = json.loads(call("inspect", ours, "--row", 1, "--compare", "trl", "--json").stdout)
    assert found["only_preset"] == {
        "tokens": 6,
        "by_type": {
            "other/empty_think": {"tokens": 4, "stretches": 1},
            "other/turn_end": {"tokens": 2, "stretches": 2},
        },
    }
    assert found["only_row"] == found["other_mask"] == {"tokens": 0, "by_type": {}}
    assert (found["trajectory_id"], found["preset"], found["row_preset"]) == ("turns", "trl", "sad")
    assert (found["same"], found["same_tokens"]) == (False, False)
    assert found["preset_masks"] == MasksConfig(preset="trl").model_dump()
    assert [stretch["text"] for stretch in found["stretches"]] == ["\n", "<think>\n\n</think>\n\n", "\n"]
    back = json.loads(call("inspect", theirs, "--row", 1, "--compare", "sad", "--json").stdout)
    assert (back["only_row"], back["only_preset"]) == (found["only_preset"], found["only_row"])
    assert (back["row_preset"], back["trained"]["both"]) == ("trl", found["trained"]["both"])


def test_the_terminal_shows_counts_excerpts_and_totals(process: Process, call: Call) -> None:
    shown = call("inspect", process(), "--id", "turns", "--compare", "trl").stdout
    assert "0 by the row only" in shown
    assert "6 by the preset only" in shown
    assert re.search(r"\+ trained by the preset, not by the row +other/empty_think +1 +4\n", shown)
    assert re.search(r"\+ trained by the preset, not by the row +all +3 +6\n", shown)
    assert "<think>⏎⏎</think>⏎⏎" in shown.replace("\n", "")
    assert "turn_end=trained" in shown
    assert "The same" not in shown


def test_sameness_is_said_in_words(process: Process, call: Call) -> None:
    output = process("masks.preset=axolotl")
    shown = call("inspect", output, "--row", 1, "--compare", "sad").stdout
    assert "The same: row and preset train the same" in " ".join(shown.split())
    assert json.loads(call("inspect", output, "--row", 1, "--compare", "sad", "--json").stdout)["same"] is True


def test_the_same_tokens_in_another_mask_are_no_sameness(process: Process, call: Call) -> None:
    output = process("masks.answer=own")
    shown = call("inspect", output, "--row", 0, "--compare", "sad").stdout
    assert "the same 7 tokens, some in another mask" in " ".join(shown.split())
    found = json.loads(call("inspect", output, "--row", 0, "--compare", "sad", "--json").stdout)
    assert (found["same"], found["same_tokens"], found["row_preset"]) == (False, True, None)
    assert list(found["other_mask"]["by_type"]) == ["answer/message", "answer/stop"]


def test_many_stretches_are_cut_and_shown_whole_on_request(process: Process, call: Call) -> None:
    n_turns = MAX_STRETCHES + 5
    output = process(records=[{"id": "long", "messages": [ASKED, THOUGHT] * n_turns}])
    cut, whole = (call("inspect", output, "--compare", "trl", *more).stdout for more in ((), ("--full",)))
    assert "5 more stretches" in cut
    assert (cut.count("\n+ other/turn_end"), whole.count("\n+ other/turn_end")) == (MAX_STRETCHES, n_turns)


def test_texts_and_subtypes_do_not_act_on_the_terminal(process: Process, call: Call, tmp_path: Path) -> None:
    evil = {"role": "assistant", "content": "\x1b[31mred\x1b]0;t\x07 [bold]m[/bold] :smile:\rback \u202etxt"}
    rows = rows_of(process("masks.answer=own", records=[{"id": "e\x1b[2J", "messages": [ASKED, evil]}]))
    row = next(iter(rows.values()))
    row["spans"][3]["subtype"] = "\x1b[31m"
    (tmp_path / "evil.jsonl").write_text(json.dumps(row) + "\n")
    for more in ((), ("--full",), ("--json",)):
        result = call("inspect", "evil.jsonl", "--compare", "sad", *more)
        assert result.exit_code == 0, result.stderr
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", result.stdout)
    assert "[bold]m[/bold] :smile:" in call("inspect", "evil.jsonl", "--compare", "sad").stdout


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": "{}"},
        {"metadata": "[]"},
        {"metadata": "no JSON"},
        {"metadata": '{"masks": {"answer": "both"}}'},
        {"labels": [1, 2]},
        {"length": 3},
    ],
    ids=str,
)
def test_a_row_that_does_not_hold_together_is_one_line_of_error(
    change: dict[str, Any], process: Process, call: Call, tmp_path: Path
) -> None:
    row = rows_of(process())["plain"] | change
    (tmp_path / "broken.jsonl").write_text(json.dumps(row) + "\n")
    result = call("inspect", "broken.jsonl", "--compare", "trl")
    assert result.exit_code == 2, result.output
    assert re.fullmatch(r"error: the row cannot be compared \(.*\); see deepcoder-hf validate\n", result.stderr)


def test_an_unknown_preset_is_named_with_the_known_ones(process: Process, call: Call) -> None:
    result = call("inspect", process(), "--compare", "unsloth")
    assert result.exit_code == 2
    assert all(name in result.stderr for name in PRESETS)


def test_every_kind_of_difference_has_words() -> None:
    assert {"only_preset", "only_row", "other_mask"} == set(DIFFERENCES)
