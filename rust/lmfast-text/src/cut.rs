//! The pre-tokenizer of a file, made into stages: changes of a piece, then cuts.

use crate::format::components::{Behavior, Metaspace, Pattern, PreTokenizer, PrependScheme};
use crate::normalize::{Normalized, to_byte_alphabet};
use crate::split::find::{Behaved, Finder};
use crate::split::simple::{At, BertWords, Delimiter, FixedLength, Scripts, Words};
use crate::split::{self, Chain, Split, WhiteSpace, Whole};
use crate::unicode::{NUMERIC, PUNCTUATION};

/// The pre-tokenizer made ready.
#[derive(Debug)]
pub(crate) struct Cut {
    /// At least one; each works on the pieces of the one before.
    pub(crate) stages: Vec<Stage>,
    /// The pieces are meant in the byte alphabet, and left as text for a model that knows.
    pub(crate) byte_level: bool,
    /// Whether a change depends on where the text begins.
    pub(crate) needs_start: bool,
}

/// Changes of a piece, then cuts of what it has become.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) rewrites: Vec<Rewrite>,
    pub(crate) split: Box<dyn Split>,
}

/// A change of a piece, which is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rewrite {
    /// A space is put before it if it does not begin with one.
    PrefixSpace,
    /// Spaces become a visible character, and one is put before it.
    VisibleSpaces { replacement: char, scheme: PrependScheme },
    /// Its bytes are spelled in GPT-2's byte alphabet.
    ByteAlphabet,
}

impl Rewrite {
    pub(crate) fn apply(self, text: &mut Normalized<'_>) {
        match self {
            Self::PrefixSpace => {
                if !text.text().starts_with(' ') {
                    text.prepend(" ");
                }
            }
            Self::VisibleSpaces { replacement, scheme } => {
                let mut spelled = [0; 4];
                let spelled: &str = replacement.encode_utf8(&mut spelled);
                let spaces: Vec<_> = text.text().match_indices(' ').map(|(at, _)| at..at + 1).collect();
                text.replace(&spaces, spelled);
                let wanted = match scheme {
                    PrependScheme::Always => true,
                    PrependScheme::First => text.is_at_start(),
                    PrependScheme::Never => false,
                };
                if wanted && !text.text().starts_with(replacement) {
                    text.prepend(spelled);
                }
            }
            Self::ByteAlphabet => to_byte_alphabet(text),
        }
    }
}

impl Cut {
    /// Makes a pre-tokenizer ready for a model, which may take the bytes of text for the byte alphabet.
    ///
    /// # Errors
    /// Says what of it cannot be used.
    pub(crate) fn new(definition: Option<&PreTokenizer>, takes_bytes: bool) -> Result<Self, String> {
        let mut flat = Vec::new();
        if let Some(definition) = definition {
            flatten(definition, &mut flat);
        }
        let mut builder = Builder::default();
        let mut byte_level = false;
        let mut steps = &flat[..];
        while let [step, behind @ ..] = steps {
            if let Some(behind) = behind_deepseek(steps) {
                builder.cut(Box::new(split::deepseek::DeepSeek));
                steps = behind;
                continue;
            }
            steps = behind;
            match step {
                PreTokenizer::ByteLevel { add_prefix_space, use_regex, .. } => {
                    if *add_prefix_space {
                        builder.rewrite(Rewrite::PrefixSpace);
                    }
                    if *use_regex {
                        builder.cut(Box::new(split::gpt2::Gpt2));
                    }
                    byte_level = behind.is_empty() && takes_bytes;
                    if !byte_level {
                        builder.rewrite(Rewrite::ByteAlphabet);
                    }
                }
                PreTokenizer::Metaspace(Metaspace { replacement, prepend_scheme, split }) => {
                    builder.rewrite(Rewrite::VisibleSpaces { replacement: *replacement, scheme: *prepend_scheme });
                    if *split {
                        builder.cut(at(Delimiter::Is(*replacement), Behavior::MergedWithNext));
                    }
                }
                step => builder.cut(cutter(step).map_err(|what| format!("pre_tokenizer: {what}"))?),
            }
        }
        let needs_start =
            |rewrite: &Rewrite| matches!(rewrite, Rewrite::VisibleSpaces { scheme: PrependScheme::First, .. });
        let stages = builder.finish();
        Ok(Self { needs_start: stages.iter().flat_map(|stage| &stage.rewrites).any(needs_start), stages, byte_level })
    }
}

