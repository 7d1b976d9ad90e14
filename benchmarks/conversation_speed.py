"""Speed of `process` on tool conversations, from JSONL messages to Arrow, against TRL with `assistant_only_loss`.

    python benchmarks/conversation_speed.py [--pairs 5] [--steps FOLDER] [--tokenizer FOLDER]
    python benchmarks/conversation_speed.py --turns

The conversations are real ones that hold calls and have 2,000 to 3,400 tokens; where there are fewer than 500, they are
used again with other words, so that no text occurs twice. Both arms read the same file with the same tokenizer, each in
a new process with an empty cache, warmed up with 20 other conversations; CPU-seconds from the file to the dataset are
counted. Ours uses the tokenizer's chat template, TRL the one that it can make trainable. `--turns` prints the cost of a
turn in conversations of 10 to 3,000 turns.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from corpus import WORD, default_steps, vary

from deepcoder_hf.config import Config, ReadersConfig
from deepcoder_hf.dataset.raw import raw_rows, table_of
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers import TrajectoryParser
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import find_files
from deepcoder_hf.stages import process_records
from deepcoder_hf.trajectory import Trajectory

N, SMALL = 500, 20
TOKENS = range(2000, 3401)
OURS = """
import sys, time
from deepcoder_hf import TrajectoryProcessor
processor = TrajectoryProcessor({{"tokens": {{"model_name": {tokenizer!r}}}}})
for n, file in enumerate(sys.argv[1:3]):  # the first, small file warms up
    began = time.process_time()
    report = processor.process_files(file, f"{{sys.argv[3]}}/sad{{n}}")
    seconds = time.process_time() - began
print(seconds, f"kept {{report['n_kept']}}, loss {{report['ledger']['loss_ratio']}}")
"""
TRL = """
import sys, time
from datasets import load_dataset
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM
import pathlib, trl
from trl import SFTConfig, SFTTrainer
tokenizer = AutoTokenizer.from_pretrained({tokenizer!r})
known = pathlib.Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja"  # the one that TRL can make trainable
tokenizer.chat_template = known.read_text()
tiny = Qwen3Config(vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                   num_attention_heads=1, num_key_value_heads=1, head_dim=8)
model = Qwen3ForCausalLM(tiny)
for n, file in enumerate(sys.argv[1:3]):
    began = time.process_time()
    dataset = load_dataset("json", data_files=file, split="train", parse_agent_traces=False)
    trainer = SFTTrainer(model=model, processing_class=tokenizer, train_dataset=dataset,
                         args=SFTConfig(output_dir=sys.argv[3], max_length=None, report_to=[], use_cpu=True, bf16=False,
                                        assistant_only_loss=True))
    seconds = time.process_time() - began
