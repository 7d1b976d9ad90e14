"""What a person writes in a README stays through a push, and metadata that cannot be read is never overwritten."""

from __future__ import annotations

import pytest
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st

from deepcoder_hf.errors import PublishError
from deepcoder_hf.publish.bundle import CardFacts
from deepcoder_hf.publish.card_body import merge, split_blocks
from deepcoder_hf.publish.card_metadata import metadata_yaml, size_category, split_readme

FIRST = {"rows": "## Rows\n\n1 row\n\n```text\na\n\nb\n```", "load": "## Load\n\nlike this\n\nor that"}
SECOND = {"rows": "## Rows\n\n2 rows\n\n```text\nc\n```", "load": "## Load\n\nlike that\n\nor not"}
FACTS = CardFacts("a/b", "mit", configs={"default": {"train": "data/train-*"}})
OLD = ("1 row", "like this", "or that", "a\n\nb")
BEGIN, END = "<!-- deepcoder-hf begin {} -->\n", "<!-- deepcoder-hf end {} -->\n"


def test_text_before_between_and_after_sections_survives() -> None:
    body = merge("# Mine\n\nbefore\n", FIRST)
    body = body.replace(BEGIN.format("load"), "between\n" + BEGIN.format("load")) + "\nafter, no newline"
    again = merge(body, SECOND)
    assert again.index("before") < again.index("2 rows") < again.index("between") < again.index("like that")
    assert again.index("like that") < again.index("after, no newline")
    assert not any(old in again for old in OLD)
    assert merge(again, SECOND) == again


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_text_inside_a_section_survives(line_end: str) -> None:
    body = merge("", FIRST).replace("1 row", "1 row\n\nMy note.\n\n- [ ] do it")
    again = merge(body.replace("\n", line_end), SECOND)
    assert "My note." in again
    assert "- [ ] do it" in again
    assert not any(old in again for old in ("1 row", "like this", "or that"))


@pytest.mark.parametrize(
    "marker", [shape.format(key) for key in FIRST for shape in (BEGIN, END)], ids=["begin1", "end1", "begin2", "end2"]
)
def test_a_marker_may_be_deleted_or_moved(marker: str) -> None:
    body = merge("mine 1\n", FIRST) + "\nmine 2\n"
    for changed in (body.replace(marker, ""), body.replace(marker, "") + f"\n{marker}", f"{marker}\n{body}"):
        again = merge(changed, SECOND)
        assert again.count("mine 1") == again.count("mine 2") == again.count("2 rows") == again.count("like that") == 1
        assert not any(old in again for old in OLD)
        assert merge(again, SECOND) == again


def test_a_section_that_was_deleted_comes_back_in_its_place() -> None:
    body = merge("mine\n", FIRST)
    start, end = body.index(BEGIN.format("rows")), body.index(BEGIN.format("load"))
    again = merge(body[:start] + body[end:], SECOND)
    assert again.index("mine") < again.index("2 rows") < again.index("like that")


def test_a_section_that_was_moved_stays_where_it_is() -> None:
    body = merge("mine\n", FIRST)
    start = body.index(BEGIN.format("load"))
    end = body.index(END.format("load")) + len(END.format("load"))
    again = merge(body[start:end] + "\n" + body[:start] + body[end:], SECOND)
    assert again.index("like that") < again.index("mine") < again.index("2 rows")


def test_a_generated_paragraph_that_was_changed_is_kept_beside_the_new_one() -> None:
    again = merge(merge("", FIRST).replace("like this", "like this, but carefully"), SECOND)
    assert "like this, but carefully" in again
    assert "like that" in again


def test_without_its_index_what_stands_between_markers_is_generated() -> None:
    body = merge("mine 1\n", FIRST)
    body = body[: body.index("<!-- deepcoder-hf generated")] + "mine 2\n"
    again = merge(body, SECOND)
    assert again.count("mine 1") == again.count("mine 2") == again.count("2 rows") == 1
    assert not any(old in again for old in OLD)


def test_markers_inside_a_fence_are_text() -> None:
    mine = f"~~~text\n{BEGIN.format('rows')}\n## Rows\n\n1 row\n{END.format('rows')}~~~\n"
    again = merge(merge(mine, FIRST), SECOND)
    assert again.startswith(mine)
    assert again.count("2 rows") == 1


def test_a_fence_that_is_never_closed_does_not_swallow_the_sections() -> None:
    body = merge("```\nopen\n", FIRST)
    assert body.index("open\n\n```\n") < body.index(BEGIN.format("rows"))
    assert merge(merge(body, SECOND), SECOND).count("2 rows") == 1


def test_sections_of_another_config_stay() -> None:
    body = merge("", {"shares@a": "## A\n\nof a", "shares@b": "## B\n\nof b"})
    again = merge(body, {"shares@b": "## B\n\nnew b"}, others=["shares@a"])
    assert "of a" in again
    assert "of b" not in again
    assert "of a" not in merge(again, {"shares@b": "## B\n\nnew b"})


LINES = st.sampled_from(
    [
        "",
        "text",
        "more text",
        "# Heading",
        "```",
        "~~~~",
        "````text",
        "```a`b",
        "- item",
        "    code",
        "| a |",
        " \t",
        "---",
        "\r",
    ]
)


