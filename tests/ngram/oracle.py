"""Smoothing as it is defined, over dictionaries: what the compiled core is held equal to."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"


class Oracle:
    """An n-gram model by its formula; `probability` is what it gives a word after a context of words."""

    def __init__(self, lines, order, smoothing, parameter=None):
        self.order, self.smoothing, self.parameter = order, smoothing, parameter
        self.followers = defaultdict(Counter)
        for line in lines:
            words = [BEGIN, *line.split(), END]
            for length in range(1, order + 1):
                for start in range(len(words) - length + 1):
                    gram = tuple(words[start : start + length])
                    if gram != (BEGIN,):
                        self.followers[gram[:-1]][gram[-1]] += 1
        self.words = [*self.followers[()], *([] if UNKNOWN in self.followers[()] else [UNKNOWN])]

    def discount(self, order):
        if self.parameter is not None:
            return self.parameter
        seen = Counter(
            count
            for context, counts in self.followers.items()
            if len(context) == order - 1
            for count in counts.values()
        )
        return seen[1] / (seen[1] + 2 * seen[2])

    def base(self, word):
        """A word without any context."""
        counts = self.followers[()]
        total, types, size = counts.total(), len(counts), len(self.words)
        match self.smoothing:
            case "witten_bell":
                return (counts[word] + types / size) / (total + types)
            case "absolute_discounting":
                discount = self.discount(1)
                return (max(counts[word] - discount, 0) + discount * types / size) / total
            case "add_k":
                return (counts[word] + self.parameter) / (total + self.parameter * size)
        return counts[word] / total

    def probability(self, context, word):
        context = context[max(len(context) - self.order + 1, 0) :] if self.order > 1 else ()
        if not context:
            return self.base(word)
        lower = self.probability(context[1:], word)
        counts = self.followers.get(context)
        if not counts:
            return lower * (self.parameter if self.smoothing == "stupid_backoff" else 1)
        count, total, types = counts[word], counts.total(), len(counts)
        match self.smoothing:
            case "witten_bell":
                return (count + types * lower) / (total + types)
            case "absolute_discounting":
                discount = self.discount(len(context) + 1)
                return (max(count - discount, 0) + discount * types * lower) / total
            case "stupid_backoff":
                return count / total if count else self.parameter * lower
            case "add_k":
                whole = total + self.parameter * len(self.words)
                if count:
                    return (count + self.parameter) / whole
                left = self.parameter * (len(self.words) - types) / whole
                unseen = math.fsum(self.probability(context[1:], other) for other in self.words if not counts[other])
                return left * lower / unseen
        return count / total

    def unseen(self, context):
        """How many words of a context are before the longest end of it that occurs."""
        context = context[max(len(context) - self.order + 1, 0) :] if self.order > 1 else ()
        return next(start for start in range(len(context) + 1) if self.followers.get(context[start:]))
