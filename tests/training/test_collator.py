"""SadCollator against a plain reference: padded and packed, from every form of a batch, and what it refuses."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from sad_rows import FEATURES, PER_TOKEN, Row, expected_packed, expected_padded, sad_row

from deepcoder_hf.errors import ConfigError, InputError, SchemaError
from deepcoder_hf.training.batches import ArrowRows, read_batch
from deepcoder_hf.training.collator import SadCollator

PAD = 7
DTYPES = {
    **dict.fromkeys(["input_ids", "labels", "attention_mask", "position_ids", "teacher_topk_ids"], np.int64),
    **dict.fromkeys(["reasoning_mask", "action_mask", "token_types"], np.int8),
    **dict.fromkeys(["token_weights", "row_weight", "teacher_logprobs"], np.float32),
    "teacher_topk_logprobs": np.float16,
}


def row(n: int = 3, **changes: Any) -> Row:
    ids = list(range(10, 10 + n))
    filled = {"reasoning_mask": [0] * n, "action_mask": [1] * n, "token_types": [2] * n, "row_weight": 1.0}
    return {"input_ids": ids, "attention_mask": [1] * n, "labels": ids, **filled, **changes}


def assert_equal(found: dict[str, Any], expected: dict[str, list[Any]], exact_types: bool = True) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        wanted = np.array(values, DTYPES[name]).reshape(found[name].shape)
        np.testing.assert_array_equal(found[name], wanted, err_msg=name)
        if exact_types:
            assert found[name].dtype == DTYPES[name], name


def forms(dataset: Dataset) -> dict[str, Any]:
    """The same rows in every form in which `datasets` and a DataLoader give them."""
    arrow, n = dataset.with_format("arrow"), len(dataset)
    return {
        "table": arrow[:],
        "gathered table": arrow[list(range(n))],
        "record batch": arrow[:].combine_chunks().to_batches()[0],
        "tables of a row": [arrow[i : i + 1] for i in range(n)],
        "slice of a longer table": pa.concat_tables([arrow[:], arrow[:]]).combine_chunks().slice(n, n),
        "dataset": dataset,
        "ArrowRows": ArrowRows.of(dataset).__getitems__(list(range(n))),
        "rows": [dataset[i] for i in range(n)],
        "columns": dataset[:],
        "streamed": list(dataset.to_iterable_dataset().with_format("arrow")),
    }


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(sad_row(), min_size=1, max_size=5), multiple=st.sampled_from([None, 1, 8]), packing=st.booleans())
def test_every_form_of_a_batch_gives_what_the_plain_reference_gives(
    rows: list[Row], multiple: int | None, packing: bool
) -> None:
    dataset = Dataset(pa.Table.from_pylist(rows, FEATURES.arrow_schema))
    collator = SadCollator(PAD, packing=packing, pad_to_multiple_of=multiple)
    expected = (expected_packed if packing else expected_padded)(rows, PAD, multiple)
    for name, batch in forms(dataset).items():
        from_lists = name in ("rows", "columns")  # lists of floats say nothing of float16
        assert_equal(collator.arrays(batch), expected, exact_types=not from_lists)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(sad_row(), min_size=1, max_size=5))
def test_packing_trains_the_tokens_that_padding_trains(rows: list[Row]) -> None:
    padded, packed = (SadCollator(PAD, packing=p).arrays(rows) for p in (False, True))
    for name in ("labels", "reasoning_mask", "action_mask"):
        nothing = -100 if name == "labels" else 0
        shifted = padded[name][:, 1:]  # what a causal loss looks at
        assert (shifted != nothing).sum() == (packed[name][:, 1:] != nothing).sum() == (packed[name] != nothing).sum()
        assert shifted[shifted != nothing].tolist() == packed[name][packed[name] != nothing].tolist()


def test_no_python_object_is_made_of_a_token() -> None:
    n = 200_000
    table = Dataset.from_list([row(n)]).with_format("arrow")[:]
    values = table.column("input_ids").chunk(0).values
    calls: list[str] = []

    def count(frame: Any, event: str, argument: Any) -> None:
        if event == "c_call":
            calls.append(argument.__name__)

    sys.setprofile(count)
    try:
        found = SadCollator(PAD).arrays(table)
    finally:
        sys.setprofile(None)
    assert found["input_ids"].shape == (1, n)
    assert not {"as_py", "to_pylist"} & set(calls)
    assert calls.count("tolist") <= 1  # the ends of the rows
    assert len(calls) < 1000
    view = read_batch(table, ["input_ids"].__contains__)["input_ids"].values
    assert view.ctypes.data == values.buffers()[1].address  # the buffer of Arrow itself


def test_columns_are_what_is_asked_for() -> None:
    assert set(SadCollator(0).arrays([row()])) == {*PER_TOKEN, "row_weight"}
    assert set(SadCollator(0, columns=("labels",)).arrays([row()])) == {"input_ids", "attention_mask", "labels"}
    assert set(SadCollator(0, columns=()).arrays([{"input_ids": [1]}])) == {"input_ids", "attention_mask"}
    own = SadCollator(0, columns=["labels", "depth"]).arrays([row(2, depth=[1, 2]), row(1, depth=[3])])
    assert own["depth"].tolist() == [[1, 2], [3, 0]]
    with pytest.raises(SchemaError, match=r"has no token_weights; it has input_ids, attention_mask, labels"):
        SadCollator(0, columns=["labels", "token_weights"]).arrays([row()])


def test_the_attention_mask_is_made_where_a_trainer_took_it_away_and_kept_where_it_says_more() -> None:
    rows = [{"input_ids": [1, 2], "labels": [1, 2]}, {"input_ids": [3], "labels": [3]}]
    assert SadCollator(0).arrays(rows)["attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert SadCollator(0).arrays([row(3, attention_mask=[1, 0, 1])])["attention_mask"].tolist() == [[1, 0, 1]]


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([], InputError, "at least one row in the batch, got none"),
        ({}, InputError, "at least one row"),
        (FEATURES.arrow_schema.empty_table(), InputError, "at least one row"),
        ({"input_ids": [], "labels": []}, InputError, "at least one row"),
        ("rows", InputError, "expected a batch of rows: .* got str of str"),
        ([[1, 2]], InputError, "got list of list"),
        ([{"text": "a"}], SchemaError, r"has no input_ids, labels; it has nothing that a loss takes.*load_sad"),
        ([{"input_ids": [1]}], SchemaError, r"has no labels; it has input_ids.*remove_unused_columns=False"),
        ([row(), {"input_ids": [1], "labels": [1]}], SchemaError, "row 1 of the batch has no action_mask"),
        ([row(3, labels=[1, 2])], SchemaError, "row 0 of the batch: labels has 2 entries, expected 3"),
        (
            [row(), row(2, row_weight=1.0, action_mask=[1])],
            SchemaError,
            "row 1 .* action_mask has 1 entries, expected 2",
        ),
        ([row(), row(0)], SchemaError, "row 1 of the batch has no tokens"),
        ([row(1, labels=["a"])], SchemaError, "labels: expected numbers"),
        ([row(1, labels=None)], SchemaError, "labels"),
        ([row(), row(1, labels=None)], SchemaError, "labels is null"),
        (pa.Table.from_pylist([row(1), row(1, labels=None)]), SchemaError, "row 1 of the batch: labels is null"),
        (pa.Table.from_pylist([row(2, labels=[1, None])]), SchemaError, "labels: expected numbers .* got 1 nulls"),
        (pa.table({"input_ids": [["a"]], "labels": [[1]]}), SchemaError, "input_ids: expected numbers .* got string"),
        ({"input_ids": [[1], [2]], "labels": [[1]]}, SchemaError, "labels has 1 rows in the batch, input_ids has 2"),
    ],
)
@pytest.mark.parametrize("packing", [False, True])
def test_a_batch_that_cannot_be_used_is_explained(
    batch: Any, error: type[Exception], message: str, packing: bool
) -> None:
    with pytest.raises(error, match=message):
        SadCollator(0, packing=packing).arrays(batch)


@pytest.mark.parametrize("packing", [False, True])
def test_a_row_that_is_too_long_is_an_error_and_never_cut(packing: bool) -> None:
    collator = SadCollator(0, max_length=4, packing=packing)
    assert collator.arrays([row(4), row(4)])["input_ids"].size == 8
    with pytest.raises(ConfigError, match=r"row 1 of the batch has 5 tokens, max_length is 4; .*tokens\.max_length 4"):
        collator.arrays([row(4), row(5)])


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"pad_token_id": None}, r"pad_token_id: .* got None; .*eos_token_id"),
        ({"pad_token_id": -1}, "pad_token_id"),
        ({"pad_token_id": 0, "max_length": 0}, "max_length: expected a whole number"),
        ({"pad_token_id": 0, "pad_to_multiple_of": 1.5}, "pad_to_multiple_of"),
        ({"pad_token_id": 0, "columns": "labels"}, r"columns: .*give \('labels',\)"),
    ],
)
def test_settings_are_checked_when_it_is_made(settings_: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SadCollator(**settings_)


def test_it_pickles_for_the_workers_of_a_loader() -> None:
    collator = SadCollator(3, packing=True, columns=("labels",))
    assert pickle.loads(pickle.dumps(collator)) == collator


def test_arrow_rows_is_the_dataset_it_wraps() -> None:
    dataset = Dataset.from_list([row(n) for n in (2, 3, 4, 5)])
    mixed = dataset.select([3, 0, 2])
    rows = ArrowRows.of(mixed)
    assert isinstance(rows, Dataset)
    assert (rows[:], rows.features, len(rows), rows._fingerprint) == (
        mixed[:], dataset.features, 3, mixed._fingerprint,
    )  # fmt: skip
    (table,) = rows.remove_columns(["token_types"]).__getitems__([2, 0])  # as a Trainer removes what it does not need
    assert table.column("input_ids").to_pylist() == [[10, 11, 12, 13], [10, 11, 12, 13, 14]]
    assert "token_types" not in table.column_names
    assert type(pickle.loads(pickle.dumps(rows))) is ArrowRows
    with pytest.raises(InputError, match=r"expected a datasets\.Dataset, got list"):
        ArrowRows.of([row()])
