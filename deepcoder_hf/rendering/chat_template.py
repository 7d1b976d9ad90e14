"""A Hugging Face chat template: what it renders, and which field of the conversation each character came from.

    template = ChatTemplate(tokenizer.chat_template, tokenizer.special_tokens_map)
    text = template.render([{"role": "user", "content": trace("Hello", 0)}])
    text.runs       ((21, 26, 0),)   the rest is the template's own

`render` gives the text that `plain` gives, which is what `apply_chat_template(tokenize=False)` gives.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from threading import local
from types import ModuleType
from typing import Any

import jinja2
import jinja2.meta
from jinja2 import nodes

from deepcoder_hf.errors import TemplateError, TemplateRefused
from deepcoder_hf.rendering.template_limits import Limits
from deepcoder_hf.rendering.traced import Traced, concat, runs_of
from deepcoder_hf.rendering.traced_filters import install
from deepcoder_hf.rendering.traced_jinja import TracedEnvironment, hasten

__all__ = ["ChatTemplate", "Limits", "TemplateError", "TemplateRefused"]

Message = Mapping[str, Any]
_PLAIN = local()
"""`now` of the plain rendering that a thread is in."""
_VARIABLE_NODES = (nodes.Name, nodes.NSRef, nodes.Call, nodes.ContextReference, nodes.EnvironmentAttribute)


class ChatTemplate:
    """A compiled chat template; templates of the same source share what was compiled.

    Args:
        source: The jinja source, as in `tokenizer.chat_template`.
        special_tokens: What the template may read by name, such as `bos_token`: `tokenizer.special_tokens_map`.
        limits: What one rendering may cost.

    Raises:
        TemplateError: The source is not a valid template, or folding its constants goes beyond the limits.
    """

    def __init__(
        self, source: str, special_tokens: Mapping[str, Any] | None = None, limits: Limits | None = None
    ) -> None:
        self.source = source
        self.special_tokens = dict(special_tokens or {})
        self.limits = limits or Limits()
        self._environment, self._template, self._names = _compiled(source)

    def __reduce__(self) -> tuple[Any, ...]:
        return ChatTemplate, (self.source, self.special_tokens, self.limits)

    @property
    def variables(self) -> frozenset[str]:
        """Names that the template reads from what it is given: messages, tools, bos_token, its switches."""
        return self._names - self._environment.globals.keys()

    def uses(self, name: str) -> bool:
        """Whether the template reads a variable or a global function, for example the switch `enable_thinking`."""
        return name in self._names

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        *,
        documents: Sequence[Mapping[str, Any]] | None = None,
        now: datetime | None = None,
        **switches: Any,
    ) -> Traced:
        """Render a conversation whose texts may be `Traced`.

        Args:
            messages: Messages in Hugging Face form, of JSON values.
            tools: Tool definitions as JSON schemas.
            add_generation_prompt: Whether to end with the header of an assistant turn.
            documents: For templates of retrieval models.
            now: What `strftime_now` says; default: the time of the call.
            **switches: What the template reads besides; wins over a special token of that name.

        Returns:
            The text; its runs have the marks of the texts that went in, everything else is the template's own.

        Raises:
            TemplateRefused: The template raises on this conversation.
            TemplateError: The rendering goes beyond the limits.
        """
        with _refusals():
            given = self.special_tokens | switches
            given |= {"messages": _aliased(_present(messages)), "tools": _checked(tools), "documents": documents}
            context = self._template.new_context({**given, "add_generation_prompt": add_generation_prompt})
            budget = self._environment.begin(self.limits, now or datetime.now())
            parts: list[str] = []
            size = 0
            for part in self._template.root_render_func(context):
                parts.append(part)
                size += len(part)
                if size > self.limits.max_chars:
                    budget.charge(size)
            text = concat(parts)
            return text if isinstance(text, Traced) else Traced(text, runs_of(text))

    def plain(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        *,
        documents: Sequence[Mapping[str, Any]] | None = None,
        now: datetime | None = None,
        **switches: Any,
    ) -> str:
        """What `apply_chat_template(tokenize=False)` gives, by the installed transformers.

        Takes what `render` takes, and only the texts of it count. It has no limits: call it after `render`, which has
        stopped what does not end.

        Raises:
            TemplateRefused: The template raises on this conversation.
        """
        theirs = _transformers()
        with _refusals():
            compiled = theirs._compile_jinja_template(self.source)
            hasten(compiled.environment)
            if self.uses("strftime_now"):
                compiled.environment.globals["strftime_now"] = _plain_strftime_now
            _PLAIN.now = now
            rendered, _ = theirs.render_jinja_template(
                conversations=[_plain_texts(_present(messages))],
                tools=_plain_texts(_checked(tools)),
                documents=documents,
                chat_template=self.source,
                add_generation_prompt=add_generation_prompt,
                **self.special_tokens | switches,
            )
            return str(rendered[0])


class _refusals:
    """Turns whatever a template raises into TemplateRefused; a limit stays TemplateError."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, TemplateError | TemplateRefused):
            return
        words = str(error) or repr(error)
        if not isinstance(error, jinja2.TemplateError) or isinstance(error, jinja2.TemplateRuntimeError):
            words = f"{type(error).__name__}: {words}"
        raise TemplateRefused(
            f"the chat template refuses the conversation: {words} (apply_chat_template raises too; use another "
            "template or change the conversation)"
        ) from error


