"""What is in no row is in the loss: rejects, text that a template leaves out; what a filter drops is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deepcoder_hf.dataset.ledger import columns_of, ledger_of
from deepcoder_hf.pipeline import TrajectoryProcessor

SYSTEM = {"role": "system", "content": "Answer in one short sentence, and name the file that you read."}
CHAT = [{"role": "user", "content": "Which port is free?"}, {"role": "assistant", "content": "Port 8081 is free."}]
ONLY_AGENT = (
    "{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>assistant\n{{ m.content }}<|im_end|>\n"
    "{% endif %}{% endfor %}"
)


def report(folder: Path, records: list[Any], **sections: Any) -> dict[str, Any]:
    source = folder / "in.jsonl"
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    source.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    settings = {"tokens": {"model_name": "Qwen/Qwen3-0.6B"}, **sections}
    return TrajectoryProcessor(settings).process_files(source, folder / "out", overwrite=True)


def test_a_whole_run_loses_nothing(tmp_path: Path) -> None:
    assert report(tmp_path, [{"messages": [SYSTEM, *CHAT]}])["ledger"]["loss_ratio"] == 0


def test_a_record_that_cannot_be_used_is_lost_text(tmp_path: Path) -> None:
    broken = json.dumps({"messages": CHAT})[:-30]
    ledger = report(tmp_path, [{"messages": CHAT}, broken])["ledger"]
    assert ledger["record_strings"]["rejected"] == len(broken)
    assert ledger["loss_ratio"] == round(len(broken) / (len(broken) + len(CHAT[1]["content"])), 9)


def test_a_record_that_a_filter_drops_is_no_loss(tmp_path: Path) -> None:
    found = report(tmp_path, [{"messages": CHAT}, {"messages": [*CHAT, *CHAT]}], filters={"max_tokens": 30})
    assert (found["n_kept"], found["n_dropped"], found["ledger"]["loss_ratio"]) == (1, 1, 0)


def test_system_and_user_text_that_a_template_leaves_out_is_lost(tmp_path: Path) -> None:
    template = tmp_path / "agent.jinja"
    template.write_text(ONLY_AGENT, encoding="utf-8")
    ledger = report(tmp_path, [{"messages": [SYSTEM, *CHAT]}], rendering={"template": str(template)})["ledger"]
    left_out = len(SYSTEM["content"]) + len(CHAT[0]["content"])
    assert ledger["context_lost"] == left_out
    assert ledger["loss_ratio"] == round(left_out / (left_out + len(CHAT[1]["content"])), 9)


def test_a_template_that_writes_nothing_is_a_refusal(tmp_path: Path) -> None:
    template = tmp_path / "empty.jinja"
    template.write_text("", encoding="utf-8")
    found = report(tmp_path, [{"messages": CHAT}], rendering={"template": str(template)})
    assert found["reasons"]["failed"] == {"template_refused": 1}


def test_rejects_with_odd_line_ends_can_be_tried_again(tmp_path: Path) -> None:
    odd = json.dumps({"messages": [{"role": "user", "content": "a\u2028b\x85c"}]}, ensure_ascii=False)
    report(tmp_path, [{"messages": CHAT}, odd])
    processor = TrajectoryProcessor({"tokens": {"model_name": "Qwen/Qwen3-0.6B"}})
    again = processor.process_files(tmp_path / "in.jsonl", tmp_path / "again", only_rejected=tmp_path / "out")
    assert (again["n_read"], again["n_failed"]) == (1, 1)


def test_a_later_trajectory_of_a_record_that_cannot_be_used_is_lost_too() -> None:
    facts = [{"read": {"total": 90, "claimed": 90}}, {}]
    ledger = ledger_of([(0, 5, 0, 0, 0), (0,) * 5], [{}, {"rejected": 40}], facts, [True, False])
    assert ledger[:, columns_of("total", "rejected")].tolist() == [[90, 0], [0, 40]]
