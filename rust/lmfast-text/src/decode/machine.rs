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
    /// Characters that [`Stage::Strip`] has taken away at the beginning, or that wait at the end.
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
        let mut line = Line { stages, states: &mut self.states, raw: self.raw };
        line.chunk(token, text)?;
        line.end(text)
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
        let token = if matches!(stage, Stage::Text) { Vec::new() } else { std::mem::take(&mut state.token) };
        match stage {
            Stage::Fuse | Stage::Text => Ok(()),
            Stage::Bytes => {
                let spelled = std::str::from_utf8(&token).ok().and_then(byte_chars::bytes);
                next.chunk(spelled.as_deref().unwrap_or(&token), text)
            }
            Stage::Fallback => match fallback_byte(&token) {
                Some(byte) if next.raw => next.whole(&[byte], text),
                Some(byte) => {
                    state.run.push(byte);
                    if std::str::from_utf8(&state.run).is_err_and(|error| error.error_len().is_some()) {
                        state.broken = true;
                    }
                    if state.broken { next.replacements(&mut state.run, text) } else { Ok(()) }
                }
                None => {
                    next.run(state, text)?;
                    next.whole(&token, text)
                }
            },
            Stage::Suffix(suffix) => {
                if std::mem::replace(&mut state.later, true) {
                    next.suffixed(&mut state.run, suffix, " ", text)?;
                }
                let token = String::from_utf8_lossy(&token).into_owned();
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
                let mut becomes = String::from_utf8_lossy(&token).replace(pad_token.as_str(), "");
                if *cleanup {
                    becomes = clean(&becomes).replace(word_delimiter_token.as_str(), " ");
                }
                state.run = token;
                if becomes.is_empty() { Ok(()) } else { next.whole(becomes.as_bytes(), text) }
            }
            Stage::Strip(_) => {
                *state = State::default();
                next.end(text)
            }
            Stage::SentencePiece(spaces) => {
                let raw = next.raw;
                next.chunk(spaces.piece(&mut state.pieces, &token, raw).as_slice(), text)
            }
            Stage::Whole(step) => {
                let first = !std::mem::replace(&mut state.later, true);
                let becomes = step.apply(&String::from_utf8_lossy(&token), first)?;
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

    fn whole(&mut self, token: &[u8], text: &mut Vec<u8>) -> Result<()> {
        self.chunk(token, text)?;
        self.end(text)
    }

    /// Ends a run of bytes, which is UTF-8 but for an end that may be cut off.
    fn run(&mut self, state: &mut State, text: &mut Vec<u8>) -> Result<()> {
        state.broken = false;
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
