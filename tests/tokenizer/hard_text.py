"""Texts that are hard to tokenize, and text to train on."""

import random

# ruff: noqa: RUF001 - letters that look like others are what is wanted

CLASSES = [
    "abcdefXYZ", "éßñøÅÇ", "абвГДЕ", "中文字汉日本", "한국어", "0123456789", "٠١²³½Ⅳ①", "   ", "\t\x0b\x0c", "\n\r",
    "\xa0\u1680\u2003\u2028\u202f\u3000\x85\u180e", "'’`´", "stmdrevlSTMDREVL", "ſK",
    "!?.,;:()[]{}<>/\\@#$%^&*-_=+|~\"",
    "\u0301\u0308\u20d0\u0e31\u0903", "\u200b\u200d\ufeff", "😀🎉👩🏽🇩🇪", "ǅǈʰˠªº", "\x00\x01\x1b\x7f\x9f", "ﬁﬀ",
    "\U0001d400\U0001d7d8", "\ufffd\U0010ffff", "العربية", "हिन्दी",
]  # fmt: skip
PHRASES = [
    "'s",
    "'LL",
    "'ſ",
    "I'd've",
    "\r\n",
    "\n \n",
    " \r\n\t",
    "👩‍👩‍👧",
    "  ",
    "\t\tif x:",
    "e\u0301",
    "<|endoftext|>",
    "<|end",
]


def hard_texts(count, seed=7):
    generator = random.Random(seed)

    def piece():
        kind = generator.random()
        if kind < 0.75:
            letters = generator.choice(CLASSES)
            return "".join(generator.choice(letters) for _ in range(generator.randrange(1, 4)))
        if kind < 0.9:
            return generator.choice(PHRASES)
        return generator.choice(generator.choice(CLASSES)) * generator.randrange(30, 120)

    return ["", " ", "\n"] + ["".join(piece() for _ in range(generator.randrange(1, 12))) for _ in range(count - 3)]


def sentences(count, seed=3):
    """Sentences of invented words, some frequent and most of them rare."""
    generator = random.Random(seed)
    words = ["".join(generator.choices("abcdefghijklmnopé", k=generator.randrange(1, 9))) for _ in range(2000)]
    return [
        " ".join(words[int(generator.paretovariate(0.7)) % 2000] for _ in range(generator.randrange(3, 12))) + ".\n"
        for _ in range(count)
    ]
