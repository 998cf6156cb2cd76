"""A run that dies and goes on equals one that never did, bit for bit."""

import itertools
import json
import os
import pickletools
import signal
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import lmfast  # noqa: E402
from lmfast import models  # noqa: E402
from lmfast.training.optim import build_optimizer  # noqa: E402

FAMILIES = {
    "gpt2": {"n_layer": 1, "n_head": 2, "n_embd": 16, "n_positions": 8},
    "lstm": {"embed_size": 8, "hidden_size": 8},
    "gru": {"embed_size": 8, "hidden_size": 8},
}
OPTIONS = {
    "budget": "8 steps",
    "accumulation": 2,
    "checkpoint_every": 3,
    "warmup_steps": 4,
    "log_every": 2,
    "valid_every": 4,
    "clip_norm": 1.0,
    "device": "cpu",
    "progress": False,
}


class Death(BaseException):
    """The process ends here."""


def build(family):
    torch.manual_seed(7)
    return models.build(family, vocab_size=23, dropout=0.2, **FAMILIES[family])


def run(family, train, **options):
    """The weights and the history, but for the clock."""
    model = build(family)
    result = lmfast.Trainer(model, train, **OPTIONS | options).fit()
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in result.history]
    return {name: value.tolist() for name, value in model.state_dict().items()}, rows


def die_at(monkeypatch, owner, name, call):
    original, calls = getattr(owner, name), itertools.count(1)

    def mortal(*arguments, **options):
        if next(calls) == call:
            raise Death
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, mortal)


@pytest.mark.parametrize(
    ("family", "mode", "optimizer"),
    [("gpt2", "shuffle", "adamw"), ("gpt2", "list", "muon"), ("lstm", "stateful", "sgd"), ("gru", "stateful", "adam")],
)
def test_resumes_bit_for_bit_wherever_it_died(batches, loader, tmp_path, monkeypatch, family, mode, optimizer):
    if optimizer == "muon" and not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")

    def data():
        return batches(5) if mode == "list" else loader(batches(5), mode)

    options = {"optimizer": optimizer, "valid": batches(2, seed=3)}
    expected = run(family, data(), out=tmp_path / "whole", **options)
    deaths = 0
    fsyncs = range(1, 24) if optimizer == "adamw" else (12, 22)  # eleven a checkpoint
    for place, call in [("fsync", count) for count in fsyncs] + [("step", 5), ("step", 8)]:
        with monkeypatch.context() as patch:
            owner = os if place == "fsync" else lmfast.training.optim.Optimizer
            die_at(patch, owner, place, call)
            try:
                run(family, data(), out=tmp_path / f"{place}-{call}", **options)
            except Death:
                deaths += 1
        found = run(family, data(), out=tmp_path / f"{place}-{call}", **options)
        assert found == expected, f"died at {place} {call}"
    assert deaths == len(fsyncs) + 2


CHILD = """
import os, signal, sys
import numpy as np, torch, lmfast
out, number, at = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ids = np.arange(12 * 4 * 8 + 1).reshape(-1) ** 2 % 23
batches = list(zip(ids[:-1].reshape(12, 4, 8), ids[1:].reshape(12, 4, 8)))
class Data:
    asked = 0
    def __iter__(self):
        for batch in batches:
            Data.asked += 1
            if Data.asked == at:
                os.kill(os.getpid(), number)
            yield batch
torch.set_num_threads(1)
torch.manual_seed(1)
model = lmfast.models.build("gpt2", vocab_size=23, n_layer=1, n_head=2, n_embd=16, n_positions=8, dropout=0.1)
run = lmfast.Trainer(model, Data(), budget="30 steps", checkpoint_every=4, out=out, device="cpu", progress=False)
result = run.fit()
print(result.steps, result.interrupted, sum(value.detach().double().sum().item() for value in model.parameters()).hex())
"""


def child(out, number, at):
    """The run in a process of its own, which a signal meets at a batch."""
    command = [sys.executable, "-c", CHILD, str(out), str(int(number)), str(at)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, -number), done.stderr
    return done.stdout.split()


def here(out, monkeypatch, capsys):
    """The run, undisturbed."""
    monkeypatch.setattr(sys, "argv", ["-c", str(out), "0", "0"])
    exec(CHILD, {})
    return capsys.readouterr().out.split()


def test_signals(tmp_path, monkeypatch, capsys):
    whole = here(tmp_path / "whole", monkeypatch, capsys)
    assert whole[:2] == ["30", "False"]
    assert child(tmp_path / "killed", signal.SIGKILL, 15) == []
    assert here(tmp_path / "killed", monkeypatch, capsys) == whole
    steps, interrupted, _ = child(tmp_path / "ended", signal.SIGTERM, 15)
    assert (steps, interrupted) == ("15", "True"), "the step that SIGTERM fell into is finished"
    assert here(tmp_path / "ended", monkeypatch, capsys) == whole


