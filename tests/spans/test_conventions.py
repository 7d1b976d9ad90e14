"""Conventions that nobody listed: names that mean nothing get their roles from what stands under them, or none."""

from __future__ import annotations

import pytest

from deepcoder_hf.spans.detector import SpanDetector
from deepcoder_hf.spans.types import SpanType

DETECTOR = SpanDetector()
TASK = "How many lines do the files in src have?\n\n"
FOLDER = "total 3\n-rw-r--r-- 1 kim kim 120 a.py\n-rw-r--r-- 1 kim kim 80 b.py"
STEPS = (
    ("I have to see what is in the folder first.", "ls -la src", FOLDER),
    ("There are two files, so I count the lines of the first one.", "wc -l src/a.py", "12 src/a.py"),
    ("Now I need the other one to add them up.", "wc -l src/b.py", "9 src/b.py"),
)  # fmt: skip
NAMES = ("Zorp", "Blick", "Quam")
KINDS = ("reasoning", "action", "observation")
SHAPES = {
    "arrows": "{name}>> {words}\n",
    "brackets": "[{name}] {words}\n",
    "signs": "@{name}: {words}\n",
    "rules": "~~ {name} ~~\n{words}\n",
    "tags": "<{name}>{words}</{name}>\n",
}
SPOKEN = {SpanType.REASONING, SpanType.ACTION, SpanType.OBSERVATION}
TRAINED = {SpanType.REASONING, SpanType.ACTION}


@pytest.mark.parametrize("shape", SHAPES)
def test_names_that_mean_nothing_get_their_roles_from_content_and_order(shape: str) -> None:
    rows = [(kind, name, words) for step in STEPS for kind, name, words in zip(KINDS, NAMES, step, strict=True)]
    parts = [SHAPES[shape].format(name=name, words=words) for _, name, words in rows]
    text = TASK + "".join(parts)
    spans = [span for span in DETECTOR.detect(text) if span.span_type in SPOKEN]
    assert [(span.span_type.value, text[span.start_char : span.end_char]) for span in spans] == [
        (kind, part) for (kind, _, _), part in zip(rows, parts, strict=True)
    ]
    assert all(span.pattern.startswith("inferred:") for span in spans)
    assert {span.pattern.rsplit(":", 1)[1] for span in spans} == {name.lower() for name in NAMES}


@pytest.mark.parametrize(
    "text",
    [
        "Name: Kim\nAge: 34\nCity: Lima\nStatus: active\nNote: pays late\nName: Ann\nAge: 31\nCity: Quito",
        "host: db1\nport: 5432\nuser: kim\npassword: none\n\n[server]\nhost = a\n[client]\nhost = b",
        "Recipe: pancakes\nServes: 4\nIngredients: flour, milk, eggs\nMethod: Mix them. Fry.\nTip: Rest the dough.",
        "<note><to>Ann</to><from>Kim</from><text>Call me.</text></note>",
        "# Report\n\n## Sales\n\nThey rose.\n\n## Costs\n\nThey fell.\n",
    ],
)
def test_documents_of_keys_and_values_hold_no_reasoning_and_no_action(text: str) -> None:
    assert not {span.span_type for span in DETECTOR.detect(text)} & TRAINED


@pytest.mark.parametrize(
    "text",
    [
        "To list files, run:\n\n```bash\nls\n```\n\nTo count them, run:\n\n```bash\nls | wc -l\n```\n\n"
        "You can combine both.",
        "A list holds values:\n\n```python\nx = [1, 2]\n```\n\nA tuple does too:\n\n```python\nx = (1, 2)\n```\n",
        "<|im_start|>user\nHow do I list files?<|im_end|>\n<|im_start|>assistant\nRun this:\n\n```bash\nls\n```\n\n"
        "It prints their names.<|im_end|>\n",
    ],
)
def test_an_answer_that_teaches_with_fences_holds_no_reasoning_and_no_action(text: str) -> None:
    assert not {span.span_type for span in DETECTOR.detect(text)} & TRAINED


def test_labels_that_nothing_explains_are_other_with_little_confidence() -> None:
    text = "".join(f"[{name}] The {thing} is grey.\n" for thing in ("sky", "sea", "sand") for name in NAMES)
    assert {(span.span_type.value, span.confidence < 0.5) for span in DETECTOR.detect(text)} == {("other", True)}


def test_a_label_that_nothing_explains_beside_known_ones_is_other_with_little_confidence() -> None:
    text = "Zorp>> The sky is grey.\nThought>> I have to look.\nAction>> ls\nResult>> a.py\nThought>> I read it.\n"
    text += "Action>> cat a.py\n"
    first, *rest = DETECTOR.detect(text)
    assert (first.span_type, first.subtype, first.pattern) == (SpanType.OTHER, "unknown", "inferred:X>:zorp")
    assert first.confidence < 0.5
    assert [span.span_type.value for span in rest] == ["reasoning", "action", "observation", "reasoning", "action"]
