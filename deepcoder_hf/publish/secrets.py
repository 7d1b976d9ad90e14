"""Secrets in a text, found by detect-secrets and by the rules of Betterleaks as Kingfisher carries them.

Both run: detect-secrets knows formats that the other wants context for (a lone AWS key id, Discord, passwords by the
name of their variable), Kingfisher's 488 rules know the providers that detect-secrets does not (Groq, Anthropic,
Hugging Face, ...). Neither touches the network here: nothing is verified. What turns a finding off inside the text
(`pragma: allowlist secret`, `kingfisher:ignore`) is not heeded, for the text was written by others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import heapify, heappop, heapreplace
from typing import Any

from deepcoder_hf.errors import ConfigError
from deepcoder_hf.publish.scan_anchors import anchors, folded, ignores_case
from deepcoder_hf.publish.scan_views import plain_view
from deepcoder_hf.tokens.bundled import cache_folder

UNUSED_PLUGINS = ("Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector")
"""Every planted secret is found without them; on 6,073 real rows the two of entropy give 9 alarms more. An IP
address is no secret."""
HIDDEN_RULES = ("betterleaks.aws-secret-access-key",)
"""Rules that Kingfisher shows only beside their key id; half of a pair is published as well as the whole."""
MAX_LINE = 4096
"""Longer lines are looked at in pieces: some expressions take time quadratic in their line."""
OVERLAP = 1536
"""Characters that pieces share; the longest bounded format (GitLab's agent tokens) has 1,024 and its prefix."""
MIN_VALUE = 8
"""Fewer characters are no secret of a known format; detect-secrets gives some groups that are only a prefix."""
OWN_RULES = {
    # https://docs.tavily.com/documentation/api-reference/introduction: "Authorization: Bearer tvly-YOUR_API_KEY"
    "Tavily API Key": re.compile(r"\btvly-(?:dev-|prod-)?[A-Za-z0-9]{20,64}\b"),
    # Betterleaks has both formats, but drops one key in thirty: by an entropy that hexadecimal digits do not always
    # reach, and by an exception (`s.` and 24 letters) that an `hvs.` token may hold by chance (both measured)
    "LangSmith API Key": re.compile(r"\blsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}\b"),
    "Vault Service Token": re.compile(r"\bhvs\.[A-Za-z0-9_-]{90,120}(?![A-Za-z0-9_-])"),
}
"""What neither rule set has, or finds every time."""
PLACEHOLDER = re.compile(r"<(?:SECRET|EMAIL|USER|HOST)_\d+>")
"""What redaction puts in place of a finding."""
_KEY_BODY = re.compile(
    r"(?:(?:-----|\s|\\+[nr]|[\"',+])*[A-Za-z0-9+/=]{16,}){1,2000}"
    r"(?:(?:\s|\\+[nr])*-----END[ A-Z]+-----)?"
)
_DOCUMENTED = re.compile(r"EXAMPLE(?:KEY)?$")
"""AWS writes its sample credentials so (AKIA...EXAMPLE)."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found in a text."""

    start: int
    """First character."""
    end: int
    """Character after the last one."""
    rule: str

    def value(self, text: str) -> str:
        """What was found."""
        return text[self.start : self.end]


@lru_cache(maxsize=1)
def secret_finder() -> SecretFinder:
    """The finder, made once a process: its rules take 0.4 s to load, 3 s the first time on a machine."""
    return SecretFinder()


class SecretFinder:
    """Finds secrets.

    Raises:
        ConfigError: The extra `publish` is not installed.
    """

    def __init__(self) -> None:
        try:
            from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
            from detect_secrets.filters import heuristic
            from detect_secrets.plugins import keyword
            from kingfisher_sdk import Rules, Scanner
            from kingfisher_sdk.scanner import DetectionPolicy
        except ImportError as error:
            raise ConfigError(
                f"the scan for secrets needs detect-secrets and kingfisher-secret-scanner ({error}); "
                "pip install 'deepcoder-hf[publish]'"
            ) from None
        classes: list[type[Any]] = list(get_mapping_from_secret_type_to_class().values())
        self._plugins = [one() for one in classes if one.__name__ not in UNUSED_PLUGINS]
        self._filters = (heuristic.is_sequential_string, heuristic.is_templated_secret)
        self._keywords = {
            **keyword.QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP,
            keyword.FOLLOWED_BY_EQUAL_SIGNS_REGEX: 5,
        }
        self._groups: dict[tuple[tuple[str, ...], bool], list[tuple[Any, re.Pattern[str]]]] = {}
        """Expressions by what a line must hold for them; nothing for those of which that is not known."""
        for plugin in self._plugins:
            for pattern in getattr(plugin, "denylist", self._keywords):
                wanted = tuple(sorted(anchors(pattern) or ()))
                self._groups.setdefault((wanted, ignores_case(pattern)), []).append((plugin, pattern))
        folder = cache_folder() / "secret_rules"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        policy = DetectionPolicy(inline_ignores=False, markup_context=False)
        self._rules = Scanner(Rules(cache_dir=folder), policy=policy)

    def find(self, text: str) -> list[Hit]:
        """Every secret of a text, in its order; hits that overlap are one.

        Args:
            text: Without lone surrogates.
        """
        hits: list[Hit] = []
        views = [text, plain_view(text)]
        for view in views:
            if view is not None:
                hits += [*self._by_rules(view), *self._by_plugins(view)]
        for name, pattern in OWN_RULES.items():
            hits += [Hit(match.start(), match.end(), name) for match in pattern.finditer(text)]
        return merged([hit for hit in hits if _is_value(hit.value(text))])

    def _by_rules(self, text: str) -> Iterator[Hit]:
        data = text.encode()
        for found in self._rules.scan(data):
            if not (found.visible or found.rule_id in HIDDEN_RULES):
                continue
            place = found.location
            start = len(data[: place["start_offset"]].decode(errors="ignore"))
            end = start + len(data[place["start_offset"] : place["end_offset"]].decode(errors="ignore"))
            secret = found.captures.get("password") or found.secret
            at = text.find(secret, start, end) if secret else -1
            if at >= 0:
                start, end = at, at + len(secret)
            yield Hit(start, end, found.rule_id.partition(".")[2].replace("secrets/", ""))

    def _by_plugins(self, text: str) -> Iterator[Hit]:
        low = folded(text)
        for (wanted, is_low), group in self._groups.items():
            where = low if is_low else text
            present = [one for one in wanted if one in where]
            if wanted and not present:
                continue
            lines = list(_lines_with(where, present)) if wanted else None
            for plugin, pattern in group:
                if lines is None and not _anywhere(pattern).search(text):
                    continue
                for start, end in _lines_with(text, [""]) if lines is None else lines:
                    for hit in self._in_line(plugin, pattern, text[start:end]):
                        hit = Hit(start + hit.start, start + hit.end, hit.rule)
                        yield _with_body(hit, text) if hit.rule == "Private Key" else hit

    def _in_line(self, plugin: Any, pattern: re.Pattern[str], line: str) -> Iterator[Hit]:
        is_format = hasattr(plugin, "denylist")
        for first, last in _by_format(plugin, pattern, line) if is_format else self._by_keyword(pattern, line):
            yield Hit(first, last, plugin.secret_type)

    def _by_keyword(self, pattern: re.Pattern[str], line: str) -> Iterator[tuple[int, int]]:
        """Values of variables that are named like secrets; detect-secrets takes only the first of a line."""
        for match in pattern.finditer(line):
            words = (match[self._keywords[pattern]] or "").split(maxsplit=1)
            first = match.start(self._keywords[pattern])
            is_quoted = line[first - 1 : first] in ("'", '"', "`")
            if not words or (is_quoted and len(words) > 1) or not _is_password(words[0]) or self._is_filtered(words[0]):
                continue
            first = line.index(words[0], first)
            yield first, first + len(words[0])

    def _is_filtered(self, value: str) -> bool:
        return any(is_no_secret(value) for is_no_secret in self._filters)


def merged(hits: Sequence[Hit]) -> list[Hit]:
    """The hits in order, those that overlap as one with the rule of the longest."""
    made: list[Hit] = []
    longest = 0
    for hit in sorted(hits, key=lambda one: (one.start, -one.end)):
        size = hit.end - hit.start
        if made and hit.start < made[-1].end:
            last = made[-1]
            made[-1] = Hit(last.start, max(last.end, hit.end), hit.rule if size > longest else last.rule)
            longest = max(longest, size)
        else:
            made.append(hit)
            longest = size
    return made


@lru_cache(maxsize=64)
def _anywhere(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """An expression that matches in a text wherever the pattern matches in one of its lines."""
    return re.compile(pattern.pattern, pattern.flags | re.MULTILINE)


def _lines_with(text: str, wanted: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The lines that hold one of some strings, long ones in pieces that overlap."""
    nexts = [(place, one) for one in wanted if (place := text.find(one)) >= 0]
    heapify(nexts)
    done = 0
    while nexts:
        at = nexts[0][0]
        start = text.rfind("\n", done, at) + 1 or done
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        for piece in range(start, max(end - OVERLAP, start + 1), MAX_LINE - OVERLAP):
            yield piece, min(piece + MAX_LINE, end)
        done = end + 1
        while nexts and nexts[0][0] < done:
            one = nexts[0][1]
            place = text.find(one, done) if done <= len(text) else -1
            if place < 0:
                heappop(nexts)
            else:
                heapreplace(nexts, (place, one))


def _by_format(plugin: Any, pattern: re.Pattern[str], line: str) -> Iterator[tuple[int, int]]:
    """Matches of a known format, by the plugin's own expression and, where it has one, its own check."""
    checks = "analyze_string" in vars(type(plugin))
    for match in pattern.finditer(line):
        groups = [number for number in range(1, pattern.groups + 1) if len(match[number] or "") >= MIN_VALUE]
        first, last = match.span(groups[0] if groups else 0)
        if not checks or any(plugin.analyze_string(line[first:last])):
            yield first, last


def _with_body(hit: Hit, text: str) -> Hit:
    """The header of a private key with the key itself; the header alone, as code has it, is no secret."""
    body = _KEY_BODY.match(text, hit.end)
    return Hit(hit.start, body.end(), hit.rule) if body and len(body[0]) > 40 else Hit(hit.start, hit.start, hit.rule)


def _is_password(value: str | None) -> bool:
    """Whether a value that stands where a password may stand can be one: no word, no reference, no prose."""
    if not value or len(value) < MIN_VALUE or re.search(r"[\s(){}\[\]<>$]|\.\w+\.|://", value):
        return False
    kinds = [any(map(is_kind, value)) for is_kind in (str.isdigit, str.isupper, str.islower)]
    return sum(kinds) + any(not c.isalnum() and c not in "_-./" for c in value) >= 2 and any(c.isdigit() for c in value)


def _is_value(value: str) -> bool:
    if len(value.strip()) < MIN_VALUE - 2 or _DOCUMENTED.search(value):
        return False
    return len(PLACEHOLDER.sub("", value)) == len(value) or len(PLACEHOLDER.sub("", value)) > MIN_VALUE * 4
