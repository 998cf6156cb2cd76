//! ARPA files: the text format of n-gram models.
//!
//! `\data\`, a line `ngram N=COUNT` for each order, and for each order a section `\N-grams:` with a line an n-gram: the
//! log10 probability, a tab, the words separated by spaces, and below the highest order a tab and the log10 back-off
//! weight. `\end\` closes the file. What is written has the bytes of `lmplz`: sections in suffix order of word ids,
//! numbers in the fewest digits that single precision reads back. The logarithm of 0 is written as -99. A model that is
//! smoothed otherwise than by `lmplz` says so in a comment above `\data\`, which other programs pass over.

mod order;
mod read;
mod write;

/// What the comment begins with that says how a model was estimated.
const METHOD: &str = "# smoothing: ";
