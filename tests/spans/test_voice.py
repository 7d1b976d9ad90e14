"""Voices: signs are shares, probabilities sum to one, and plain sentences sound like those who say them."""

from __future__ import annotations

import numpy as np
import pytest
from any_text import anything, thorough
from hypothesis import given
from hypothesis import strategies as st

from deepcoder_hf.spans.voice import VOICES, feature_names, features, voices, weights

SAID = {
    "plan": [
        "I need to list the files first, then I can read the right one.",
        "Ich muss zuerst nachsehen, welche Dateien es gibt.",
        "Primero tengo que buscar el archivo.",
        "Je dois d'abord chercher le fichier.",
        "我需要先看看有哪些文件。",
        "まずファイルを確認する必要がある。",
        "Let me check the error.",
    ],
    "world": [
        '{"status": "ok", "n": 3}',
        "total 3\n-rw-r--r-- 1 kim kim 120 a.py",
        'Traceback (most recent call last):\n  File "a.py", line 1',
        "3 passed, 1 failed in 0.21s",
    ],
    "user": [
        "Could you please write a function that adds two numbers?",
        "Can you help me fix the test?",
    ],
}


@thorough
@given(anything)
def test_every_sign_of_any_text_is_a_share(text: str) -> None:
    found = np.array(features(text), np.float64)
    assert found.shape == (len(feature_names()),)
    assert ((found >= 0) & (found <= 1)).all()


@thorough
@given(st.lists(anything, max_size=6))
def test_probabilities_of_voices_sum_to_one_and_each_text_is_heard_alone(texts: list[str]) -> None:
    heard = voices(texts)
    assert heard.shape == (len(texts), len(VOICES))
    assert np.exp(heard).sum(axis=1) == pytest.approx(np.ones(len(texts)))
    assert np.array_equal(heard, voices(list(texts)))
    for row, text in zip(heard, texts, strict=True):
        assert voices([text])[0] == pytest.approx(row, abs=1e-9)


def test_each_feature_has_a_weight_for_each_voice() -> None:
    assert weights().shape == (len(feature_names()), len(VOICES))
    assert np.isfinite(weights()).all()
    assert len(set(feature_names())) == len(feature_names())


@pytest.mark.parametrize(("voice", "text"), [(voice, text) for voice, texts in SAID.items() for text in texts])
def test_plain_words_sound_like_those_who_say_them(voice: str, text: str) -> None:
    assert VOICES[int(voices([text])[0].argmax())] == voice
