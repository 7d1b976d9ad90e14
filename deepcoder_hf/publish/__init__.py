"""Publishing: a processed dataset to the Hub, with its card, after everything that leaves was looked at.

from deepcoder_hf.publish import publish
publish("sad/", "deepcoder/sad", licence="apache-2.0", dry_run=True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepcoder_hf.publish.push import PublishResult as PublishResult
    from deepcoder_hf.publish.push import publish as publish

__all__ = ["PublishResult", "publish"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'deepcoder_hf.publish' has no attribute {name!r}; it has {', '.join(__all__)}")
    from deepcoder_hf.publish import push

    return getattr(push, name)
