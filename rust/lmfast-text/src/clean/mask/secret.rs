//! Keys of well-known services, by their prefixes and lengths, and blocks of private keys.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::word_before;

/// Of a block of a private key, its first line.
pub(super) const PATTERN: &str = r"(?x)
    -----BEGIN\ (?:[A-Z0-9]+\ ){0,3}PRIVATE\ KEY(?:\ BLOCK)?-----
    | (?:AKIA|ASIA)[0-9A-Z]{16}
    | (?i-u:aws_secret_access_key|aws_secret_key)[\x22']?\s{0,4}[=:]\s{0,4}[\x22']?[A-Za-z0-9/+]{40}
    | gh[pousr]_[A-Za-z0-9]{36,255} | github_pat_[A-Za-z0-9_]{22,255} | glpat-[A-Za-z0-9_-]{20,64}
    | sk-[A-Za-z0-9_-]{20,200} | (?:sk|rk)_live_[A-Za-z0-9]{16,200}
    | AIza[A-Za-z0-9_-]{35} | hf_[A-Za-z0-9]{30,64} | xox[abprs]-[A-Za-z0-9-]{10,200}
    | eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}";

/// What of a block without an end belongs to the key: headers and whole lines of base64, and perhaps one shorter line.
/// Line ends may be spelled out, as in JSON, or blanks.
const BODY: &str = r"(?x)^
    ( (?: (?:\s|\\[nr])* (?:Proc-Type|DEK-Info|Version|Comment|Charset|Hash):[^\n\\]{0,200} )*
      (?: (?:\s|\\[nr])* [A-Za-z0-9+/]{40,}={0,2} )* )
    (?: (?:\s|\\[nr])* ([A-Za-z0-9+/]{1,100}={0,2}) ([\ \t\r]*(?:\n|\\[nr]|$))? )?";

/// A line that ends a block further behind its beginning is that of another.
const LONGEST_BODY: usize = 32 << 10;

/// Where the secret ends that begins with this match.
pub(super) fn end(text: &str, found: Range<usize>) -> Option<usize> {
    let secret = text.get(found.clone())?;
    if secret.starts_with('-') {
        let behind = text.get(found.end..)?;
        return Some(found.end + closed(behind).unwrap_or_else(|| unclosed(behind)));
    }
    // The names of AWS's settings may have a prefix, keys have none.
    let is_setting = secret.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws_"));
    let is_real = is_setting || (!word_before(text, found.start) && secret.strip_prefix("sk-").is_none_or(is_random));
    is_real.then_some(found.end)
}

/// Whether a part of this key, between hyphens, is longer than a word.
fn is_random(key: &str) -> bool {
    key.split(['-', '_']).any(|part| {
        let mixed = part.bytes().any(|byte| byte.is_ascii_digit()) && part.bytes().any(|byte| !byte.is_ascii_digit());
        part.len() >= 22 || (part.len() >= 16 && mixed)
    })
}

/// How much of what stands behind a block's first line belongs to it, up to its last line.
fn closed(behind: &str) -> Option<usize> {
    let body = behind.find("-----").filter(|&body| body <= LONGEST_BODY)?;
    let (label, _) = behind.get(body..)?.strip_prefix("-----END ")?.split_once("-----")?;
    let named = label.ends_with("PRIVATE KEY") || label.ends_with("PRIVATE KEY BLOCK");
    (named && label.len() < 60).then(|| body + "-----END ".len() + label.len() + "-----".len())
}

/// The same for a block whose last line is missing.
fn unclosed(behind: &str) -> usize {
    static EXPRESSION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(BODY).ok());
    let Some(parts) = EXPRESSION.as_ref().and_then(|body| body.captures(behind)) else { return 0 };
    let lines = parts.get(1).map_or(0, |lines| lines.end());
    // A line of text goes on, or is a word.
    let is_key = |line: &str| line.ends_with('=') || (parts.get(3).is_some() && !is_word(line));
    parts.get(2).filter(|last| is_key(last.as_str())).map_or(lines, |last| last.end())
}

fn is_word(line: &str) -> bool {
    line.chars().skip(1).all(|character| character.is_ascii_lowercase())
}
