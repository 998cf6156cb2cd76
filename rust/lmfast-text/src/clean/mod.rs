//! Text cleaned on its way in: normalized, masked, and without duplicates.
//!
//! Each document passes these rules in this order, those that are asked for: control characters dropped, Unicode
//! normalization, accents stripped, lower case, white space collapsed and trimmed, personal data [masked](Mask), bounds
//! on the length, [duplicates] dropped. Text that a later rule changes is normalized once more, so that the result has
//! the form asked for. All rules but the last look at one document and run on every thread; of duplicates the first in
//! the order of the source stays. So the result depends on the source and the options alone.

mod duplicates;
mod mask;
#[cfg(test)]
mod tests;
mod write;

use std::borrow::Cow;

use lmfast_base::source::Documents;
use lmfast_base::{Control, Error, Result};
use rayon::ThreadPool;
use rayon::prelude::*;
use serde::Serialize;
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfkc_quick};

pub use duplicates::NearOptions;
use duplicates::{Duplicate, Duplicates, Signer};
pub use mask::Mask;
pub use write::clean_to_file;

/// A form of Unicode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Characters composed.
    Nfc,
    /// Characters composed, and those of compatibility replaced.
    Nfkc,
}

/// What is done to documents; nothing by default.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule that is asked for or not")]
pub struct Cleaning {
    /// Drop characters of the category Cc but tab, line feed and carriage return.
    pub drop_control_characters: bool,
    /// The form that text is brought to.
    pub normalization: Option<Form>,
    /// Drop combining marks, after taking characters apart.
    pub strip_accents: bool,
    /// Make every character lower case.
    pub lowercase: bool,
    /// Make each run of white space one: an empty line where it has two line feeds or more, a line feed, or a blank.
    pub collapse_whitespace: bool,
    /// Drop white space at both ends.
    pub trim: bool,
    /// What is masked, in any order.
    pub mask: Vec<Mask>,
    /// Shorter documents are dropped; in characters.
    pub min_characters: u64,
    /// Longer documents are dropped.
    pub max_characters: Option<u64>,
    /// Drop documents equal to an earlier one.
    pub drop_exact_duplicates: bool,
    /// Drop documents nearly equal to an earlier one.
    pub drop_near_duplicates: Option<NearOptions>,
    /// The most bytes that the tables of documents seen may take. One that doubles takes half as much more for a moment,
    /// and the text that is worked on comes on top.
    pub memory: Option<u64>,
}

/// What cleaning did. Transformations count the documents they changed, masks what they replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Documents read.
    pub documents_in: u64,
    /// Documents kept.
    pub documents_out: u64,
    /// Bytes of text read.
    pub bytes_in: u64,
    /// Bytes of text kept.
    pub bytes_out: u64,
    /// Documents that lost control characters.
    pub control_characters_dropped: u64,
    /// Documents that a form of Unicode changed.
    pub normalized: u64,
    /// Documents that lost accents.
    pub accents_stripped: u64,
    /// Documents that had upper case.
    pub lowercased: u64,
    /// Documents whose white space was collapsed or trimmed.
    pub whitespace_changed: u64,
    /// Secrets masked.
    pub secrets_masked: u64,
    /// Mail addresses masked.
    pub emails_masked: u64,
    /// IP addresses masked.
    pub ips_masked: u64,
    /// Numbers of cards masked.
    pub cards_masked: u64,
    /// Telephone numbers masked.
    pub phones_masked: u64,
    /// Documents dropped as too short.
    pub too_short: u64,
    /// Documents dropped as too long.
    pub too_long: u64,
    /// Documents dropped as equal to an earlier one.
    pub exact_duplicates: u64,
    /// Documents dropped as nearly equal to an earlier one.
    pub near_duplicates: u64,
}

/// Gives what a text becomes, or None where it changes nothing.
type Rule = fn(&Cleaning, &str) -> Option<String>;

/// One document after the rules that look at it alone.
struct Cleaned<'a> {
    text: Cow<'a, str>,
    changed: [bool; 5],
    masked: [u64; 5],
    too_short: bool,
    too_long: bool,
    hash: u128,
    signature: Vec<u16>,
}