assert len(trainer.train_dataset) == len(dataset)
print(seconds, f"kept {{len(trainer.train_dataset)}}")
"""


def cpu_seconds(script: str, small: Path, large: Path) -> tuple[float, str]:
    """CPU-seconds of the large file in a new process with an empty cache, after the small one, and what it says."""
    with tempfile.TemporaryDirectory() as folder:
        home = {"HF_HOME": f"{folder}/hf", "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": f"{folder}/cache"}
        command = [sys.executable, "-c", script, str(small), str(large), folder]
        done = subprocess.run(command, env=os.environ | home, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    seconds, note = done.stdout.strip().splitlines()[-1].split(" ", 1)
    return float(seconds), note


def message_rows(folder: Path) -> list[dict[str, Any]]:
    """Real trajectories with calls as rows with `messages` and `tools`, arguments as text."""
    parser, found = TrajectoryParser(), []
    for file in find_files(folder):
        for raw in iter_records(file, ReadersConfig()):
            try:
                trajectories = parser.parse_all(raw.record)
            except RecordError:
                continue
            found += [row for trajectory in trajectories if (row := _row(trajectory)) is not None]
    return found


def _row(trajectory: Trajectory) -> dict[str, Any] | None:
    if not any(call.function_name for step in trajectory.steps for call in step.tool_calls):
        return None
    messages: list[dict[str, Any]] = []
    for step in trajectory.steps:
        if step.source != "agent":
            messages.append({"role": step.source, "content": step.message or ""})
            continue
        calls = [
            {"type": "function", "function": {"name": call.function_name or "run", "arguments": call.arguments}}
            for call in step.tool_calls
        ]
        message = {
            "role": "assistant",
            "content": step.message or "",
            "reasoning_content": step.reasoning_content or "",
        }
        messages.append(message | ({"tool_calls": calls} if calls else {}))
        messages += [{"role": "tool", "content": result.content} for result in step.observations]
    return {"messages": messages, "tools": json.dumps([json.loads(tool) for tool in trajectory.tools])}


def write_conversations(folders: list[Path], config: Config, out: Path) -> tuple[int, int]:
    """Write N conversations and SMALL more; returns how many of the N are real and how many tokens they have."""
    rows = [row for folder in folders for row in message_rows(folder)]
    lengths = tokens_of(rows, config)
    fitting = [row for row, length in zip(rows, lengths, strict=True) if length in TOKENS]
    rng = random.Random(0)
    rng.shuffle(fitting)
    words = sorted(
        {word for row in fitting for message in row["messages"] for word in WORD.findall(message["content"])}
    )
    chosen = fitting[:N]
    while len(chosen) < N + SMALL:
        row = json.loads(json.dumps(fitting[len(chosen) % len(fitting)]))
        for message in row["messages"]:
            message["content"] = vary(message["content"], words, rng)
        chosen.append(row)
    out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen), encoding="utf-8")
    return min(len(fitting), N), sum(tokens_of(chosen[:N], config))


def tokens_of(rows: list[dict[str, Any]], config: Config) -> list[int]:
    """Tokens of each record as it is rendered; 0 where it is not kept."""
    parser, lengths = TrajectoryParser(), list[int]()
    for start in range(0, len(rows), 100):
        raw = [raw_rows(row, "", n + 1, parser)[0] for n, row in enumerate(rows[start : start + 100])]
        table = process_records(table_of(raw), config=config)
        first = table.column("outcome").combine_chunks().field("first").to_pylist()
        for begins, length in zip(first, table.column("length").to_pylist(), strict=True):
            if begins:
                lengths.append(0)
            lengths[-1] += length
    return lengths


def compare(given: argparse.Namespace, config: Config) -> None:
    """Both arms on the same files, in pairs."""
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder, "large.jsonl"), Path(folder, "small.jsonl")
        n_real, n_tokens = write_conversations(given.steps, config, large)
        lines = large.read_text(encoding="utf-8").splitlines(keepends=True)
        small.write_text("".join(lines[-SMALL:]), encoding="utf-8")
        large.write_text("".join(lines[:-SMALL]), encoding="utf-8")
        print(f"{N} conversations ({n_real} real), {n_tokens / N:.0f} tokens each")
        arms = {"deepcoder-hf process": OURS, "TRL assistant_only_loss": TRL}
        scripts = {name: script.format(tokenizer=str(given.tokenizer.resolve())) for name, script in arms.items()}
        speeds: dict[str, list[float]] = {name: [] for name in arms}
        for pair in range(given.pairs):
            for name, script in scripts.items():
                seconds, note = cpu_seconds(script, small, large)
                speeds[name].append(n_tokens / seconds)
                print(
                    f"pair {pair + 1}  {name:24}  {speeds[name][-1] / 1e6:6.2f} M tokens/CPU-s  {note[:60]}", flush=True
                )
    ours, theirs = speeds.values()
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    medians = [statistics.median(values) for values in (ours, theirs, ratios)]
    print(f"\nmedian {medians[0] / 1e6:.2f} M tokens/CPU-s, TRL {medians[1] / 1e6:.2f}")
    print(f"ours is {medians[2]:.1f} times as fast (pairs {min(ratios):.1f} to {max(ratios):.1f})")


def turns(config: Config) -> None:
    """The cost of a turn, for conversations of more and more turns."""
    parser = TrajectoryParser()
    for n_turns in (10, 30, 100, 300, 1000, 3000):
        messages: list[dict[str, Any]] = [{"role": "user", "content": "List every file."}]
        for n in range(n_turns):
            arguments = json.dumps({"command": f"ls -la /srv/data/{n}"})
            message = {"role": "assistant", "content": f"Folder {n} is next.", "reasoning_content": "So far so good."}
            message["tool_calls"] = [{"id": str(n), "function": {"name": "bash", "arguments": arguments}}]
            result = f"total {n}\n" + f"-rw-r--r-- 1 a b {n} file_{n}.txt\n" * 4
            messages += [message, {"role": "tool", "tool_call_id": str(n), "content": result}]
        messages.append({"role": "assistant", "content": "Done."})
        record = {"messages": messages}
        times = []
        for _ in range(max(3, 300 // n_turns)):
            began = time.process_time()
            table = process_records(table_of(raw_rows(record, "", 1, parser)), config=config)
            times.append(time.process_time() - began)
        n_tokens = table.column("length")[0].as_py()
        each = statistics.median(times)
        rate = f"{each * 1e6 / n_turns:7.0f} us/turn  {n_tokens / each / 1e6:5.2f} M tokens/CPU-s"
        print(f"{n_turns:5} turns  {n_tokens:7,} tokens  {rate}")


def main() -> None:
    root = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=Path, nargs="*", default=[default_steps(), root / "bad_rows"])
    parser.add_argument("--tokenizer", type=Path, default=root / "tokenizers" / "qwen3")
    parser.add_argument("--turns", action="store_true", help="print the cost of a turn instead")
    given = parser.parse_args()
    if not given.tokenizer.is_dir():
        sys.exit(f"{given.tokenizer}: expected a folder with a tokenizer and its chat template; name one: --tokenizer")
    config = Config.model_validate({"tokens": {"model_name": str(given.tokenizer), "max_length": 1_000_000}})
    turns(config) if given.turns else compare(given, config)


if __name__ == "__main__":
    main()
