import math

import pytest

torch = pytest.importorskip("torch")

import lmfast  # noqa: E402
from lmfast import models  # noqa: E402


def build():
    return models.build("gru", vocab_size=23, embed_size=4, hidden_size=4)


def fit(train, **options):
    settings = {"budget": "2 steps", "device": "cpu", "progress": False}
    return lmfast.Trainer(build(), train, **settings | options).fit()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"optimizer": "sgdd"}, "optimizer='sgdd'.*adamw"),
        ({"schedule": "zigzag"}, "schedule='zigzag'.*cosine"),
        ({"precision": "float8"}, "precision"),
        ({"lr": -1.0}, "lr"),
        ({"lr": 0}, "lr"),
        ({"lr": math.nan}, "lr"),
        ({"lr": "high"}, "lr"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"clip_norm": 0.0}, "clip_norm"),
        ({"betas": (0.9, 1.0)}, "betas"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"accumulation": 0}, "accumulation"),
        ({"log_every": 0}, "log_every"),
        ({"valid_every": 0}, "valid_every"),
        ({"valid_batches": 1.5}, "valid_batches"),
        ({"seed": -1}, "seed"),
        ({"checkpoint_every": 5}, "checkpoint_every needs out"),
        ({"resume": True}, "resume"),
        ({"budget": "banana"}, "budget"),
        ({"device": "abacus"}, "device='abacus'"),
        ({"valid": []}, "valid is empty"),
        ({"valid": iter(())}, "valid is empty"),
    ],
)
def test_a_bad_setting_is_named(batches, options, name):
    with pytest.raises(ValueError, match=name):
        fit(batches(2), **options)


def test_ids_past_the_vocabulary(batches):
    shifted = [(inputs + 20, targets) for inputs, targets in batches(2)]
    with pytest.raises(ValueError, match=r"inputs of train .*vocabulary has the ids 0 to 22"):
        fit(shifted)
    shifted = [(inputs, targets + 20) for inputs, targets in batches(2)]
    with pytest.raises(ValueError, match=r"targets of train .*vocabulary"):
        fit(shifted)
    foreign = torch.nn.Sequential(torch.nn.Embedding(23, 4), torch.nn.Linear(4, 23))
    with pytest.raises(ValueError, match="vocabulary"):
        lmfast.Trainer(foreign, shifted, device="cpu").fit()


def test_data_that_ends():
    with pytest.raises(ValueError, match="train has no batches"):
        fit([])
    ids = torch.zeros(2, 3, dtype=torch.long)
    with pytest.raises(ValueError, match="only once"):
        fit(iter([(ids, ids)]))
    with pytest.raises(ValueError, match="len"):
        fit(iter([(ids, ids)]), budget="1 epochs")
    with pytest.raises(TypeError, match="int"):
        fit(5)


def test_no_target_counts(batches):
    nothing = [(inputs, targets * 0 - 100) for inputs, targets in batches(1)]
    with pytest.raises(FloatingPointError, match="no target of that step counts"):
        fit(nothing)


def test_folders_that_cannot_be(batches, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="run"):
        fit(batches(2), out=tmp_path / "file" / "run")
    with pytest.raises(FileNotFoundError, match="absent"):
        fit(batches(2), resume=tmp_path / "absent")


def test_several_processes_are_refused(batches, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="WORLD_SIZE"):
        fit(batches(2))
