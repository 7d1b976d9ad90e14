"""The YAML at the top of a README: read from the earlier one without losing a key, and written for the Hub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import yaml
from huggingface_hub import DatasetCardData
from huggingface_hub.repocard import REGEX_YAML_BLOCK

from deepcoder_hf.errors import PublishError
from deepcoder_hf.publish.bundle import CardFacts

TAGS = ("deepcoder-hf", "structured-agent-distillation", "agent-trajectories", "tokenized")
TASKS = ["text-generation"]
_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B")


def split_readme(readme: str | None) -> tuple[dict[str, Any], str]:
    """Metadata and body of a README.md.

    Args:
        readme: Its text, or None where there is none.

    Raises:
        PublishError: Its metadata is not a YAML mapping of text keys, repeats a key, or has no closing line; so that it
            is never overwritten with what could be read of it.
    """
    text = (readme or "").removeprefix("\ufeff")
    match = REGEX_YAML_BLOCK.search(text)
    if match is None:
        if text.lstrip().split("\n", 1)[0].strip() == "---":
            raise _broken("it begins with `---`, and no line `---` closes it")
        return {}, text
    return _parsed(match[2]), text[match.end() :]


def _parsed(block: str) -> dict[str, Any]:
    try:
        node = yaml.compose(block, yaml.SafeLoader)
        data = yaml.safe_load(block)
    except (yaml.YAMLError, ValueError) as error:  # a ValueError is a date that does not exist
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 2}" if mark is not None else ""
        raise _broken(f"{getattr(error, 'problem', None) or error}{place}") from error
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise _broken("expected names of settings with values")
    repeated = [key for key, n in Counter(name.value for name, _ in getattr(node, "value", ())).items() if n > 1]
    if repeated:
        raise _broken(f"it has {', '.join(repeated)} more than once")
    return data


def _broken(why: str) -> PublishError:
    why = " ".join(why.split())
    return PublishError(f"README.md of the repository: its metadata cannot be read ({why}); mend it there first")


def metadata_yaml(earlier: Mapping[str, Any], facts: CardFacts, n_rows: int) -> str:
    """The YAML block of the card, with its `---` lines.

    Args:
        earlier: Metadata that stands there now. Its keys are kept, but for the licence, the size, the files of the
            configs of `facts`, and a `dataset_info` of this config, which is of earlier rows and would stop
            `load_dataset`; tags are added to.
        facts: What is published.
        n_rows: Rows of all configs.
    """
    merged = {key: value for key, value in earlier.items() if value is not None}
    merged["license"] = facts.licence
    merged["tags"] = list(dict.fromkeys([*_listed(merged.get("tags")), *TAGS]))
    merged.setdefault("task_categories", TASKS)
    merged["size_categories"] = [size_category(n_rows)]
    configs = _configs(merged.pop("configs", None), facts)
    if configs:
        merged["configs"] = configs
    info = [entry for entry in _listed(merged.pop("dataset_info", None)) if not _is_of(entry, facts)]
    if info:
        merged["dataset_info"] = info
    try:
        block = DatasetCardData(**merged).to_yaml(original_order=list(merged))
    except (TypeError, ValueError) as error:
        raise _broken(str(error)) from error
    return f"---\n{block}\n---\n"


def size_category(n_rows: int) -> str:
    """The Hub's name for a number of rows."""
    power = max(len(str(n_rows)) - 3, 0)
    return _SIZES[min(power, len(_SIZES) - 1)]


def _listed(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list) else [value]


def _is_of(entry: Any, facts: CardFacts) -> bool:
    """Whether an entry of `dataset_info` is of the config that is published."""
    name = entry.get("config_name", "default") if isinstance(entry, Mapping) else None
    return name == facts.config_name


def _configs(earlier: Any, facts: CardFacts) -> list[dict[str, Any]]:
    """Configs with their files: those that stand there keep their order, their further settings and the default."""
    entries = [dict(entry) for entry in _listed(earlier) if isinstance(entry, Mapping)]
    by_name = {str(entry.get("config_name", "default")): entry for entry in entries}
    for name, files in facts.configs.items():
        entry = by_name.setdefault(name, {"config_name": name})
        entry["data_files"] = [{"split": split, "path": path} for split, path in files.items()]
    chosen = [name for name, entry in by_name.items() if entry.get("default")]
    # `datasets` takes the name `default` for the default, and refuses a second one beside it
    default = "default" if "default" in by_name else next(iter(chosen or by_name), "")
    for name, entry in by_name.items():
        entry.pop("default", None)
        if name == default and name != "default":
            entry["default"] = True
    return list(by_name.values())
