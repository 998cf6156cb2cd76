//! The steps of a decoder for which tokens depend on each other, over a stream of tokens.
//!
//! A token is a row of chunks and an end. A stage takes both, and gives chunks and ends to the next as soon as nothing
//! that may follow could change them; the last stage's chunks are the text. So a text decoded at once and one decoded
//! token by token go the same way.

use lmfast_base::Result;

use super::sentencepiece;
use super::step::{Step, Strip, clean};
use crate::byte_chars;
use crate::model::fallback_byte;

/// A step over a stream of tokens.
#[derive(Debug)]
pub(super) enum Stage {
    /// All tokens become one.
    Fuse,
    /// Each token is spelled in the byte alphabet, and all become one of bytes.
    Bytes,
    /// The bytes of a token become text, U+FFFD where they are not UTF-8.
    Text,
    /// Runs of tokens such as `<0x0A>` become text, or U+FFFD for each if their bytes are not UTF-8.
    Fallback,
    /// The suffix of words becomes a space, and nothing in the last token.
    Suffix(String),
    /// Of equal neighbours one is left, and padding is taken away.
    Ctc { pad_token: String, word_delimiter_token: String, cleanup: bool },
    /// A character is taken away at both ends.
    Strip(Strip),
    /// Pieces of `SentencePiece`.
    SentencePiece(sentencepiece::Spaces),
    /// What needs the whole token.
    Whole(Step),
}

/// What a stage remembers.
#[derive(Debug, Default)]
struct State {
    /// The token so far, or the rest of it that waits.
    token: Vec<u8>,
    /// The bytes of a run of [`Stage::Fallback`], while they may still become text.
    run: Vec<u8>,
    /// No text can be made of the run.
    broken: bool,
    /// There was a token before.
    later: bool,
    /// Characters that [`Stage::Strip`] has taken away at the beginning, and that wait at the end; bytes of a run that
    /// are whole characters.
    taken: usize,
    waiting: usize,
    /// What [`Stage::SentencePiece`] remembers.
    pieces: sentencepiece::State,
    /// Something was kept of the token, and no more is taken away at its beginning.
    kept: bool,
}

/// The states of all stages at a place of a stream.
#[derive(Debug)]
pub(super) struct Machine {
    states: Vec<State>,
    /// Bytes are wanted, whether they are UTF-8 or not.
    raw: bool,
}

impl Machine {
    pub(super) fn new(stages: &[Stage], raw: bool) -> Self {
        Self { states: stages.iter().map(|_| State::default()).collect(), raw }
    }

    /// Takes a token, and appends what is certain.
    pub(super) fn token(&mut self, stages: &[Stage], token: &[u8], text: &mut Vec<u8>) -> Result<()> {
        Line { stages, states: &mut self.states, raw: self.raw }.whole(token, text)
    }

    /// Appends what is left.
    pub(super) fn finish(&mut self, stages: &[Stage], text: &mut Vec<u8>) -> Result<()> {
        Line { stages, states: &mut self.states, raw: self.raw }.finish(text)
    }
}

/// A stage and those behind it.
struct Line<'a> {
    stages: &'a [Stage],
    states: &'a mut [State],
    raw: bool,
}

