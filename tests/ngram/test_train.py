import random

import numpy as np
import pytest

from lmfast import NgramModel
from lmfast.errors import FormatError

FALLBACK = (0.5, 1, 1.5)

# Two sentences, order 2, discounts 0.5, 1 and 1.5. Adjusted counts: unigrams a 1 (after <s>), b 1 (after a), c 1 (after
# a), </s> 2 (after b, c); bigrams are all counted once but "<s> a", twice. Unigrams: the discounts take 3 * 0.5 + 1 =
# 2.5 from 5, so gamma = 0.5, shared by 5 words: 0.1 each. p(a) = 0.5 / 5 + 0.1 = 0.2 = p(b) = p(c), p(</s>) = 1 / 5 +
# 0.1. Contexts: after <s>, gamma = 1 / 2, p(a) = 1 / 2 + 0.5 * 0.2; after a, gamma = 2 * 0.5 / 2, p(b) = 0.25 + 0.5 *
# 0.2; after b and c, gamma = 0.5, p(</s>) = 0.5 + 0.5 * 0.3.
BY_HAND = {
    ("<unk>",): (0.1, 1),
    ("<s>",): (1, 0.5),
    ("a",): (0.2, 0.5),
    ("b",): (0.2, 0.5),
    ("</s>",): (0.3, 1),
    ("c",): (0.2, 0.5),
    ("<s>", "a"): (0.6, None),
    ("a", "b"): (0.35, None),
    ("b", "</s>"): (0.65, None),
    ("c", "</s>"): (0.65, None),
    ("a", "c"): (0.35, None),
}


def arpa_entries(path):
    for line in path.read_text().split("\n"):
        fields = line.split("\t")
        if len(fields) > 1:
            yield tuple(fields[1].split(" ")), float(fields[0]), float(fields[2]) if len(fields) > 2 else None


def test_model_computed_by_hand(tmp_path):
    model = NgramModel.train(["a b", "a c"], order=2, discount_fallback=FALLBACK)
    assert (model.order, model.counts, model.num_ngrams) == (2, (6, 5), 11)
    assert list(model.vocabulary) == ["<unk>", "<s>", "</s>", "a", "b", "c"]
    model.save(tmp_path / "m.arpa")
    found = {words: values for words, *values in arpa_entries(tmp_path / "m.arpa")}
    assert found.keys() == BY_HAND.keys()
    for words, (probability, backoff) in BY_HAND.items():
        assert 10 ** found[words][0] == pytest.approx(probability, rel=1e-6), words
        assert (found[words][1] is None) == (backoff is None)
        assert backoff is None or 10 ** found[words][1] == pytest.approx(backoff, rel=1e-6), words
    assert (
        (tmp_path / "m.arpa")
        .read_text()
        .startswith("\\data\\\nngram 1=6\nngram 2=5\n\n\\1-grams:\n-1\t<unk>\t0\n0\t<s>\t")
    )
    assert model.score("a b") == pytest.approx(np.log10(0.6 * 0.35 * 0.65), rel=1e-6)
    assert model.score("b", bos=False, eos=False) == pytest.approx(np.log10(0.2), rel=1e-6)


def text_of(seed, sentences=200):
    draw = random.Random(seed)
    words = [f"w{number}" for number in range(draw.choice([1, 5, 40]))] + [
        "\u00e9t\u00e9",
        "a\u00a0b",
        "x\x0by",
        "\\end\\",
        "-1.5",
    ]
    lines = []
    for _ in range(sentences):
        picked = [words[int(draw.paretovariate(0.7)) % len(words)] for _ in range(draw.choice([0, 1, 3, 9]))]
        lines.append(draw.choice([" ", "\t", "  ", "\r", "\0"]).join(picked))
    return "\n".join(lines) + draw.choice(["\n", "\r\n", "\n\n"])


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:the counts of")
@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6])
def test_bytes_of_lmplz(tmp_path, lmplz, order):
    for seed in range(4):
        text, target = tmp_path / f"{seed}.txt", tmp_path / "m.arpa"
        text.write_bytes(text_of(seed).encode())
        NgramModel.train(text, order).save(target)
        assert target.read_bytes() == lmplz(text, order)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ({"discount_fallback": (0.7, 1.1, 1.4)}, ["0.7", "1.1", "1.4"]),
        ({"interpolate_unigrams": False}, ["--interpolate_unigrams", "0"]),
        ({"vocab_pad": 5000}, ["--vocab_pad", "5000"]),
        ({"unk": "skip"}, ["--skip_symbols"]),
        ({"prune": (0, 0, 1)}, ["--prune", "0", "0", "1"]),
        ({"prune": (1,)}, ["--prune", "1"]),
        ({"prune": (0, 1, 3)}, ["--prune", "0", "1", "3"]),
    ],
)
def test_options_of_lmplz(tmp_path, lmplz, options, flags):
    text, target = tmp_path / "t.txt", tmp_path / "m.arpa"
    text.write_text(text_of(1) + ("<unk> w1 <s>\n" if "unk" in options else ""))
    NgramModel.train(text, 3, **{"discount_fallback": FALLBACK, **options}).save(target)
    assert target.read_bytes() == lmplz(text, 3, *flags)


