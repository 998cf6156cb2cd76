//! Personal data and secrets, each replaced by a placeholder.
//!
//! An expression that runs in linear time says where one may stand. What is around it decides whether one does, and
//! where it ends: a number of a card is no part of a longer one, an address no part of a word. Where a match is none,
//! shorter ones are tried, and then later ones.

mod card;
mod ip;
mod phone;
mod secret;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use lmfast_base::{Error, Result};
use regex::Regex;

/// What can be masked, in the order in which it is: a key is no address, and a card no telephone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mask {
    /// Private key blocks, and keys of AWS, GitHub, GitLab, Google, Hugging Face, `OpenAI`, Slack, Stripe; JSON web tokens.
    Secret,
    /// Mail addresses.
    Email,
    /// IPv4 and IPv6 addresses.
    Ip,
    /// 13 to 19 digits that pass Luhn's check.
    Card,
    /// Telephone numbers: with a plus in front, or in North America's groups of three, three and four.
    Phone,
}

impl Mask {
    /// Every kind, in order.
    pub const ALL: [Self; 5] = [Self::Secret, Self::Email, Self::Ip, Self::Card, Self::Phone];

    /// The name that users write.
    pub fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Email => "email",
            Self::Ip => "ip",
            Self::Card => "card",
            Self::Phone => "phone",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            Error::invalid(format!("mask={name:?}: 'email', 'ip', 'phone', 'card' and 'secret' are masked"))
        })
    }

    fn placeholder(self) -> &'static str {
        match self {
            Self::Secret => "<SECRET>",
            Self::Email => "<EMAIL>",
            Self::Ip => "<IP>",
            Self::Card => "<CARD>",
            Self::Phone => "<PHONE>",
        }
    }

    fn expression(self) -> Option<&'static Regex> {
        static EXPRESSIONS: LazyLock<[Option<Regex>; 5]> =
            LazyLock::new(|| Mask::ALL.map(|kind| Regex::new(kind.pattern()).ok()));
        EXPRESSIONS.get(self as usize)?.as_ref()
    }

    fn pattern(self) -> &'static str {
        match self {
            Self::Secret => secret::PATTERN,
            Self::Email => r"[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}",
            Self::Ip => ip::PATTERN,
            Self::Card => card::PATTERN,
            Self::Phone => phone::PATTERN,
        }
    }

    /// Whether a text can hold one: a byte that every match has.
    fn is_possible(self, text: &[u8]) -> bool {
        match self {
            Self::Secret => true,
            Self::Email => text.contains(&b'@'),
            Self::Ip | Self::Card | Self::Phone => text.iter().any(u8::is_ascii_digit),
        }
    }

    /// Where the one ends that begins with this match, if there is one; of every kind but cards, of which a match may
    /// hold several.
    fn end(self, text: &str, found: Range<usize>) -> Option<usize> {
        match self {
            Self::Secret => secret::end(text, found),
            Self::Ip => ip::end(text, found),
            Self::Phone => phone::end(text, found),
            Self::Email | Self::Card => Some(found.end),
        }
    }
}

/// Masks what is of these kinds, which are in order; `counts` has a place for each of [`Mask::ALL`].
pub(super) fn apply<'a>(mut text: Cow<'a, str>, kinds: &[Mask], counts: &mut [u64; 5]) -> Cow<'a, str> {
    for &kind in kinds {
        let spans = spans(&text, kind);
        if spans.is_empty() {
            continue;
        }
        counts[kind as usize] += spans.len() as u64;
        let mut masked = String::with_capacity(text.len());
        let mut copied = 0;
        for span in spans {
            masked.push_str(text.get(copied..span.start).unwrap_or_default());
            masked.push_str(kind.placeholder());
            copied = span.end;
        }
        masked.push_str(text.get(copied..).unwrap_or_default());
        text = masked.into();
    }
    text
}

/// What is of this kind in a text, in order.
fn spans(text: &str, kind: Mask) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let Some(expression) = kind.expression().filter(|_| kind.is_possible(text.as_bytes())) else { return spans };
    let mut from = 0;
    while let Some(found) = expression.find_at(text, from) {
        if kind == Mask::Card {
            card::append(text, found.range(), &mut spans);
            from = found.end();
        } else if let Some(end) = kind.end(text, found.range()) {
            spans.push(found.start()..end);
            from = end;
        } else {
            // Every match begins with a character of one byte.
            from = found.start() + 1;
        }
    }
    spans
}

/// Whether a word goes on before this place. Characters of scripts without blanks between words end none.
fn word_before(text: &str, at: usize) -> bool {
    text.get(..at).and_then(|before| before.chars().next_back()).is_some_and(is_of_word)
}

/// Whether a word goes on behind this place.
fn word_behind(text: &str, at: usize) -> bool {
    text.get(at..).and_then(|behind| behind.chars().next()).is_some_and(is_of_word)
}

fn is_of_word(character: char) -> bool {
    character == '_' || (character.is_alphanumeric() && !('\u{2e80}'..='\u{3ffff}').contains(&character))
}
