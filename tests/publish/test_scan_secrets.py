"""Secrets: every planted kind is found, prefiltering loses nothing, and what is no secret stays quiet."""

from __future__ import annotations

import random
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("detect_secrets", reason="the extra publish is not installed")
pytest.importorskip("kingfisher_sdk", reason="the extra publish is not installed")

from deepcoder_hf.publish.scan import hits_of
from deepcoder_hf.publish.scan_anchors import anchors, folded, ignores_case
from deepcoder_hf.publish.scan_views import plain_view
from deepcoder_hf.publish.secrets import UNUSED_PLUGINS, Hit, _by_format, merged, secret_finder

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import secret_scan as benchmark

sys.path.pop(0)


def patterns() -> list[re.Pattern[str]]:
    finder = secret_finder()
    return [pattern for plugin in finder._plugins for pattern in getattr(plugin, "denylist", finder._keywords)]


@pytest.mark.parametrize("kind", benchmark.KINDS)
def test_a_planted_secret_is_found_in_every_form(kind: str) -> None:
    for seed in range(3):
        for planted, form, secret, text in benchmark.planted(seed):
            if planted == kind:
                assert benchmark.is_found(secret, text), form


def test_at_least_twenty_kinds_are_planted() -> None:
    assert len(benchmark.KINDS) >= 40
    assert {kind for kind, *_ in benchmark.planted(0)} == set(benchmark.KINDS)


def test_the_prefilter_keeps_every_line_in_which_an_expression_of_the_detector_matches() -> None:
    lines = [line for seed in range(3) for *_, text in benchmark.planted(seed) for line in text.split("\n")]
    lines += [line.swapcase() for line in lines] + [line.replace("s", "ſ").replace("k", "K") for line in lines]
    n_matches = 0
    for pattern in patterns():
        wanted = anchors(pattern)
        for line in lines:
            if wanted is not None and pattern.search(line):
                n_matches += 1
                assert any(one in (folded(line) if ignores_case(pattern) else line) for one in wanted), pattern.pattern
    assert n_matches > 500


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_prefilter_keeps_what_is_drawn_from_the_expressions_themselves(data: st.DataObject) -> None:
    known = [pattern for pattern in patterns() if anchors(pattern) is not None]
    pattern = data.draw(st.sampled_from(known))
    text = data.draw(st.from_regex(pattern))
    where = folded(text) if ignores_case(pattern) else text
    assert any(one in where for one in anchors(pattern) or ())


def test_everything_that_detect_secrets_itself_finds_in_known_formats_is_found() -> None:
    finder = secret_finder()
    text = "\n".join(text for *_, text in benchmark.planted(7))
    found = finder.find(text)
    n_expected = 0
    for plugin in finder._plugins:
        for pattern in getattr(plugin, "denylist", ()):
            at = 0
            for line in text.split("\n"):
                for first, last in _by_format(plugin, pattern, line):
                    n_expected += 1
                    assert plugin.secret_type == "Private Key" or any(
                        hit.start <= at + first and at + last <= hit.end for hit in found
                    )
                at += len(line) + 1
    assert n_expected > 100


def test_no_plugin_is_forgotten() -> None:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    used = {type(plugin).__name__ for plugin in secret_finder()._plugins}
    assert used == {one.__name__ for one in get_mapping_from_secret_type_to_class().values()} - set(UNUSED_PLUGINS)


@pytest.mark.parametrize("text", [
    "token = os.environ['GITHUB_TOKEN']",
    'api_key = "your_api_key_here"',
    "password = get_password(user)",
    'if "BEGIN RSA PRIVATE KEY" in text:',
    "commit 8f14e45fceea167a5a36dedd4bea2543c0a1b2c3",
    "id: 123e4567-e89b-12d3-a456-426614174000",
    "aws_access_key_id = AKIA" + "IOSFODNN7EXAMPLE",
    'password = "<SECRET_1>"',
    "postgres://app:<SECRET_2>@db:5432/x",
    "max_tokens=4096 secret_count: 12",
])  # fmt: skip
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert [hit.value(text) for hit in secret_finder().find(text)] == []


def test_a_comment_in_the_text_does_not_turn_the_scan_off() -> None:
    secret = benchmark.KINDS["github classic"][1](random.Random(1))
    for mark in ("pragma: allowlist secret", "kingfisher:ignore", "gitleaks:allow", "betterleaks:allow"):
        assert secret_finder().find(f'token = "{secret}"  # {mark}')


def test_a_private_key_is_found_whole() -> None:
    key = benchmark.private_key(random.Random(1))
    for text in (f"x\n{key}\ny", f"x\n{key[:400]}", '"' + key.replace("\n", "\\n") + '"'):
        (hit,) = secret_finder().find(text)
        assert hit.start == text.index("-----BEGIN") or hit.start == text.index("BEGIN")
        assert hit.end >= len(text) - 2


@given(st.text(alphabet='ab\\n"tu0026%2Fé🙂& \n', max_size=60))
def test_a_view_has_the_places_of_its_text(text: str) -> None:
    view = plain_view(text)
    assert view is None or len(view) == len(text)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=12))
def test_merged_hits_are_disjoint_and_cover_the_same(places: list[tuple[int, int]]) -> None:
    hits = [Hit(start, start + size, "r") for start, size in places]
    made = merged(hits)
    assert all(a.end <= b.start for a, b in pairwise(made))
    covered = {n for hit in hits for n in range(hit.start, hit.end)}
    assert {n for hit in made for n in range(hit.start, hit.end)} == covered


def test_a_long_line_costs_time_in_proportion() -> None:
    import time

    def seconds(n: int) -> float:
        began = time.process_time()
        secret_finder().find('//x password = \\"' * n + "/:_authToken=")
        return time.process_time() - began

    seconds(10)
    assert seconds(8000) < 8 * seconds(2000) + 0.5


@pytest.mark.parametrize(
    "around", ["\x1b[32m{}\x1b[0m", '{{"out": "\\u001b[1;32m{}\\u001b[0m"}}', "TOKEN={}$\nX=1$", "TOKEN={}$\\nX=1"]
)
def test_colours_and_line_ends_of_a_terminal_hide_no_secret(around: str) -> None:
    secret = "hf_" + "pLIixMEOLeMaEqJomTEIJEzOjoOjHyVaQX"
    text = around.format(secret)
    assert [hit.value(text) for kind, hit in hits_of(text) if kind == "secret"] == [secret]
