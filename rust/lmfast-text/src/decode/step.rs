//! What a decoder makes of one token, whatever the others are.

use lmfast_base::Result;

use crate::split::find::Finder;

/// A step that makes one token of one.
#[derive(Debug)]
pub(super) enum Step {
    Replace {
        finder: Finder,
        content: String,
    },
    /// The visible space becomes a space, or nothing in the first token if one was put before every text.
    Metaspace {
        replacement: char,
        dropped_first: bool,
    },
    WordPiece {
        prefix: String,
        cleanup: bool,
    },
    Strip(Strip),
}

/// Takes a character away from both ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strip {
    pub(super) content: char,
    pub(super) start: usize,
    pub(super) stop: usize,
}

impl Step {
    /// Whether the first token becomes something else than the same token later on.
    pub(super) fn minds_the_first(&self) -> bool {
        matches!(self, Self::Metaspace { dropped_first: true, .. } | Self::WordPiece { .. })
    }

    pub(super) fn apply(&self, token: &str, first: bool) -> Result<String> {
        Ok(match self {
            Self::Replace { finder, content } => {
                let (mut matches, mut text, mut done) = (Vec::new(), String::new(), 0);
                finder.matches(token, &mut matches)?;
                for found in matches {
                    text.push_str(&token[done..found.start]);
                    text.push_str(content);
                    done = found.end;
                }
                text.push_str(&token[done..]);
                text
            }
            Self::Metaspace { replacement, dropped_first } => {
                token.replace(*replacement, if first && *dropped_first { "" } else { " " })
            }
            Self::WordPiece { prefix, cleanup } => {
                let text = match token.strip_prefix(prefix.as_str()) {
                    _ if first => token.to_owned(),
                    Some(rest) => rest.to_owned(),
                    None => format!(" {token}"),
                };
                if *cleanup { clean(&text) } else { text }
            }
            Self::Strip(strip) => {
                let (mut token, mut content) = (token, [0; 4]);
                let content: &str = strip.content.encode_utf8(&mut content);
                for _ in 0..strip.start {
                    token = token.strip_prefix(content).unwrap_or(token);
                }
                for _ in 0..strip.stop.min(token.len()) {
                    token = token.strip_suffix(content).unwrap_or(token);
                }
                token.to_owned()
            }
        })
    }
}

/// Takes away the spaces that tokens have before punctuation and in English contractions.
pub(super) fn clean(text: &str) -> String {
    const RULES: [(&str, &str); 11] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" do not", " don't"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    if !text.contains(' ') {
        return text.to_owned();
    }
    RULES
        .iter()
        .fold(text.to_owned(), |text, (from, to)| if text.contains(from) { text.replace(from, to) } else { text })
}
