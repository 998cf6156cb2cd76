"""`save` and `load`."""

import json
import pickle

import pytest

torch = pytest.importorskip("torch")

import lmfast  # noqa: E402
from lmfast import models  # noqa: E402

SIZES = {
    "rnn": {"embed_size": 4, "hidden_size": 6},
    "lstm": {"embed_size": 6, "hidden_size": 6, "tied": True},
    "gru": {"embed_size": 4, "hidden_size": 6, "num_layers": 1},
    "gpt2": {"n_layer": 2, "n_head": 2, "n_embd": 8, "n_positions": 16},
}


@pytest.mark.parametrize("family", SIZES)
def test_round_trip(family, tmp_path):
    model = models.build(family, vocab_size=13, **SIZES[family])
    lmfast.save(model, tmp_path / "deep" / "model")
    again = lmfast.load(tmp_path / "deep" / "model")
    assert again.config == model.config
    assert not again.training
    assert all(map(torch.equal, again.state_dict().values(), model.state_dict().values()))
    assert sorted(path.name for path in (tmp_path / "deep").rglob("*")) == ["config.json", "model", "model.safetensors"]


def test_round_trip_of_the_small_model_over_another_in_half_precision(tmp_path):
    lmfast.save(models.build("gru", vocab_size=9), tmp_path / "model")
    (tmp_path / "model" / "notes.txt").write_text("stays")
    model = models.SmallLanguageModel(11, 3, 4, 1).bfloat16()
    lmfast.save(model, str(tmp_path / "model"))
    again = lmfast.load(str(tmp_path / "model"))
    assert again.fc.weight.dtype == torch.bfloat16
    assert torch.equal(again.fc.weight, model.fc.weight)
    assert (tmp_path / "model" / "notes.txt").exists()


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_is_never_read(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(lmfast.FormatError, match=r"pytorch_model\.bin, a pickle"):
        lmfast.load(tmp_path)
    (tmp_path / "model.pt").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    (tmp_path / "model.safetensors").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(lmfast.FormatError, match="safetensors"):
        lmfast.load(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_damaged_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        lmfast.load(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(lmfast.FormatError, match=r"no model\.safetensors"):
        lmfast.load(tmp_path / "empty")
    lmfast.save(models.build("gru", vocab_size=9), tmp_path / "model")
    weights, config = tmp_path / "model" / "model.safetensors", tmp_path / "model" / "config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps(values | {"hidden_size": 7}))
    with pytest.raises(lmfast.FormatError, match="does not fit"):
        lmfast.load(tmp_path / "model")
    config.write_text(json.dumps(values | {"model_type": ["gru"]}))
    with pytest.raises(ValueError, match="model_type"):
        lmfast.load(tmp_path / "model")
    config.write_text("[")
    with pytest.raises(lmfast.FormatError, match="JSON"):
        lmfast.load(tmp_path / "model")
    config.write_text(json.dumps(values))
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(lmfast.FormatError, match="cut short"):
        lmfast.load(tmp_path / "model")


def test_a_foreign_module_is_not_saved(tmp_path):
    with pytest.raises(TypeError, match="Linear"):
        lmfast.save(torch.nn.Linear(2, 2), tmp_path / "model")
    assert not list(tmp_path.iterdir())