/// The documents of a source, cleaned; an iterator of batches.
pub struct Cleaner<'a, S> {
    source: S,
    cleaning: Cleaning,
    signer: Option<Signer>,
    duplicates: Option<Duplicates>,
    pool: ThreadPool,
    control: &'a Control,
    /// Whether the first batch was read, and the batch that is next.
    begun: bool,
    ahead: Option<Result<Documents>>,
    report: Report,
    failed: bool,
}

impl<'a, S: Iterator<Item = Result<Documents>> + Send> Cleaner<'a, S> {
    /// Checks the options; `threads` as everywhere, None for every core.
    pub fn new(source: S, mut cleaning: Cleaning, threads: Option<usize>, control: &'a Control) -> Result<Self> {
        if let Some(near) = cleaning.drop_near_duplicates {
            let NearOptions { ngram, permutations, threshold } = near;
            if ngram == 0 || ngram > 100 || permutations == 0 || permutations > 4096 {
                return Err(Error::invalid(format!(
                    "near_ngram={ngram}, near_permutations={permutations}: from 1 to 100 and from 1 to 4096 are wanted"
                )));
            }
            if !(threshold > 0.0 && threshold <= 1.0) {
                return Err(Error::invalid(format!("near_threshold={threshold}: above 0 and at most 1 is wanted")));
            }
        }
        if let Some(most) = cleaning.max_characters.filter(|&most| most < cleaning.min_characters) {
            let least = cleaning.min_characters;
            return Err(Error::invalid(format!("max_characters={most} is below min_characters={least}")));
        }
        cleaning.mask.sort_unstable();
        cleaning.mask.dedup();
        let (exact, near) = (cleaning.drop_exact_duplicates, cleaning.drop_near_duplicates);
        let memory = cleaning.memory.unwrap_or(u64::MAX);
        Ok(Self {
            source,
            signer: near.map(Signer::new),
            duplicates: (exact || near.is_some()).then(|| Duplicates::new(exact, near, memory)),
            cleaning,
            pool: lmfast_base::threads::pool(threads)?,
            control,
            begun: false,
            ahead: None,
            report: Report::default(),
            failed: false,
        })
    }

    /// What was done so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The next batch of the source, cleaned, while the one behind it is read.
    fn advance(&mut self) -> Result<Option<Documents>> {
        let Self { source, cleaning, signer, pool, control, .. } = self;
        let batch = if self.begun { self.ahead.take() } else { source.next() };
        self.begun = true;
        let Some(batch) = batch.transpose()? else { return Ok(None) };
        let documents: Vec<&str> = batch.iter().collect();
        let exact = cleaning.drop_exact_duplicates;
        let (ahead, cleaned) = pool.install(|| {
            rayon::join(
                || source.next(),
                || {
                    let cleaned = documents.par_iter().map(|&text| {
                        control.check()?;
                        Ok(cleaning.apply(text, exact, signer.as_ref()))
                    });
                    cleaned.collect::<Result<Vec<_>>>()
                },
            )
        });
        self.ahead = ahead;
        let mut kept = Documents::default();
        kept.source_bytes = batch.source_bytes;
        for (before, cleaned) in documents.iter().zip(cleaned?) {
            self.report.documents_in += 1;
            self.report.bytes_in += before.len() as u64;
            self.report.count(&cleaned);
            if cleaned.too_short || cleaned.too_long {
                continue;
            }
            if let Some(duplicates) = &mut self.duplicates {
                self.control.check()?;
                match duplicates.check(cleaned.hash, &cleaned.signature)? {
                    Some(Duplicate::Exact) => {
                        self.report.exact_duplicates += 1;
                        continue;
                    }
                    Some(Duplicate::Near) => {
                        self.report.near_duplicates += 1;
                        continue;
                    }
                    None => {}
                }
            }
            self.report.documents_out += 1;
            self.report.bytes_out += cleaned.text.len() as u64;
            kept.push(&cleaned.text);
        }
        Ok(Some(kept))
    }
}

impl<S: Iterator<Item = Result<Documents>> + Send> Iterator for Cleaner<'_, S> {
    type Item = Result<Documents>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let batch = self.advance();
        self.failed = !matches!(batch, Ok(Some(_)));
        batch.transpose()
    }
}

