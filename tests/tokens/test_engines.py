"""Engines: the quick one gives what the reference gives, on any text, and a tokenizer that cannot be used says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcoder_hf.config import TokensConfig
from deepcoder_hf.errors import TokenizerError
from deepcoder_hf.tokens.engines import Encoded
from deepcoder_hf.tokens.tokenizer import PROBE, TrajectoryTokenizer
from deepcoder_hf.tokens.window import token_characters

MakeTokenizer = Callable[..., TrajectoryTokenizer]

REAL = ("qwen3", "gptoss", "deepseek_v3", "gemma3", "smollm2")
FAST = ("qwen3", "gptoss", "deepseek_v3", "smollm2", "tiny_bpe", "tiny_nfc")
REFERENCE_ONLY = ("gemma3", "tiny_wordpiece", "tiny_unigram", "tiny_prefix_space")
EVERY = (*FAST, *REFERENCE_ONLY, "tiny_lstrip")
MORSELS = [
    "🙂", "👩‍👩‍👧‍👦", "👍🏽", "🇩🇪", "漢字", "かな", "한글", "العربية", "हिन्दी", "ไทย", "é", "e\u0301",
    "n\u0303o", "\u0301", "\u1112\u1161\u11ab", "\r\n", "\n", "\n\n\n", "\t", "  ", "    ", " ", "\x00", "\x7f",
    "\x85", "\u2028", "\u00a0", "\u200b", "\ufeff", "\ufffd", "\U0010ffff", "<think>", "</think>",
    "<tool_call>", "</tool_call>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<eos>", "<bos>", "<mask>",
    "<|return|>", "<|call|>", "<｜end▁of▁sentence｜>", "<start_of_turn>", "▁", "##b", "[CLS]", "[UNK]", "It's",
    "they'LL", "12345", "3.14e-10", "0x1F", "CamelCase", "snake_case", "def f(x):", "return", "ﬁ", "Å", "１２",
    "ß", "İ",
]  # fmt: skip
soup = st.lists(st.one_of(st.sampled_from(MORSELS), st.text(max_size=6)), max_size=25).map("".join)
texts_of_soup = st.lists(soup, max_size=4)


def storable(tokenizer: TrajectoryTokenizer, texts: Sequence[str]) -> list[str]:
    """Texts as the pipeline gives them to an engine: no lone surrogates, normalised where the tokenizer would."""
    return [tokenizer.normalize(text.encode("utf-8", "ignore").decode()) for text in texts]


def check_equal(tokenizer: TrajectoryTokenizer, texts: Sequence[str]) -> Encoded:
    """The engine's ids, rows and characters are those of `tokenizers` itself; returns what the engine gave."""
    found = tokenizer.engine.encode(texts)
    assert found.rows.size == len(texts) + 1
    assert found.ids.dtype == np.int32
    assert np.diff(found.text_starts).tolist() == [len(text.encode()) for text in texts]
    assert found.rows[-1] == found.ids.size == found.starts.size == found.ends.size
    for n, text in enumerate(texts):
        expected = tokenizer.backend.encode(text, add_special_tokens=False)
        part = slice(int(found.rows[n]), int(found.rows[n + 1]))
        assert found.ids[part].tolist() == expected.ids
        starts, ends = found.starts[part] - found.text_starts[n], found.ends[part] - found.text_starts[n]
        assert token_characters(text, starts).tolist() == [start for start, _ in expected.offsets]
        if text:
            last = token_characters(text, np.maximum(ends - 1, 0)) + 1
            assert last.tolist() == [max(end, 1) for _, end in expected.offsets]
    return found


@pytest.mark.parametrize("name", FAST)
def test_byte_level_bpe_takes_the_fast_engine(name: str, tokenizer_of: MakeTokenizer) -> None:
    assert tokenizer_of(name).engine.name == "fast"


