"""Chat templates that others publish render as apply_chat_template does it, and every character knows its field."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from deepcoder_hf.rendering.chat_template import ChatTemplate

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import published_templates as published
from template_conversations import cases

QWEN_LIKE = """
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {%- set thought = message.reasoning_content or '' %}
        {%- set content = message.content or '' %}
        {%- if not thought and '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>' + message.role + '\\n<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + content }}
        {%- for call in message.tool_calls or [] %}
            {{- '\\n<tool_call>\\n' ~ {'name': call.function.name, 'arguments': call.function.arguments}|tojson }}
            {{- '\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>%s\\n%s<|im_end|>\\n' % (message.role, message.content) }}
    {%- endif %}
{%- endfor %}"""
XML_LIKE = """
{%- macro arguments_of(arguments) -%}
    {%- for name, value in arguments|dictsort %}
{{ '<arg name="' ~ name ~ '">' }}{{ value if value is string else value|tojson(indent=2) }}</arg>
    {%- endfor %}
{%- endmacro -%}
{{ bos_token }}{% for message in messages %}
{% generation %}[{{ message.role|upper }}] {{ message.content|default('', true)|trim|indent(2) }}{% endgeneration %}

{%- set block %}{% for call in message.tool_calls|default([]) -%}
<call>{{ call.function.name|replace('_', '\\\\_') }}{{ arguments_of(call.function.arguments) }}</call>
{%- endfor %}{% endset %}
{{- [block|string, 'end']|join('|') }}
{% endfor %}"""
PRINTED = """
{%- set ns = namespace(text='') %}
{%- for message in messages -%}
    {%- set ns.text = ns.text ~ '{role}: {content}\\n'.format(role=message['role'], content=message['content']) %}
    {%- for call in message.tool_calls or [] %}
        {%- set ns.text = ns.text + 'CALL ' + call.function.name + ' ' + call.function.arguments|string + '\\n' %}
    {%- endfor %}
{%- endfor %}
{{- ns.text.rstrip() }}"""
WRITTEN = {"qwen-like": QWEN_LIKE, "xml-like": XML_LIKE, "printed": PRINTED}


@pytest.mark.parametrize("case", sorted(cases()))
@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_templates_of_three_styles_are_rendered_with_complete_provenance(name: str, case: str) -> None:
    template = ChatTemplate(WRITTEN[name], published.SPECIAL)
    verdict, why, _ = published.judge(template, cases()[case])
    assert verdict == ("refused" if (name, case) == ("xml-like", "arguments as JSON") else "identical"), why


def folder_of_templates() -> Path | None:
    named = os.environ.get("CHAT_TEMPLATES")
    if named:
        return Path(named)
    found = importlib.util.find_spec("trl")
    return Path(found.origin).parent / "chat_templates" if found and found.origin else None


FOLDER = folder_of_templates()
PUBLISHED = sorted(FOLDER.glob("*.jinja")) if FOLDER else []
LONG = "1 MB content"


@pytest.mark.slow
@pytest.mark.skipif(not PUBLISHED, reason="TRL is not installed, and CHAT_TEMPLATES names no folder of .jinja files")
@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_templates_are_rendered_with_complete_provenance(path: Path) -> None:
    template = ChatTemplate(path.read_text(encoding="utf-8"), published.SPECIAL)
    different = {}
    verdicts = set()
    for case, conversation in cases().items():
        if case == LONG and path.stem not in ("qwen3", "gptoss", "gemma4", "llama3_1"):
            continue
        verdict, why, _ = published.judge(template, conversation)
        verdicts.add(verdict)
        if verdict == "different":
            different[case] = why
    assert different == {}
    assert "identical" in verdicts or path.stem.startswith("llava")  # takes lists of parts with an image alone


def test_a_wrong_mark_is_found() -> None:
    conversation = cases()["plain chat"]
    template = ChatTemplate(QWEN_LIKE, published.SPECIAL)
    traced, fields = published.marked(conversation)
    text = template.render(**traced, now=published.NOW)
    assert published.wrong_marks(template, conversation, text, fields) == ("", 0)
    shifted = type(text)(text, tuple((start - 1, end - 1, mark) for start, end, mark in text.runs))
    assert published.wrong_marks(template, conversation, shifted, fields)[0]
    gap = type(text)(text, text.runs[:5] + text.runs[6:])
    assert "came where" in published.wrong_marks(template, conversation, gap, fields)[0]
