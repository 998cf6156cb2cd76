"""The compiled core. Private: use the names of the package `lmfast`. Proved against the module by stubtest."""

# ---- errors

class FormatError(ValueError): ...

__version__: str

# ---- tokenizer

# ---- ngram

# ---- data
