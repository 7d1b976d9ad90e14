"""Hostile chat templates end: each thing that can run or grow for ever meets a limit that says what it was."""

from __future__ import annotations

import time

import pytest

from deepcoder_hf.errors import TemplateError, TemplateRefused
from deepcoder_hf.rendering.chat_template import ChatTemplate, Limits

HOSTILE = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{{ range(10**9) }}",
    "{% set n = 10**9 %}{{ 'a' * n }}",
    "{% set n = 10**9 %}{{ n * 'a' }}{{ [1] * n }}",
    "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|tojson }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x.replace('a', ns.x) %}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x]|join(ns.x) %}{% endfor %}",
    "{% set ns = namespace(x=7) %}{% for i in range(60) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "{% set n = 10**7 %}{{ n ** n }}",
    "{% set n = 10**9 %}{{ 'a'.center(n) }}",
    "{% set n = 10**9 %}{{ 'a'['ljust'](n) }}{{ 'a'|attr('ljust')(n) }}",
    "{% set n = 10**9 %}{{ 'a'|center(n) }}",
    "{% set n = 10**9 %}{{ 'a\\nb'|indent(n) }}",
    "{% set n = 10**9 %}{{ [1]|tojson(indent=n) }}",
    "{% set n = 10**9 %}{{ '%*d' % (n, 1) }}",
    "{% set n = '%999999999d' %}{{ n % 1 }}",
    "{{ '{:>999999999}'.format('x') }}",
    "{{ '{:{}}'.format('x', '>999999999') }}",
    "{% set n = 10**9 %}{{ 1.5|round(n) }}",
    "{% set n = 10**9 %}{{ lipsum(n) }}",
    "{% set n = 10**9 %}{{ [1]|batch(n, 0)|list }}",
    "{% set n = 10**9 %}{{ 'a'.encode().center(n)|length }}",
    "{{ ([range(99999)] * 99999)|map('sum')|sum }}",
    "{% for i in range(99999) %}{% for j in range(999) %}{{ 'x' * 9999 }}{% endfor %}{% endfor %}",
]


@pytest.mark.parametrize("source", HOSTILE)
def test_hostile_templates_end(source: str) -> None:
    limits = Limits(max_steps=200_000, max_seconds=1.0, max_chars=10_000_000, max_made=50_000_000)
    began = time.process_time()
    with pytest.raises((TemplateError, TemplateRefused)):
        ChatTemplate(source, limits=limits).render([{"role": "user", "content": "hi"}])
    assert time.process_time() - began < 8


@pytest.mark.parametrize(
    "source", ["{{ 'a' * 10**9 }}", "{{ 10 ** (10 ** 10) }}", "{% if x %}{{ 'a'|center(10**9) }}{% endif %}"]
)
def test_constants_that_jinja_would_fold_without_limit_are_refused_before_it_does(source: str) -> None:
    with pytest.raises(TemplateError, match="makes more than"):
        ChatTemplate(source)


def test_a_limit_says_what_it_was_and_lets_other_renderings_be() -> None:
    template = ChatTemplate("{% for i in range(n) %}{{ i }}{% endfor %}", limits=Limits(max_steps=1000))
    with pytest.raises(TemplateError, match=r"takes more than 1,000 steps: it is broken or hostile"):
        template.render([{"role": "user", "content": "hi"}], n=5000)
    assert template.render([{"role": "user", "content": "hi"}], n=3) == "012"