impl Line<'_> {
    /// The stage, its state, and those behind it.
    fn first(&mut self) -> Option<(&Stage, &mut State, Line<'_>)> {
        let (stage, stages) = self.stages.split_first()?;
        let (state, states) = self.states.split_first_mut()?;
        Some((stage, state, Line { stages, states, raw: self.raw }))
    }

    fn chunk(&mut self, chunk: &[u8], text: &mut Vec<u8>) -> Result<()> {
        let Some((stage, state, mut next)) = self.first() else {
            text.extend_from_slice(chunk);
            return Ok(());
        };
        match stage {
            Stage::Fuse => next.chunk(chunk, text),
            Stage::Text if next.raw => next.chunk(chunk, text),
            Stage::Text => {
                state.token.extend_from_slice(chunk);
                let whole = super::take_text(&mut state.token);
                next.chunk(whole.as_bytes(), text)
            }
            Stage::Strip(strip) => strip_chunk(*strip, state, chunk, &mut next, text),
            _ => {
                state.token.extend_from_slice(chunk);
                Ok(())
            }
        }
    }

    fn end(&mut self, text: &mut Vec<u8>) -> Result<()> {
        let Some((stage, state, mut next)) = self.first() else { return Ok(()) };
        match stage {
            Stage::Fuse | Stage::Text => Ok(()),
            Stage::Strip(_) => {
                *state = State::default();
                next.end(text)
            }
            _ => {
                let token = std::mem::take(&mut state.token);
                self.collected(&token, text)
            }
        }
    }

    /// The rest of a token, mostly all of it, which then is not copied.
    fn whole(&mut self, token: &[u8], text: &mut Vec<u8>) -> Result<()> {
        let is_all = self.states.first().is_some_and(|state| state.token.is_empty());
        match self.stages.first() {
            Some(stage) if is_all && !matches!(stage, Stage::Fuse | Stage::Text | Stage::Strip(_)) => {
                self.collected(token, text)
            }
            _ => {
                self.chunk(token, text)?;
                self.end(text)
            }
        }
    }

    /// A whole token, at a stage that needs it as such.
    fn collected(&mut self, token: &[u8], text: &mut Vec<u8>) -> Result<()> {
        let Some((stage, state, mut next)) = self.first() else { return Ok(()) };
        match stage {
            Stage::Fuse | Stage::Text | Stage::Strip(_) => Ok(()),
            Stage::Bytes => {
                let spelled = std::str::from_utf8(token).ok().and_then(byte_chars::bytes);
                next.chunk(spelled.as_deref().unwrap_or(token), text)
            }
            Stage::Fallback => match fallback_byte(token) {
                Some(byte) if next.raw => next.whole(&[byte], text),
                Some(byte) => {
                    state.run.push(byte);
                    match std::str::from_utf8(&state.run[state.taken..]) {
                        Ok(_) => state.taken = state.run.len(),
                        Err(error) => state.broken |= error.error_len().is_some(),
                    }
                    if state.broken {
                        state.taken = 0;
                        return next.replacements(&mut state.run, text);
                    }
                    Ok(())
                }
                None => {
                    next.run(state, text)?;
                    next.whole(token, text)
                }
            },
            Stage::Suffix(suffix) => {
                if std::mem::replace(&mut state.later, true) {
                    next.suffixed(&mut state.run, suffix, " ", text)?;
                }
                let token = String::from_utf8_lossy(token).into_owned();
                let certain = token.find(suffix.as_str()).unwrap_or(token.len());
                next.chunk(&token.as_bytes()[..certain], text)?;
                state.run.extend_from_slice(&token.as_bytes()[certain..]);
                Ok(())
            }
            Stage::Ctc { pad_token, word_delimiter_token, cleanup } => {
                if state.later && state.run == token {
                    return Ok(());
                }
                state.later = true;
                let mut becomes = String::from_utf8_lossy(token).replace(pad_token.as_str(), "");
                if *cleanup {
                    becomes = clean(&becomes).replace(word_delimiter_token.as_str(), " ");
                }
                state.run = token.to_vec();
                if becomes.is_empty() { Ok(()) } else { next.whole(becomes.as_bytes(), text) }
            }
            Stage::SentencePiece(spaces) => {
                let raw = next.raw;
                next.chunk(spaces.piece(&mut state.pieces, token, raw).as_slice(), text)
            }
            Stage::Whole(step) => {
                let first = !std::mem::replace(&mut state.later, true);
                let becomes = step.apply(&String::from_utf8_lossy(token), first)?;
                next.whole(becomes.as_bytes(), text)
            }
        }
    }

    fn finish(&mut self, text: &mut Vec<u8>) -> Result<()> {
        let Some((stage, state, mut next)) = self.first() else { return Ok(()) };
        match stage {
            Stage::Fuse | Stage::Bytes => next.end(text)?,
            Stage::Text => {
                let rest = std::mem::take(&mut state.token);
                next.whole(String::from_utf8_lossy(&rest).as_bytes(), text)?;
            }
            Stage::Fallback => next.run(state, text)?,
            Stage::SentencePiece(_) => {
                let raw = next.raw;
                next.chunk(&state.pieces.finish(raw), text)?;
            }
            Stage::Suffix(suffix) => {
                if state.later {
                    next.suffixed(&mut state.run, suffix, "", text)?;
                }
            }
            Stage::Ctc { .. } | Stage::Strip(_) | Stage::Whole(_) => {}
        }
        *state = State::default();
        next.finish(text)
    }

    /// Ends a run of bytes, which is UTF-8 but for an end that may be cut off.
    fn run(&mut self, state: &mut State, text: &mut Vec<u8>) -> Result<()> {
        (state.broken, state.taken) = (false, 0);
        let run = std::mem::take(&mut state.run);
        if run.is_empty() {
            return Ok(());
        }
        if std::str::from_utf8(&run).is_ok() {
            return self.whole(&run, text);
        }
        self.replacements(&mut run.clone(), text)
    }

    /// A U+FFFD for every byte.
    fn replacements(&mut self, run: &mut Vec<u8>, text: &mut Vec<u8>) -> Result<()> {
        run.drain(..).try_for_each(|_| self.whole("\u{FFFD}".as_bytes(), text))
    }

    /// The rest of a token from its first suffix on.
    fn suffixed(&mut self, rest: &mut Vec<u8>, suffix: &str, becomes: &str, text: &mut Vec<u8>) -> Result<()> {
        let rest = String::from_utf8_lossy(&std::mem::take(rest)).replace(suffix, becomes);
        self.whole(rest.as_bytes(), text)
    }
}

