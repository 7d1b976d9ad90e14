"""Fit the weights of deepcoder_hf/spans/voice.py on labelled texts, and print how it does on sources left out.

    python benchmarks/fit_voices.py GOLD.jsonl [MORE.jsonl ...] [--write]

A gold record is {id, source, text, spans: [{type, start, end, subtype}]}, as `deepcoder-hf evaluate` reads it. Each
distinct payload gives its first, middle and last paragraph; a source weighs as the root of its number of examples.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml

from deepcoder_hf.spans import voice

OF_SUBTYPE = {"user": "user", "message": "reply", "answer": "reply", "final_answer": "reply"}
OF_TYPE = {"observation": "world", "reasoning": "plan", "answer": "reply"}
Floats = npt.NDArray[np.float64]


def examples(paths: list[str]) -> list[tuple[str, int, str]]:
    """(source, voice, paragraph) of each distinct payload."""
    found: dict[tuple[str, str, str], None] = {}
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                for span in record["spans"]:
                    kind = OF_TYPE.get(span["type"]) or OF_SUBTYPE.get(span.get("subtype") or "")
                    if kind is None:
                        continue
                    parts = [part.strip() for part in re.split(r"\n\s*\n", record["text"][span["start"] : span["end"]])]
                    for part in {parts[0], parts[-1], parts[len(parts) // 2]} - {""}:
                        found[record["source"], kind, part] = None
    return [(source, voice.VOICES.index(kind), part) for source, kind, part in found]


def fit(features: Floats, labels: npt.NDArray[np.int64], weight: Floats, decay: float = 0.0002) -> Floats:
    """Multinomial logistic regression by Adam; float64 [features, voices]."""
    beta = np.zeros((features.shape[1], len(voice.VOICES)))
    wanted = np.eye(len(voice.VOICES))[labels]
    weight = weight / weight.sum()
    mean, square = np.zeros_like(beta), np.zeros_like(beta)
    for step in range(1, 501):
        scores = features @ beta
        exp = np.exp(scores - scores.max(axis=1, keepdims=True))
        gradient = features.T @ ((exp / exp.sum(axis=1, keepdims=True) - wanted) * weight[:, None]) + decay * beta
        mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
        beta -= 0.05 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    return beta


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gold", nargs="+")
    parser.add_argument("--write", action="store_true", help="replace the package's words/weights.yaml")
    args = parser.parse_args()
    found = examples(args.gold)
    counts = Counter((source, kind) for source, kind, _ in found)
    features = np.array([voice.features(part) for _, _, part in found], np.float64)
    labels = np.array([kind for _, kind, _ in found])
    sources = np.array([source for source, _, _ in found])
    weight = np.array([counts[source, kind] ** -0.5 for source, kind, _ in found])
    print(f"{len(found)} paragraphs; recall of {', '.join(voice.VOICES)} on a source that was left out of the fit:")
    for source in sorted(set(sources)):
        held = sources == source
        guess = (features[held] @ fit(features[~held], labels[~held], weight[~held])).argmax(axis=1)
        recall = [
            f"{(guess[labels[held] == kind] == kind).mean():.2f} of {n:<5}"
            if (n := int((labels[held] == kind).sum()))
            else " " * 13
            for kind in range(len(voice.VOICES))
        ]
        print(f"{source:28}", " ".join(recall))
    beta = fit(features, labels, weight)
    if args.write:
        table = {name: [round(float(x), 2) for x in row] for name, row in zip(voice.feature_names(), beta, strict=True)}
        target = Path(voice.__file__).parent / "words" / "weights.yaml"
        head = "# Weights of voice.py for world, plan, user, reply; written by benchmarks/fit_voices.py.\n"
        target.write_text(head + yaml.safe_dump(table, default_flow_style=None, sort_keys=False), encoding="utf-8")
        print(f"wrote {target}")


if __name__ == "__main__":
    main()
