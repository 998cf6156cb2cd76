//! The pre-tokenizer of a file, made into one cutter.

use crate::format::components::{PreTokenizer, SplitPattern};
use crate::split::{self, Chain, Split, WhiteSpace, Whole};

/// The pre-tokenizer made ready.
pub(crate) struct Cut {
    pub(crate) split: Box<dyn Split>,
    /// A space is put before a text that does not begin with one.
    pub(crate) add_prefix_space: bool,
    /// The last step is `ByteLevel`.
    pub(crate) byte_level: bool,
}

impl Cut {
    pub(crate) fn new(definition: Option<&PreTokenizer>) -> Result<Self, String> {
        let (mut flat, mut steps) = (Vec::new(), Vec::<Box<dyn Split>>::new());
        if let Some(definition) = definition {
            flatten(definition, &mut flat);
        }
        let (mut add_prefix_space, mut byte_level) = (false, false);
        for step in flat {
            if byte_level {
                return Err("pre_tokenizer: a step behind ByteLevel is not supported".to_owned());
            }
            match step {
                PreTokenizer::ByteLevel { add_prefix_space: prefix, use_regex, .. } => {
                    if *prefix && !steps.is_empty() {
                        return Err("pre_tokenizer: add_prefix_space behind another step is not supported".to_owned());
                    }
                    (add_prefix_space, byte_level) = (*prefix, true);
                    if *use_regex {
                        steps.push(Box::new(split::gpt2::Gpt2));
                    }
                }
                PreTokenizer::Split { pattern: SplitPattern::Regex(pattern), .. } => {
                    steps.push(split::for_pattern(pattern).map_err(|error| format!("pre_tokenizer: {error}"))?);
                }
                PreTokenizer::Split { pattern: SplitPattern::String(text), .. } => {
                    if text.is_empty() {
                        return Err("pre_tokenizer: the pattern of a Split is empty".to_owned());
                    }
                    steps.push(Box::new(
                        split::regex::Pattern::literal(text).map_err(|error| format!("pre_tokenizer: {error}"))?,
                    ));
                }
                PreTokenizer::WhitespaceSplit {} => steps.push(Box::new(WhiteSpace)),
                PreTokenizer::Sequence { .. } => {}
            }
        }
        let split: Box<dyn Split> = match steps.len() {
            0 => Box::new(Whole),
            1 => steps.remove(0),
            _ => Box::new(Chain { steps }),
        };
        Ok(Self { split, add_prefix_space, byte_level })
    }
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
