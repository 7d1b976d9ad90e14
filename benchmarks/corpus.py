"""Write trajectories of about 1,500 tokens, assembled from the steps of real ones, as JSONL with a `text` field.

    python benchmarks/corpus.py --n 10000 --out corpus.jsonl [--steps FOLDER] [--recur]

Steps (what the agent thinks, does and sees) come from every file below --steps that the readers take and the
detector segments; each source (folder) gives as many. There are fewer real steps than a large corpus needs, so a step
that is used again has words exchanged for other words of the pool and its digits drawn anew: no step and no text occurs
twice. `--recur` leaves recurring steps as they are (for memory, where it does not matter).
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

from deepcoder_hf import SpanDetector, SpanType, TrajectoryParser
from deepcoder_hf.config import ReadersConfig
from deepcoder_hf.errors import RecordError
from deepcoder_hf.readers.containers import iter_records
from deepcoder_hf.readers.containers.files import find_files

TARGET_CHARS = 4000
MAX_PART_CHARS = 2000
MIN_STEPS = 20
"""A source with fewer steps would be repeated too often."""
LAYOUTS = (
    ("Thought: {}\n", "Action: {}\n", "Observation: {}\n"),
    ("<think>\n{}\n</think>\n\n", "<tool_call>\n{}\n</tool_call>\n", "<tool_response>\n{}\n</tool_response>\n"),
    ("<thought>{}</thought>\n", "<execute>\n{}\n</execute>\n", "Observation:\n{}\n"),
)
MARKS = re.compile(
    r"</?(?:think|tool_call|tool_response|thought|execute)>|^(?:Thought|Action|Observation)[ \d]*:", re.M
)
WORD = re.compile(r"[A-Za-z]{4,}")
Step = tuple[str, str, str]


def real_steps(folder: Path) -> dict[str, list[Step]]:
    """(thought, action, observation) of every step that has at least a thought and an action, by source (subfolder)."""
    detector, parser = SpanDetector(), TrajectoryParser()
    by_source: dict[str, list[Step]] = {}
    for file in find_files(folder):
        steps = by_source.setdefault(Path(file.path).parent.name, [])
        for raw in iter_records(file, ReadersConfig()):
            try:
                trajectory = parser.parse(raw.record or {})
            except RecordError:
                continue
            text = "\n".join(step.message or "" for step in trajectory.steps if step.message)
            steps += list(_steps_of(text, detector))
    return {source: steps for source, steps in by_source.items() if len(steps) >= MIN_STEPS}


def _steps_of(text: str, detector: SpanDetector) -> Iterator[Step]:
    by_step: dict[int, dict[SpanType, str]] = {}
    for span in detector.detect(text):
        part = MARKS.sub("", text[span.start_char : span.end_char]).strip()[:MAX_PART_CHARS]
        by_step.setdefault(span.step_id, {}).setdefault(span.span_type, part)
    for parts in by_step.values():
        step = tuple(parts.get(kind, "") for kind in (SpanType.REASONING, SpanType.ACTION, SpanType.OBSERVATION))
        if step[0] and step[1]:
            yield step[0], step[1], step[2]


def vary(text: str, words: list[str], rng: random.Random) -> str:
    """The text with about every sixth word exchanged and its digits drawn anew."""
    text = WORD.sub(lambda m: rng.choice(words) if rng.random() < 1 / 6 else m[0], text)
    return re.sub(r"\d", lambda m: str(rng.randrange(10)), text)


def write_corpus(folder: Path, n: int, out: Path, recur: bool, seed: int = 0) -> None:
    """Write `n` trajectories."""
    rng = random.Random(seed)
    sources = real_steps(folder)
    words = sorted(
        {word for steps in sources.values() for step in steps for part in step for word in WORD.findall(part)}
    )
    used = dict.fromkeys(sources, 0)
    for steps in sources.values():
        rng.shuffle(steps)
    with out.open("w", encoding="utf-8") as file:
        for number in range(n):
            layout, parts, n_chars = (
                rng.choice(LAYOUTS),
                [f"Task {number}: {rng.choice(words)} {rng.choice(words)}\n"],
                0,
            )
            while n_chars < TARGET_CHARS:
                source = rng.choice(list(sources))  # each source weighs the same, however many steps it has
                step = sources[source][used[source] % len(sources[source])]
                used[source] += 1
                if used[source] > len(sources[source]) and not recur:
                    step = (vary(step[0], words, rng), vary(step[1], words, rng), vary(step[2], words, rng))
                text = "".join(form.format(part) for form, part in zip(layout, step, strict=True))
                parts.append(text)
                n_chars += len(text)
            file.write(json.dumps({"id": f"bench-{number}", "text": "".join(parts)}, ensure_ascii=False) + "\n")


def default_steps() -> Path:
    """Real trajectories beside the checkout where they are, else the shipped samples."""
    root = Path(__file__).resolve().parents[1]
    shared = root.parent / "shared" / "data" / "trajectories"
    return shared if shared.is_dir() else root / "deepcoder_hf" / "samples"


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--n", type=int, default=10_000)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--steps", type=Path, default=default_steps())
    arguments.add_argument("--recur", action="store_true")
    given = arguments.parse_args()
    write_corpus(given.steps, given.n, given.out, given.recur)