fn strip_chunk(
    strip: Strip,
    state: &mut State,
    mut chunk: &[u8],
    next: &mut Line<'_>,
    text: &mut Vec<u8>,
) -> Result<()> {
    let mut content = [0; 4];
    let content = strip.content.encode_utf8(&mut content).as_bytes();
    while !state.kept && state.taken < strip.start {
        let Some(rest) = chunk.strip_prefix(content) else { break };
        state.taken += 1;
        chunk = rest;
    }
    if chunk.is_empty() {
        return Ok(());
    }
    state.kept = true;
    let (mut kept, mut waiting) = (chunk, 0);
    while waiting < strip.stop {
        let Some(rest) = kept.strip_suffix(content) else { break };
        waiting += 1;
        kept = rest;
    }
    // What waited is certain where more of the token follows, but for as much as may still be the end.
    let certain = if kept.is_empty() { (state.waiting + waiting).saturating_sub(strip.stop) } else { state.waiting };
    for _ in 0..certain {
        next.chunk(content, text)?;
    }
    state.waiting = if kept.is_empty() { (state.waiting + waiting).min(strip.stop) } else { waiting };
    next.chunk(kept, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is certain after each token, and what is left at the end.
    fn run(stages: &[Stage], tokens: &[&str], raw: bool) -> Vec<Vec<u8>> {
        let mut machine = Machine::new(stages, raw);
        let mut parts = Vec::new();
        for token in tokens {
            let mut text = Vec::new();
            machine.token(stages, token.as_bytes(), &mut text).expect("no pattern");
            parts.push(text);
        }
        let mut text = Vec::new();
        machine.finish(stages, &mut text).expect("no pattern");
        parts.push(text);
        parts
    }

    fn texts(stages: &[Stage], tokens: &[&str]) -> Vec<String> {
        run(stages, tokens, false).into_iter().map(|part| String::from_utf8(part).expect("is text")).collect()
    }

    #[test]
    fn runs_of_bytes_wait_until_they_are_text_or_cannot_be() {
        let stages = [Stage::Fallback, Stage::Fuse];
        let euro = ["<0xE2>", "<0x82>", "<0xAC>"];
        assert_eq!(texts(&stages, &[euro[0], euro[1], euro[2], "a"]), ["", "", "", "\u{20ac}a", ""]);
        assert_eq!(texts(&stages, &[euro[0], euro[1]]), ["", "", "\u{fffd}\u{fffd}"]);
        assert_eq!(
            texts(&stages, &["<0x41>", euro[1], euro[2], "a", "<0x42>"]),
            ["", "\u{fffd}\u{fffd}", "\u{fffd}", "a", "", "B"]
        );
        assert_eq!(run(&stages, &[euro[1], "a"], true).concat(), b"\x82a");
        let start = std::time::Instant::now();
        assert_eq!(texts(&stages, &["<0xC3>", "<0xA9>"].repeat(100_000)).concat().chars().count(), 100_000);
        assert!(start.elapsed().as_secs() < 5, "quadratic time: {:?}", start.elapsed());
    }

    #[test]
    fn ends_wait_until_they_cannot_be_stripped() {
        let strip = Stage::Strip(Strip { content: ' ', start: 2, stop: 1 });
        let stages = [Stage::Fuse, strip];
        assert_eq!(texts(&stages, &[" ", "  a ", " ", "b ", " "]), ["", " a", " ", " b", " ", ""]);
        assert_eq!(texts(&stages[1..], &["  a ", "a"]), [" a".trim(), "a", ""]);
    }

    #[test]
    fn the_last_suffix_becomes_nothing() {
        let stages = [Stage::Suffix("</w>".to_owned())];
        assert_eq!(texts(&stages, &["a</w>", "b", "c</w>"]), ["a", " b", "c", ""]);
        assert!(texts(&stages, &[]).concat().is_empty());
    }
}
