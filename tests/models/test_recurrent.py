"""Recurrent models against torch's cells, one token at a time."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from lmfast import models  # noqa: E402

CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}
VOCABULARY = 31


def by_hand(family, state, ids):
    """Hidden states (B, T, H) of the last layer."""
    x = state["embed.weight"][ids]
    layer = 0
    while f"rnn.weight_ih_l{layer}" in state:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        cell = CELLS[family](x.shape[2], 16)
        cell.load_state_dict({name: state[f"rnn.{name}_l{layer}"] for name in names})
        carried, outputs = None, []
        for position in range(ids.shape[1]):
            carried = cell(x[:, position], carried)
            outputs.append(carried[0] if family == "lstm" else carried)
        x, layer = torch.stack(outputs, dim=1), layer + 1
    return x


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("family", CELLS)
def test_equals_cells_run_by_hand(family, tied):
    torch.manual_seed(1)
    model = models.build(family, vocab_size=VOCABULARY, embed_size=16, hidden_size=16, num_layers=2, tied=tied)
    nn.init.normal_(model.fc.bias)
    state, ids = model.state_dict(), torch.randint(VOCABULARY, (3, 9))
    expected = by_hand(family, state, ids) @ state["fc.weight"].T + state["fc.bias"]
    torch.testing.assert_close(model(ids)[0], expected, rtol=0, atol=1e-5)
    assert tied == torch.equal(state["fc.weight"], state["embed.weight"])


@pytest.mark.parametrize("family", CELLS)
def test_carried_state_joins_two_halves(family):
    model = models.build(family, vocab_size=VOCABULARY, embed_size=8, hidden_size=16)
    ids = torch.randint(VOCABULARY, (2, 12))
    whole, _ = model(ids)
    early, state = model(ids[:, :5])
    late, _ = model(ids[:, 5:], state)
    torch.testing.assert_close(torch.cat((early, late), dim=1), whole, rtol=0, atol=1e-6)
    assert (model(ids[:, 5:])[0] - late).abs().max() > 1e-4


def test_small_model_is_embed_rnn_fc_time_first():
    parts = nn.ModuleDict({"embed": nn.Embedding(50, 6), "rnn": nn.LSTM(6, 8, 2), "fc": nn.Linear(8, 50)})
    model = models.SmallLanguageModel(50, 6, 8, 2)
    assert list(model.state_dict()) == list(parts.state_dict())
    model.load_state_dict(parts.state_dict())
    ids = torch.randint(50, (7, 3))
    logits = model(ids)
    assert logits.shape == (7, 3, 50)
    torch.testing.assert_close(logits, parts["fc"](parts["rnn"](parts["embed"](ids))[0]))
    early, state = model.advance(ids[:4])
    torch.testing.assert_close(torch.cat((early, model.advance(ids[4:], state)[0])), logits, rtol=0, atol=1e-6)


def test_dropout_acts_in_training_alone():
    model = models.build("lstm", vocab_size=VOCABULARY, embed_size=8, hidden_size=8, num_layers=1, dropout=0.5)
    ids = torch.randint(VOCABULARY, (2, 6))
    assert not torch.equal(model(ids)[0], model(ids)[0])
    model.eval()
    assert torch.equal(model(ids)[0], model(ids)[0])


@pytest.mark.parametrize("family", CELLS)
def test_dropped_layers_are_torchs_with_its_names(family):
    kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[family]
    expected = kind(6, 8, 3, batch_first=True, dropout=0.4)
    model = models.build(family, vocab_size=VOCABULARY, embed_size=6, hidden_size=8, num_layers=3, dropout=0.4)
    model.rnn.load_state_dict(expected.state_dict())
    assert {f"rnn.{name}" for name in expected.state_dict()} < model.state_dict().keys()
    assert not any("layers" in name for name in model.state_dict())
    x = torch.randn(2, 5, 6)
    model.rnn.eval()
    before = expected.eval()(x)[1]
    for found, wanted in zip(model.rnn(x, before), expected(x, before), strict=True):
        torch.testing.assert_close(found, wanted)
    copy = models.build(family, vocab_size=VOCABULARY, embed_size=6, hidden_size=8, num_layers=3, dropout=0.4)
    copy.load_state_dict(model.state_dict())
    assert all(map(torch.equal, copy.parameters(), model.parameters()))
    outputs = []
    for each in (model, copy):
        torch.manual_seed(5)
        outputs.append(each.train()(torch.ones(2, 5, dtype=torch.long))[0])
    assert torch.equal(*outputs)
