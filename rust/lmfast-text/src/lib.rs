//! The tokenizers of lmfast: text to token ids, and back.