impl Report {
    /// The report as a JSON object, the names of its fields as keys.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn count(&mut self, cleaned: &Cleaned<'_>) {
        let [control, normalized, accents, lowercase, whitespace] = cleaned.changed.map(u64::from);
        self.normalized += normalized;
        self.control_characters_dropped += control;
        self.accents_stripped += accents;
        self.lowercased += lowercase;
        self.whitespace_changed += whitespace;
        let [secrets, emails, ips, cards, phones] = cleaned.masked;
        self.secrets_masked += secrets;
        self.emails_masked += emails;
        self.ips_masked += ips;
        self.cards_masked += cards;
        self.phones_masked += phones;
        self.too_short += u64::from(cleaned.too_short);
        self.too_long += u64::from(cleaned.too_long);
    }
}

impl Cleaning {
    fn apply<'a>(&self, document: &'a str, exact: bool, signer: Option<&Signer>) -> Cleaned<'a> {
        let mut text = Cow::Borrowed(document);
        let mut changed = [false; 5];
        let rules: [(bool, Rule); 5] = [
            (self.drop_control_characters, |_, text| without_control_characters(text)),
            (self.normalization.is_some(), Self::normalized),
            (self.strip_accents, |_, text| without_accents(text)),
            (self.lowercase, |_, text| lowercased(text)),
            (self.collapse_whitespace || self.trim, Self::spaced),
        ];
        for ((wanted, rule), changed) in rules.into_iter().zip(&mut changed) {
            if let Some(new) = wanted.then(|| rule(self, &text)).flatten() {
                text = Cow::Owned(new);
                *changed = true;
            }
        }
        let mut masked = [0; 5];
        text = mask::apply(text, &self.mask, &mut masked);
        // A small letter may compose with a mark where its capital does not.
        let altered = changed[2..].contains(&true) || masked != [0; 5];
        if altered && let Some(new) = self.normalized(&text) {
            text = Cow::Owned(new);
        }
        let bounded = self.min_characters > 0 || self.max_characters.is_some();
        let characters = if bounded { text.chars().count() as u64 } else { 0 };
        let too_short = characters < self.min_characters;
        let too_long = self.max_characters.is_some_and(|most| characters > most);
        let stays = !too_short && !too_long;
        let hash = if exact && stays { duplicates::hash(&text) } else { 0 };
        let signature = signer.filter(|_| stays).map(|signer| signer.signature(&text)).unwrap_or_default();
        Cleaned { text, changed, masked, too_short, too_long, hash, signature }
    }

    fn normalized(&self, text: &str) -> Option<String> {
        if text.is_ascii() {
            return None;
        }
        let new: String = match self.normalization? {
            Form::Nfc if is_nfc_quick(text.chars()) == IsNormalized::Yes => return None,
            Form::Nfkc if is_nfkc_quick(text.chars()) == IsNormalized::Yes => return None,
            Form::Nfc => text.nfc().collect(),
            Form::Nfkc => text.nfkc().collect(),
        };
        (new != text).then_some(new)
    }

    fn spaced(&self, text: &str) -> Option<String> {
        let text_or_trimmed = if self.trim { text.trim() } else { text };
        if !self.collapse_whitespace {
            return (text_or_trimmed.len() < text.len()).then(|| text_or_trimmed.to_owned());
        }
        let mut new = String::with_capacity(text_or_trimmed.len());
        let mut rest = text_or_trimmed;
        while let Some(start) = rest.find(char::is_whitespace) {
            let (word, space) = rest.split_at(start);
            let end = space.find(|character: char| !character.is_whitespace()).unwrap_or(space.len());
            let (space, behind) = space.split_at(end);
            new.push_str(word);
            new.push_str(match space.bytes().filter(|&byte| byte == b'\n').count() {
                0 => " ",
                1 => "\n",
                _ => "\n\n",
            });
            rest = behind;
        }
        new.push_str(rest);
        (new != text).then_some(new)
    }
}

fn without_control_characters(text: &str) -> Option<String> {
    let dropped = |character: char| character.is_control() && !matches!(character, '\t' | '\n' | '\r');
    // Every such character is below U+00A0: one byte below a blank, DEL, or C2 with a byte below A0.
    let suspect = |&byte: &u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r') || byte == 0x7f || byte == 0xc2;
    (text.as_bytes().iter().any(suspect) && text.contains(dropped))
        .then(|| text.chars().filter(|&character| !dropped(character)).collect())
}

fn without_accents(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let new: String = text.nfd().filter(|&character| !is_combining_mark(character)).nfc().collect();
    (new != text).then_some(new)
}

fn lowercased(text: &str) -> Option<String> {
    let new = text.to_lowercase();
    (new != text).then_some(new)
}
