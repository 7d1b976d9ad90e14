"""Alignment: which tokens a span gets, against an oracle that asks every token for the characters that it touches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcoder_hf.config import MasksConfig
from deepcoder_hf.errors import AlignmentError
from deepcoder_hf.spans.types import TYPE_IDS
from deepcoder_hf.tokens.align import Aligned, align_spans
from deepcoder_hf.tokens.engines import Encoded
from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer
from deepcoder_hf.tokens.typed import TypedTokens, type_tokens

MakeTokenizer = Callable[..., TrajectoryTokenizer]
Parts = Sequence[Sequence[str]]
"""Texts, each as the texts of its spans."""

EVERY = (
    "qwen3",
    "gptoss",
    "deepseek_v3",
    "gemma3",
    "smollm2",
    "tiny_bpe",
    "tiny_nfc",
    "tiny_wordpiece",
    "tiny_unigram",
    "tiny_prefix_space",
    "tiny_lstrip",
)
POLICIES = ("first", "majority", "none")
MORSELS = [
    "🙂", "🙃", "🙂🙃", " 🙂", "👩‍👩‍👧‍👦", "漢字", "العربية", "é", "ﬁ", "\r\n", "\n", "\n\n", ">\n\n", "  ",
    " ", "\t", "\x00", "<mask>", "<think>", "</think>", "<tool_call>", "<|im_end|>", "<eos>", "Thought: I need",
    "Action: read", "```\n", "path", "12345", "ß", "x",
]  # fmt: skip
part = st.lists(st.one_of(st.sampled_from(MORSELS), st.text(min_size=1, max_size=3)), min_size=1, max_size=4).map(
    "".join
)
batches = st.lists(st.lists(part, max_size=7), max_size=4)


def prepared(tokenizer: TrajectoryTokenizer, batch: Parts) -> list[list[str]]:
    """Parts whose concatenation is what the tokenizer would get: storable, and normalised as a whole."""
    rows = []
    for parts in batch:
        kept = [text for text in (p.encode("utf-8", "ignore").decode() for p in parts) if text]
        whole = tokenizer.normalize("".join(kept))
        rows.append(kept if whole == "".join(kept) else cut_alike(whole, kept))
    return rows


def cut_alike(whole: str, parts: Sequence[str]) -> list[str]:
    """Cut a text that normalising made shorter into as many parts, if it has as many characters."""
    step = max(1, len(whole) // len(parts))
    return [whole[start : start + step] for start in range(0, len(whole), step)]


def arrays(batch: Parts) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Texts, span rows, and the characters where spans start and end."""
    texts = ["".join(parts) for parts in batch]
    rows = np.cumsum([0, *(len(parts) for parts in batch)])
    starts, ends = [], []
    for parts in batch:
        borders = np.cumsum([0, *(len(p) for p in parts)]).tolist()
        starts += borders[:-1]
        ends += borders[1:]
    return texts, rows, np.array(starts, np.int64), np.array(ends, np.int64)


def owners(text: str, parts: Sequence[str], offsets: Sequence[tuple[int, int]], policy: str) -> list[int | None]:
    """The span that owns each token, from the characters that the token touches."""
    of_character = [n for n, p in enumerate(parts) for _ in p]
    found: list[int | None] = []
    for start, end in offsets:
        touched = of_character[start : max(end, start + 1)] or of_character[-1:]
        shares = Counter(touched)
        if policy == "none":
            found.append(touched[0] if len(shares) == 1 else None)
        elif policy == "majority":
            found.append(min(shares, key=lambda span: (-shares[span], span)))
        else:
            found.append(touched[0])
    return found


def align(tokenizer: TrajectoryTokenizer, batch: Parts, policy: str, n_prefix: int = 0) -> tuple[Encoded, Aligned]:
    texts, rows, starts, ends = arrays(batch)
    encoded = tokenizer.encode(texts)
    return encoded, align_spans(texts, encoded, rows, starts, ends, policy, n_prefix)  # type: ignore[arg-type]


