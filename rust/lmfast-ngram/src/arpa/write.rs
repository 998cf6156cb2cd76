//! Writing ARPA.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use lmfast_base::{AtomicFile, Control, Error, Recycling, Result, memory, prefetch};
use rayon::prelude::*;

use super::METHOD;
use super::order::{BACKOFF, NODE, RELEASED, Section, Slots, Sorted, Sorter};
use crate::corpus::{SPECIALS, UNKNOWN};
use crate::model::Model;

/// What stands for the logarithm of 0, as in `SRILM`; other programs read no infinity.
const LOG10_OF_ZERO: &str = "-99";

/// Lines are made in pieces of this many n-grams.
const PIECE: usize = 1 << 14;

/// How many n-grams ahead memory is asked for.
const AHEAD: usize = 32;

/// A file of more n-grams, about 1 GiB, is not kept in the system's memory once it is on disk: it would drive out what
/// others read, and fresh memory takes longer to write to than the disk.
const MOST_KEPT: u64 = 1 << 25;

impl Model {
    /// Writes an ARPA file, compressed if its name ends in `.gz`. Uses the current pool of threads.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a word that cannot stand in an ARPA file: an empty one, one with white space, or the second
    /// of two that are spelled alike.
    pub fn save_arpa(&self, path: impl AsRef<Path>, control: &Control) -> Result<()> {
        let (path, _recycling) = (path.as_ref(), Recycling::new());
        if self.compact.is_some() {
            return self.expanded(control)?.save_arpa(path, control);
        }
        self.verify(control)?;
        let spellings = self.spellings()?;
        control.begin("writing", self.counts().iter().sum());
        let file = AtomicFile::create(path)?;
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz")) {
            let mut encoder = GzEncoder::new(file, Compression::default());
            self.write_arpa(&mut encoder, path, &spellings, control)?;
            encoder.finish().map_err(Error::io(path))?.commit()
        } else {
            let mut file = file;
            let handle = file.file()?.try_clone().map_err(Error::io(path))?;
            let is_kept = self.budget.is_none() && self.counts().iter().sum::<u64>() <= MOST_KEPT;
            while_flushing(&handle, is_kept, || self.write_arpa(&mut file, path, &spellings, control))?;
            file.commit()
        }
    }

    /// The words as an ARPA file spells them. An ordinary word `<unk>` beside the unknown one is spelled `<UNK>`.
    fn spellings(&self) -> Result<Vec<&str>> {
        let (vocabulary, lookup) = (self.vocabulary(), self.vocabulary().lookup());
        let refuse = |word: &str, what: &str| {
            Err(Error::invalid(format!("an ARPA file cannot hold the word {word:?}, {what}: save the model as .lmn")))
        };
        let spelling = |id| {
            let word = vocabulary.word(id);
            if id >= SPECIALS && word == "<unk>" {
                let taken = lookup.find(b"<UNK>").is_some();
                return if taken {
                    refuse(word, "for \"<UNK>\", its other name there, is a word too")
                } else {
                    Ok("<UNK>")
                };
            }
            if word.is_empty() || word.contains(['\0', '\t', '\n', '\r', ' ']) {
                return refuse(word, "for white space separates words there");
            }
            if id != UNKNOWN && lookup.find(word.as_bytes()) != Some(id) {
                return refuse(word, "for two words are spelled so");
            }
            Ok(word)
        };
        (0..vocabulary.len() as u32).map(spelling).collect()
    }

    fn write_arpa(
        &self,
        file: &mut (impl Write + Send),
        path: &Path,
        spellings: &[&str],
        control: &Control,
    ) -> Result<()> {
        let counts = self.counts();
        let sizes = counts.iter().zip(1..).map(|(count, order)| format!("ngram {order}={count}\n"));
        // lmplz writes no comment, and neither is one needed for its kind of model.
        let method = Some(self.method()).filter(|method| !method.is_empty() && *method != "modified_kneser_ney");
        let method = method.map_or(String::new(), |method| format!("{METHOD}{method}\n\n"));
        let header = format!("{method}\\data\\\n{}", sizes.collect::<String>());
        file.write_all(header.as_bytes()).map_err(Error::io(path))?;
        let short: Vec<Short> = spellings.iter().map(|word| Short::new(word)).collect();
        let mut below = Section::empty();
        let mut firsts: Vec<u32> = (1..=self.view().num_words() + 1).collect();
        for order in 1..=self.order() {
            file.write_all(format!("\n\\{order}-grams:\n").as_bytes()).map_err(Error::io(path))?;
            let sorter = Sorter::new(self, order, &below, &firsts, control)?;
            let is_highest = order == self.order();
            let mut section = Section::new(if is_highest { 0 } else { sorter.len() }, order, self.budget.as_ref())?;
            let keep = (section.nodes.slots(), section.words.slots());
            let mut place = 0;
            for keys in sorter.ranges(control)? {
                let sorted = sorter.sort(keys, control)?;
                let lines = Lines { model: self, spellings, short: &short, below: &below, sorted: &sorted };
                lines.write_all(place, (!is_highest).then_some(&keep), file, path, control)?;
                place += sorted.len();
            }
            firsts = first_nodes(self, &firsts);
            below = section;
        }
        file.write_all(b"\n\\end\\\n").map_err(Error::io(path))
    }
}