@given(st.lists(LINES, max_size=30), st.lists(LINES, max_size=30))
def test_no_line_of_a_person_is_ever_lost(before: list[str], after: list[str]) -> None:
    mine = "\n".join(before)
    assert "".join(block.text for block in split_blocks(mine)) == mine
    body = merge(mine, FIRST) + "\n".join(after)
    again = merge(body, SECOND)
    words = [line.strip() for line in [*before, *after] if line.strip()]
    kept = iter(again.split("\n"))
    assert all(any(line.strip() == word for line in kept) for word in words)  # in their order
    assert merge(again, SECOND) == again


def test_keys_that_the_owner_added_are_kept() -> None:
    earlier = (
        '---\nlanguage:\n- en\n- de\nlicense: cc0-1.0\ntags:\n- mine\npretty_name: "Mine: \\L yes"\n'
        "train-eval-index:\n- task: x\nown:\n  deep: [1, 2]\ndate: 2024-02-29\ntask_categories: [other]\n---\n# Body\n"
    )
    metadata, body = split_readme(earlier)
    text = metadata_yaml(metadata, FACTS, 1_000) + body
    data = DatasetCard(text).data.to_dict()
    assert data["language"] == ["en", "de"]
    assert data["pretty_name"] == "Mine: \u2028 yes"
    assert data["own"] == {"deep": [1, 2]}
    assert str(data["date"]) == "2024-02-29"
    assert data["task_categories"] == ["other"]
    assert data["train-eval-index"] == [{"task": "x"}]
    assert data["license"] == "mit"
    assert data["tags"][0] == "mine"
    assert "deepcoder-hf" in data["tags"]
    assert body == "# Body\n"
    assert split_readme(text)[1] == body


def test_the_default_config_and_settings_of_configs_are_kept() -> None:
    configs = [
        {"config_name": "qwen3", "data_files": "old", "default": True},
        {"config_name": "raw", "data_files": "raw/*", "drop_labels": True},
    ]
    facts = CardFacts("a/b", "mit", "llama", configs={"llama": {"train": "l/*"}, "qwen3": {"train": "q/*"}})
    data = split_readme(metadata_yaml({"configs": configs}, facts, 1))[0]
    assert data["configs"] == [
        {"config_name": "qwen3", "data_files": [{"split": "train", "path": "q/*"}], "default": True},
        {"config_name": "raw", "data_files": "raw/*", "drop_labels": True},
        {"config_name": "llama", "data_files": [{"split": "train", "path": "l/*"}]},
    ]
    first = split_readme(metadata_yaml({}, CardFacts("a/b", "mit", "x", configs={"x": {"train": "x/*"}}), 1))[0]
    assert first["configs"][0]["default"] is True


def test_stale_dataset_info_of_this_config_goes_and_that_of_others_stays() -> None:
    info = [{"config_name": "default", "splits": []}, {"config_name": "raw", "splits": []}]
    assert split_readme(metadata_yaml({"dataset_info": info}, FACTS, 1))[0]["dataset_info"] == [info[1]]
    assert "dataset_info" not in split_readme(metadata_yaml({"dataset_info": {"splits": []}}, FACTS, 1))[0]


@pytest.mark.parametrize(
    ("readme", "words"),
    [
        ("---\na: [1\n---\nmine", "line 2"),
        ("---\n- a\n- b\n---\nmine", "expected names of settings"),
        ("---\n1: x\n---\nmine", "expected names of settings"),
        ("---\na: 1\nb: 2\na: 3\n---\nmine", "a more than once"),
        ("---\nlicense: mit\n\nmine", "no line `---` closes it"),
        ("---\nwhen: 2024-02-30\n---\nmine", "cannot be read"),
        ("---\na: !!python/object:os.system {}\n---\nmine", "cannot be read"),
    ],
    ids=["yaml", "list", "number", "twice", "open", "date", "tag"],
)
def test_broken_metadata_is_an_error_and_never_overwritten(readme: str, words: str) -> None:
    with pytest.raises(PublishError, match=words) as caught:
        split_readme(readme)
    assert "README.md" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_readme_without_metadata_is_all_body() -> None:
    assert split_readme("# Mine\n\n---\n\ntext\n") == ({}, "# Mine\n\n---\n\ntext\n")
    assert split_readme("\ufeff---\nlicense: mit\n---\r\nx") == ({"license": "mit"}, "x")
    assert split_readme(None) == ({}, "")


def test_a_key_that_is_no_setting_of_the_hub_cannot_crash_it() -> None:
    with pytest.raises(PublishError, match="self"):
        metadata_yaml({"self": 1}, FACTS, 1)


@pytest.mark.parametrize(
    ("n_rows", "name"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1_000, "1K<n<10K"),
        (99_999, "10K<n<100K"),
        (10**6, "1M<n<10M"),
        (10**12, "1B<n<10B"),
    ],
)
def test_size_categories_are_those_of_the_hub(n_rows: int, name: str) -> None:
    assert size_category(n_rows) == name
