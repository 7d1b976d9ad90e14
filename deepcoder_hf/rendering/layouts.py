"""Which layout a run uses: a chat template, by the settings and the tokenizer, or the plain one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from deepcoder_hf.config import RenderingConfig
from deepcoder_hf.errors import ConfigError
from deepcoder_hf.rendering.chat_template import ChatTemplate
from deepcoder_hf.rendering.control_tokens import ControlTokens
from deepcoder_hf.rendering.plain import render_plain
from deepcoder_hf.rendering.rendered import Rendered
from deepcoder_hf.rendering.template import TemplateLayout
from deepcoder_hf.rendering.units import Conversation

CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")


@dataclass(frozen=True, slots=True)
class TokenizerFacts:
    """What a layout needs to know of the tokenizer."""

    template: str | None
    """Its own chat template."""
    special_tokens: Mapping[str, str]
    """Its named special tokens."""
    special: Sequence[str]
    """Contents of its special added tokens."""
    added: Sequence[str]
    """Contents of all its added tokens, longest first."""


class Layouts:
    """Renders conversations as the settings say.

    Args:
        config: The rendering settings.
        facts: The tokenizer.
        name: What the template is called; from `template_source`.
        source: Its text; None for the plain layout.

    Raises:
        TemplateError: The template is not valid.
    """

    def __init__(self, config: RenderingConfig, facts: TokenizerFacts, name: str, source: str | None) -> None:
        self._config = config
        structural = set(facts.special)
        self._template: TemplateLayout | None = None
        if source is not None:
            structural |= {token for token in facts.added if token in source and not token.isspace()}
            controls = [token for token in facts.added if token in structural]
            called = f"{name}@{hashlib.sha256(source.encode()).hexdigest()[:16]}"
            template, eos = ChatTemplate(source, facts.special_tokens), facts.special_tokens.get("eos_token")
            self._template = TemplateLayout(template, called, config, controls, eos)
        self._controls = ControlTokens([token for token in structural if len(token) > 1], facts.special)
        known = [source, sorted(facts.special_tokens.items()), self._controls.tokens]
        self.digest = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]
        """Of what decides a rendering beside the settings: the template's text and the tokenizer's special tokens."""

    def render(self, conversation: Conversation, tools: tuple[str, ...]) -> list[Rendered]:
        """Render a conversation: one row, or several where reasoning is kept by a row a turn.

        A flattened trajectory is its own rendering, whatever the layout.

        Raises:
            RecordError: It cannot be rendered (`template_refused`, `template_mismatch`, `control_token`).
        """
        if self._template is None or conversation.is_flattened():
            found = [render_plain(conversation)]
        else:
            found = self._template.render(conversation, tools)
        for rendered in found:
            self._controls.treat(rendered, self._config.control_tokens)
        return found


def template_source(wanted: str, facts: TokenizerFacts) -> tuple[str, str | None]:
    """Name and text of the template that a setting asks for; no text for the plain layout.

    Raises:
        ConfigError: It is not there.
    """
    knows_chatml = all(token in facts.added for token in CHATML_TOKENS)
    if wanted == "auto":
        wanted = "tokenizer" if facts.template else "chatml" if knows_chatml else "plain"
    if wanted == "plain":
        return "plain", None
    if wanted == "tokenizer":
        if not facts.template:
            raise ConfigError(
                "rendering.template: tokenizer was asked for, but the tokenizer has no chat template; use auto, "
                "chatml, plain, or the path of a template"
            )
        return "tokenizer", facts.template
    if wanted == "chatml":
        return "chatml", (resources.files("deepcoder_hf") / "rendering" / "chatml.jinja").read_text(encoding="utf-8")
    path = Path(wanted).expanduser()
    try:
        return path.name, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"rendering.template: expected auto, tokenizer, chatml, plain or the path of a Jinja template, got "
            f"{wanted!r} ({error})"
        ) from None
