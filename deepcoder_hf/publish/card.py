"""The dataset card: README.md and its pictures, made from the data, around what people wrote in it by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deepcoder_hf.errors import PublishError
from deepcoder_hf.publish.bundle import Bundle, CardFacts
from deepcoder_hf.publish.card_body import merge, split_blocks
from deepcoder_hf.publish.card_columns import columns_section
from deepcoder_hf.publish.card_metadata import metadata_yaml, split_readme
from deepcoder_hf.publish.card_snippets import load_section, train_section
from deepcoder_hf.publish.card_tally import UNKNOWN, Tally, tally
from deepcoder_hf.publish.card_text import code, table

_CONFIG = re.compile(r"[\w.-]+", re.ASCII)
_ROWS_HEAD = ("config", "split", "rows", "tokens", "trained tokens", "trained", "longest row")
_ROWS_LINE = re.compile(r"\| `([\w.-]+)` \| `[^`|]+` \| ([\d,]+) \| [\d,]+ \| [\d,]+ \| [\d.]+% \| [\d,]+ \|")


def make_card(bundle: Bundle, facts: CardFacts, earlier: str | None) -> dict[str, bytes]:
    """Make the card of a dataset.

    Every number is counted from the rows, but for what the report alone knows: records read and reasons of those that
    are not rows. What a person wrote stays: keys of the metadata, and every paragraph that was not generated, even
    inside a generated section or after its markers were moved. A generated section that was taken out comes back.

    Args:
        bundle: Rows by split and the report of their run.
        facts: What else the card says.
        earlier: README.md that stands in the repository now, or None.

    Returns:
        Bytes by path in the repository: README.md, and four pictures (`assets/...png`) where there are rows. The same
        arguments give the same bytes, and its own README.md as `earlier` changes nothing.

    Raises:
        PublishError: The earlier README.md has metadata that cannot be read, columns are missing, the name of the
            config cannot be part of a path, or matplotlib is not installed.
    """
    if not _CONFIG.fullmatch(facts.config_name):
        raise PublishError(f"config {facts.config_name!r}: expected letters, digits, `_`, `.` and `-`")
    if not bundle.splits:
        raise PublishError("expected at least one split to publish, got none")
    metadata, body = split_readme(earlier)
    counts = tally(bundle)
    others = [name for name in facts.configs if name != facts.config_name]
    other_rows = _rows_of_others(body, others)
    pictures = _pictures(bundle, counts, facts.config_name) if counts.n_rows else {}
    sections = {
        "about": _about(),
        "rows": _rows(counts, facts, [line for line, _ in other_rows]),
        "columns": columns_section(next(iter(bundle.splits.values())).features),
        **_of_config(bundle, counts, facts),
    }
    own = {key.partition("@")[0] for key in sections if "@" in key}
    kept = [f"{key}@{name}" for name in others for key in own]
    body = merge(body if body.strip() else f"# {_title(facts)}\n", sections, kept)
    head = metadata_yaml(metadata, facts, counts.n_rows + sum(n for _, n in other_rows))
    return {"README.md": f"{head}\n{body.lstrip()}".encode(errors="replace"), **pictures}


def _title(facts: CardFacts) -> str:
    return facts.repo_id.rpartition("/")[2]


def _rows_of_others(body: str, others: list[str]) -> list[tuple[str, int]]:
    """Lines of the earlier table of rows that are of other configs, which are not at hand, with their rows."""
    blocks = [block.text for block in split_blocks(body) if not re.search("```|~~~", block.text)]  # no code: it is data
    found = (_ROWS_LINE.fullmatch(line.strip()) for text in blocks for line in text.split("\n"))
    lines = {match[0]: int(match[2].replace(",", "")) for match in found if match and match[1] in others}
    return list(lines.items())


def _about() -> str:
    return "\n\n".join(
        (
            "## What it is",
            "Trajectories of agents as token-exact training rows for Structured Agent Distillation "
            "([arXiv 2505.13820](https://arxiv.org/abs/2505.13820)). Every token is typed as reasoning, action, "
            "observation, answer or other; masks and labels say which are trained, and spans say why.",
            "Made by deepcoder-hf. Generated sections stand between comments and are written anew with each push; what "
            "is written beside them stays.",
        )
    )


def _rows(counts: Tally, facts: CardFacts, others: list[str]) -> str:
    lines = []
    for name, split in counts.splits.items():
        tokens, trained = int(split.tokens.sum()), int(split.trained.sum())
        share = f"{trained / max(tokens, 1):.1%}"
        numbers = [f"{n:,}" for n in (split.n_rows, tokens, trained)]
        lines.append([code(facts.config_name), code(name), *numbers, share, f"{split.max_length:,}"])
    return "\n".join(["## Rows and tokens", "", table(_ROWS_HEAD, lines, 5), *others])


def _of_use(bundle: Bundle, counts: Tally, facts: CardFacts) -> dict[str, tuple[str, str]]:
    """How to load the config, and how to train with it."""
    split = next(iter(bundle.splits))
    identity = next(iter(counts.facts.get("tokenizer", {UNKNOWN: 0})))
    model = identity.rpartition("@")[0] or identity
    if model.count("/") != 1 or not re.fullmatch(r"[\w.-]+/[\w.-]+", model, re.ASCII):
        model = "path/to/model"  # a tokenizer of a local file: its folder is nobody else's
    longest = max(tokens.max_length for tokens in counts.splits.values())
    return {
        "load": ("Load it", load_section(facts.repo_id, facts.config_name, split)),
        "train": ("Train with it", train_section(facts.repo_id, facts.config_name, split, model, longest)),
    }


def _of_config(bundle: Bundle, counts: Tally, facts: CardFacts) -> dict[str, str]:
    from deepcoder_hf.publish import card_sections as made

    assets = f"assets/{facts.config_name}-"
    parts = _of_use(bundle, counts, facts)
    if counts.example is not None:
        split, number = counts.example
        row = bundle.splits[split].with_format(None)[number]
        parts["shares"] = ("Shares", made.shares_section(counts, assets))
        parts["trajectory"] = ("A trajectory", made.trajectory_section(row, f"{code(split)} {number}", assets))
    report = bundle.report
    parts["filters"] = ("Filters and what was left out", made.filters_section(report, counts, facts.contamination))
    parts["sources"] = ("Sources and licences", made.sources_section(facts, counts))
    parts["tokens"] = ("Tokenizer, template and patterns", made.tokens_section(report, counts))
    parts["reproduce"] = ("Make it again", made.reproduce_section(facts, report))
    return dict(made.headed(parts, facts.config_name))


def _pictures(bundle: Bundle, counts: Tally, config: str) -> Mapping[str, bytes]:
    try:
        from deepcoder_hf.publish.card_picture import draw_trajectory
        from deepcoder_hf.publish.charts import draw_distributions, draw_lengths, draw_shares
    except ImportError as error:
        message = f"the card needs {error.name}: pip install 'deepcoder-hf[publish]'"
        raise PublishError(message) from error
    pictures = {
        f"assets/{config}-shares.png": draw_shares(counts),
        f"assets/{config}-distributions.png": draw_distributions(counts),
        f"assets/{config}-lengths.png": draw_lengths(counts),
    }
    if counts.example is not None:
        split, number = counts.example
        row = bundle.splits[split].with_format(None)[number]
        pictures[f"assets/{config}-trajectory.png"] = draw_trajectory(row)
    return pictures
