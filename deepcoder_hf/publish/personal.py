"""Personal data in a text: e-mail addresses, names in home directories and shell prompts, names of machines.

What is found is the name alone, so that a path or a prompt stays readable when it is replaced. Names that everybody has
(`user`, `runner`, `localhost`) and those that standards set aside for examples are nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from deepcoder_hf.publish.secrets import Hit, merged

EMAIL, USER, HOST = "e-mail address", "user name", "machine name"
EXAMPLE_DOMAINS = re.compile(r"(?:^|\.)(?:example\.(?:com|org|net|edu)|example|test|invalid|localhost|local)$", re.I)
"""RFC 2606 and RFC 6761 set them aside; `.local` is for no mail (RFC 6762), but names machines."""
EXAMPLE_HOSTS = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|org|net|edu))?|test|invalid|localhost)$", re.I)
_USERS = """
user users username root admin administrator runner ubuntu debian fedora centos ec2-user
azureuser vagrant node app jovyan circleci travis git sandbox developer dev guest public default
shared vscode codespace gitpod agent model assistant oai openhands swe-agent linuxbrew me you
someone somebody name yourname your_name your-name youruser your_user myuser my_user test tester
tests testuser test_user demo student nobody daemon www-data postgres mysql redis docker build
builder ci jenkins worker workspace project projects foo bar baz alice bob docs data
site-packages home work xxx all any new-user newuser nonroot
"""
_HOSTS = "localhost host hostname sandbox container server machine ubuntu debian docker"
_ENDINGS = "png jpg jpeg gif svg webp py js ts css html json md txt sh yaml yml lock whl gz zip so"
GENERIC_USERS = frozenset(_USERS.split())
GENERIC_HOSTS = frozenset(_HOSTS.split())
NO_REPLY = re.compile(
    r"^(?:no-?reply|do-?not-?reply|git|users?|username|you|your\.?email|email|name|someone|info|test)$", re.I
)
FILE_ENDINGS = frozenset(_ENDINGS.split())
_LOCAL = re.compile(r"[\w.+%-]{0,63}\w\Z")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}([A-Za-z]{2,24})(?![\w@-])")
_NAME = r"([^\W\d_][\w.-]{0,31})"
_START = r"(?:(?<![\w.-])|(?<=\\[nrt]))"
"""A path that begins here: `/home/` in the middle of one is a page of a web site."""
_HOMES = (
    re.compile(_START + r"/home/" + _NAME),
    re.compile(_START + r"/Users/" + _NAME),
    re.compile(r"[A-Za-z]:(?:\\{1,8}|/)Users(?:\\{1,8}|/)" + _NAME),
    re.compile(r"/projects/-(?:Users|home)-([^\W\d_][\w.]{0,31})"),
)
_PROMPTS = (
    re.compile(
        r"(?m)^[ \t]*(?:\([\w.-]{1,40}\) )?\[?([a-z_][\w.-]{0,31})@([A-Za-z][\w.-]{0,62})"
        r"(?::| )[^\n$#%]{0,200}[$#%](?: |$)"
    ),
)
_MACHINES = (
    re.compile(r"\b(?:DESKTOP|LAPTOP)-[A-Z0-9]{7}\b"),
    re.compile(
        r"\b(?:[A-Za-z0-9]{1,20}-){1,4}(?:MacBook|iMac|Mac-mini|Mac-Studio|MBP)"
        r"(?:-[A-Za-z0-9]{1,8}){0,3}(?:\.local|\.lan)?\b"
    ),
    re.compile(r"\bLinux ([A-Za-z][\w.-]{0,62}) \d{1,2}\.\d{1,3}\.\d{1,4}[\w.-]{0,60} #\d"),
    re.compile(r"\bHOSTNAME=([A-Za-z][\w.-]{0,62})"),
)
_CONTAINER_ID = re.compile(r"[0-9a-f]{12}")


def find_personal(text: str) -> list[Hit]:
    """Every piece of personal data of a text, in its order."""
    hits = [*_emails(text)] if "@" in text else []
    if "/home/" in text or "Users" in text or "-home-" in text:
        hits += _named(text, _HOMES, USER)
    if "@" in text:
        for pattern in _PROMPTS:
            for match in pattern.finditer(text):
                hits += _unless_generic(match, 1, USER)
                hits += _unless_generic(match, 2, HOST)
    if any(mark in text for mark in ("DESKTOP-", "LAPTOP-", "Mac", "MBP", "Linux ", "HOSTNAME=")):
        hits += _named(text, _MACHINES, HOST)
    return merged(hits)


def _emails(text: str) -> Iterator[Hit]:
    at = text.find("@")
    while at >= 0:
        local, domain = _LOCAL.search(text[max(0, at - 64) : at]), _DOMAIN.match(text, at + 1)
        if local and domain and not _is_nobody(local[0], domain[0], domain[1]):
            start = at - len(local[0])
            escaped = text[start - 1 : start] == "\\" and text[start] in "nrt"  # `\nname@...` in JSON
            if len(local[0]) > escaped:  # else a decorator on a line of its own: `\n@pytest.mark`
                yield Hit(start + escaped, domain.end(), EMAIL)
        at = text.find("@", at + 1)


def _is_nobody(local: str, domain: str, ending: str) -> bool:
    return bool(
        EXAMPLE_DOMAINS.search(domain)
        or ending.lower() in FILE_ENDINGS
        or domain.lower().startswith("users.noreply.")
        or NO_REPLY.match(local)
    )


def _named(text: str, patterns: tuple[re.Pattern[str], ...], rule: str) -> Iterator[Hit]:
    for pattern in patterns:
        for match in pattern.finditer(text):
            yield from _unless_generic(match, 1 if pattern.groups else 0, rule)


def _unless_generic(match: re.Match[str], group: int, rule: str) -> Iterator[Hit]:
    name = match[group].rstrip(".-_")
    if len(name) < 2 or name.lower() in (GENERIC_HOSTS if rule == HOST else GENERIC_USERS):
        return
    if rule == HOST and (_CONTAINER_ID.fullmatch(name) or EXAMPLE_HOSTS.search(name)):
        return
    yield Hit(match.start(group), match.start(group) + len(name), rule)
