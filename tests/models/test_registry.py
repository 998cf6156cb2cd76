import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from lmfast import models  # noqa: E402
from lmfast.models import config  # noqa: E402


def test_names_hold_every_family_and_all_can_be_made():
    assert {"rnn", "lstm", "gru", "gpt2", "gpt2-124m", "lstm-650"} <= set(models.names())
    for name, settings in config.PRESETS.items():
        family = config.FAMILIES[settings["model_type"]]
        assert family(**{"vocab_size": 10} | settings).model_type == settings["model_type"], name


def test_gpt2_124m_has_the_size_it_is_named_after():
    with torch.device("meta"):
        model = models.build("gpt2-124m")
    assert sum(parameter.numel() for parameter in model.parameters()) == 124_439_808


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gpt-17", {}, "gpt2-124m"),
        ("lstm", {}, "vocab_size"),
        ("lstm", {"vocab_size": 9, "n_layer": 2}, "'n_layer'.*hidden_size"),
        ("lstm", {"vocab_size": 9, "model_type": "gru"}, "model_type"),
        ("gpt2", {"n_head": 7}, "n_head=7"),
        ("gpt2", {"n_layer": 0}, "n_layer"),
        ("gpt2", {"dropout": 1.0}, "dropout"),
        ("gru", {"vocab_size": 9, "embed_size": 4, "tied": True}, "embed_size=4"),
        ("gru", {"vocab_size": 2.5}, "vocab_size"),
    ],
)
def test_bad_arguments_say_what_there_is(name, options, message):
    with pytest.raises(ValueError, match=message):
        models.build(name, **options)


@pytest.mark.parametrize("name", ["rnn", "gpt2-tiny"])
def test_configurations_survive_a_round_trip(name):
    built = models.build(name, vocab_size=12, dropout=0.25).config
    assert config.from_dict(config.to_dict(built)) == built


def test_a_gpt2_that_computes_something_else_is_refused():
    with pytest.raises(ValueError, match="activation_function='relu'"):
        config.from_dict({"model_type": "gpt2", "activation_function": "relu"})
    with pytest.raises(ValueError, match="model_type is 'mamba'"):
        config.from_dict({"model_type": "mamba"})


def test_without_torch_the_extra_is_named():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import lmfast\n"
        "for name in ('models', 'Trainer'):\n"
        "    try:\n        getattr(lmfast, name)\n"
        "    except lmfast.MissingDependencyError as error:\n        assert 'torch]' in str(error), error\n"
        "    else:\n        raise AssertionError(name)\n"
        "assert lmfast.evaluate and lmfast.load and lmfast.generate\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