@pytest.mark.parity
@pytest.mark.parametrize(("prune", "thresholds"), [((0,), "0"), ((0, 1), "0 1")])
def test_vocabulary_of_lmplz(tmp_path, lmplz, prune, thresholds):
    text, target, allowed = tmp_path / "t.txt", tmp_path / "m.arpa", ["w1", "absent", *(f"w{n}" for n in range(3, 20))]
    text.write_text(text_of(3))
    (tmp_path / "words").write_text("\n".join(allowed))
    flags = ["--limit_vocab_file", str(tmp_path / "words"), "--prune", *thresholds.split()]
    NgramModel.train(text, 4, vocabulary=allowed, prune=prune, discount_fallback=FALLBACK).save(target)
    assert target.read_bytes() == lmplz(text, 4, *flags)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:the counts of")
def test_perplexity_of_wikitext2(data):
    folder = data / "corpora/wikitext2"
    found = NgramModel.train(folder / "train.txt", 5, unk="word").perplexity(folder / "test.txt")
    assert found.with_unknown == pytest.approx(220.139, abs=0.5)
    assert found.tokens == 245_569


def test_sources_are_alike(tmp_path):
    lines = text_of(2).strip().split("\n")
    (tmp_path / "a.txt").write_bytes("\n".join(lines[:90]).encode() + b"\n")
    (tmp_path / "b.txt").write_bytes("\n".join(lines[90:]).encode())
    sources = [
        lines,
        iter(lines),
        ["\n".join(lines)],
        ["\n".join(lines) + "\n"],
        [tmp_path / "a.txt", tmp_path / "b.txt"],
        str(tmp_path / "*.txt"),
    ]
    files = []
    for source in sources:
        NgramModel.train(source, 3, discount_fallback=FALLBACK).save(tmp_path / "m.lmn")
        files.append((tmp_path / "m.lmn").read_bytes())
    assert all(file == files[0] for file in files)


def test_threads_do_not_matter(tmp_path):
    files = []
    for threads in (1, 2, 5):
        model = NgramModel.train([text_of(seed) for seed in range(40)], 4, discount_fallback=FALLBACK, threads=threads)
        model.save(tmp_path / "m.arpa", threads=threads)
        files.append((tmp_path / "m.arpa").read_bytes())
    assert files[0] == files[1] == files[2]


def test_perplexity_falls_with_the_order():
    draw, successors = random.Random(5), {}

    def word(context):
        if context not in successors or draw.random() < 0.05:
            successors[context] = f"w{draw.randrange(80)}"
        return successors[context]

    def sentence():
        words = ["w0", "w1"]
        while len(words) < 12:
            words.append(word(tuple(words[-2:])) if draw.random() < 0.9 else f"w{draw.randrange(80)}")
        return " ".join(words)

    sentences = [sentence() for _ in range(3000)]
    train, test = sentences[:2700], sentences[2700:]
    costs = [
        NgramModel.train(train, order, discount_fallback=FALLBACK).perplexity(test).with_unknown for order in (1, 2, 3)
    ]
    assert costs[0] > costs[1] > costs[2]


@pytest.mark.parametrize("order", [1, 2, 6, 7, 13, 20])
def test_every_order_sums_to_one(order):
    model = NgramModel.train(text_of(4).split("\n"), order, discount_fallback=FALLBACK)
    for context in ["", "w0", "w1 w0 w0", "unseen", " ".join(["w0"] * 25)]:
        distribution = model.next_token_distribution(context)
        assert distribution.dtype == np.float32
        assert distribution.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
        assert distribution[1] == 0


def test_fallback(recwarn):
    with pytest.warns(UserWarning, match=r"1-grams, 2-grams give no Kneser-Ney discounts"):
        NgramModel.train(["a a a"], 2)
    with pytest.raises(ValueError, match="discount"):
        NgramModel.train(["a a a"], 2, discount_fallback=None)
    NgramModel.train(["a a a"], 2, discount_fallback=FALLBACK)
    assert not recwarn.list


