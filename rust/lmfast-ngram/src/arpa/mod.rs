//! ARPA files: the text format of n-gram models.
//!
//! `\data\`, a line `ngram N=COUNT` for each order, and for each order a section `\N-grams:` with a line an n-gram: the
//! log10 probability, a tab, the words separated by spaces, and below the highest order a tab and the log10 back-off
//! weight. `\end\` closes the file. What is written has the bytes of `lmplz`: sections in suffix order of word ids,
//! numbers in the fewest digits that single precision reads back.

mod order;
mod read;
mod write;
