//! Vocabularies of words or characters: the most frequent pieces, ties in the order of their bytes, as the
//! `WordLevelTrainer` of `tokenizers`.

use super::Config;
use super::count::Counts;

/// Gives the tokens in the order of their ids, special tokens first.
pub(super) fn train(counts: &Counts, config: &Config) -> Vec<String> {
    let mut pieces: Vec<(&[u8], u64)> = counts.iter().filter(|&(_, count)| count >= config.min_frequency).collect();
    pieces.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0)));
    let mut tokens: Vec<String> = Vec::new();
    for token in &config.special_tokens {
        if !tokens.contains(token) {
            tokens.push(token.clone());
        }
    }
    let special = tokens.len();
    for (piece, _) in pieces {
        if tokens.len() >= config.vocab_size {
            break;
        }
        let piece = String::from_utf8_lossy(piece);
        if !tokens[..special].iter().any(|token| *token == piece) {
            tokens.push(piece.into_owned());
        }
    }
    tokens
}
