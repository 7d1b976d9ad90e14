"""deepcoder_hf: agent trajectories -> token-exact training rows for Structured Agent Distillation.

Everything public is here; each name is imported when it is first used, so `import deepcoder_hf` is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepcoder_hf.config import Config as Config
    from deepcoder_hf.dataset.builder import TrajectoryBuilder as TrajectoryBuilder
    from deepcoder_hf.dataset.builder import load_trajectories as load_trajectories
    from deepcoder_hf.dataset.builder import register as register
    from deepcoder_hf.dataset.features import SAD_FEATURES as SAD_FEATURES
    from deepcoder_hf.dataset.sad import load_sad as load_sad
    from deepcoder_hf.errors import DeepcoderError as DeepcoderError
    from deepcoder_hf.pipeline import TrajectoryProcessor as TrajectoryProcessor
    from deepcoder_hf.pipeline import create_trajectory_processor as create_trajectory_processor
    from deepcoder_hf.readers import TrajectoryParser as TrajectoryParser
    from deepcoder_hf.settings import create_trajectory_processing_config as create_trajectory_processing_config
    from deepcoder_hf.settings import load_config as load_config
    from deepcoder_hf.spans.detector import SpanDetector as SpanDetector
    from deepcoder_hf.spans.evaluate import evaluate_spans as evaluate_spans
    from deepcoder_hf.spans.types import Span as Span
    from deepcoder_hf.spans.types import SpanType as SpanType
    from deepcoder_hf.stages import align_tokens as align_tokens
    from deepcoder_hf.stages import detect_spans as detect_spans
    from deepcoder_hf.stages import process_records as process_records
    from deepcoder_hf.tokens.tokenizer import TrajectoryTokenizer as TrajectoryTokenizer
    from deepcoder_hf.tokens.types import ProcessedTrajectory as ProcessedTrajectory
    from deepcoder_hf.tokens.types import TokenSpan as TokenSpan
    from deepcoder_hf.training.batches import ArrowRows as ArrowRows
    from deepcoder_hf.training.collator import SadCollator as SadCollator

_HOMES = {
    "ArrowRows": "training.batches",
    "Config": "config",
    "DeepcoderError": "errors",
    "ProcessedTrajectory": "tokens.types",
    "SAD_FEATURES": "dataset.features",
    "SadCollator": "training.collator",
    "Span": "spans.types",
    "SpanDetector": "spans.detector",
    "SpanType": "spans.types",
    "TokenSpan": "tokens.types",
    "TrajectoryBuilder": "dataset.builder",
    "TrajectoryParser": "readers",
    "TrajectoryProcessor": "pipeline",
    "TrajectoryTokenizer": "tokens.tokenizer",
    "align_tokens": "stages",
    "create_trajectory_processing_config": "settings",
    "create_trajectory_processor": "pipeline",
    "detect_spans": "stages",
    "evaluate_spans": "spans.evaluate",
    "load_config": "settings",
    "load_sad": "dataset.sad",
    "load_trajectories": "dataset.builder",
    "process_records": "stages",
    "register": "dataset.builder",
}
__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("deepcoder-hf")
    if name not in _HOMES:
        raise AttributeError(f"module 'deepcoder_hf' has no attribute {name!r}; public names: {', '.join(__all__)}")
    value = getattr(import_module(f"deepcoder_hf.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
