//! What a scanner written by hand is held to: the pieces of the patterns that it stands for.

use lmfast_text::split::regex::Pattern;
use lmfast_text::split::{Chain, Split};

/// The patterns by the general engine, each on the pieces of the one before.
pub fn engine(patterns: &[&str]) -> Chain {
    let step = |pattern: &&str| Box::new(Pattern::new(pattern).expect("the pattern compiles")) as Box<dyn Split>;
    Chain { steps: patterns.iter().map(step).collect() }
}

/// Compares the pieces of a text.
pub fn compare(scanner: &dyn Split, engine: &Chain, text: &str) {
    assert_eq!(pieces(scanner, text), pieces(engine, text));
}

fn pieces<'a>(split: &dyn Split, text: &'a str) -> Vec<&'a str> {
    let (mut all, mut pieces, mut from) = (Vec::new(), Vec::new(), 0);
    while from < text.len() {
        from = split.split(text, from, &mut pieces).expect("the pattern comes to an end");
        all.extend(pieces.drain(..).map(|piece| &text[piece]));
    }
    all
}
