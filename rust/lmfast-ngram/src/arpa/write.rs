//! Writing ARPA.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use lmfast_base::{AtomicFile, Control, Error, Pages, Result, prefetch};
use rayon::prelude::*;

use super::METHOD;
use crate::corpus::{SPECIALS, UNKNOWN};
use crate::model::{Model, View};

/// What stands for the logarithm of 0, as in `SRILM`; other programs read no infinity.
const LOG10_OF_ZERO: &str = "-99";

/// Lines are made in pieces of this many n-grams.
const PIECE: usize = 1 << 14;

/// Nodes are read in blocks of this many, asked for a block ahead.
const BLOCK: usize = 1 << 6;

/// How many nodes ahead memory is asked for.
const AHEAD: usize = 32;

impl Model {
    /// Writes an ARPA file, compressed if its name ends in `.gz`. Uses the current pool of threads.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a word that cannot stand in an ARPA file: an empty one, one with white space, or the second
    /// of two that are spelled alike.
    pub fn save_arpa(&self, path: impl AsRef<Path>, control: &Control) -> Result<()> {
        let path = path.as_ref();
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
            while_flushing(&handle, || self.write_arpa(&mut file, path, &spellings, control))?;
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
        let view = self.view();
        let counts = self.counts();
        let sizes = counts.iter().zip(1..).map(|(count, order)| format!("ngram {order}={count}\n"));
        // lmplz writes no comment, and neither is one needed for its kind of model.
        let method = Some(self.method()).filter(|method| !method.is_empty() && *method != "modified_kneser_ney");
        let method = method.map_or(String::new(), |method| format!("{METHOD}{method}\n\n"));
        let header = format!("{method}\\data\\\n{}", sizes.collect::<String>());
        file.write_all(header.as_bytes()).map_err(Error::io(path))?;
        let short: Vec<Short> = spellings.iter().map(|word| Short::new(word)).collect();
        let mut section = Section::unigrams(&view);
        loop {
            let order = section.order;
            file.write_all(format!("\n\\{order}-grams:\n").as_bytes()).map_err(Error::io(path))?;
            let lines = Lines { view, spellings, short: &short, section: &section };
            let size = section.len();
            let mut words = vec![0; if order < self.order() { size * order } else { 0 }];
            let mut words_left = words.as_mut_slice();
            // The pieces made before are written while the next ones are made.
            let batch = 4 * rayon::current_num_threads();
            let (mut made, mut written) = (vec![Vec::new(); batch], vec![Vec::new(); batch]);
            for start in (0..=size).step_by(PIECE * batch) {
                control.check()?;
                let end = size.min(start + PIECE * batch);
                let mine;
                (mine, words_left) =
                    words_left.split_at_mut(if order < self.order() { (end - start) * order } else { 0 });
                let mut pieces: Vec<&mut [u32]> = mine.chunks_mut(PIECE * order).collect();
                pieces.resize_with(batch, Default::default);
                std::mem::swap(&mut made, &mut written);
                let (outcome, ()) = rayon::join(
                    || written.iter().try_for_each(|piece: &Vec<u8>| file.write_all(piece)).map_err(Error::io(path)),
                    || {
                        let texts = made.par_iter_mut().zip(pieces).enumerate();
                        texts.for_each(|(number, (text, words))| {
                            let start = end.min(start + number * PIECE);
                            lines.write(start..end.min(start + PIECE), words, text);
                        });
                    },
                );
                outcome?;
                control.advance((end - start) as u64);
            }
            made.iter().try_for_each(|piece| file.write_all(piece)).map_err(Error::io(path))?;
            if order == self.order() {
                return file.write_all(b"\n\\end\\\n").map_err(Error::io(path));
            }
            section = section.next(&view, words, control)?;
        }
    }
}

