"""Chat templates: the text is that of transformers, and marks survive what templates do."""

from __future__ import annotations

import json
import pickle
import threading
import time
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcoder_hf.errors import RecordError, TemplateError, TemplateRefused
from deepcoder_hf.rendering.chat_template import ChatTemplate
from deepcoder_hf.rendering.traced import trace

TEXTS = {"c": 'Fix <b>utils.py</b> & run "it\'s" tests\n\tnow', "d": "second: ß 🙂 %s {x}", "e": ""}
EXPRESSIONS = """
c ~ d | c + ': ' + d | '%s and %s' % (c, d) | '%(x)s!' % {'x': c} | '%-60s|%.3s' % (c, d) | '{} {}'.format(c, d)
'{0!r:>90}{1}'.format(c, d) | '{x}'.format_map({'x': c}) | c[2:9] | c[::-1] | c[0] ~ c[-1] | c.split()|join('+')
c.split('.')[0] | c.rsplit(' ', 1)[1] | c.splitlines()[1] | c.partition(' ')[2] | c|trim | c|trim('Fn')
c.strip('Fw') | c|upper | d|upper | c|lower | c|title | d|title | d|capitalize | c.swapcase() | c|replace('s', '[S]')
d.replace('s', c) | 'a.b'.replace('.', c) | 'a.b'|replace('.', c) | '-'.join([c, d]) | [c, d]|join | [c, d]|join(c)
[c, d]|map('upper')|join | [{'k': c}, {'k': d}]|map(attribute='k')|join(', ') | [{'k': c}]|join('', attribute='k')
c|first | c|last | c|list | [c, d] | {'k': c, d: [none, 1.5, true]} | (c,) | [c, d]|string
{'k': [c, {'n': d}]}|tojson | {'k': c}|tojson(indent=2) | {'z': c, 'a': d}|tojson(sort_keys=true, ensure_ascii=true)
c|tojson | [c, d]|tojson(separators=(',', ':')) | c|indent | c|indent(2, true) | c|indent('> ', blank=true) | c|safe
c|e | c|safe ~ d | (c|safe) + d | d + (c|e) | (c|e|e) | c|e|safe | (c|safe)|replace('<', d) | ('%s: %s'|safe) % (c, d)
('{}'|safe).format(c) | c|forceescape | (c|safe)|upper | c|string | '%s=%s'|format(c, d) | c|default('x')
e|default(d, true) | nothing|default(c) | c|length | c|count | c * 2 | 2 * d | c|int | c|center(90) | c.ljust(60, '.')
d.rjust(30) | d.zfill(30) | c.expandtabs(4) | c.center(70, '*') | {'b': c, 'a': d}|dictsort | {'b': c}|items|list
[c, d]|sort|join | [c, c, d]|unique|join('|') | c|wordwrap(10) | c|truncate(20, true) | c|urlencode | c|pprint
c|striptags | c|reverse | [c, d]|reverse|join | c|wordcount | c is string | c is escaped | (c|safe) is escaped
c if d else e | c in d | c == d | c.startswith('F') | c.find('u') | c|batch(3)|map('join')|join('/')
[c, d]|select|list | [c, d, e]|reject('eq', e)|join | {'k': c}.k | {'k': c}['k'] | {'k': c}.get('q', d) | dict(k=c).k
c.encode()|length | [c, d]|groupby('0')|length | [[c], [d]]|sum(start=[])|join | [c]|min | c|attr('upper') is defined
c.translate({97: 'b'}) | c.removeprefix('Fix ') | c.casefold() | '{:{}}'.format(d, '>40') | [c, d]|slice(2)|list
c|xmlattr is defined | {'class': c}|xmlattr | c|urlize | 7|string | 1.5 ~ none ~ true | namespace(x=c).x
c|filesizeformat is defined
""".replace("\n", " ¦ ").replace(" | ", " ¦ ")
EXPRESSION = [expression.strip() for expression in EXPRESSIONS.split("¦") if expression.strip()]


def both(source: str, **values: Any) -> tuple[Any, Any]:
    """What render gives with traced values (marked by name) and what plain gives; for refusals their last words."""
    template = ChatTemplate(source)
    messages = [{"role": "user", "content": "hello"}]
    found = []
    for run, given_values in (
        (template.render, {key: trace(v, key) if isinstance(v, str) else v for key, v in values.items()}),
        (template.plain, values),
    ):
        try:
            found.append(run(messages, **given_values))  # type: ignore[operator]
        except TemplateRefused as refusal:
            found.append(refusal)
    return found[0], found[1]


