//! Numbers of cards: 13 to 19 digits that pass Luhn's check, also beside other numbers.

use std::ops::Range;

use super::{word_before, word_behind};

/// A run of digits with single blanks or hyphens between them. All of it may be one number; else each part that is
/// grouped as on a card is tried.
pub(super) const PATTERN: &str = "[0-9](?:[ -]?[0-9]){12,}";

/// Digits of each group of a card: Visa and most others, of 19 digits, American Express, Diners Club, of 13 digits.
const GROUPINGS: [&[usize]; 6] = [&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 5], &[4, 3, 3, 3]];

/// Appends the numbers of cards in a run.
pub(super) fn append(text: &str, run: Range<usize>, spans: &mut Vec<Range<usize>>) {
    let groups = groups(text, run.clone());
    let (before, behind) = (word_before(text, run.start), word_behind(text, run.end));
    let is_card = |span: Range<usize>| {
        let free = !(before && span.start == run.start || behind && span.end == run.end);
        free && text.get(span).is_some_and(luhn)
    };
    let known = spans.len();
    let mut rest = groups.as_slice();
    while let Some(first) = rest.first() {
        let whole = Some(1).filter(|_| (13..=19).contains(&first.len()));
        let found = whole.into_iter().chain(GROUPINGS.iter().filter_map(|lengths| grouped(text, rest, lengths)));
        let mut cards = found.filter_map(|count| {
            let span = first.start..rest.get(count - 1)?.end;
            is_card(span.clone()).then_some((span, count))
        });
        let count = match cards.next() {
            Some((span, count)) => {
                spans.push(span);
                count
            }
            None => 1,
        };
        rest = rest.get(count..).unwrap_or_default();
    }
    let digits: usize = groups.iter().map(ExactSizeIterator::len).sum();
    if spans.len() == known && (13..=19).contains(&digits) && is_card(run.clone()) {
        spans.push(run);
    }
}

/// The groups of digits in a run.
fn groups(text: &str, run: Range<usize>) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut groups = Vec::new();
    let mut start = run.start;
    for at in run.clone() {
        if !bytes.get(at).is_some_and(u8::is_ascii_digit) {
            groups.push(start..at);
            start = at + 1;
        }
    }
    groups.push(start..run.end);
    groups
}

/// How many groups these lengths are, if the first groups have them and one separator.
fn grouped(text: &str, groups: &[Range<usize>], lengths: &[usize]) -> Option<usize> {
    let first = groups.get(..lengths.len())?;
    let separator = text.as_bytes().get(first.first()?.end)?;
    let same = first.iter().skip(1).all(|group| text.as_bytes().get(group.start - 1) == Some(separator));
    (same && first.iter().zip(lengths).all(|(group, &length)| group.len() == length)).then_some(lengths.len())
}

/// Luhn's check over the digits of a number: each second one from the right doubled, its digits summed.
fn luhn(number: &str) -> bool {
    let mut sum = 0;
    for (position, digit) in number.bytes().rev().filter(u8::is_ascii_digit).enumerate() {
        let digit = u32::from(digit - b'0');
        let doubled = if position % 2 == 1 { 2 * digit } else { digit };
        sum += if doubled > 9 { doubled - 9 } else { doubled };
    }
    sum % 10 == 0 && number.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}