/// Does work that writes a file, and keeps bringing to disk what is written so far, so that little is left at the end.
fn while_flushing<T>(file: &File, work: impl FnOnce() -> T) -> T {
    let (finished, waiting) = sync_channel::<()>(0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = waiting.recv_timeout(Duration::from_millis(100)) {
                // Whether all is on disk is asked once more at the end.
                let _ = file.sync_data();
            }
        });
        let outcome = work();
        drop(finished);
        outcome
    })
}

/// The n-grams of one order in suffix order: the last word is compared first, then the one before it, and so on.
struct Section {
    order: usize,
    /// Of each n-gram its node, and behind it its first word.
    entries: Pages<u32>,
    /// Where the n-grams begin that end with each n-gram of the order below, and how many n-grams there are.
    starts: Vec<u32>,
    /// The words of each n-gram of the order below.
    suffixes: Vec<u32>,
    /// Whether some end with an n-gram that is not in the order below.
    is_incomplete: bool,
}

impl Section {
    fn unigrams(view: &View<'_>) -> Self {
        let size = view.num_words();
        let mut entries = Pages::zeroed(2 * size as usize);
        for (entry, word) in entries.chunks_exact_mut(2).zip(0..) {
            entry.copy_from_slice(&[word + 1, word]);
        }
        Self { order: 1, entries, starts: vec![0, size], suffixes: Vec::new(), is_incomplete: false }
    }

    fn len(&self) -> usize {
        self.entries.len() / 2
    }

    /// The n-grams of the next order, given the words of these.
    ///
    /// Nodes are numbered by their first word first, so those with the same suffix have their first words in rising order:
    /// to sort by the suffix alone, keeping the order of equals, is enough.
    fn next(&self, view: &View<'_>, words: Vec<u32>, control: &Control) -> Result<Self> {
        let level = self.order + 1;
        let (start_below, start, end) =
            (view.level_starts[level - 1], view.level_starts[level], view.level_starts[level + 1]);
        let mut next = Pages::<u32>::zeroed((start - start_below) as usize);
        // A suffix that is not in the order below comes from a file that leaves such n-grams out.
        let place = |node| view.suffix(node).checked_sub(start_below).map_or(0, |place| place as usize);
        // Every thread goes through all nodes and takes those whose suffixes are its own.
        let share = next.len().div_ceil(rayon::current_num_threads()).max(1);
        next.par_chunks_mut(share).enumerate().try_for_each(|(number, mine)| {
            control.check()?;
            for node in start..end {
                let ahead = node.saturating_add(AHEAD as u32).min(end - 1);
                prefetch(mine, place(ahead).wrapping_sub(number * share));
                let at = place(node).wrapping_sub(number * share);
                let is_mine = at < mine.len();
                mine[if is_mine { at } else { 0 }] += u32::from(is_mine);
            }
            control.check()
        })?;
        let (mut starts, mut total) = (Vec::with_capacity(self.len() + 1), 0);
        for (number, entry) in self.entries.chunks_exact(2).enumerate() {
            if let Some(ahead) = self.entries.get(2 * (number + AHEAD)) {
                prefetch(&next, (ahead - start_below) as usize);
            }
            starts.push(total);
            let size = &mut next[(entry[0] - start_below) as usize];
            (total, *size) = (total + *size, total);
        }
        starts.push(total);
        let firsts = first_nodes(view, level);
        let mut entries = Pages::<u32>::zeroed(2 * total as usize);
        let slots = entries.as_atomic();
        next.par_chunks_mut(share).enumerate().try_for_each(|(number, mine)| {
            for (word, nodes) in (0..).zip(firsts.windows(2)) {
                control.check()?;
                for node in nodes[0]..nodes[1] {
                    let ahead = node.saturating_add(AHEAD as u32).min(end - 1);
                    prefetch(mine, place(ahead).wrapping_sub(number * share));
                    if let Some(next) = mine.get_mut(place(node).wrapping_sub(number * share)) {
                        let at = 2 * *next as usize;
                        slots[at].store(node, Relaxed);
                        slots[at + 1].store(word, Relaxed);
                        *next += 1;
                    }
                }
            }
            Ok(())
        })?;
        let is_incomplete = (start..end).into_par_iter().any(|node| view.suffix(node) < start_below);
        Ok(Self { order: level, entries, starts, suffixes: words, is_incomplete })
    }
}