@pytest.mark.parametrize("name", REFERENCE_ONLY)
def test_every_other_tokenizer_takes_the_reference_engine(name: str, tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of(name)
    assert tokenizer.engine is tokenizer.reference
    assert tokenizer.engine_version.startswith("tokenizers ")


@pytest.mark.parametrize("name", REAL)
def test_engines_agree_on_gold_texts(name: str, tokenizer_of: MakeTokenizer, shared_data: Path) -> None:
    lines = (shared_data / "gold_dev.jsonl").read_text(encoding="utf-8").splitlines()[::35]
    tokenizer = tokenizer_of(name)
    found = check_equal(tokenizer, storable(tokenizer, [json.loads(line)["text"] for line in lines]))
    assert found.by_reference.all() == (tokenizer.engine.name == "reference")
    assert found.by_reference.any() == (tokenizer.engine.name == "reference")


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=40, deadline=None)
@given(texts=texts_of_soup)
def test_engines_agree_on_any_text(name: str, texts: list[str], tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of(name)
    check_equal(tokenizer, storable(tokenizer, texts))


@pytest.mark.parametrize("name", EVERY)
def test_engines_agree_on_the_probe_and_on_texts_of_nothing(name: str, tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of(name)
    check_equal(tokenizer, storable(tokenizer, ["", *PROBE, "", "\x00", "\r\n\r\n", ""]))
    empty = check_equal(tokenizer, [])
    assert empty.ids.size == 0
    assert empty.rows.tolist() == [0]


@pytest.mark.parametrize("name", ["qwen3", "tiny_nfc"])
def test_one_megabyte_without_a_newline_is_encoded_alike(name: str, tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of(name)
    sample = "The café has 🙂 漢字 and 12345 items; x=f(y)<think> " * 18_000
    assert len(sample.encode()) > 1_000_000
    found, reference = tokenizer.engine.encode([sample]), tokenizer.reference.encode([sample])
    assert not found.by_reference.any()
    assert np.array_equal(found.ids, reference.ids)
    assert np.array_equal(token_characters(sample, found.starts), token_characters(sample, reference.starts))


@pytest.mark.parametrize("name", FAST)
def test_tokens_of_the_fast_engine_cover_every_byte_once(name: str, tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of(name)
    text = tokenizer.normalize("".join(MORSELS))
    found = tokenizer.engine.encode([text])
    assert found.starts[0] == 0
    assert found.starts[1:].tolist() == found.ends[:-1].tolist()
    assert found.ends[-1] == len(text.encode())


def test_a_row_whose_bytes_do_not_add_up_takes_the_reference_path_and_the_others_do_not(
    tokenizer_of: MakeTokenizer,
) -> None:
    tokenizer = tokenizer_of("tiny_lstrip")
    texts = ["look at", "a   <mask> b 🙂", "", "   <mask>", "no mask", "x<mask>"]
    found = check_equal(tokenizer, texts)
    assert tokenizer.engine.name == "fast"
    assert found.by_reference.tolist() == [False, True, False, True, False, False]


def test_a_byte_that_the_vocabulary_lacks_sends_only_its_row_to_the_reference(tokenizer_of: MakeTokenizer) -> None:
    tokenizer = tokenizer_of("smollm2")
    texts = ["look", "a\U00040000b", "", "at", "\U00040000", "this 🙂"]
    found = check_equal(tokenizer, texts)
    assert found.by_reference.tolist() == [False, True, False, False, True, False]


def test_a_decomposed_accent_is_composed_before_it_comes_to_the_engine(tokenizer_of: MakeTokenizer) -> None:
    assert tokenizer_of("tiny_nfc").normalize("e\u0301") == "é"
    assert tokenizer_of("tiny_bpe").normalize("e\u0301") == "e\u0301"


def test_engine_reference_is_honoured(tokenizer_of: MakeTokenizer) -> None:
    assert tokenizer_of("tiny_bpe", engine="reference").engine.name == "reference"
    assert tokenizer_of("tiny_bpe", engine="fast").engine.name == "fast"


@pytest.mark.parametrize("name", ["tiny_wordpiece", "tiny_unigram", "tiny_prefix_space"])
def test_engine_fast_is_refused_where_it_does_not_fit(name: str, tokenizer_of: MakeTokenizer) -> None:
    with pytest.raises(TokenizerError, match=r"tokens\.engine is fast, but it is not a byte-level BPE") as caught:
        tokenizer_of(name, engine="fast")
    assert "\n" not in str(caught.value)


class Wrong:
    """An engine that gives wrong ids."""

    name = "fast"

    def __init__(self, right: TrajectoryTokenizer) -> None:
        self.reference = right.reference

    def encode(self, texts: Sequence[str]) -> Encoded:
        right = self.reference.encode(texts)
        return replace(right, ids=right.ids + 1)


def test_an_engine_that_differs_on_the_first_rows_is_replaced_for_good(tiny_folder: Callable[[str], Path]) -> None:
    tokenizer = TrajectoryTokenizer(TokensConfig(model_name=str(tiny_folder("tiny_bpe"))))
    tokenizer.engine = Wrong(tokenizer)
    tokenizer.check_once(["", ""])
    assert tokenizer.engine.name == "fast"
    tokenizer.check_once(["", "some text"])
    assert tokenizer.engine is tokenizer.reference


def test_a_differing_engine_is_an_error_where_it_was_asked_for(tiny_folder: Callable[[str], Path]) -> None:
    tokenizer = TrajectoryTokenizer(TokensConfig(model_name=str(tiny_folder("tiny_bpe")), engine="fast"))
    tokenizer.engine = Wrong(tokenizer)
    with pytest.raises(TokenizerError, match="differ"):
        tokenizer.check_once(["some text"])


# --- what cannot be loaded -------------------------------------------------------------------------------------------


def slow_tokenizer(folder: Path) -> str:
    settings = {"tokenizer_class": "ByT5Tokenizer", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return str(folder)


def broken_file(folder: Path) -> str:
    (folder / "tokenizer.json").write_text('{"model": ', encoding="utf-8")
    return str(folder / "tokenizer.json")


def empty_folder(folder: Path) -> str:
    return str(folder)


def missing_folder(folder: Path) -> str:
    return str(folder / "nothing")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (slow_tokenizer, r"is slow \(ByT5Tokenizer\): it gives no character offsets"),
        (broken_file, "expected a tokenizer.json"),
        (empty_folder, "expected a tokenizer.json in this folder"),
        (missing_folder, "no such file or folder"),
        (lambda _: "no-such-name", "no such file or folder"),
        (lambda _: "nobody/no-such-model", "cannot be loaded"),
    ],
)
def test_a_tokenizer_that_cannot_be_used_is_an_error_of_one_line(
    make: Callable[[Path], str], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(TokenizerError, match=expected) as caught:
        TrajectoryTokenizer(TokensConfig(model_name=make(tmp_path)))
    assert "\n" not in str(caught.value)


def test_append_eos_needs_a_tokenizer_that_names_one(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    alone = tmp_path / "tokenizer.json"
    alone.write_bytes((tiny_folder("tiny_bpe") / "tokenizer.json").read_bytes())
    with pytest.raises(TokenizerError, match="names no EOS token"):
        TrajectoryTokenizer(TokensConfig(model_name=str(alone), append_eos=True))


def test_a_tokenizer_file_takes_its_eos_from_the_configuration_beside_it(tiny_folder: Callable[[str], Path]) -> None:
    folder = tiny_folder("tiny_bpe")
    of_file = TrajectoryTokenizer(TokensConfig(model_name=str(folder / "tokenizer.json"), append_eos=True))
    assert of_file.eos_id == TrajectoryTokenizer(TokensConfig(model_name=str(folder), append_eos=True)).eos_id


# --- the bundled Qwen3 -----------------------------------------------------------------------------------------------


def test_the_bundled_qwen3_equals_the_published_one(tokenizer_of: MakeTokenizer, shared_data: Path) -> None:
    published, bundled = tokenizer_of("qwen3"), TrajectoryTokenizer()
    assert bundled.digest == published.digest
    assert bundled.eos_token == published.eos_token
    assert bundled.backend.get_vocab() == published.backend.get_vocab()
    lines = (shared_data / "gold_dev.jsonl").read_text(encoding="utf-8").splitlines()[7::70]
    texts = [*PROBE, "".join(MORSELS), *(json.loads(line)["text"] for line in lines)]
    for text in texts:
        one, other = (t.backend.encode(text, add_special_tokens=True) for t in (bundled, published))
        assert one.ids == other.ids
        assert one.offsets == other.offsets


def test_a_digest_follows_what_decides_the_ids(tokenizer_of: MakeTokenizer) -> None:
    names = ("tiny_bpe", "tiny_nfc", "tiny_wordpiece", "tiny_unigram", "tiny_prefix_space", "tiny_lstrip")
    assert len({tokenizer_of(name).digest for name in names}) == len(names)
    assert tokenizer_of("tiny_bpe").digest == tokenizer_of("tiny_bpe", engine="reference").digest