def check(tokenizer: TrajectoryTokenizer, batch: Parts, policy: str) -> None:
    """Compare with the oracle: every span, and the count of straddling tokens."""
    _, aligned = align(tokenizer, batch, policy)
    at = 0
    for row, parts in enumerate(batch):
        text = "".join(parts)
        offsets = tokenizer.backend.encode(text, add_special_tokens=False).offsets
        expected = owners(text, parts, offsets, policy)
        ranges = [
            (int(a), int(b))
            for a, b in zip(aligned.start_token[at:][: len(parts)], aligned.end_token[at:][: len(parts)], strict=True)
        ]
        at += len(parts)
        assert [owner_in(ranges, token) for token in range(len(offsets))] == expected
        assert all(0 <= a <= b <= len(offsets) for a, b in ranges)
        assert all(before[1] <= after[0] for before, after in pairwise(ranges))
        over = sum(owner is None for owner in owners(text, parts, offsets, "none"))
        assert aligned.n_straddled[row] == over
    assert at == aligned.start_token.size == aligned.end_token.size


def owner_in(ranges: Sequence[tuple[int, int]], token: int) -> int | None:
    inside = [span for span, (a, b) in enumerate(ranges) if a <= token < b]
    assert len(inside) <= 1
    return inside[0] if inside else None


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=30, deadline=None)
@given(batch=batches)
def test_spans_get_the_tokens_that_the_oracle_gives(
    name: str, policy: str, batch: Parts, tokenizer_of: MakeTokenizer
) -> None:
    tokenizer = tokenizer_of(name)
    check(tokenizer, prepared(tokenizer, batch), policy)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", EVERY)