/// For each word the first node of a level whose n-gram begins with it, and where the level ends.
fn first_nodes(view: &View<'_>, level: usize) -> Vec<u32> {
    let mut nodes: Vec<u32> = (1..=view.num_words() + 1).collect();
    for _ in 1..level {
        for node in &mut nodes {
            *node = view.inner.get(*node as usize).map_or(0, |inner| inner.first_child);
        }
    }
    nodes
}

/// What a line is made from.
struct Row {
    node: u32,
    first_word: u32,
    spelling: Short,
    log10_prob: f32,
    backoff: f32,
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

struct Lines<'a> {
    view: View<'a>,
    spellings: &'a [&'a str],
    short: &'a [Short],
    section: &'a Section,
}

impl Lines<'_> {
    /// Puts the lines of some n-grams of the section in place of a text. Their words go to `kept`, if it has room.
    fn write(&self, range: Range<usize>, kept: &mut [u32], text: &mut Vec<u8>) {
        let Section { order, entries, starts, suffixes, is_incomplete } = self.section;
        let has_backoff = order + 2 < self.view.level_starts.len();
        text.clear();
        let mut words = vec![0; *order];
        let row = |entry: &[u32]| Row {
            node: entry[0],
            first_word: entry[1],
            spelling: self.short[entry[1] as usize],
            log10_prob: self.view.log10_prob(entry[0]),
            backoff: self.view.backoff(entry[0]),
        };
        let mut suffix = starts.partition_point(|&start| start as usize <= range.start).saturating_sub(1);
        let mut kept = kept.chunks_exact_mut(*order);
        let mut number = Number::default();
        let mut rows = Vec::with_capacity(BLOCK);
        for start in range.clone().step_by(BLOCK) {
            let ahead = range.end.min(start + BLOCK)..range.end.min(start + 2 * BLOCK);
            for entry in entries[2 * ahead.start..2 * ahead.end].chunks_exact(2) {
                prefetch(self.view.inner, entry[0] as usize);
                prefetch(self.view.leaves, (entry[0] as usize).wrapping_sub(self.view.inner.len() - 1));
                prefetch(self.short, entry[1] as usize);
            }
            let entries = &entries[2 * start..2 * range.end.min(start + BLOCK)];
            // Gathered ahead of the formatting, so that the memory is asked for many nodes at once.
            rows.clear();
            rows.extend(entries.chunks_exact(2).map(row));
            for (row, at) in rows.iter().zip(start..) {
                while starts.get(suffix + 1).is_some_and(|&start| start as usize <= at) {
                    suffix += 1;
                }
                words[0] = row.first_word;
                let below = suffixes.get(suffix * (order - 1)..(suffix + 1) * (order - 1));
                words[1..].copy_from_slice(below.unwrap_or_default());
                if *is_incomplete && self.view.order_of(self.view.suffix(row.node)) as usize + 1 != *order {
                    self.read_upwards(row.node, &mut words);
                }
                number.push(text, row.log10_prob);
                text.push(b'\t');
                row.spelling.push(text, self.spellings, words[0]);
                for &word in &words[1..] {
                    text.push(b' ');
                    self.short[word as usize].push(text, self.spellings, word);
                }
                if has_backoff {
                    text.push(b'\t');
                    number.push(text, row.backoff);
                }
                text.push(b'\n');
                if let Some(slot) = kept.next() {
                    slot.copy_from_slice(&words);
                }
            }
        }
    }

    /// The words of a node whose suffix is not the n-gram without its first word, for the model lacks that one.
    fn read_upwards(&self, node: u32, words: &mut [u32]) {
        let mut at = node;
        for word in words.iter_mut().rev() {
            *word = self.view.words[at as usize];
            at = self.view.inner.partition_point(|inner| inner.first_child <= at) as u32 - 1;
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