@pytest.mark.parametrize("expression", EXPRESSION)
def test_each_operation_gives_what_transformers_gives(expression: str) -> None:
    made, plain = both("{{ " + expression + " }}", **TEXTS)
    if isinstance(plain, TemplateRefused):
        assert isinstance(made, TemplateRefused)
        return
    assert made == plain
    for start, end, mark in made.runs:
        assert 0 <= start < end <= len(plain)
        assert mark in TEXTS


LOST = ("|length", "|count", "|int", " in ", "==", " is ", ".startswith", ".find", "wordcount", "7|", "1.5 ~", "encode")


@pytest.mark.parametrize("expression", [e for e in EXPRESSION if not any(word in e for word in LOST)])
def test_no_letter_of_a_text_loses_its_mark(expression: str) -> None:
    texts = {"c": "\u4e00\u4e8c \u4e09.\n\u56db", "d": "\u4e94\u516d", "e": ""}
    made, plain = both("{{ " + expression + " }}", **texts)
    if isinstance(plain, TemplateRefused):
        return
    assert made == plain
    for char, mark in zip(plain, made.marks(), strict=True):
        if char in texts["c"] and not char.isspace() and char != ".":
            assert mark == "c" or any(word in expression for word in ("safe) %", "center"))
        elif char in texts["d"]:
            assert mark in ("c", "d")


@pytest.mark.parametrize(
    "source",
    [
        "{% set x %}[{{ c }}]{% endset %}{{ x }}{{ x|upper }}",
        "{% macro m(a, b='k') %}<{{ a }}{{ b }}{{ caller() if caller }}>{% endmacro %}{{ m(c) }}"
        "{% call m(d, b=c) %}!{% endcall %}",
        "{% generation %}{{ c }}{% endgeneration %}{% filter upper %}{{ c }}{% endfilter %}",
        "{% set ns = namespace(t='') %}{% for x in [c, d] %}{% set ns.t = ns.t + x %}{% endfor %}{{ ns.t }}",
        "{% for x in [c, d] recursive %}{{ loop.index }}{{ x }}{{ loop.previtem }}{% break %}{% endfor %}",
        "{% for x in [[c, [d]]] recursive %}{% if x is string %}{{ x }}{% else %}{{ loop(x) }}{% endif %}{% endfor %}",
        "{% for k, v in {'a': c, 'b': 3}|items if v != 3 %}{{ k }}={{ v }}{% else %}none{% endfor %}",
        "{% autoescape true %}{{ c }}{{ c|safe }}{{ '<' ~ c }}{% set x %}{{ c }}<{% endset %}{{ x }}"
        "{% endautoescape %}",
        "{% block b %}{{ c }}{% endblock %}{{ self.b() }}",
        "{% with x = c ~ d %}{{ x }}{% endwith %}{{ messages[0].content }}{{ tools }}{{ documents is none }}",
        "{{ cycler(c, d).next() }}{% set j = joiner(c) %}{{ j() }}{{ j() }}",
        "  {% if true %}\n    {{- c -}}\n  {% endif %}\n{# note #}\n{{ d }}\n",
    ],
)
def test_statements_give_what_transformers_gives_with_marks(source: str) -> None:
    made, plain = both(source, **TEXTS)
    assert made == plain
    assert {mark for _, _, mark in made.runs} <= set(TEXTS)
    assert made.runs


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ raise_exception('Only user and assistant roles are supported!') }}", "Only user and assistant roles"),
        ("{{ messages[0].missing.deeper }}", "UndefinedError: 'dict object' has no attribute 'missing'"),
        ("{{ messages[0].role + 1 }}", "TypeError"),
        ("{{ messages|tojson|int + 'a' }}", "TypeError"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{{ ''.__class__.mro() }}", "SecurityError"),
        ("{{ nothing|tojson }}", "not JSON serializable"),
        ("{% include 'x' %}", "no loader"),
    ],
)
def test_what_the_template_refuses_is_a_reject_in_its_own_words(source: str, words: str) -> None:
    made, plain = both(source)
    assert words in str(made)
    assert words in str(plain)
    assert made.reason == "template_refused"
    assert isinstance(made, RecordError)
    again = pickle.loads(pickle.dumps(made))
    assert (str(again), again.reason) == (str(made), "template_refused")


@pytest.mark.parametrize("messages", [[], None, "text", [None], ["a"], [[]], {"role": "user"}])
def test_what_is_no_conversation_is_a_reject(messages: Any) -> None:
    template = ChatTemplate("{{ messages[0].content }}")
    for run in (template.render, template.plain):
        with pytest.raises(TemplateRefused, match="expected"):
            run(messages)


@pytest.mark.parametrize("source", ["{% for x in %}", "{{ x", "{% nonsense %}", "(" * 5 + "{{ " + "(" * 3000])
def test_what_is_no_template_stops(source: str) -> None:
    with pytest.raises(TemplateError, match="chat template"):
        ChatTemplate(source)


