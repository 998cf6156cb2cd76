"""Text to token ids, and back.

`Tokenizer` trains, loads and saves vocabularies, encodes and decodes; its file is the `tokenizer.json` that
`tokenizers` and `transformers` read. `TokenArray` holds the ids of many texts in one array.
"""

from lmfast.tokenizer.arrays import TokenArray
from lmfast.tokenizer.decoder import Decoder
from lmfast.tokenizer.tokenizer import Tokenizer

__all__ = ["Decoder", "TokenArray", "Tokenizer"]
