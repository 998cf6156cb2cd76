//! Reading ARPA, and telling the kinds of model files apart.
//!
//! The sections of bigrams and longer n-grams are read a block at a time, and the lines of a block by all threads.

use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use flate2::bufread::MultiGzDecoder;
use lmfast_base::{Control, Error, Map, Result};
use rayon::prelude::*;

use super::METHOD;
use crate::compact::is_compact;
use crate::corpus::{BEGIN, END, SPECIALS, UNKNOWN};
use crate::count::MOST_ORDERS;
use crate::model::{ArpaEntry, Builder, Kind, Model, is_lmn};
use crate::vocabulary::{self, Lookup};
use crate::words::Recent;

/// What every file of `KenLM`'s `build_binary` begins with; its format's version follows.
const KENLM: &[u8] = b"mmap lm http://kheafield.com/code";
const GZIP: &[u8] = &[0x1f, 0x8b];

/// The log10 probability of the unknown word in a file that has none, as in `KenLM`.
const UNKNOWN_LOG10_PROB: f32 = -100.0;

impl Model {
    /// Opens a model, telling by its content whether it is a `.lmn` file, which is mapped, or an ARPA file, plain or
    /// compressed by gzip, which is read.
    ///
    /// # Errors
    /// [`Error::Format`] for a file that is neither, or damaged; among them the binary files of `KenLM`, by name.
    pub fn load(path: impl AsRef<Path>, control: &Control) -> Result<Self> {
        let map = Map::open(path)?;
        let bytes = map.bytes();
        if is_lmn(bytes) {
            return Self::load_lmn(map);
        }
        if is_compact(bytes) {
            return Self::load_compact(map);
        }
        if bytes.starts_with(KENLM) {
            return Err(Error::format(map.path(), kenlm_refusal(bytes)));
        }
        control.begin("reading", bytes.len() as u64);
        if bytes.starts_with(GZIP) {
            return Reader::new(map.path(), MultiGzDecoder::new(bytes), control).model();
        }
        Reader::new(map.path(), bytes, control).model()
    }
}

fn kenlm_refusal(bytes: &[u8]) -> String {
    let end = bytes.iter().take(80).position(|&byte| byte == b'\n').unwrap_or(KENLM.len());
    let version = String::from_utf8_lossy(&bytes[KENLM.len()..end]);
    format!(
        "a binary model of KenLM ({}), which depends on the machine and the version of KenLM that made it and is not read: \
         keep the ARPA file it was built from, or train again",
        version.trim()
    )
}

/// Bytes that are asked of the file at a time.
const READ: usize = 1 << 18;
/// Bytes of lines that a thread reads in one go, about.
const PART: usize = 1 << 20;

struct Reader<'a, R> {
    path: &'a Path,
    input: R,
    control: &'a Control,
    /// What was read of the file and is not yet used from `at` on.
    block: Vec<u8>,
    at: usize,
    line: Vec<u8>,
    number: u64,
    /// What a comment says of how the model was estimated.
    method: String,
}

/// A line of a section.
struct Line<'a> {
    log10_prob: f32,
    words: &'a str,
    backoff: f32,
}

/// What a part of a section holds.
#[derive(Default)]
struct Part {
    entries: Vec<ArpaEntry>,
    /// What is wrong with the line behind the entries.
    broken: Option<String>,
    /// How many bytes were used, if the section ends here, the blank line included.
    end: Option<usize>,
}

impl<'a, R: Read> Reader<'a, R> {
    fn new(path: &'a Path, input: R, control: &'a Control) -> Self {
        Self { path, input, control, block: Vec::new(), at: 0, line: Vec::new(), number: 0, method: String::new() }
    }

    fn broken(&self, what: impl std::fmt::Display) -> Error {
        Error::format(self.path, format!("line {}: {what}", self.number))
    }

    /// Reads on, and says whether there was more.
    fn read_more(&mut self) -> Result<bool> {
        self.control.check()?;
        self.block.drain(..self.at);
        self.at = 0;
        let before = self.block.len();
        (&mut self.input).take(READ as u64).read_to_end(&mut self.block).map_err(|error| {
            Error::format(self.path, format!("the compressed data is cut short or damaged ({error})"))
        })?;
        Ok(self.block.len() > before)
    }

