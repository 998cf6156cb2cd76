//! Telephone numbers.

use std::ops::Range;

use super::{word_before, word_behind};

/// With a plus in front, or in North America's groups.
pub(super) const PATTERN: &str =
    r"\+[0-9]{1,3}(?:[ .-]?\(?[0-9]{1,4}\)?){2,6}|\([0-9]{3}\) ?[0-9]{3}[ .-][0-9]{4}|[0-9]{3}[.-][0-9]{3}[.-][0-9]{4}";

/// Where the number ends that begins with this match: as far as its groups have no more than the 15 digits of E.164.
pub(super) fn end(text: &str, found: Range<usize>) -> Option<usize> {
    let (bytes, start) = (text.as_bytes(), found.start);
    if word_before(text, start) || text.get(..start)?.ends_with('+') {
        return None;
    }
    (start + 1..=found.end).rev().find(|&end| {
        let digits = || bytes.get(start..end).unwrap_or_default().iter().filter(|byte| byte.is_ascii_digit());
        matches!(bytes.get(end - 1), Some(b'0'..=b'9' | b')'))
            && !word_behind(text, end)
            && (8..=15).contains(&digits().count())
    })
}
