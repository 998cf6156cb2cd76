//! How fast a model answers: `query_speed train TEXT MODEL`, then `query_speed time MODEL TEXT [THREADS]`.
#![allow(clippy::print_stdout, missing_docs)]

use std::path::PathBuf;
use std::time::Instant;

use lmfast_base::source::{Files, Options as SourceOptions};
use lmfast_base::{Control, Error, Result, threads};
use lmfast_ngram::words::{Reader, Unknown};
use lmfast_ngram::{Kind, Model, Options, estimate};

fn files(path: &str) -> Result<Files> {
    let options = SourceOptions { lines: true, keep_line_ends: true, ..SourceOptions::default() };
    Files::new(vec![PathBuf::from(path)], options)
}

fn train(text: &str, out: &str) -> Result<()> {
    let (control, start) = (Control::default(), Instant::now());
    let mut reader = Reader::new(Unknown::Unknown);
    reader.read(files(text)?, None, &control)?;
    let (corpus, vocabulary) = reader.finish()?;
    let options = Options {
        order: 5,
        prune: vec![0],
        vocabulary: None,
        discount_fallback: Some([0.5, 1.0, 1.5]),
        smoothing: lmfast_ngram::Smoothing::ModifiedKneserNey,
        interpolate_unigrams: true,
        vocab_pad: 0,
    };
    let (model, _) = estimate(corpus, vocabulary, Kind::Words, &options, &control)?;
    println!("estimated after {:.2} s", start.elapsed().as_secs_f64());
    model.index_now(&control)?;
    println!("indexed after {:.2} s", start.elapsed().as_secs_f64());
    model.save_lmn(out, &control)?;
    println!("saved after {:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Does something several times; the median and the least nanoseconds for each of `count`.
fn nanoseconds(count: usize, mut work: impl FnMut() -> Result<()>) -> Result<String> {
    let mut rounds = Vec::new();
    for _ in 0..15 {
        let start = Instant::now();
        work()?;
        rounds.push(start.elapsed().as_secs_f64() / count as f64 * 1e9);
    }
    rounds.sort_by(f64::total_cmp);
    Ok(format!("{:.1} ns ({:.1})", rounds[rounds.len() / 2], rounds[0]))
}

fn time(model: &str, text: &str) -> Result<()> {
    let control = Control::default();
    let start = Instant::now();
    let model = Model::load(model, &control)?;
    println!("opened in {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
    let ids = model.line_ids(files(text)?, &control)?;
    let lines = std::fs::read_to_string(text).map_err(Error::io(text))?;
    let lines: Vec<&str> = lines.lines().collect();
    let points = nanoseconds(ids.len(), || model.word_scores(&ids, true, &control).map(|_| ()))?;
    let texts = nanoseconds(ids.len(), || model.score_batch(&lines, true, true, &control).map(|_| ()))?;
    let words = nanoseconds(ids.len(), || model.line_ids(files(text)?, &control).map(|_| ()))?;
    println!("a token, median and least: ids {points}, texts {texts}, finding words {words}");
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["train", text, out] => threads::pool(None)?.install(|| train(text, out)),
        ["time", model, text] => threads::pool(Some(1))?.install(|| time(model, text)),
        ["time", model, text, number] => threads::pool(number.parse().ok())?.install(|| time(model, text)),
        _ => Err(Error::invalid("query_speed train TEXT MODEL | time MODEL TEXT [THREADS]")),
    }
}
