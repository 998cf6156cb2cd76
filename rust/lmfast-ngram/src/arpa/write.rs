//! Writing ARPA.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use lmfast_base::{AtomicFile, Control, Error, Result};
use rayon::prelude::*;

use crate::corpus::{SPECIALS, UNKNOWN};
use crate::model::{Model, ROOT, View};

/// Lines are made in pieces of this many n-grams.
const PIECE: usize = 1 << 14;

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
            self.write_arpa(&mut file, path, &spellings, control)?;
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

    fn write_arpa(&self, file: &mut impl Write, path: &Path, spellings: &[&str], control: &Control) -> Result<()> {
        let view = self.view();
        let counts = self.counts();
        let sizes = counts.iter().zip(1..).map(|(count, order)| format!("ngram {order}={count}\n"));
        let header = format!("\\data\\\n{}", sizes.collect::<String>());
        file.write_all(header.as_bytes()).map_err(Error::io(path))?;
        let (mut order_below, first_words) = (Vec::new(), first_words(&view));
        for order in 1..=self.order() {
            let in_order = suffix_order(&view, order, &order_below);
            file.write_all(format!("\n\\{order}-grams:\n").as_bytes()).map_err(Error::io(path))?;
            let lines = Lines { view, spellings, order, first_words: &first_words };
            for group in in_order.chunks(PIECE * 4 * rayon::current_num_threads()) {
                control.check()?;
                let pieces: Vec<Vec<u8>> = group.par_chunks(PIECE).map(|nodes| lines.write(nodes)).collect();
                for piece in pieces {
                    file.write_all(&piece).map_err(Error::io(path))?;
                }
                control.advance(group.len() as u64);
            }
            order_below = in_order;
        }
        file.write_all(b"\n\\end\\\n").map_err(Error::io(path))
    }
}

/// The nodes of one order in suffix order, given those of the order below.
///
/// Nodes are numbered by their first word first, so those with the same suffix have their first words in rising order: to
/// sort by the suffix alone, keeping the order of equals, is enough.
fn suffix_order(view: &View<'_>, order: usize, order_below: &[u32]) -> Vec<u32> {
    let (start, end) = (view.level_starts[order], view.level_starts[order + 1]);
    if order == 1 {
        return (start..end).collect();
    }
    let start_below = view.level_starts[order - 1];
    let mut next = vec![0_u32; order_below.len()];
    // A suffix that is not in the order below comes from a file that leaves such n-grams out.
    let suffix = |node| (view.suffix(node).checked_sub(start_below)).map_or(0, |place| place as usize);
    for node in start..end {
        next[suffix(node)] += 1;
    }
    let mut total = 0;
    for &node in order_below {
        let size = &mut next[(node - start_below) as usize];
        (total, *size) = (total + *size, total);
    }
    let mut sorted = vec![0; (end - start) as usize];
    for node in start..end {
        let place = &mut next[suffix(node)];
        sorted[*place as usize] = node;
        *place += 1;
    }
    sorted
}

/// The first word of every node.
fn first_words(view: &View<'_>) -> Vec<u32> {
    let mut first_words = view.words.to_vec();
    for parent in view.level_starts[1]..view.level_starts[view.level_starts.len() - 2] {
        let first_word = first_words[parent as usize];
        first_words[view.children(parent)].fill(first_word);
    }
    first_words
}

struct Lines<'a> {
    view: View<'a>,
    spellings: &'a [&'a str],
    order: usize,
    first_words: &'a [u32],
}

impl Lines<'_> {
    fn write(&self, nodes: &[u32]) -> Vec<u8> {
        let mut text = Vec::with_capacity(nodes.len() * (16 + 8 * self.order));
        let (mut words, mut known_suffix) = (vec![0; self.order], ROOT);
        // Gathered ahead of the formatting, so that the memory is asked for many nodes at once.
        let row = |&node: &u32| {
            let (log10_prob, backoff) = (self.view.log10_prob(node), self.view.backoff(node));
            (node, log10_prob, backoff, self.view.suffix(node), self.first_words[node as usize])
        };
        let rows: Vec<_> = nodes.iter().map(row).collect();
        for (node, log10_prob, backoff, suffix, first_word) in rows {
            if suffix != known_suffix {
                self.read(suffix, &mut words[1..]);
                known_suffix = suffix;
            }
            words[0] = first_word;
            if self.view.order_of(suffix) as usize + 1 != self.order {
                self.read_upwards(node, &mut words);
                known_suffix = ROOT;
            }
            push_number(&mut text, log10_prob);
            let mut separator = b'\t';
            for &word in &words {
                text.push(separator);
                text.extend_from_slice(self.spellings[word as usize].as_bytes());
                separator = b' ';
            }
            if self.order + 2 < self.view.level_starts.len() {
                text.push(b'\t');
                push_number(&mut text, backoff);
            }
            text.push(b'\n');
        }
        text
    }

    /// The words of a node, from the first words of its ends. Neighbours in suffix order share most of these nodes.
    fn read(&self, node: u32, words: &mut [u32]) {
        let mut at = node;
        for word in words {
            *word = self.first_words[at as usize];
            at = self.view.suffix(at);
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

/// The fewest digits that read back as the same number, in exponent form below 1e-6. Where two numbers of so many digits
/// are equally near, the one with the even last digit.
fn push_number(text: &mut Vec<u8>, number: f32) {
    let start = text.len();
    // Writing to memory cannot fail.
    if number != 0.0 && number.abs() < 1e-6 {
        let _ = write!(text, "{number:e}");
        return;
    }
    let _ = write!(text, "{number}");
    // Rust rounds such a tie away from zero. A binary fraction of k bits has exactly k decimals, the last of them a 5: it
    // lies half way if one decimal fewer is printed.
    let decimals = text[start..].iter().rev().position(|&byte| byte == b'.').unwrap_or_default();
    let exponent = number.to_bits() >> 23 & 0xff;
    let mantissa = number.to_bits() & 0x7f_ffff | 0x80_0000;
    if decimals > 0
        && (exponent + mantissa.trailing_zeros()) as usize + decimals + 1 == 150
        && let Some(last) = text.last_mut().filter(|last| (**last - b'0') % 2 == 1)
    {
        *last -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::push_number;

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
            (f32::NEG_INFINITY, "-inf"),
            (-123_456_790.0, "-123456790"),
            (-389.0 / 256.0, "-1.5195312"),
            (-477.0 / 256.0, "-1.8632812"),
            (-0.062_5, "-0.0625"),
            (-2.5, "-2.5"),
        ] {
            let mut text = Vec::new();
            push_number(&mut text, number);
            assert_eq!(String::from_utf8_lossy(&text), expected);
        }
    }
}