def _present(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages without null fields, which apply_chat_template drops too."""
    if not isinstance(messages, list | tuple) or not messages:
        raise TemplateRefused(f"expected a list of at least one message, got {str(messages)[:80]!r}")
    for message in messages:
        if not isinstance(message, Mapping):
            raise TemplateRefused(f"expected messages that are objects, got {str(message)[:80]!r}")
    return [{key: value for key, value in message.items() if value is not None} for message in messages]


def _checked(tools: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    if tools is None:
        return None
    if not isinstance(tools, list | tuple) or not all(isinstance(tool, dict) for tool in tools):
        raise TemplateRefused(f"expected tools as a list of JSON schemas, got {str(tools)[:80]!r}")
    return list(tools)


def _aliased(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Reasoning under each name that templates read, where the installed transformers does that."""
    alias: Callable[[Any], Any] = getattr(_transformers(), "_alias_reasoning_fields", lambda same: same)
    found: list[dict[str, Any]] = alias(messages)
    return found


def _plain_texts(value: Any) -> Any:
    """A JSON value with plain strings in place of marked ones; the installed transformers may do that itself."""
    if value is None or hasattr(_transformers(), "_plain_template_data"):
        return value
    if isinstance(value, str):
        return "".join((value,))
    if isinstance(value, dict):
        return {_plain_texts(key): _plain_texts(item) for key, item in value.items()}
    return [_plain_texts(item) for item in value] if isinstance(value, list) else value


@cache
def _transformers() -> ModuleType:
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # that torch is absent is no news here
    from transformers.utils import chat_template_utils  # costs a second, so only where a template is used

    return chat_template_utils


def _plain_strftime_now(template: str) -> str:
    return (getattr(_PLAIN, "now", None) or datetime.now()).strftime(template)


@lru_cache(maxsize=64)
def _compiled(source: str) -> tuple[TracedEnvironment, jinja2.Template, frozenset[str]]:
    environment = _environment()
    try:
        parsed = environment.parse(source)
        read = {node.name for node in parsed.find_all(nodes.Name)}
        names = frozenset(jinja2.meta.find_undeclared_variables(parsed)) | (read & environment.globals.keys())
        _fold_constants(environment, parsed)
        return environment, environment.from_string(source), names
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"the chat template is not valid jinja: line {error.lineno}: {error.message}") from error
    except (RecursionError, MemoryError, SyntaxError, jinja2.TemplateError) as error:
        raise TemplateError(f"the chat template cannot be compiled: {type(error).__name__}: {error}") from error


def _environment() -> TracedEnvironment:
    """An environment with everything that transformers' has."""
    theirs = _transformers()._compile_jinja_template("").environment
    environment = TracedEnvironment(
        trim_blocks=theirs.trim_blocks,
        lstrip_blocks=theirs.lstrip_blocks,
        keep_trailing_newline=theirs.keep_trailing_newline,
        undefined=theirs.undefined,
        autoescape=theirs.autoescape,
        extensions=[type(extension) for extension in theirs.extensions.values()],
    )
    environment.globals.update(theirs.globals)
    environment.filters.update(theirs.filters)
    environment.tests.update(theirs.tests)
    environment.globals["strftime_now"] = lambda template: environment.budget.now.strftime(template)
    install(environment)
    hasten(environment)
    return environment


def _fold_constants(environment: TracedEnvironment, template: nodes.Template) -> None:
    """Evaluate, within limits, what jinja evaluates without limits when transformers compiles: `'a' * 10 ** 9`."""
    for expression in _constants(template):
        alone = nodes.Template([nodes.Output([expression], lineno=1)], lineno=1)
        alone.set_environment(environment)
        environment.begin(Limits(), datetime.now())
        try:
            environment.from_string(alone).render()
        except TemplateError:
            raise
        except Exception:  # jinja leaves such an expression to the rendering
            continue


def _constants(node: nodes.Node) -> Iterator[nodes.Expr]:
    """The outermost operations without variables."""
    for child in node.iter_child_nodes():
        folds = isinstance(child, nodes.BinExpr | nodes.Filter | nodes.Concat)
        if folds and child.find(_VARIABLE_NODES) is None:  # type: ignore[arg-type]
            if isinstance(child, nodes.Expr):
                yield child
        else:
            yield from _constants(child)