def test_pruning():
    lines = ["a b c"] * 3 + ["a b d", "e b c"]
    full = NgramModel.train(lines, 3, discount_fallback=FALLBACK)
    pruned = NgramModel.train(lines, 3, prune=(0, 1), discount_fallback=FALLBACK)
    assert full.counts == (8, 8, 7)
    # Once occur: "<s> e", "e b", "b d", "d </s>", and what holds them.
    assert pruned.counts == (8, 4, 3)
    assert pruned.token_scores("a b c").matched_order.tolist() == [2, 3, 3, 3]
    assert pruned.token_scores("a b d").matched_order.tolist() == [2, 3, 1, 1]
    limited = NgramModel.train(lines, 3, vocabulary=iter(["a", "b", "zz"]), discount_fallback=FALLBACK)
    assert list(limited.vocabulary) == ["<unk>", "<s>", "</s>", "a", "b"]
    assert limited.counts == (5, 2, 1)
    for model in (full, pruned, limited):
        for context in ["", "a", "a b", "e b", "b", "zz"]:
            assert model.next_token_distribution(context).sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    with pytest.raises(TypeError, match="vocabulary"):
        NgramModel.train(lines, 3, vocabulary="a b")


def test_unknown_words(tmp_path):
    lines = ["a <unk> b", "a b", "<unk> a"] * 3
    unknown = NgramModel.train(lines, 2, discount_fallback=FALLBACK)
    assert unknown.score("a zz b") == unknown.score("a <unk> b")
    assert unknown.token_scores("<unk> b").is_unknown.tolist() == [True, False, False]

    word = NgramModel.train(lines, 2, unk="word", discount_fallback=FALLBACK)
    renamed = NgramModel.train([line.replace("<unk>", "UNK") for line in lines], 2, discount_fallback=FALLBACK)
    word.save(tmp_path / "m.lmn")
    word.save(tmp_path / "m.arpa")
    for model in (word, NgramModel.load(tmp_path / "m.lmn")):
        assert model.score("a <unk> zz") == renamed.score("a UNK zz")
        assert not model.token_scores("<unk>").is_unknown[0]
    assert "\t<UNK>\t" in (tmp_path / "m.arpa").read_text()

    skipped = NgramModel.train([*lines, "<s> </s>"], 2, unk="skip", discount_fallback=FALLBACK)
    without = NgramModel.train([*(line.replace("<unk>", "") for line in lines), ""], 2, discount_fallback=FALLBACK)
    assert skipped.score("a b zz") == without.score("a b zz")

    (tmp_path / "t.txt").write_text("a b\na <unk>\n")
    with pytest.raises(ValueError, match=r"t\.txt: line 2: .*<unk>"):
        NgramModel.train(tmp_path / "t.txt", 2, unk="error")
    with pytest.raises(ValueError, match="line 1 of document 2"):
        NgramModel.train(["a", "<s>"], 2)


@pytest.mark.parametrize(
    "option",
    [
        {"prune": (0, 2, 1)},
        {"prune": (0, 0, 1)},
        {"prune": (-1,)},
        {"memory": "1X"},
        {"memory": 0},
        {"smoothing": "good_turing"},
        {"smoothing": "witten_bell", "memory": "1G"},
        {"order": 0},
        {"order": 21},
        {"vocab_pad": 10, "interpolate_unigrams": False},
        {"discount_fallback": (0.5, 1)},
        {"discount_fallback": (0.5, -1, 1.5)},
        {"unk": "maybe"},
        {"threads": 0},
    ],
)
def test_wrong_options_are_named(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        NgramModel.train(["a b"], **{"order": 2, "discount_fallback": FALLBACK, **option})


def test_wrong_text(tmp_path):
    for name, content, expected in [
        ("empty.txt", b"", "no text"),
        ("latin.txt", "caf\u00e9".encode("latin-1"), "UTF-8"),
        ("binary.txt", bytes(range(256)), "UTF-8"),
    ]:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(FormatError, match=f"{name}.*{expected}"):
            NgramModel.train(path, 2)
    with pytest.raises(FileNotFoundError, match="missing"):
        NgramModel.train(tmp_path / "missing.txt", 2)
    with pytest.raises(ValueError, match="no text"):
        NgramModel.train([], 2)
    with pytest.raises(TypeError):
        NgramModel.train(["a", 3], 2)


def test_one_long_word_and_one_long_line():
    model = NgramModel.train(["x" * 1_000_000, "a " * 500_000], 5, discount_fallback=FALLBACK)
    assert model.vocabulary[3] == "x" * 1_000_000
    assert model.score("a a a a") < 0


def test_failing_source():
    def failing():
        yield "a b"
        message = "broken source"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="broken source"):
        NgramModel.train(failing(), 2)