    /// Reads a line, without its line end; says whether there was one.
    fn next(&mut self) -> Result<bool> {
        self.line.clear();
        self.number += 1;
        let mut searched = 0;
        let end = loop {
            let rest = &self.block[self.at..];
            if let Some(end) = rest[searched..].iter().position(|&byte| byte == b'\n') {
                break searched + end + 1;
            }
            searched = rest.len();
            if !self.read_more()? {
                break searched;
            }
        };
        self.line.extend_from_slice(without_line_end(&self.block[self.at..self.at + end]));
        self.at += end;
        self.control.advance(end as u64);
        Ok(end > 0)
    }

    fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.line).map_err(|_| self.broken("not UTF-8: convert the file"))
    }

    /// Skips blank lines and gives the line behind them.
    fn next_filled(&mut self) -> Result<&str> {
        while self.next()? {
            if !self.line.trim_ascii().is_empty() {
                return self.text();
            }
        }
        Err(self.broken("the file ends too early: it is cut short"))
    }

    fn model(mut self) -> Result<Model> {
        let counts = self.header()?;
        let order = counts.len();
        let (words, unigrams) = self.unigrams(counts[0], order == 1)?;
        let mut builder = Builder::new(order, unigrams.iter().map(|entry| entry.log10_prob));
        builder.set_backoffs(unigrams.iter().map(|entry| entry.backoff));
        for (&count, level) in counts.iter().zip(1..).skip(1) {
            let mut entries = self.section(level, count, level == order, &words, &builder)?;
            entries.par_sort_unstable_by_key(|entry| (entry.context, entry.word));
            let twice =
                entries.windows(2).any(|pair| matches!(pair, [a, b] if (a.context, a.word) == (b.context, b.word)));
            if twice {
                return Err(Error::format(self.path, format!("one of the {level}-grams is there twice")));
            }
            builder.append_sorted(&entries);
        }
        if self.next_filled()? != "\\end\\" {
            return Err(self.broken("\\end\\ was expected behind the last section"));
        }
        while self.next()? {
            if !self.line.trim_ascii().is_empty() {
                return Err(self.broken("there is more behind \\end\\"));
            }
        }
        let mut model = builder.finish(words.finish(), Kind::Words);
        model.set_method(self.method);
        Ok(model)
    }

    /// The numbers of n-grams.
    fn header(&mut self) -> Result<Vec<u64>> {
        loop {
            match self.next_filled() {
                Ok("\\data\\") => break,
                Ok(comment) if comment.starts_with('#') => {
                    if let Some(method) = comment.strip_prefix(METHOD).map(str::to_owned) {
                        self.method = method;
                    }
                }
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                _ => return Err(self.not_arpa()),
            }
        }
        let mut counts = Vec::new();
        while self.next()? && !self.line.trim_ascii().is_empty() {
            let count = self.text()?.strip_prefix("ngram ").and_then(|line| line.split_once('='));
            let count = count.and_then(|(order, count)| {
                (order.trim().parse() == Ok(counts.len() + 1)).then(|| count.trim().parse::<u64>().ok())?
            });
            counts.push(count.ok_or_else(|| self.broken("'ngram ORDER=COUNT' was expected, orders from 1 up"))?);
        }
        if counts.is_empty() || counts.len() > MOST_ORDERS {
            return Err(self.broken(format!("{} orders: models of order 1 to {MOST_ORDERS} are read", counts.len())));
        }
        if counts
            .iter()
            .try_fold(0_u64, |sum, &count| sum.checked_add(count))
            .is_none_or(|sum| sum >= u64::from(u32::MAX))
        {
            return Err(
                self.broken("more than 2^32 n-grams are announced: the file is damaged, or too large to be read")
            );
        }
        Ok(counts)
    }

    fn not_arpa(&self) -> Error {
        Error::format(
            self.path,
            "not an n-gram model: a .lmn file of lmfast, or an ARPA file, which begins with \\data\\, plain or compressed by \
             gzip, was expected",
        )
    }

    /// The words and their weights, the three special ones first.
    fn unigrams(&mut self, count: u64, highest: bool) -> Result<(vocabulary::Builder, Vec<ArpaEntry>)> {
        self.section_header(1)?;
        let mut words = vocabulary::Builder::new();
        let mut entries: Vec<Option<ArpaEntry>> = vec![None; SPECIALS as usize];
        let mut capital = None;
        let mut read = 0;
        while self.next()? && !self.line.is_empty() {
            let line = self.parse(highest)?;
            let (spelling, entry) =
                (line.words, ArpaEntry { log10_prob: line.log10_prob, backoff: line.backoff, context: 0, word: 0 });
            if spelling.is_empty() || spelling.contains(' ') {
                return Err(self.broken("one word was expected"));
            }
            let id = match spelling {
                "<unk>" => UNKNOWN,
                _ => words.find_or_append(spelling),
            };
            if spelling == "<UNK>" {
                capital = Some(id);
            }
            match entries.get_mut(id as usize) {
                None => entries.push(Some(entry)),
                Some(slot @ None) => *slot = Some(entry),
                Some(Some(_)) => return Err(self.broken(format!("the word {spelling:?} is there twice"))),
            }
            read += 1;
        }
        self.check_count(1, count, read)?;
        for (mark, id) in [("<s>", BEGIN), ("</s>", END)] {
            if entries[id as usize].is_none() {
                return Err(Error::format(self.path, format!("there is no {mark} among the unigrams")));
            }
        }
        // Some programs spell the unknown word <UNK>; with both there, it is an ordinary word.
        if let (None, Some(id)) = (entries[UNKNOWN as usize], capital) {
            words = words.without(id);
            entries[UNKNOWN as usize] = entries.remove(id as usize);
        }
        let missing = ArpaEntry { log10_prob: UNKNOWN_LOG10_PROB, ..ArpaEntry::default() };
        Ok((words, entries.into_iter().map(|entry| entry.unwrap_or(missing)).collect()))
    }

    /// The n-grams of one order from 2 up, in the order of the file.
    fn section(
        &mut self,
        order: usize,
        count: u64,
        highest: bool,
        words: &vocabulary::Builder,
        builder: &Builder,
    ) -> Result<Vec<ArpaEntry>> {
        self.section_header(order)?;
        let recent = (0..rayon::current_num_threads().max(1)).map(|_| Mutex::default()).collect();
        let context = Context { order, highest, lookup: words.lookup(), builder, recent };
        let mut wanted = PART * rayon::current_num_threads().max(1);
        let mut entries = Vec::new();
        loop {
            let mut more = true;
            while more && self.block.len() - self.at < wanted {
                more = self.read_more()?;
            }
            let rest = &self.block[self.at..];
            let last = rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            let whole = if more { last } else { rest.len() };
            if whole == 0 && more {
                // A line longer than all that is wanted.
                wanted = 2 * rest.len();
                continue;
            }
            let mut used = 0;
            let mut ended = !more;
            let starts = cuts(&rest[..whole]);
            let parts = starts.par_windows(2).map(|cut| context.read(&rest[cut[0]..cut[1]]));
            for (part, start) in parts.collect::<Vec<_>>().into_iter().zip(&starts) {
                self.number += part.entries.len() as u64;
                entries.extend(part.entries);
                if let Some(what) = part.broken {
                    self.number += 1;
                    return Err(self.broken(what));
                }
                if let Some(end) = part.end {
                    self.number += 1;
                    (used, ended) = (start + end, true);
                    break;
                }
                used = whole;
            }
            self.at += used;
            self.control.advance(used as u64);
            if ended {
                break;
            }
        }
        self.check_count(order, count, entries.len() as u64)?;
        Ok(entries)
    }

    fn section_header(&mut self, order: usize) -> Result<()> {
        let expected = format!("\\{order}-grams:");
        if self.next_filled()? != expected {
            return Err(self.broken(format!("{expected} was expected")));
        }
        Ok(())
    }

    fn check_count(&self, order: usize, announced: u64, read: u64) -> Result<()> {
        if announced == read {
            return Ok(());
        }
        Err(self.broken(format!(
            "{read} {order}-grams were read and {announced} announced: the file is cut short or damaged"
        )))
    }

    fn parse(&self, highest: bool) -> Result<Line<'_>> {
        parse(&self.line, highest).map_err(|what| self.broken(what))
    }
}