def test_ctrl_c_leaves_the_last_checkpoint_and_the_handlers(batches, tmp_path, monkeypatch):
    handler = signal.getsignal(signal.SIGTERM)
    original, calls = lmfast.training.optim.Optimizer.step, itertools.count(1)

    def step(self):
        if next(calls) == 8:
            raise KeyboardInterrupt
        original(self)

    monkeypatch.setattr(lmfast.training.optim.Optimizer, "step", step)
    with pytest.raises(KeyboardInterrupt):
        run("gpt2", batches(5), out=tmp_path)
    assert json.loads((tmp_path / "latest.json").read_text()) == {"checkpoint": "step-00000006"}
    assert signal.getsignal(signal.SIGTERM) is handler


def test_checkpoints_are_models_and_no_pickles(batches, tmp_path):
    weights, _ = run("gpt2", batches(5), out=tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    folder = tmp_path / "step-00000008"
    assert sorted(path.name for path in files) == [
        *("config.json", "latest.json", "model.safetensors", "training.json", "training.safetensors")
    ]
    for path in files:
        with pytest.raises((ValueError, UnicodeDecodeError, AttributeError)):
            list(pickletools.genops(path.read_bytes()))
    assert lmfast.load(folder).state_dict()["transformer.wte.weight"].tolist() == weights["transformer.wte.weight"]


def test_a_longer_budget_goes_on_and_false_begins_anew(batches, tmp_path):
    def steps(**options):
        _, rows = run("lstm", batches(5), out=tmp_path, **options)
        return [row["step"] for row in rows if "loss" in row]

    assert steps() == [2, 4, 6, 8]
    assert steps(budget="11 steps") == [2, 4, 6, 8, 10, 11]
    assert steps(budget="4 steps", resume=False) == [2, 4]
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-00000004"]
    _, rows = run("lstm", batches(5), resume=tmp_path, budget="6 steps", checkpoint_every=None)
    assert rows[-1]["step"] == 6
    _, rows = run("lstm", batches(5), resume=str(tmp_path / "step-00000004"), budget="6 steps", checkpoint_every=None)
    assert rows[-1]["step"] == 6


def test_a_finished_run_is_left_as_it_is(batches, tmp_path):
    first = run("lstm", batches(5), out=tmp_path, valid=batches(2))
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert run("lstm", batches(5), out=tmp_path, valid=batches(2)) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times


def test_moments_find_their_parameters_under_another_weight_decay(batches):
    torch.manual_seed(7)
    model = build("gpt2")
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    options = {"lr": 0.1, "betas": (0.9, 0.9)}
    one, other = (build_optimizer(model, "adamw", weight_decay=decay, **options) for decay in (0.1, 0.0))
    one.step()
    other.load_state(one.state())
    assert [tuple(each.shape) for each in one.parameters] != [tuple(each.shape) for each in other.parameters]
    moments = one.parts[0].state, other.parts[0].state
    for parameter in model.parameters():
        assert torch.equal(*(state[parameter]["exp_avg"] for state in moments))
    with pytest.raises(ValueError, match=r"other parameters.*'elsewhere'"):
        other.load_state({"elsewhere.step": torch.tensor(1.0)})


def test_checkpoints_that_do_not_fit(batches, loader, tmp_path):
    run("lstm", batches(5), out=tmp_path, budget="7 steps")
    with pytest.raises(ValueError, match=r"another model.*resume=False"):
        run("gru", batches(5), out=tmp_path)
    with pytest.raises(ValueError, match="optimizer='adamw', not 'sgd'"):
        run("lstm", batches(5), out=tmp_path, optimizer="sgd")
    with pytest.raises(ValueError, match="another kind of source"):
        run("lstm", loader(batches(5)), out=tmp_path)
    with pytest.raises(ValueError, match="only 1"):
        run("lstm", batches(1), out=tmp_path)


def test_damaged_checkpoints(batches, tmp_path):
    run("gpt2", batches(5), out=tmp_path)
    folder = Path(tmp_path / "step-00000008")
    for name in ("training.safetensors", "model.safetensors", "training.json"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(lmfast.FormatError, match=name):
            run("gpt2", batches(5), out=tmp_path)
        (folder / name).unlink()
        with pytest.raises(lmfast.FormatError, match=f"{name} is missing"):
            run("gpt2", batches(5), out=tmp_path)
        (folder / name).write_bytes(whole)
    values = json.loads((folder / "training.json").read_text())
    del values["losses"]
    (folder / "training.json").write_text(json.dumps(values))
    with pytest.raises(lmfast.FormatError, match="lacks 'losses'"):
        run("gpt2", batches(5), out=tmp_path)
    (tmp_path / "latest.json").write_text('{"checkpoint": "../elsewhere"}')
    with pytest.raises(lmfast.FormatError, match="names no checkpoint"):
        run("gpt2", batches(5), out=tmp_path)
