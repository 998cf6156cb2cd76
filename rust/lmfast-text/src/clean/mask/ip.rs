//! IPv4 and IPv6 addresses.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::{word_before, word_behind};

/// Four numbers, or groups of hexadecimal digits: parsing tells whether they are an address.
pub(super) const PATTERN: &str =
    r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?:(?:\.[0-9]{1,3}){3})?";

/// Shorter addresses, such as `::1`, are not told from other uses of colons.
const LEAST_IPV6: usize = 6;

/// Where the address ends that begins with this match.
pub(super) fn end(text: &str, found: Range<usize>) -> Option<usize> {
    let (bytes, start) = (text.as_bytes(), found.start);
    let of_six = text.get(found.clone())?.contains(':');
    if word_before(text, start) || goes_on_before(bytes.get(..start)?, of_six) {
        return None;
    }
    (start + LEAST_IPV6..=found.end).rev().find(|&end| {
        !word_behind(text, end)
            && !goes_on_behind(bytes.get(end..).unwrap_or_default(), of_six)
            && text.get(start..end).is_some_and(is_address)
    })
}

fn is_address(text: &str) -> bool {
    if text.contains(':') {
        text.bytes().any(|byte| byte.is_ascii_digit()) && text.parse::<Ipv6Addr>().is_ok()
    } else {
        text.parse::<Ipv4Addr>().is_ok()
    }
}

/// Whether what stands before is a part of the same numbers: digits and a full stop or, before groups of an IPv6
/// address, a colon that ends no word.
fn goes_on_before(before: &[u8], of_six: bool) -> bool {
    match before.split_last() {
        Some((b'.', before)) => before.last().is_some_and(u8::is_ascii_digit),
        Some((b':', before)) if of_six => {
            let word = before.iter().rev().take(5).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
            let (mut length, mut hexadecimal) = (0, true);
            for byte in word {
                length += 1;
                hexadecimal &= byte.is_ascii_hexdigit();
            }
            before.last() == Some(&b':') || ((1..=4).contains(&length) && hexadecimal)
        }
        _ => false,
    }
}

fn goes_on_behind(behind: &[u8], of_six: bool) -> bool {
    let next = behind.get(1);
    match behind.first() {
        Some(b'.') => next.is_some_and(u8::is_ascii_digit),
        Some(b':') if of_six => next.is_some_and(|byte| *byte == b':' || byte.is_ascii_hexdigit()),
        _ => false,
    }
}
