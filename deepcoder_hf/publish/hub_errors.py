"""What goes wrong between here and the Hub: what may be tried again, after how long, and the rest in one line."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from deepcoder_hf.errors import PublishError

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
CONFLICT = frozenset({409, 412})
"""The branch has moved since its head was read: the commit is built again from the new head."""
LOGIN = "log in with `hf auth login`, or set HF_TOKEN to a token that may write"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a transient failure is waited for."""

    attempts: int = 8
    first_s: float = 0.5
    max_s: float = 30.0
    max_retry_after_s: float = 600.0
    """Longest `Retry-After` that is honoured; a longer one stops."""

    def wait_s(self, attempt: int, asked_s: float | None) -> float:
        """Seconds before the next attempt: doubled each time up to `max_s`, never less than the server asks for."""
        return max(min(self.first_s * 2.0**attempt, self.max_s), asked_s or 0.0)


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from: clients wrap a failed upload in a RuntimeError."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__


def status_of(error: BaseException) -> int | None:
    """HTTP status of an answer of the Hub, where one came."""
    for cause in causes(error):
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
    return None


def is_network(error: BaseException) -> bool:
    """Whether no answer came: refused, dropped, timed out; the names hold for httpx and httpx2."""
    names = {base.__name__ for cause in causes(error) for base in type(cause).__mro__}
    return status_of(error) is None and bool(names & {"TransportError", "ConnectionError", "TimeoutError"})


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed in a while; an answer that is no JSON comes from a proxy in trouble."""
    if any(type(cause).__name__ == "OfflineModeIsEnabled" for cause in causes(error)):
        return False
    status = status_of(error)
    if status is not None:
        return status in TRANSIENT
    return is_network(error) or any(isinstance(cause, json.JSONDecodeError) for cause in causes(error))


def retry_after_s(error: BaseException) -> float | None:
    """Seconds that the answer asks to wait: `Retry-After` as a number or a date (RFC 9110, section 10.2.3)."""
    for cause in causes(error):
        response = getattr(cause, "response", None)
        value = response.headers.get("Retry-After") if response is not None else None
        if value is None:
            continue
        try:
            return max(0.0, float(value))
        except ValueError:
            pass
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except (TypeError, ValueError):
            return None
    return None


def is_known(error: BaseException) -> bool:
    """Whether an error comes from the Hub's client or the network, and not from a bug of ours."""
    hub = any(type(cause).__module__.startswith(("huggingface_hub", "httpx", "httpcore")) for cause in causes(error))
    return hub or status_of(error) is not None or is_transient(error)


def explained(error: BaseException, repo_id: str, endpoint: str) -> PublishError:
    """One line on an error of the Hub's client: what happened, to which repository, and what to do.

    Only status and reason are taken from the answer, never the request: its headers hold the token.
    """
    names = {base.__name__ for cause in causes(error) for base in type(cause).__mro__}
    status = status_of(error)
    if "OfflineModeIsEnabled" in names:
        return PublishError("HF_HUB_OFFLINE is set: nothing can be sent; unset it to publish")
    if "HFValidationError" in names:
        return PublishError(f"{repo_id!r} is not a repository's name: expected owner/name of letters, digits, - _ .")
    if (status == 401 and "RepositoryNotFoundError" not in names) or "LocalTokenNotFoundError" in names:
        return PublishError(f"{endpoint} does not accept the token for {repo_id}: {LOGIN}")
    if status == 401:
        return PublishError(f"{repo_id}: not found, or the token may not see it: {LOGIN}")
    if status == 403:
        return PublishError(f"the token has no right to write to {repo_id}: use one of its owner, with write access")
    if "RevisionNotFoundError" in names:
        return PublishError(f"{repo_id}: the revision does not exist")
    if status == 404:
        return PublishError(f"{repo_id}: not found at {endpoint}")
    again = "nothing of this push is visible; run the same command again to go on"
    if status in CONFLICT:
        return PublishError(f"{repo_id} was changed by others at every attempt: {again}")
    if status is None and is_network(error):
        return PublishError(f"{endpoint} cannot be reached: {again}")
    reason = _reason(error)
    return PublishError(f"{endpoint} answered {status or 'with an error'} for {repo_id}{reason}: {again}")


def _reason(error: BaseException) -> str:
    for cause in causes(error):
        message = getattr(cause, "server_message", None)
        if message:
            return f" ({' '.join(str(message).split())[:200]})"
    return ""