/// What lines of n-grams are read with.
struct Context<'a> {
    order: usize,
    highest: bool,
    lookup: Lookup<'a>,
    builder: &'a Builder,
    /// One for each thread.
    recent: Vec<Mutex<Recent>>,
}

impl Context<'_> {
    /// Reads lines up to a blank one.
    fn read(&self, lines: &[u8]) -> Part {
        let thread = rayon::current_thread_index().unwrap_or(0) % self.recent.len();
        let mut recent = self.recent[thread].lock().unwrap_or_else(PoisonError::into_inner);
        let (mut part, mut used, mut ids) = (Part::default(), 0, Vec::with_capacity(self.order));
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            used += line.len();
            let line = without_line_end(line);
            if line.is_empty() {
                part.end = Some(used);
                break;
            }
            match self.entry(line, &mut ids, &mut recent) {
                Ok(entry) => part.entries.push(entry),
                Err(what) => {
                    part.broken = Some(what);
                    break;
                }
            }
        }
        part
    }

    fn entry(&self, line: &[u8], ids: &mut Vec<u32>, recent: &mut Recent) -> std::result::Result<ArpaEntry, String> {
        let line = parse(line, self.highest)?;
        ids.clear();
        for word in line.words.split(' ') {
            let packed = Recent::pack(word.as_bytes()).filter(|_| !word.is_empty());
            if let Some(id) = packed.and_then(|packed| recent.get(packed)) {
                ids.push(id);
                continue;
            }
            let id = match word {
                "<unk>" => Some(UNKNOWN),
                _ => self.lookup.find(word.as_bytes()).or((word == "<UNK>").then_some(UNKNOWN)),
            };
            let id = id.ok_or_else(|| format!("the word {word:?} is not among the unigrams"))?;
            if let Some(packed) = packed {
                recent.keep(packed, id);
            }
            ids.push(id);
        }
        let Some((&word, context)) = ids.split_last().filter(|_| ids.len() == self.order) else {
            return Err(format!("{} words were expected", self.order));
        };
        let context = self.builder.find(context).ok_or_else(|| {
            let shorter = self.order - 1;
            format!("its first {shorter} words are not among the {shorter}-grams, so it cannot be reached")
        })?;
        Ok(ArpaEntry { context, word, log10_prob: line.log10_prob, backoff: line.backoff })
    }
}