def test_a_border_at_every_character_is_aligned(name: str, policy: str, tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of(name)
    text = tokenizer.normalize("I need 🙂🙃\n\nto read 漢字  <think> x</think>\r\n\x00👍🏽e\u0301 Action: read_file\n")
    check(tokenizer, [list(text), [], ["x"], [text[:cut] for cut in (1,)] + [text[1:]]], policy)
    for cut in range(1, len(text)):
        check(tokenizer, [[text[:cut], text[cut:]]], policy)


def test_policies_differ_on_a_token_over_a_border(tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of("tiny_bpe")
    token = "Action"
    assert tokenizer.backend.encode(token).tokens == [token]
    found = {policy: align(tokenizer, [["Ac", "tion"]], policy)[1] for policy in POLICIES}
    ranges = {p: list(zip(a.start_token.tolist(), a.end_token.tolist(), strict=True)) for p, a in found.items()}
    assert ranges["first"] == [(0, 1), (1, 1)]
    assert ranges["majority"] == [(0, 0), (0, 1)]
    assert [b - a for a, b in ranges["none"]] == [0, 0]
    assert [found[policy].n_straddled.tolist() for policy in POLICIES] == [[1], [1], [1]]


@pytest.mark.parametrize(
    ("parts", "winner"),
    [
        (["Act", "ion"], 0),
        (["A", "c", "tion"], 2),
        (["A", "cti", "on"], 1),
        (["A", "ct", "io", "n"], 1),
        (list("Action"), 0),
    ],
)
def test_majority_takes_most_characters_and_the_earlier_span_on_a_tie(
    parts: list[str], winner: int, tokenizer_of: MakeTokenizer
) -> None:
    _, aligned = align(tokenizer_of("tiny_bpe"), [parts], "majority")
    assert np.flatnonzero(aligned.end_token - aligned.start_token).tolist() == [winner]
    assert aligned.n_straddled.tolist() == [1]


def test_a_token_of_the_last_bytes_of_an_emoji_belongs_to_the_span_of_that_emoji(tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of("qwen3")
    batch = [["a ", "🫨", "🫨b"]]
    tokens = tokenizer.backend.encode("a 🫨🫨b")
    assert len([1 for start, end in tokens.offsets if (start, end) == (2, 3)]) > 1
    check(tokenizer, batch, "first")


def test_a_span_without_tokens_stays_in_its_place(tokenizer_of: MakeTokenizer) -> None:
    _, aligned = align(tokenizer_of("tiny_wordpiece"), [["read", "  \n ", "path"]], "first")
    assert aligned.end_token[1] == aligned.start_token[1]
    assert aligned.end_token[0] <= aligned.start_token[1] <= aligned.start_token[2]
    assert aligned.n_straddled.tolist() == [0]


def test_tokens_of_another_number_of_texts_are_refused(tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of("tiny_bpe")
    texts, rows, starts, ends = arrays([["ab"], ["c"]])
    with pytest.raises(AlignmentError, match="tokens and spans of 1 texts"):
        align_spans(texts[:1], tokenizer.encode(texts), rows, starts, ends, "first")


# --- special tokens --------------------------------------------------------------------------------------------------


def typed(tokenizer: TrajectoryTokenizer, batch: Parts, kinds: Sequence[str], **masks: str) -> TypedTokens:
    texts, rows, starts, ends = arrays(batch)
    return type_tokens(
        texts,
        rows,
        starts,
        ends,
        np.array([TYPE_IDS[kind] for kind in kinds], np.int8),
        np.zeros(starts.size, bool),
        np.ones(starts.size, np.float32),
        tokenizer,
        MasksConfig(**masks),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("name", ["gemma3", "tiny_wordpiece", "tiny_unigram"])
def test_special_tokens_around_a_text_belong_to_no_span(name: str, tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of(name)
    assert tokenizer.prefix_ids
    batch = [["read ", "path"], ["x"]]
    found = typed(tokenizer, batch, ["reasoning", "action", "action"])
    n_before, n_after = len(tokenizer.prefix_ids), len(tokenizer.suffix_ids)
    for row, parts in enumerate(batch):
        ids = found.input_ids[found.rows[row] : found.rows[row + 1]]
        types = found.masks().token_types[found.rows[row] : found.rows[row + 1]]
        assert ids.tolist() == tokenizer.backend.encode("".join(parts), add_special_tokens=True).ids
        assert types[:n_before].tolist() == [0] * n_before
        assert types[ids.size - n_after :].tolist() == [0] * n_after
        assert types[n_before : ids.size - n_after].all()
    assert found.start_token.tolist()[0] == n_before
    assert found.end_token[-1] == np.diff(found.rows)[-1] - n_after
    assert found.n_by_type[:, 0].tolist() == [n_before + n_after] * 2


def test_special_tokens_can_be_left_out(tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of("tiny_wordpiece", add_special_tokens=False)
    assert tokenizer.n_special == 0
    found = typed(tokenizer, [["read"]], ["action"])
    assert found.input_ids.tolist() == tokenizer.backend.encode("read", add_special_tokens=False).ids


@pytest.mark.parametrize("last", ["action", "reasoning", "observation", "other"])
@pytest.mark.parametrize("name", ["tiny_bpe", "tiny_wordpiece", "tiny_unigram"])
def test_an_appended_eos_is_trained_where_the_last_span_is(name: str, last: str, tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of(name, append_eos=True)
    eos = tokenizer.backend.token_to_id(tokenizer.eos_token)
    found = typed(tokenizer, [["x"], [], ["read ", "path"]], ["action", "other", last])
    ends = found.rows[1:] - 1
    assert found.input_ids[ends].tolist() == [eos] * 3
    trained = last in ("action", "reasoning")
    assert found.masks().labels[ends].tolist() == [eos, -100, eos if trained else -100]
    assert found.masks().token_types[ends].tolist() == [TYPE_IDS["action"], 0, TYPE_IDS[last] if trained else 0]
    assert found.n_by_type.sum(axis=1).tolist() == np.diff(found.rows).tolist()


def test_without_append_eos_the_token_that_ends_a_text_is_not_trained(tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of("tiny_wordpiece")
    found = typed(tokenizer, [["read"]], ["action"])
    assert found.masks().labels[-1] == -100
