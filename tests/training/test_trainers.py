"""Stay in your trainer: a training step with Trainer and SFTTrainer trains exactly the tokens that our rows say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from pipeline_runs import processor, react

from deepcoder_hf.training.batches import ArrowRows
from deepcoder_hf.training.collator import SadCollator

torch = pytest.importorskip("torch", reason="torch is not installed (extra bench)")
transformers = pytest.importorskip("transformers")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # those of torch, accelerate and TRL are theirs
]
PAD = 0


@pytest.fixture(scope="module")
def rows(tiny_model: Path) -> Dataset:
    """Five processed trajectories of different lengths, with weights on their tokens."""
    records = [
        *react(1, 22, 333),
        {"text": "Thought: a\nAction: b"},
        {"text": "Thought: longer than others\nAction: f[1]"},
    ]
    done = processor(tiny_model).process(Dataset.from_list(records))
    weights = [[0.25 * (t % 5) for t in range(row["length"])] for row in done]
    return done.add_column("token_weights", weights)


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(tiny_model), pad_token="!", eos_token="!", model_input_names=["input_ids", "attention_mask"]
    )


@pytest.fixture
def model() -> Any:
    """A Qwen3 of two layers, the same in every test."""
    torch.manual_seed(0)
    config = transformers.Qwen3Config(
        vocab_size=512, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, attn_implementation="sdpa",
    )  # fmt: skip
    return transformers.Qwen3ForCausalLM(config)


def trained(input_ids: Any, labels: Any) -> Counter[tuple[int, int]]:
    """(token before, token) of every label that a causal loss counts, however rows lie in the batch."""
    found: Counter[tuple[int, int]] = Counter()
    for ids, row in zip(input_ids.tolist(), labels.tolist(), strict=True):
        found.update((ids[t - 1], row[t]) for t in range(1, len(row)) if row[t] != -100)
    return found


def of_dataset(rows: Dataset) -> Counter[tuple[int, int]]:
    """The same from our columns: every token under a mask but the first of a row, which nothing predicts."""
    found: Counter[tuple[int, int]] = Counter()
    for row in rows:
        masks = zip(row["reasoning_mask"], row["action_mask"], strict=True)
        ids = row["input_ids"]
        found.update((ids[t - 1], ids[t]) for t, (r, a) in enumerate(masks) if t and r + a)
    return found


class Seen:
    """What reached the model, and the targets that reached the cross entropy."""

    def __init__(self, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inputs: list[dict[str, Any]] = []
        self.targets: list[int] = []
        model.register_forward_pre_hook(self._before, with_kwargs=True)
        cross_entropy = torch.nn.functional.cross_entropy

        def spy(logits: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
            self.targets += [token for token in target.flatten().tolist() if token != -100]
            return cross_entropy(logits, target, *args, **kwargs)

        monkeypatch.setattr(torch.nn.functional, "cross_entropy", spy)

    def _before(self, _: Any, args: Any, kwargs: dict[str, Any]) -> None:
        self.inputs.append({k: v.clone() for k, v in kwargs.items() if isinstance(v, torch.Tensor)})

    def trained(self) -> Counter[tuple[int, int]]:
        return sum((trained(i["input_ids"], i["labels"]) for i in self.inputs), Counter())


@pytest.fixture
def seen(model: Any, monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(model, monkeypatch)


def settings(folder: Path, **more: Any) -> dict[str, Any]:
    """One step over all five rows."""
    return {
        "output_dir": str(folder), "max_steps": 1, "per_device_train_batch_size": 5, "use_cpu": True, "bf16": False,
        "report_to": "none", "save_strategy": "no", "logging_steps": 1, "disable_tqdm": True, "learning_rate": 1e-3,
        **more,
    }  # fmt: skip


def sft_settings(folder: Path, **more: Any) -> Any:
    from trl import SFTConfig

    own = {"max_length": None, "dataset_kwargs": {"skip_prepare_dataset": True}, "gradient_checkpointing": False}
    return SFTConfig(**settings(folder, **own, **more))


def test_trainer_with_data_collator_for_seq2seq(
    rows: Dataset, tokenizer: Any, model: Any, seen: Seen, tmp_path: Path
) -> None:
    trainer = transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(**settings(tmp_path)),
        train_dataset=rows,
        data_collator=transformers.DataCollatorForSeq2Seq(tokenizer),
    )
    trainer.train()
    ours = of_dataset(rows)
    assert seen.trained() == ours
    assert sum(ours.values()) > 50
    assert Counter(seen.targets) == Counter(token for _, token in ours.elements())


@pytest.mark.parametrize("packing", [False, True])
def test_trainer_with_our_collator(packing: bool, rows: Dataset, model: Any, seen: Seen, tmp_path: Path) -> None:
    before = model.model.layers[0].mlp.up_proj.weight.detach().clone()
    trainer = transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(**settings(tmp_path, dataloader_num_workers=1)),
        train_dataset=ArrowRows.of(rows),
        data_collator=SadCollator(PAD, packing=packing, columns=("labels",)),
    )
    trainer.train()
    assert seen.trained() == of_dataset(rows)
    assert Counter(seen.targets) == Counter(token for _, token in of_dataset(rows).elements())
    assert ("position_ids" in seen.inputs[0]) == packing
    assert not torch.equal(before, model.model.layers[0].mlp.up_proj.weight)


@pytest.mark.parametrize("packed", [False, True])
def test_sft_trainer_with_its_own_collator(
    packed: bool, rows: Dataset, tokenizer: Any, model: Any, seen: Seen, tmp_path: Path
) -> None:
    from trl import SFTTrainer

    args = sft_settings(tmp_path, padding_free=packed)
    SFTTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer).train()
    assert seen.inputs[0]["input_ids"].shape[0] == (1 if packed else 5)
    assert seen.trained() == of_dataset(rows)


@pytest.mark.parametrize("packing", [False, True])
def test_sft_trainer_with_our_collator(
    packing: bool, rows: Dataset, tokenizer: Any, model: Any, seen: Seen, tmp_path: Path
) -> None:
    from trl import SFTTrainer

    trainer = SFTTrainer(
        model=model,
        args=sft_settings(tmp_path),
        train_dataset=ArrowRows.of(rows),
        data_collator=SadCollator(PAD, packing=packing, columns=("labels",)),
        processing_class=tokenizer,
    )
    trainer.train()
    assert seen.inputs[0]["input_ids"].shape[0] == (1 if packing else 5)
    assert seen.trained() == of_dataset(rows)


@pytest.mark.parametrize("packing", [False, True])
def test_an_sft_trainer_subclass_that_uses_token_weights(
    packing: bool, rows: Dataset, tokenizer: Any, model: Any, seen: Seen, tmp_path: Path
) -> None:
    from trl import SFTTrainer

    used: list[tuple[int, float]] = []

    class WeightedTrainer(SFTTrainer):  # type: ignore[misc]
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            labels, weights = inputs.pop("labels")[:, 1:], inputs.pop("token_weights")[:, 1:]
            logits = model(**inputs).logits[:, :-1]
            losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
            counts = labels != -100
            used.extend(zip(labels[counts].tolist(), weights[counts].tolist(), strict=True))
            return (losses * weights).sum() / (weights * counts).sum()

    trainer = WeightedTrainer(
        model=model,
        args=sft_settings(tmp_path, remove_unused_columns=False),
        train_dataset=ArrowRows.of(rows),
        data_collator=SadCollator(PAD, packing=packing, columns=("labels", "token_weights")),
        processing_class=tokenizer,
    )
    expected = weighted_loss(model, rows)
    trainer.train()
    ours = [
        (token, weight)
        for row in rows
        for token, weight in list(zip(row["labels"], row["token_weights"], strict=True))[1:]
        if token != -100
    ]
    assert Counter(used) == Counter(ours)
    assert Counter(seen.targets[-len(ours) :]) == Counter(token for token, _ in ours)
    assert trainer.state.log_history[0]["loss"] == pytest.approx(expected, rel=1e-4)


def weighted_loss(model: Any, rows: Dataset) -> float:
    """The mean over the weights, row by row and token by token."""
    total, weight = 0.0, 0.0
    with torch.no_grad():
        for row in rows:
            probabilities = model(input_ids=torch.tensor([row["input_ids"]])).logits[0].log_softmax(-1)
            for t, token in enumerate(row["labels"]):
                if t and token != -100:
                    total -= row["token_weights"][t] * probabilities[t - 1, token].item()
                    weight += row["token_weights"][t]
    return total / weight


def test_a_packed_trajectory_sees_nothing_of_the_others(rows: Dataset, model: Any) -> None:
    """The logits are those of each trajectory alone; with a mask of ones, or a cache, transformers mixes them."""
    model.eval()
    batch = SadCollator(PAD, packing=True, pad_to_multiple_of=16, columns=("labels",))(rows.with_format("arrow")[:])
    assert "attention_mask" not in batch
    with torch.no_grad():
        alone = torch.cat([model(input_ids=torch.tensor([row["input_ids"]])).logits[0] for row in rows])
        packed = model(**batch, use_cache=False).logits[0, : len(alone)]
        ones = torch.ones_like(batch["input_ids"])
        mixed = [
            model(**batch, **more).logits[0, : len(alone)] for more in ({"attention_mask": ones}, {"use_cache": True})
        ]
    torch.testing.assert_close(packed, alone, rtol=1e-4, atol=1e-5)
    for leaking in mixed:
        assert not torch.allclose(leaking, alone, rtol=1e-2, atol=1e-2)


def test_tensors_are_those_arrays_and_a_loader_gives_them_in_order(rows: Dataset) -> None:
    collator = SadCollator(PAD)
    loader = torch.utils.data.DataLoader(ArrowRows.of(rows), batch_size=2, collate_fn=collator, num_workers=2)
    batches = list(loader)
    assert [batch["input_ids"].shape[0] for batch in batches] == [2, 2, 1]
    for n, batch in enumerate(batches):
        arrays = collator.arrays(rows.with_format("arrow")[2 * n : 2 * n + 2])
        assert batch.keys() == arrays.keys() >= {"token_types", "token_weights", "row_weight"}
        for name, tensor in batch.items():
            assert torch.equal(tensor, torch.from_numpy(arrays[name])), name
            assert tensor.dtype == (
                torch.int64 if name in ("input_ids", "labels", "attention_mask")
                else torch.float32 if "weight" in name else torch.int8
            ), name  # fmt: skip
    streamed = rows.to_iterable_dataset().with_format("arrow")
    for batch, again in zip(batches, torch.utils.data.DataLoader(streamed, 2, collate_fn=collator), strict=True):
        assert all(torch.equal(batch[name], again[name]) for name in batch)