/// Where to cut lines into parts: behind a line end each, the first and last at the ends.
fn cuts(lines: &[u8]) -> Vec<usize> {
    let mut cuts = vec![0];
    let mut at = 0;
    while at < lines.len() {
        let from = (at + PART).min(lines.len());
        at = lines[from..].iter().position(|&byte| byte == b'\n').map_or(lines.len(), |end| from + end + 1);
        cuts.push(at);
    }
    cuts
}

fn without_line_end(mut line: &[u8]) -> &[u8] {
    while let Some((b'\n' | b'\r', rest)) = line.split_last() {
        line = rest;
    }
    line
}

fn parse(line: &[u8], highest: bool) -> std::result::Result<Line<'_>, String> {
    let line = std::str::from_utf8(line).map_err(|_| "not UTF-8: convert the file")?;
    let mut fields = line.split('\t');
    let (Some(log10_prob), Some(words), backoff, None) = (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err("a log10 probability, a tab, words separated by spaces, and perhaps a tab and a log10 back-off weight were \
                    expected"
            .to_owned());
    };
    let log10_prob = number(log10_prob)?;
    if log10_prob > 0.0 {
        return Err(format!("the log10 probability {log10_prob} is above 0"));
    }
    let backoff = number(backoff.unwrap_or("0"))?;
    if highest && backoff != 0.0 {
        return Err("an n-gram of the highest order has no back-off weight".to_owned());
    }
    Ok(Line { log10_prob, words, backoff })
}

/// A number; adding 0 makes a negative zero positive.
fn number(text: &str) -> std::result::Result<f32, String> {
    let number = text.parse().ok().filter(|number: &f32| !number.is_nan() && *number != f32::INFINITY);
    number.map(|number| number + 0.0).ok_or_else(|| format!("{text:?} is no log10 of a probability or weight"))
}
