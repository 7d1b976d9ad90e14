"""A jinja environment that behaves like the one of transformers, keeps the marks of its texts, and stays in bounds.

Settings, extensions, globals, filters and tests are those of the environment that the installed transformers compiles
with. What differs is how: texts are joined by `concat`, filters that would lose marks are replaced, constant
expressions are not folded while compiling (folding knows no limits), and loops, calls and whatever makes a value larger
than what went in are counted in a `Budget`. The generated code is jinja's, with the names that join and escape texts
bound to this environment's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame, MacroRef
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment, SandboxedFormatter
from markupsafe import Markup

from deepcoder_hf.rendering.template_limits import (
    GROWING,
    Budget,
    Limits,
    format_size,
    power_size,
    product_size,
    size_of,
)
from deepcoder_hf.rendering.traced import Traced, concat, derived
from deepcoder_hf.rendering.traced_markup import TracedMarkup, escape, markup
from deepcoder_hf.rendering.traced_text import Definition, TracedFormatter, percent, text_of

_STEP = "step"
_REBOUND = """
str = environment.text
str_join = markup_join = environment.joined
escape = environment.escaped
Markup = environment.safe
Macro = environment.macro_class
"""
"""Appended to the generated module: its functions look these names up when they run."""
_DICT_ATTRIBUTES = frozenset(dir(dict))
_GUARDED = frozenset((*GROWING, "format", "format_map"))


class _Generator(CodeGenerator):
    """Writes a step into every loop and macro, and one call for a chain of `+`."""

    def visit_Add(self, node: nodes.BinExpr, frame: Frame) -> None:
        parts: list[nodes.Expr] = []
        left: nodes.Expr = node
        while isinstance(left, nodes.Add):
            parts.append(left.right)
            left = left.left
        self.write("environment.total((")
        for part in (left, *reversed(parts)):
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        node.body = _counted(node.body, node.lineno)
        super().visit_For(node, frame)

    def macro_body(self, node: nodes.Macro | nodes.CallBlock, frame: Frame) -> tuple[Frame, MacroRef]:
        node.body = _counted(node.body, node.lineno)
        return super().macro_body(node, frame)

    def visit_EnvironmentAttribute(self, node: nodes.EnvironmentAttribute, frame: Frame) -> None:
        super().visit_EnvironmentAttribute(node, frame)
        if node.name == _STEP:
            self.write("()")

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        if not isinstance(node, nodes.TemplateData | nodes.Const):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)


def _counted(body: list[nodes.Node], lineno: int) -> list[nodes.Node]:
    return [nodes.ExprStmt(nodes.EnvironmentAttribute(_STEP, lineno=lineno), lineno=lineno), *body]


class _Macro(Macro):
    """A macro whose result keeps its marks inside `{% autoescape true %}` too."""

    def _invoke(self, arguments: list[Any], autoescape: bool) -> str:
        made = self._func(*arguments)
        return markup(made) if autoescape else made


class _Formatter(SandboxedFormatter, TracedFormatter):
    """The fields of str.format, looked up in the sandbox."""


def hasten(environment: SandboxedEnvironment) -> None:
    """Let a sandbox look up keys and plain attributes at once, and remember which other attributes are safe.

    It finds what it found before: a name that is no attribute of `dict` can only be a key; no public attribute of a
    text or a loop is guarded, besides the methods in _GUARDED; a namespace holds only what the sandbox has given out;
    and whether an attribute is safe is decided by the type of the object and the name alone.
    """
    if "is_safe_attribute" in vars(environment):
        return
    decide, look_up = environment.is_safe_attribute, environment.getattr
    namespace = environment.globals["namespace"]
    open_types = frozenset((str, Traced, LoopContext, namespace))
    decisions: dict[tuple[type, str], bool] = {}

    def is_safe_attribute(obj: Any, attribute: str, value: Any) -> bool:
        key = type(obj), attribute
        if (decision := decisions.get(key)) is None:
            decision = decisions[key] = decide(obj, attribute, value)
        return decision

    def attribute_or_key(obj: Any, attribute: str) -> Any:
        kind = type(obj)
        if (kind is dict or kind is Definition) and attribute not in _DICT_ATTRIBUTES:
            try:
                return obj[attribute]
            except KeyError:
                return environment.undefined(obj=obj, name=attribute)
        if kind in open_types and attribute not in _GUARDED and attribute[:1] != "_":
            try:
                value = getattr(obj, attribute)
            except AttributeError:
                return look_up(obj, attribute)
            return look_up(obj, attribute) if kind is namespace and callable(value) else value
        return look_up(obj, attribute)

    environment.is_safe_attribute = is_safe_attribute  # type: ignore[method-assign, assignment]
    environment.getattr = attribute_or_key  # type: ignore[method-assign]


class TracedEnvironment(ImmutableSandboxedEnvironment):
    """See the module. Texts may be `str` or `Traced`; a budget must be set, per thread, before anything is rendered."""

    code_generator_class = _Generator
    macro_class = _Macro
    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, **settings: Any) -> None:
        self._rendering = threading.local()
        super().__init__(optimized=False, **settings)

    @property
    def budget(self) -> Budget:
        """What the rendering that this thread is in may still cost."""
        found: Budget = self._rendering.budget
        return found

    def begin(self, limits: Limits, now: datetime) -> Budget:
        """Start a rendering in this thread."""
        self._rendering.budget = Budget(limits, now)
        return self.budget

    def step(self) -> None:
        """Count a turn of a loop or a call."""
        self._rendering.budget.step()

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        return super()._generate(source, name, filename, defer_init) + _REBOUND

    # Joining

    def concat(self, parts: Iterable[str]) -> str:
        """Join what a template or macro has put out."""
        parts = parts if isinstance(parts, list) else list(parts)
        self.budget.charge(sum(map(len, parts)))
        return concat(parts)

    def text(self, value: Any) -> str:
        """What `{{ value }}` puts out."""
        kind = type(value)
        if kind is str or kind is Traced:
            return value  # type: ignore[no-any-return]
        return text_of(value, self.budget.container)

    def joined(self, parts: Iterable[Any]) -> str:
        """`a ~ b ~ c`."""
        return self.concat([self.text(part) for part in parts])

    def escaped(self, value: Any) -> str:
        """What `{{ value }}` puts out inside `{% autoescape true %}`."""
        self.budget.charge(6 * size_of(value))
        return escape(value)

    def safe(self, value: Any) -> TracedMarkup:
        """`value|safe`."""
        return markup(value)

    def total(self, parts: Sequence[Any]) -> Any:
        """`a + b + c`, from left to right."""
        size = 0
        for part in parts:
            kind = type(part)
            if kind is not str and kind is not Traced:
                return self._summed(parts)
            size += len(part)
        self.budget.charge(size)
        return concat(parts)

    def _summed(self, parts: Sequence[Any]) -> Any:
        made = parts[0]
        for part in parts[1:]:
            if hasattr(made, "__len__") and hasattr(part, "__len__"):
                self.budget.charge(len(made) + len(part))
            if hasattr(made, "__html__") or hasattr(part, "__html__"):
                made = markup(made) if hasattr(made, "__html__") else made
                part = markup(part) if hasattr(part, "__html__") else part
            made = made + part
        return made

    # Operators, methods and calls

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """See SandboxedEnvironment."""
        if operator == "+":
            return self.total((left, right))
        if operator == "*":
            self.budget.charge(product_size(left, right))
        elif operator == "**":
            self.budget.charge(power_size(left, right))
        elif isinstance(left, str | bytes):
            self.budget.charge(format_size(left, right))
            if isinstance(left, str) and not hasattr(left, "__html__"):
                return percent(left, right)
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """See SandboxedEnvironment."""
        if attribute in GROWING and isinstance(obj, str | bytes | int) and hasattr(obj, attribute):
            return partial(self._grow, attribute, obj)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """See SandboxedEnvironment."""
        if isinstance(obj, str | bytes | int) and isinstance(argument, str) and argument in GROWING:
            return self.getattr(obj, str(argument))
        return super().getitem(obj, argument)

    def _grow(self, method: str, obj: Any, *args: Any, **options: Any) -> Any:
        if method == "join" and args:
            args = (list(args[0]), *args[1:])
        self.budget.charge(GROWING[method](obj, *args, **options))
        return getattr(Traced(obj) if type(obj) is str else obj, method)(*args, **options)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """See SandboxedEnvironment."""
        super_wrap = super().wrap_str_format
        plain = super_wrap(value)
        if plain is None:
            return None
        template, is_map = value.__self__, value.__name__ == "format_map"

        def formatted(*args: Any, **fields: Any) -> str:
            self.budget.charge(
                format_size(template, (*args, *fields.values(), *(args[0].values() if is_map and args else ())))
            )
            if isinstance(template, TracedMarkup):
                real = super_wrap(getattr(Markup(str.__str__(template)), value.__name__))
                assert real is not None
                inner = fields.values() or (args[0].values() if is_map else ())
                return markup(derived(str.__str__(real(*args, **fields)), template, *args, *inner))
            if not is_map:
                return _Formatter(self).vformat(template, args, fields)
            if fields or len(args) != 1:
                plain(*args, **fields)  # says what is wrong
            return _Formatter(self).vformat(template, (), args[0])

        return formatted

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """See SandboxedEnvironment."""
        __self._rendering.budget.step()
        return super().call(__context, __obj, *args, **kwargs)

    def call_filter(self, *args: Any, **options: Any) -> Any:
        """A filter that `map` applies; see Environment."""
        self.step()
        return super().call_filter(*args, **options)

    def call_test(self, *args: Any, **options: Any) -> Any:
        """A test that `select` applies; see Environment."""
        self.step()
        return super().call_test(*args, **options)
