"""Speed of `process` (JSONL text to Arrow on disk, everything on) against TRL's dataset preparation and `encode_batch`.

    python benchmarks/process_speed.py [--pairs 5] [--small 2000] [--large 10000] [--steps FOLDER]

Each arm runs in a new process with an empty cache, on a small and on a large corpus; the marginal cost is the
difference in CPU-seconds over the difference in tokens, so start-up (imports, loading the tokenizer) cancels. Arms are
interleaved; medians of the pairs and the ratios of the same run are printed.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from corpus import default_steps, write_corpus

OURS = """
import sys
from deepcoder_hf import TrajectoryProcessor, load_config
processor = TrajectoryProcessor(load_config("qwen3"))
report = processor.process_files(sys.argv[1], sys.argv[2] + "/sad")
print(f"kept {report['n_kept']}, dropped {report['n_dropped']}, engine {report['engine']}", file=sys.stderr)
"""
TRL = """
import sys
from datasets import load_dataset
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
from trl import SFTConfig, SFTTrainer
from deepcoder_hf.tokens.bundled import qwen3_file
tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(qwen3_file()), eos_token="<|im_end|>", pad_token="<|endoftext|>")
tiny = Qwen3Config(vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                   num_attention_heads=1, num_key_value_heads=1, head_dim=8)
dataset = load_dataset("json", data_files=sys.argv[1], split="train").select_columns(["text"])
trainer = SFTTrainer(model=Qwen3ForCausalLM(tiny), processing_class=tokenizer, train_dataset=dataset,
                     args=SFTConfig(output_dir=sys.argv[2], max_length=None, report_to=[], use_cpu=True, bf16=False))
assert len(trainer.train_dataset) == len(dataset)
"""
ENCODE = """
import json, sys
from tokenizers import Tokenizer
from deepcoder_hf.tokens.bundled import qwen3_file
tokenizer = Tokenizer.from_file(str(qwen3_file()))
texts = [json.loads(line)["text"] for line in open(sys.argv[1], encoding="utf-8")]
n_tokens = sum(len(e.ids) for i in range(0, len(texts), 1000) for e in tokenizer.encode_batch(texts[i:i + 1000]))
print(n_tokens, file=sys.stderr)
"""
ARMS = {"deepcoder-hf process": OURS, "TRL SFTTrainer dataset": TRL, "tokenizers.encode_batch": ENCODE}


def cpu_seconds(script: str, corpus: Path) -> tuple[float, str]:
    """CPU-seconds of one new process with an empty cache, and its last line on stderr."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        home = {"HF_HOME": f"{folder}/hf", "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": f"{folder}/cache"}
        command = [sys.executable, "-c", script, str(corpus), folder]
        done = subprocess.run(
            command, env=os.environ | home, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, check=False
        )
    if done.returncode:
        sys.exit(done.stderr.decode()[-3000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, (done.stderr.decode().strip().splitlines() or [""])[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--small", type=int, default=2_000)
    parser.add_argument("--large", type=int, default=10_000)
    parser.add_argument("--steps", type=Path, default=default_steps())
    parser.add_argument("--arms", nargs="*", default=list(ARMS), help="names of the arms to run")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small.jsonl"), Path(folder, "large.jsonl")
        write_corpus(given.steps, given.large, large, recur=False)
        with large.open(encoding="utf-8") as source, small.open("w", encoding="utf-8") as target:
            target.writelines(line for _, line in zip(range(given.small), source, strict=False))
        tokens = {path: int(cpu_seconds(ENCODE, path)[1]) for path in (small, large)}
        n_tokens = tokens[large] - tokens[small]
        mean = tokens[large] / given.large
        print(f"{given.large:,} - {given.small:,} trajectories, {n_tokens:,} tokens, {mean:.0f} each")
        speeds: dict[str, list[float]] = {name: [] for name in given.arms}
        for pair in range(given.pairs):
            for name in given.arms:
                seconds = {path: cpu_seconds(ARMS[name], path) for path in (small, large)}
                speeds[name].append(n_tokens / (seconds[large][0] - seconds[small][0]))
                speed = speeds[name][-1] / 1e6
                print(f"pair {pair + 1}  {name:24}  {speed:8.2f} M tokens/CPU-s  {seconds[large][1][:60]}", flush=True)
    print()
    ours = speeds.get("deepcoder-hf process")
    for name, values in speeds.items():
        line = f"{name:24}  median {statistics.median(values) / 1e6:8.2f} M tokens/CPU-s"
        if ours and values is not ours:
            ratios = [a / b for a, b in zip(ours, values, strict=True)]
            line += f"   ours is {statistics.median(ratios):5.1f} times as fast"
            line += f" (pairs {min(ratios):.1f} to {max(ratios):.1f})"
        print(line)
    if ours:
        per_hour = statistics.median(ours) / (tokens[large] / given.large) * 3600
        print(f"{per_hour:,.0f} trajectories per CPU-hour")


if __name__ == "__main__":
    main()
