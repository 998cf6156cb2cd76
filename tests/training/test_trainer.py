"""The loop against plain PyTorch, and what it promises of losses, budgets, states and layouts."""

import copy
import itertools
import math
import time

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import lmfast  # noqa: E402
from lmfast import models  # noqa: E402
from lmfast.training.metrics import LossMeter  # noqa: E402
from lmfast.training.optim import build_optimizer  # noqa: E402

SIZES = {
    "gpt2": {"n_layer": 1, "n_head": 2, "n_embd": 16, "n_positions": 8},
    "lstm": {"embed_size": 8, "hidden_size": 8},
}


def build(family="gpt2", seed=0, **options):
    torch.manual_seed(seed)
    return models.build(family, vocab_size=23, **SIZES[family] | options)


def trainer(model, train, budget, **options):
    settings = {"lr": 3e-3, "schedule": "constant", "weight_decay": 0.0, "log_every": 1, "device": "cpu"}
    return lmfast.Trainer(model, train, budget=budget, progress=False, **settings | options)


def losses(result):
    return [row["loss"] for row in result.history if "loss" in row]


def flat(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def test_equals_a_plain_loop(batches):
    model, data = build(), batches(12)
    twin, expected = copy.deepcopy(model), []
    optimizer = torch.optim.AdamW(twin.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    for inputs, targets in data:
        loss = functional.cross_entropy(twin(torch.tensor(inputs)).flatten(0, 1), torch.tensor(targets).flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(twin.parameters(), 0.1)
        optimizer.step()
        expected.append(loss.item())
    result = trainer(model, data, "12 steps", clip_norm=0.1).fit()
    assert losses(result) == expected
    assert torch.equal(flat(model), flat(twin))


@pytest.mark.parametrize("masked", [False, True])
def test_accumulation_equals_one_large_batch(batches, masked):
    def once(parts, every):
        model = build()
        data = [
            (inputs[at : at + 8 // parts], targets[at : at + 8 // parts])
            for inputs, targets in batches(5, rows=8, masked=masked)
            for at in range(0, 8, 8 // parts)
        ]
        return flat(model), losses(trainer(model, data, "5 steps", optimizer="sgd", lr=0.3, accumulation=every).fit())

    (whole, expected), (parts, found) = once(1, 1), once(4, 4)
    assert found == pytest.approx(expected, abs=2e-6)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)


def test_same_seed_same_bits_whatever_was_drawn_before(batches):
    def once(seed, draws):
        model = build(dropout=0.2)
        torch.rand(draws)
        return losses(trainer(model, batches(6), "9 steps", seed=seed).fit()), flat(model).tolist()

    assert once(5, 1) == once(5, 1000)
    assert once(5, 1) != once(6, 1)


def test_budgets(batches, loader):
    def steps(budget, **options):
        return trainer(build(), loader(batches(6), epochs=3), budget, **options).fit()

    assert steps("7 steps").steps == 7
    assert steps("2 epochs").steps == 12
    assert steps("1.5 epochs", accumulation=2).steps == 5, "the last step takes the one batch that is left"
    result = steps("100 tokens")
    assert (result.steps, result.history[-1]["tokens"]) == (4, 128)
    assert trainer(build(), batches(6), "20 steps").fit().steps == 20, "a list begins anew"


def test_a_budget_of_seconds_is_of_training_alone(batches):
    class Slow:
        def __iter__(self):
            time.sleep(0.2)
            return iter(batches(1))

    begin = time.perf_counter()
    result = trainer(build(), batches(6), "0.3s", valid=Slow(), valid_every=10**6, schedule="cosine").fit()
    assert 0.3 <= result.seconds < time.perf_counter() - begin - 0.2
    rates = [row["learning_rate"] for row in result.history if "loss" in row]
    assert rates[0] > rates[len(rates) // 2] > rates[-1]


def test_result_and_history(batches):
    model = build()
    result = trainer(model, batches(10), "25 steps", log_every=10, valid=batches(2, seed=1), valid_every=10).fit()
    rows = [(row["step"], "valid_loss" in row) for row in result.history]
    assert rows == [(10, False), (10, True), (20, False), (20, True), (25, False), (25, True)]
    assert (result.valid_loss, result.train_loss) == (result.history[-1]["valid_loss"], result.history[-2]["loss"])
    assert result.train_loss < result.history[0]["loss"]
    assert result.tokens_per_second == pytest.approx(25 * 32 / result.seconds)
    assert not result.interrupted
    each = losses(trainer(build(), batches(10), "25 steps").fit())
    means = [sum(part) / len(part) for part in (each[:10], each[10:20], each[20:])]
    assert losses(result) == pytest.approx(means, rel=1e-6)


def test_validation_is_the_mean_over_all_counted_tokens_and_leaves_training_alone(batches, loader):
    model, valid = build(dropout=0.3), batches(3, seed=2, masked=True)
    other = copy.deepcopy(model)
    result = trainer(model, batches(5), "5 steps", valid=loader(valid), valid_every=1).fit()
    plain = trainer(other, batches(5), "5 steps").fit()
    assert losses(result) == losses(plain)
    inputs, targets = (torch.cat([torch.tensor(batch[part]) for batch in valid]) for part in (0, 1))
    expected = functional.cross_entropy(model.eval()(inputs).flatten(0, 1), targets.flatten())
    assert result.valid_loss == pytest.approx(expected.item(), abs=1e-6)


def test_part_of_the_validation_data_is_always_the_same_part(batches, loader):
    model, valid = build(), loader(batches(6, seed=2))
    result = trainer(model, batches(5), "3 steps", lr=1e-12, valid=valid, valid_every=1, valid_batches=2).fit()
    found = [row["valid_loss"] for row in result.history if "valid_loss" in row]
    assert found == pytest.approx(found[:1] * 3, abs=1e-6)


def test_stateful_batches_carry_the_state(batches, loader):
    data = batches(6)

    def by_hand(carry):
        model, state, found = build("lstm"), None, []
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        for inputs, targets in data:
            logits, state = model(torch.tensor(inputs), tuple(part.detach() for part in state) if state else None)
            state = state if carry else None
            loss = functional.cross_entropy(logits.flatten(0, 1), torch.tensor(targets).flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    options = {"optimizer": "sgd", "lr": 0.5}
    for mode, carry in (("stateful", True), ("sequential", False)):
        assert losses(trainer(build("lstm"), loader(data, mode), "6 steps", **options).fit()) == pytest.approx(
            by_hand(carry), abs=1e-6
        )
    assert by_hand(True) != by_hand(False)


def test_layouts_are_turned_to_the_models(batches, loader):
    def once(model, layout, mode="sequential"):
        return losses(trainer(model, loader(batches(4), mode, layout), "4 steps").fit())

    assert once(build("lstm"), "TB") == pytest.approx(once(build("lstm"), "BT"), abs=1e-6)

    def small():
        torch.manual_seed(3)
        return models.SmallLanguageModel(23, 8, 8, 1)

    for mode in ("sequential", "stateful"):
        assert once(small(), "TB", mode) == pytest.approx(once(small(), "BT", mode), abs=1e-6)
    plain = [(inputs.T, targets.T) for inputs, targets in batches(4)]
    assert losses(trainer(small(), plain, "4 steps").fit()) == pytest.approx(once(small(), "TB"), abs=1e-6)


def test_a_module_of_ones_own_and_other_kinds_of_arrays(batches):
    model = nn.Sequential(nn.Embedding(23, 8), nn.Linear(8, 23))
    data = [(inputs.astype("uint16"), torch.tensor(targets, dtype=torch.int32)) for inputs, targets in batches(8)]
    for inputs, _ in data:
        inputs.flags.writeable = False
    result = trainer(model, data, "40 steps", lr=0.1).fit()
    assert result.train_loss < losses(result)[0] - 1


@pytest.mark.parametrize(
    ("name", "schedule"), [("sgd", "constant"), ("adam", "cosine"), ("adamw", "linear"), ("muon", "wsd")]
)
def test_optimizers_and_schedules_learn(batches, name, schedule):
    if name == "muon" and not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    rate = {"sgd": 0.5, "muon": 1e-2}.get(name, 1e-2)
    options = {"optimizer": name, "lr": rate, "schedule": schedule, "warmup_steps": 4, "clip_norm": 1.0}
    found = losses(trainer(build(), batches(10), "50 steps", **options).fit())
    assert sum(found[-5:]) / 5 < found[0] - 0.3


def test_weight_decay_is_on_matrices_only_and_muon_takes_hidden_ones():
    model = build()
    optimizer = build_optimizer(model, "adamw", lr=1.0, betas=(0.9, 0.9), weight_decay=None)
    decayed = {id(each) for group in optimizer.groups if group["weight_decay"] == 0.1 for each in group["params"]}
    assert decayed == {id(parameter) for parameter in model.parameters() if parameter.dim() >= 2}
    assert build_optimizer(model, "sgd", lr=1.0, betas=(0.9, 0.9), weight_decay=None).groups[0]["weight_decay"] == 0
    if hasattr(torch.optim, "Muon"):
        both = build_optimizer(build("lstm"), "muon", lr=1.0, betas=(0.9, 0.9), weight_decay=None)
        assert [tuple(each.shape) for each in both.parts[0].param_groups[0]["params"]] == [(32, 8)] * 4
        assert len(both.parameters) == len(list(build("lstm").parameters()))


def test_frozen_parameters_stay(batches):
    model = build()
    model.transformer.wpe.requires_grad_(False)
    before = model.transformer.wpe.weight.clone()
    trainer(model, batches(3), "3 steps", weight_decay=0.5).fit()
    assert torch.equal(model.transformer.wpe.weight, before)


def test_bfloat16_autocast_learns_too(batches):
    model = build()
    found = losses(trainer(model, batches(8), "40 steps", precision="bfloat16", lr=1e-2).fit())
    assert found[-1] < found[0] - 1
    assert next(model.parameters()).dtype == torch.float32


def test_a_loss_that_is_not_finite_names_the_step_and_spares_the_weights(batches):
    model, calls = build(), itertools.count(1)

    def poison(*_):
        if next(calls) == 4:
            with torch.no_grad():
                model.transformer.ln_f.bias.fill_(math.nan)

    model.register_forward_pre_hook(poison)
    with pytest.raises(FloatingPointError, match="step 4 is nan"):
        trainer(model, batches(8), "8 steps").fit()
    assert model.transformer.wte.weight.isfinite().all()


def test_losses_on_a_device_are_read_late_and_named_exactly():
    meter = LossMeter()
    device = torch.device("meta")

    class Unread(torch.Tensor):
        """A CPU tensor that says it lies elsewhere."""

        @property
        def device(self):
            return device

    for step, value in ((5, 1.0), (6, 3.0)):
        meter.add(torch.tensor(value).as_subclass(Unread), step)
    assert meter.pending
    assert meter.values == []
    assert meter.mean() == 2.0
    for step, value in ((7, 1.0), (8, math.inf), (9, math.nan)):
        meter.add(torch.tensor(value).as_subclass(Unread), step)
    with pytest.raises(FloatingPointError, match="step 8 is inf"):
        meter.flush()
