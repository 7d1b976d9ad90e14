"""The layouts of a tokenizer: its chat template and control tokens put together with the rendering settings."""

from __future__ import annotations

from functools import lru_cache

from deepcoder_hf.config import RenderingConfig, TokensConfig
from deepcoder_hf.rendering.layouts import Layouts, TokenizerFacts, template_source
from deepcoder_hf.tokens.load import chat_facts
from deepcoder_hf.tokens.tokenizer import cached_tokenizer


def cached_layouts(rendering: RenderingConfig, tokens: TokensConfig) -> Layouts:
    """The layouts of a configuration, made once a process; a template file that has changed makes them anew.

    Raises:
        ConfigError: rendering.template asks for a template that is not there.
        TemplateError: The template is not valid.
    """
    return _layouts(rendering, tokens, *template_source(rendering.template, _facts(tokens)))


@lru_cache(maxsize=4)
def _layouts(rendering: RenderingConfig, tokens: TokensConfig, name: str, source: str | None) -> Layouts:
    return Layouts(rendering, _facts(tokens), name, source)


@lru_cache(maxsize=4)
def _facts(tokens: TokensConfig) -> TokenizerFacts:
    tokenizer = cached_tokenizer(tokens)
    facts = chat_facts(tokens.model_name)
    special_tokens = dict(facts.special_tokens)
    if tokenizer.eos_token:
        special_tokens.setdefault("eos_token", tokenizer.eos_token)
    special, added = tokenizer.control_tokens(special=True), tokenizer.control_tokens()
    return TokenizerFacts(facts.template, special_tokens, special, added)
