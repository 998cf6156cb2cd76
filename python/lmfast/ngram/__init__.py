"""N-gram language models: train, save, score, generate.

>>> from lmfast import NgramModel
>>> model = NgramModel.train(["the cat sat", "the cat ran", "a dog sat"], order=2, discount_fallback=(0.5, 1, 1.5))
>>> model.order, model.counts
(2, (9, 9))
>>> round(model.score("the cat sat"), 3)
-1.363
"""

from lmfast.ngram.counts import NgramCounts, count_ngrams
from lmfast.ngram.model import NgramModel, NgramState
from lmfast.ngram.overlap import Overlap, find_overlap
from lmfast.ngram.results import Perplexity, TokenScores

__all__ = [
    "NgramCounts",
    "NgramModel",
    "NgramState",
    "Overlap",
    "Perplexity",
    "TokenScores",
    "count_ngrams",
    "find_overlap",
]