def test_the_time_is_one_in_both_and_can_be_given() -> None:
    template = ChatTemplate("{{ strftime_now('%d %b %Y %H:%M') }} {{ messages[0].content }}")
    messages = [{"role": "user", "content": "hi"}]
    now = datetime(2024, 2, 29, 12, 30)
    assert template.render(messages, now=now) == template.plain(messages, now=now) == "29 Feb 2024 12:30 hi"
    assert template.render(messages) != template.render(messages, now=now)
    assert template.plain(messages).startswith(datetime.now().strftime("%d %b %Y"))


def test_it_gives_what_apply_chat_template_gives() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    source = (
        "{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content if 'content' in m else 'none' }}"
        "{{ m.reasoning_content }}{{ m.tool_calls|tojson if m.tool_calls }}{% endfor %}{{ tools|tojson if tools }}"
        "{% if add_generation_prompt %}go{% if enable_thinking is false %}!{% endif %}{% endif %}"
    )
    special = {"bos_token": "<s>", "eos_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), chat_template=source, **special)
    call = {"type": "function", "function": {"name": "ls", "arguments": {"path": "é"}}}
    messages: list[Any] = [
        {"role": "user", "content": "hi", "name": None},
        {"role": "assistant", "content": None, "thinking": "hm", "tool_calls": [call]},
    ]
    tools = [{"type": "function", "function": {"name": "ls", "parameters": {"type": "object", "properties": {}}}}]
    template = ChatTemplate(source, tokenizer.special_tokens_map)
    expected = tokenizer.apply_chat_template(
        messages, tools=tools, add_generation_prompt=True, tokenize=False, enable_thinking=False
    )
    for run in (template.render, template.plain):
        assert run(messages, tools, True, enable_thinking=False) == expected
    assert "hm" in expected


def test_it_says_what_the_template_reads() -> None:
    template = ChatTemplate(
        "{% if preserve_thinking is defined %}{{ messages }}{% endif %}{% set x = eos_token %}{{ x }}{{ range(2) }}"
    )
    assert template.variables == {"preserve_thinking", "messages", "eos_token"}
    assert template.uses("preserve_thinking")
    assert template.uses("range")
    assert not template.uses("enable_thinking")


def test_a_template_can_be_pickled_and_used_by_threads_at_once() -> None:
    template = pickle.loads(
        pickle.dumps(
            ChatTemplate("{% for m in messages %}{{ m.content }}{{ bos_token }}{% endfor %}", {"bos_token": "|"})
        )
    )
    texts: dict[int, str] = {}

    def run(number: int) -> None:
        messages = [{"role": "user", "content": trace(f"{number}-{index}", number)} for index in range(300)]
        text = template.render(messages)
        assert {mark for _, _, mark in text.runs} == {number}
        texts[number] = str.__str__(text)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == {n: "".join(f"{n}-{i}|" for i in range(300)) for n in range(4)}


def test_the_cost_is_linear_in_turns_and_in_characters() -> None:
    template = ChatTemplate(
        "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content|trim }}{{ m.calls|tojson if m.calls }}{% endfor %}"
    )

    def seconds(n_turns: int, size: int) -> float:
        content, argument = trace("word " * size, 1), trace('"x" ' * size, 2)
        messages = [{"role": "user", "content": content, "calls": [{"a": argument}]} for _ in range(n_turns)]
        best = 1e9
        for _ in range(3):
            began = time.process_time()
            text = template.render(messages)
            best = min(best, time.process_time() - began)
        assert len(text.runs) == 2 * n_turns
        return best

    assert seconds(4000, 20) < 10 * seconds(400, 20) * 2.5
    assert seconds(2, 200_000) < 10 * seconds(2, 20_000) * 2.5


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "x"]), inner, max_size=3),
    max_leaves=8,
)
MESSAGY = """
{%- for m in messages %}
    {%- if m.role == 'system' %}{{ m.content + '\n' }}{% else %}{{ m['role'] ~ ': ' ~ m.content|trim }}
        {%- for c in m.tool_calls or [] %}{{ c.function.name|upper }}{{ c.function.arguments|tojson }}{% endfor %}
    {%- endif %}
{%- endfor %}"""


@given(st.lists(st.fixed_dictionaries({}, optional={"role": VALUE, "content": VALUE, "tool_calls": VALUE}), max_size=4))
@settings(max_examples=300, deadline=None)
def test_malformed_messages_are_rendered_as_transformers_does_or_refused(messages: list[Any]) -> None:
    template = ChatTemplate(MESSAGY)

    def outcome(run: Any) -> str | None:
        try:
            return str.__str__(run(json.loads(json.dumps(messages))))
        except TemplateRefused:
            return None

    assert outcome(template.render) == outcome(template.plain)