/// Does work that writes a file, and keeps bringing to disk what is written so far, so that little is left at the end.
/// Unless it `is_kept`, that does not stay in the system's memory.
fn while_flushing<T>(file: &File, is_kept: bool, work: impl FnOnce() -> T) -> T {
    let (finished, waiting) = sync_channel::<()>(0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = waiting.recv_timeout(Duration::from_millis(100)) {
                // Whether all is on disk is asked once more at the end.
                let _ = file.sync_data();
                if !is_kept {
                    memory::forget_written(file);
                }
            }
        });
        let outcome = work();
        drop(finished);
        outcome
    })
}

/// For each word the first node of the level above whose n-gram begins with it, and where that level ends, given those of a
/// level.
fn first_nodes(model: &Model, firsts: &[u32]) -> Vec<u32> {
    let view = model.view();
    let mut released = firsts.first().copied().unwrap_or(0);
    let above = firsts.iter().map(|&node| {
        if node >= released + RELEASED {
            model.release(released..node);
            released = node;
        }
        view.inner.get(node as usize).map_or(0, |inner| inner.first_child)
    });
    above.collect()
}

/// A word of up to 23 bytes, which is copied whole and then cut: that is faster than to copy so many bytes as it has.
#[derive(Clone, Copy)]
struct Short([u8; 24]);

impl Short {
    fn new(word: &str) -> Self {
        let mut bytes = [0; 24];
        if let Some(place) = bytes[..23].get_mut(..word.len()) {
            place.copy_from_slice(word.as_bytes());
            bytes[23] = word.len() as u8;
        }
        Self(bytes)
    }

    /// Appends the word, which is the one with this id.
    fn push(&self, text: &mut Vec<u8>, spellings: &[&str], id: u32) {
        match self.0[23] {
            0 => text.extend_from_slice(spellings[id as usize].as_bytes()),
            length => {
                let end = text.len() + usize::from(length);
                text.extend_from_slice(&self.0);
                text.truncate(end);
            }
        }
    }
}

/// What lines are made from.
struct Lines<'a> {
    model: &'a Model,
    spellings: &'a [&'a str],
    short: &'a [Short],
    below: &'a Section,
    sorted: &'a Sorted,
}

/// The text of some lines, and what is kept of their n-grams.
#[derive(Default)]
struct Piece {
    text: Vec<u8>,
    /// The words of all suffixes.
    suffixes: Vec<u32>,
    nodes: Vec<u32>,
    words: Vec<u32>,
}

