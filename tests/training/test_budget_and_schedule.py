import itertools

import pytest

pytest.importorskip("torch")

from lmfast.training.budget import Budget, Counters
from lmfast.training.schedule import SCHEDULES, factor


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("1000 steps", 1000, "steps"),
        ("1 step", 1, "steps"),
        (" 7steps ", 7, "steps"),
        ("40s", 40, "s"),
        ("0.5 s", 0.5, "s"),
        ("1.28e3 tokens", 1280, "tokens"),
        ("2 epochs", 2, "epochs"),
        (".5 Epochs", 0.5, "epochs"),
    ],
)
def test_budgets(text, amount, unit):
    assert Budget.parse(text) == Budget(amount, unit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "banana",
        "0 steps",
        "-5 steps",
        "10 parsecs",
        "nan s",
        "inf s",
        "1e999 s",
        "1.5 steps",
        "steps",
        "5",
        None,
        5,
    ],
)
def test_bad_budgets(text):
    with pytest.raises(ValueError, match="budget"):
        Budget.parse(text)


def test_progress():
    done = Counters(step=3, batches=6, tokens=500, seconds=2.0)
    assert Budget.parse("4 steps").progress(done, None) == 0.75
    assert Budget.parse("1000 tokens").progress(done, None) == 0.5
    assert Budget.parse("8 s").progress(done, None) == 0.25
    assert Budget.parse("1.5 epochs").progress(done, 8) == 0.5
    assert Budget.parse("0.3 epochs").batches(9) == 3
    with pytest.raises(ValueError, match="len"):
        Budget.parse("1 epochs").batches(None)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_warm_up_to_one_and_fall(name):
    rates = [factor(name, step, 5, step / 50, 0.1) for step in range(50)]
    assert rates[:5] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    assert rates[5] == 1.0
    assert all(later <= rate for rate, later in itertools.pairwise(rates[5:]))
    assert 0 <= rates[-1] < 0.3 or name == "constant"
    assert factor(name, 50, 5, 1.7, 0.1) == (1.0 if name == "constant" else 0.0)
    assert factor(name, 9, 5, 0.9, 1.0) >= 0