/// The cutter of a step that changes nothing.
fn cutter(step: &PreTokenizer) -> Result<Box<dyn Split>, String> {
    Ok(match step {
        PreTokenizer::BertPreTokenizer {} => Box::new(BertWords),
        PreTokenizer::CharDelimiterSplit { delimiter } => at(Delimiter::Is(*delimiter), Behavior::Removed),
        PreTokenizer::Whitespace {} => Box::new(Words),
        PreTokenizer::WhitespaceSplit {} => Box::new(WhiteSpace),
        PreTokenizer::Punctuation { behavior } => at(Delimiter::Has(PUNCTUATION), *behavior),
        PreTokenizer::Digits { individual_digits } => {
            let behavior = if *individual_digits { Behavior::Isolated } else { Behavior::Contiguous };
            at(Delimiter::Has(NUMERIC), behavior)
        }
        PreTokenizer::UnicodeScripts {} => Box::new(Scripts),
        PreTokenizer::Split { pattern, behavior, invert } => split_at(pattern, *behavior, *invert)?,
        PreTokenizer::FixedLength { length: 0 } => return Err("length: 0 cuts nothing, 1 or more is wanted".to_owned()),
        PreTokenizer::FixedLength { length } => Box::new(FixedLength { length: *length }),
        PreTokenizer::ByteLevel { .. } | PreTokenizer::Metaspace(_) | PreTokenizer::Sequence { .. } => Box::new(Whole),
    })
}

fn split_at(pattern: &Pattern, behavior: Behavior, invert: bool) -> Result<Box<dyn Split>, String> {
    match (pattern, behavior, invert) {
        // All pieces are taken, and a scanner or the engine gives them as they come.
        (Pattern::Regex(pattern), Behavior::Isolated, _) => {
            return split::for_pattern(pattern).map_err(|error| error.to_string());
        }
        // What lies between matches is taken away, where nothing does.
        (Pattern::Regex(pattern), Behavior::Removed, true) => {
            if let Some(scanner) = split::scanner(pattern) {
                return Ok(scanner);
            }
        }
        _ => {}
    }
    Ok(Box::new(Behaved { finder: Finder::new(pattern)?, behavior, invert }))
}

/// The steps behind those of `DeepSeek`, if they come first.
fn behind_deepseek<'a, 'b>(steps: &'a [&'b PreTokenizer]) -> Option<&'a [&'b PreTokenizer]> {
    let isolated = |step: &&'b PreTokenizer| match step {
        PreTokenizer::Split { pattern: Pattern::Regex(pattern), behavior: Behavior::Isolated, .. } => Some(&**pattern),
        _ => None,
    };
    let (first, behind) = steps.split_first_chunk()?;
    (first.each_ref().map(isolated) == split::deepseek::PATTERNS.map(Some)).then_some(behind)
}

fn at(delimiter: Delimiter, behavior: Behavior) -> Box<dyn Split> {
    Box::new(At { delimiter, behavior })
}

fn flatten<'a>(step: &'a PreTokenizer, flat: &mut Vec<&'a PreTokenizer>) {
    if let PreTokenizer::Sequence { pretokenizers } = step {
        for inner in pretokenizers {
            flatten(inner, flat);
        }
    } else {
        flat.push(step);
    }
}

/// Stages while they are put together.
#[derive(Default)]
struct Builder {
    done: Vec<Stage>,
    rewrites: Vec<Rewrite>,
    cuts: Vec<Box<dyn Split>>,
}

impl Builder {
    fn rewrite(&mut self, rewrite: Rewrite) {
        if !self.cuts.is_empty() {
            self.close();
        }
        self.rewrites.push(rewrite);
    }

    fn cut(&mut self, split: Box<dyn Split>) {
        self.cuts.push(split);
    }

    fn close(&mut self) {
        let mut cuts = std::mem::take(&mut self.cuts);
        let split: Box<dyn Split> = match cuts.len() {
            0 => Box::new(Whole),
            1 => cuts.remove(0),
            _ => Box::new(Chain { steps: cuts }),
        };
        self.done.push(Stage { rewrites: std::mem::take(&mut self.rewrites), split });
    }

    fn finish(mut self) -> Vec<Stage> {
        if self.done.is_empty() || !self.rewrites.is_empty() || !self.cuts.is_empty() {
            self.close();
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scanners_are_found_for_steps() {
        let step = |pattern: &str, behavior, invert| PreTokenizer::Split {
            pattern: Pattern::Regex(pattern.to_owned()),
            behavior,
            invert,
        };
        let cut = |pretokenizers| {
            let cut = Cut::new(Some(&PreTokenizer::Sequence { pretokenizers }), true).expect("can be used");
            format!("{:?}", cut.stages[0].split)
        };
        let deepseek = || split::deepseek::PATTERNS.map(|pattern| step(pattern, Behavior::Isolated, false)).to_vec();
        assert_eq!(cut(deepseek()), "DeepSeek");
        let others = [deepseek(), vec![PreTokenizer::Whitespace {}]].concat();
        assert_eq!(cut(others), "Chain { steps: [DeepSeek, Words] }");
        let two = deepseek().into_iter().skip(1).collect();
        assert!(cut(two).contains("Pattern"));
        let gpt2 = split::gpt2::PATTERN;
        assert_eq!(cut(vec![step(gpt2, Behavior::Removed, true)]), "Gpt2");
        assert!(cut(vec![step(gpt2, Behavior::Removed, false)]).starts_with("Behaved"));
        assert!(cut(vec![step(r"\w+", Behavior::Removed, true)]).starts_with("Behaved"));
    }
}
