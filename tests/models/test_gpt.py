"""GPT-2: causality, the cache, the first loss, and Hugging Face's own implementation."""

import math

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

import lmfast  # noqa: E402
from lmfast import models  # noqa: E402

VOCABULARY = 41


@pytest.fixture
def model():
    torch.manual_seed(2)
    return models.build("gpt2", vocab_size=VOCABULARY, n_layer=2, n_head=2, n_embd=32, n_positions=24).eval()


def test_a_token_reaches_only_the_logits_from_it_on(model):
    ids = torch.randint(VOCABULARY, (2, 20))
    changed = ids.clone()
    changed[:, 11] = (ids[:, 11] + 1) % VOCABULARY
    moved = (model(ids) - model(changed)).abs().amax(dim=(0, 2))
    assert moved[:11].max() <= 1e-6
    assert moved[11:].min() > 1e-8


@pytest.mark.parametrize("lengths", [(24,), (1,) * 24, (7, 1, 9, 7), (1, 23)])
def test_cache_gives_the_logits_of_the_whole(model, lengths):
    ids = torch.randint(VOCABULARY, (3, 24))
    cache = model.new_cache()
    parts = [model(part, cache) for part in ids.split(lengths, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(ids), rtol=0, atol=1e-5)


def test_more_tokens_than_positions_are_refused(model):
    with pytest.raises(ValueError, match="n_positions=24"):
        model(torch.zeros(1, 25, dtype=torch.long))
    cache = model.new_cache()
    model(torch.zeros(1, 20, dtype=torch.long), cache)
    with pytest.raises(ValueError, match="25 tokens"):
        model(torch.zeros(1, 5, dtype=torch.long), cache)


def test_fresh_weights_know_nothing_and_residual_ones_are_scaled():
    torch.manual_seed(3)
    model = models.build("gpt2", vocab_size=1000, n_layer=8, n_head=4, n_embd=64, n_positions=32)
    ids = torch.randint(1000, (8, 32))
    loss = functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    assert abs(loss.item() - math.log(1000)) < 0.1
    block = model.transformer.h[0]
    assert block.mlp.c_fc.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert block.mlp.c_proj.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)
    assert model.lm_head.weight is model.transformer.wte.weight


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_hugging_face_reads_and_writes_the_same_model(tmp_path):
    transformers = pytest.importorskip("transformers")
    sizes = {"vocab_size": VOCABULARY, "n_layer": 2, "n_head": 2, "n_embd": 32, "n_positions": 24}
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)).eval()
    with torch.no_grad():  # fresh biases are zero, which would hide one that is lost
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    ids = torch.randint(VOCABULARY, (3, 24))
    expected = theirs(ids).logits
    theirs.save_pretrained(tmp_path / "theirs")
    ours = lmfast.load(tmp_path / "theirs")
    torch.testing.assert_close(ours(ids), expected, rtol=0, atol=1e-5)
    lmfast.save(ours, tmp_path / "ours")
    back = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "ours").eval()
    torch.testing.assert_close(back(ids).logits, expected, rtol=0, atol=1e-6)
