import numpy as np
import pytest

torch = pytest.importorskip("torch")

import lmfast  # noqa: E402
from lmfast import models  # noqa: E402
from lmfast.generation import choose  # noqa: E402

LETTERS = "abcdefgh"


class Letters:
    vocab_size = len(LETTERS)
    end_of_text = None

    def encode(self, text):
        return [LETTERS.index(letter) for letter in text]

    def decode(self, ids):
        return "".join(LETTERS[index] for index in ids)


class Words(Letters):
    """A space between tokens, and the last id ends a text."""

    end_of_text = 7

    def decode(self, ids):
        return " ".join(LETTERS[index] for index in ids)


def build(family):
    torch.manual_seed(5)
    if family == "small":
        return models.SmallLanguageModel(8, 16, 16, 2)
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 32} if family == "gpt2" else {"hidden_size": 16}
    model = models.build(family, vocab_size=8, **sizes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)  # so that choices differ
    return model


def logits_after(model, ids):
    with torch.no_grad():
        if isinstance(model, models.SmallLanguageModel):
            return model(torch.tensor(ids)[:, None])[-1, 0].numpy()
        answer = model(torch.tensor(ids)[None])
        return (answer[0] if isinstance(answer, tuple) else answer)[0, -1].numpy()


@pytest.mark.parametrize("options", [{"temperature": 0}, {"seed": 3, "top_k": 5}, {"seed": 4, "top_p": 0.9}])
@pytest.mark.parametrize("family", ["small", "rnn", "lstm", "gru", "gpt2"])
def test_equals_a_whole_forward_pass_for_each_token(family, options):
    model, ids, random = build(family).eval(), Letters().encode("abc"), np.random.default_rng(options.get("seed"))
    settings = {name: value for name, value in options.items() if name != "seed"}
    for _ in range(25):
        ids.append(choose(logits_after(model, ids), random, **settings))
    text = lmfast.generate(model, Letters(), "abc", max_tokens=25, device="cpu", **options)
    assert text == Letters().decode(ids[3:])


@pytest.mark.parametrize("prompt", ["a", "ab" * 30])
def test_goes_on_where_the_context_is_full(prompt):
    model = build("gpt2")
    text = lmfast.generate(model, Letters(), prompt, max_tokens=80, seed=1, device="cpu")
    assert len(text) == 80
    assert model.training


def test_ends_at_the_end_of_a_text_and_keeps_the_space_between_words():
    model = build("gru")
    with torch.no_grad():
        model.fc.weight.zero_()
        model.fc.bias.copy_(torch.tensor([0, 0, 5.0, 0, 0, 0, 0, 4.0]))
    assert lmfast.generate(model, Words(), "ab", max_tokens=3, temperature=0, device="cpu") == " c c c"
    lengths = {len(lmfast.generate(model, Words(), "", max_tokens=500, seed=seed, device="cpu")) for seed in range(5)}
    assert max(lengths) < 999
    with torch.no_grad():
        model.fc.bias[7] = 9.0
    assert lmfast.generate(model, Words(), "", temperature=0, device="cpu") == ""


class Ngram:
    def generate_ids(self, ids, **options):
        self.asked = ids, options
        return np.array([1, 2, 7, 1], dtype=np.uint32)


def test_ngram_model():
    model = Ngram()
    assert lmfast.generate(model, Words(), "a", max_tokens=4, seed=2) == " b c"
    assert model.asked == ([0], {"max_tokens": 4, "temperature": 1.0, "top_k": None, "top_p": None, "seed": 2})


def test_seed_decides():
    model = build("lstm")
    texts = [lmfast.generate(model, Letters(), "a", seed=seed, device="cpu") for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_choose_keeps_to_the_distribution():
    logits, random = np.log(np.array([0.1, 0.2, 0.3, 0.4])), np.random.default_rng(0)

    def shares(**options):
        draws = [choose(logits, random, **options) for _ in range(4000)]
        return np.bincount(draws, minlength=4) / 4000

    np.testing.assert_allclose(shares(), [0.1, 0.2, 0.3, 0.4], atol=0.03)
    np.testing.assert_allclose(shares(top_k=2), [0, 0, 3 / 7, 4 / 7], atol=0.03)
    np.testing.assert_allclose(shares(top_p=0.71), [0, 2 / 9, 3 / 9, 4 / 9], atol=0.03)
    np.testing.assert_allclose(shares(top_p=0.69), [0, 0, 3 / 7, 4 / 7], atol=0.03)
    np.testing.assert_allclose(shares(temperature=0.5), np.array([1, 4, 9, 16]) / 30, atol=0.03)
    assert shares(top_p=1e-9)[3] == shares(top_k=1)[3] == shares(temperature=0)[3] == 1


@pytest.mark.parametrize(
    "options", [{"max_tokens": -1}, {"temperature": -1}, {"temperature": float("nan")}, {"top_k": 0}, {"top_p": 0.0}]
)
def test_bad_arguments(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        lmfast.generate(build("gru"), Letters(), "a", **options)


def test_nothing_to_begin_with():
    with pytest.raises(ValueError, match="prompt is empty"):
        lmfast.generate(build("gru"), Letters(), "", device="cpu")
