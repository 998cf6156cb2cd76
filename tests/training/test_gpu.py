"""What holds on a CPU holds on a CUDA device: learning, exact resume, early refusal of ids, evaluation, generation."""

import itertools

import pytest

torch = pytest.importorskip("torch")

import lmfast  # noqa: E402
from lmfast import models  # noqa: E402

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
FAMILIES = {
    "gpt2": {"n_layer": 2, "n_head": 2, "n_embd": 32, "n_positions": 8},
    "rnn": {"embed_size": 16, "hidden_size": 16},
    "lstm": {"embed_size": 16, "hidden_size": 16},
    "gru": {"embed_size": 16, "hidden_size": 16},
}


class Death(BaseException):
    """The run ends here."""


def build(family, dropout=0.0):
    torch.manual_seed(7)
    return models.build(family, vocab_size=23, dropout=dropout, **FAMILIES[family])


def train(model, data, budget, **options):
    settings = {"lr": 1e-2, "log_every": 1, "device": "cuda", "clip_norm": 1.0}
    return lmfast.Trainer(model, data, budget=budget, progress=False, **settings | options).fit()


def losses(result):
    return [row["loss"] for row in result.history if "loss" in row]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_gpu_learns_what_a_cpu_learns(batches, loader, family):
    mode = "shuffle" if family == "gpt2" else "stateful"
    found, expected = (
        train(build(family), loader(batches(8), mode), "40 steps", device=device, valid=batches(2))
        for device in ("cuda", "cpu")
    )
    assert losses(found) == pytest.approx(losses(expected), abs=0.02)
    assert found.valid_loss == pytest.approx(expected.valid_loss, abs=0.02)
    assert found.train_loss < losses(found)[0] - 0.1


@pytest.mark.parametrize("family", ["gpt2", "lstm"])
def test_bfloat16_learns_as_float32_does(batches, family):
    rough, exact = (train(build(family), batches(8), "40 steps", precision=name) for name in ("bfloat16", "float32"))
    assert rough.train_loss == pytest.approx(exact.train_loss, abs=0.15)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "muon"])
def test_every_optimizer_learns(batches, optimizer):
    if optimizer == "muon" and not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    result = train(build("gpt2"), batches(8), "60 steps", optimizer=optimizer, lr={"sgd": 0.5}.get(optimizer, 1e-2))
    assert result.train_loss < losses(result)[0] - 0.3


@pytest.mark.parametrize(
    ("family", "mode", "optimizer"),
    [("gpt2", "shuffle", "adamw"), ("lstm", "stateful", "adam"), ("gru", "stateful", "sgd")],
)
def test_resumes_bit_for_bit(batches, loader, tmp_path, family, mode, optimizer):
    def run(out, data):
        options = {"accumulation": 2, "checkpoint_every": 3, "optimizer": optimizer}
        model = build(family, dropout=0.2)
        try:
            result = train(model, data, "8 steps", out=out, **options)
        except Death:
            return None
        return [value.tolist() for value in model.state_dict().values()], losses(result)

    class Mortal(loader):
        """Ends the run in its fifth step."""

        def _next(self):
            if self.taken == 9:
                raise Death
            return super()._next()

    expected = run(tmp_path / "whole", loader(batches(5), mode))
    assert run(tmp_path / "broken", Mortal(batches(5), mode)) is None
    assert run(tmp_path / "broken", loader(batches(5), mode)) == expected


def test_ids_past_the_vocabulary_are_refused_before_they_reach_the_device(batches):
    with pytest.raises(ValueError, match="vocab"):
        train(build("gpt2"), [(inputs + 23, targets) for inputs, targets in batches(1)], "1 steps")
    assert torch.ones(1, device="cuda").item() == 1.0


def test_batches_that_lie_on_the_device_already(batches):
    data = batches(8)
    there = [tuple(torch.from_numpy(part).cuda() for part in batch) for batch in data]
    assert losses(train(build("gpt2"), there, "8 steps")) == losses(train(build("gpt2"), data, "8 steps"))
    with pytest.raises(ValueError, match="vocab"):
        train(build("gpt2"), [(inputs + 23, targets) for inputs, targets in there], "1 steps")


def test_a_loss_that_is_not_finite_names_its_step(batches):
    model, calls = build("gpt2"), itertools.count(1)

    def poison(*_):
        if next(calls) == 4:
            with torch.no_grad():
                model.transformer.ln_f.bias.fill_(float("nan"))

    model.register_forward_pre_hook(poison)
    with pytest.raises(FloatingPointError, match="step 4 is nan"):
        train(model, batches(8), "8 steps", log_every=8)


def test_evaluation_and_generation_are_the_cpus(tmp_path, text_file):
    tokenizer = lmfast.Tokenizer.train(text_file, vocab_size=300)
    store = tokenizer.encode_files(text_file, tmp_path / "tokens.bin", progress=False)
    torch.manual_seed(1)
    model = models.build("gpt2", vocab_size=tokenizer.vocab_size, n_layer=2, n_head=2, n_embd=32, n_positions=32)
    data = lmfast.BatchLoader(store, 8, 32, epochs=1000, output="torch")
    train(model, data, "60 steps")
    found, expected = (lmfast.evaluate(model.to(device), store, tokenizer=tokenizer) for device in ("cuda", "cpu"))
    assert found.loss == pytest.approx(expected.loss, abs=2e-3)
    texts = [
        lmfast.generate(model.to(device), tokenizer, "The ", max_tokens=20, temperature=0.0)
        for device in ("cuda", "cpu")
    ]
    assert texts[0][:12] == texts[1][:12]