impl Lines<'_> {
    /// Writes the lines of the n-grams, the first of which has this place in the section. Their nodes and words are kept.
    fn write_all(
        &self,
        place: usize,
        keep: Option<&(Slots<'_>, Slots<'_>)>,
        file: &mut (impl Write + Send),
        path: &Path,
        control: &Control,
    ) -> Result<()> {
        let size = self.sorted.len();
        // The pieces made before are written while the next ones are made.
        let batch = 4 * rayon::current_num_threads();
        let new = || (0..batch).map(|_| Piece::default()).collect::<Vec<_>>();
        let (mut made, mut written) = (new(), new());
        for start in (0..size).step_by(PIECE * batch) {
            control.check()?;
            let end = size.min(start + PIECE * batch);
            std::mem::swap(&mut made, &mut written);
            let (outcome, lines) = rayon::join(
                || written.iter().try_for_each(|piece| file.write_all(&piece.text)).map_err(Error::io(path)),
                || {
                    made.par_iter_mut().enumerate().try_for_each(|(number, piece)| {
                        let start = end.min(start + number * PIECE);
                        self.write(start..end.min(start + PIECE), piece)?;
                        if let Some((nodes, words)) = keep {
                            nodes.write(place + start, &piece.nodes)?;
                            words.write((place + start) * self.sorted.order, &piece.words)?;
                        }
                        Ok(())
                    })
                },
            );
            outcome.and(lines)?;
            control.advance((end - start) as u64);
        }
        made.iter().try_for_each(|piece| file.write_all(&piece.text)).map_err(Error::io(path))
    }

    /// Puts the lines of some n-grams in place of those of a piece.
    fn write(&self, range: Range<usize>, piece: &mut Piece) -> Result<()> {
        let Sorted { order, stride, entries, ends, first_key, .. } = self.sorted;
        let Piece { text, suffixes, nodes, words: kept } = piece;
        text.clear();
        nodes.clear();
        kept.clear();
        let (has_node, has_backoff) = (*stride > 2, *order < self.model.order());
        let key_of = |at: usize| ends.partition_point(|&end| end as usize <= at);
        let (mut key, last_key) = (key_of(range.start), key_of(range.end.saturating_sub(1)));
        if range.is_empty() {
            return Ok(());
        }
        let (length, base) = (order - 1, key);
        let places = (first_key + base) * length..(first_key + last_key + 1) * length;
        let suffixes = self.below.words.read(places, suffixes)?;
        let suffix = |key: usize| suffixes.get((key - base) * length..(key + 1 - base) * length).unwrap_or_default();
        let mut words = vec![0; *order];
        // Where in the text the suffix of the line before is spelled, if it is that of this one.
        let mut spelled = None::<Range<usize>>;
        let mut number = Number::default();
        for at in range {
            if let Some(&ahead) = entries.get((at + AHEAD) * stride) {
                prefetch(self.short, ahead as usize);
            }
            let entry = &entries[at * stride..(at + 1) * stride];
            while ends[key] as usize <= at {
                key += 1;
                spelled = None;
                for &word in suffix((key + AHEAD / 2).min(last_key)) {
                    prefetch(self.short, word as usize);
                }
            }
            words[0] = entry[0];
            words[1..].copy_from_slice(suffix(key));
            let is_own = self.sorted.is_incomplete && self.is_lost(entry[NODE]);
            if is_own {
                self.read_upwards(entry[NODE], &mut words);
            }
            number.push(text, f32::from_bits(entry[1]));
            text.push(b'\t');
            self.short[words[0] as usize].push(text, self.spellings, words[0]);
            if let Some(again) = spelled.clone().filter(|_| !is_own) {
                text.extend_from_within(again);
            } else {
                let start = text.len();
                for &word in &words[1..] {
                    text.push(b' ');
                    self.short[word as usize].push(text, self.spellings, word);
                }
                spelled = (!is_own).then_some(start..text.len());
            }
            if has_backoff {
                text.push(b'\t');
                number.push(text, f32::from_bits(entry[BACKOFF]));
            }
            text.push(b'\n');
            if has_node && has_backoff {
                nodes.push(entry[NODE]);
                kept.extend_from_slice(&words);
            }
        }
        Ok(())
    }

    /// Whether the n-gram without its first word is not in the model.
    fn is_lost(&self, node: u32) -> bool {
        let view = self.model.view();
        view.order_of(view.suffix(node)) as usize + 1 != self.sorted.order
    }

    /// The words of a node whose suffix is not the n-gram without its first word, for the model lacks that one.
    fn read_upwards(&self, node: u32, words: &mut [u32]) {
        let (view, mut at) = (self.model.view(), node);
        for word in words.iter_mut().rev() {
            *word = view.words[at as usize];
            at = view.inner.partition_point(|inner| inner.first_child <= at) as u32 - 1;
        }
    }
}

/// Writes numbers in the fewest digits that read back as the same number, in exponent form below 1e-6. Where two numbers of
/// so many digits are equally near, it is the one with the even last digit.
struct Number {
    buffer: zmij::Buffer,
    /// Numbers that came lately, and how they are written; back-off weights come again and again.
    recent: Vec<(u32, u8, [u8; 16])>,
}

impl Default for Number {
    fn default() -> Self {
        let zero = (0, 1, [b'0'; 16]);
        Self { buffer: zmij::Buffer::new(), recent: vec![zero; 1 << 8] }
    }
}

impl Number {
    fn push(&mut self, text: &mut Vec<u8>, number: f32) {
        let bits = number.to_bits();
        let slot = &mut self.recent[(bits.wrapping_mul(0x9e37_79b9) >> 24) as usize];
        if slot.0 != bits {
            let written = if number.is_finite() { self.buffer.format_finite(number) } else { LOG10_OF_ZERO };
            let written = written.strip_suffix(".0").unwrap_or(written).as_bytes();
            if written.len() > slot.2.len() {
                text.extend_from_slice(written);
                return;
            }
            slot.2[..written.len()].copy_from_slice(written);
            (slot.0, slot.1) = (bits, written.len() as u8);
        }
        let end = text.len() + usize::from(slot.1);
        text.extend_from_slice(&slot.2);
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::Number;

    #[test]
    fn numbers_as_double_conversion_prints_them() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.5, "-0.5"),
            (-1.0, "-1"),
            (-1.234_567_9, "-1.2345679"),
            (-99.0, "-99"),
            (-0.000_001, "-0.000001"),
            (-9.5e-7, "-9.5e-7"),
            (-1e-7, "-1e-7"),
            (f32::NEG_INFINITY, "-99"),
            (-123_456_790.0, "-123456790"),
            (-389.0 / 256.0, "-1.5195312"),
            (-477.0 / 256.0, "-1.8632812"),
            (-0.062_5, "-0.0625"),
            (-2.5, "-2.5"),
        ] {
            let mut text = Vec::new();
            Number::default().push(&mut text, number);
            assert_eq!(String::from_utf8_lossy(&text), expected);
        }
    }
}
