//! The post-processor of a file, made into a plan: which texts and special tokens stand where.
//!
//! `tokenizers` passes a list of encodings, at first one for each text, from processor to processor, and joins what
//! comes out. What happens to them does not depend on their ids, so it is done once, with stretches in their place.

use crate::format::components::{PostProcessor, TemplatePiece, TemplateText};

/// A stretch of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// A special token.
    Special { id: u32, type_id: u32 },
    /// The first text or the second.
    Text { second: bool, type_id: u32, trims: Vec<Trim> },
}

/// White space at the ends of tokens does not count as theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trim {
    /// A single space before the first token was put there.
    pub(crate) add_prefix_space: bool,
    /// The text stands at the beginning.
    pub(crate) at_start: bool,
}

/// What stands in a row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub(crate) parts: Vec<Part>,
    /// The special tokens that truncation leaves room for.
    pub(crate) num_added: usize,
}

/// The plans of a post-processor, each with special tokens and without them.
#[derive(Debug)]
pub(crate) struct Plans {
    single: [Plan; 2],
    pair: [Plan; 2],
}

impl Plans {
    /// Makes a post-processor ready for a vocabulary of `size` ids.
    ///
    /// # Errors
    /// Says what of it cannot be used.
    pub(crate) fn new(definition: Option<&PostProcessor>, size: u32) -> Result<Self, String> {
        let plan = |texts: usize, special: bool| plan(definition, texts, special, size);
        let plans = Self { single: [plan(1, false)?, plan(1, true)?], pair: [plan(2, false)?, plan(2, true)?] };
        let texts = plans.single[1].parts.iter().filter(|part| matches!(part, Part::Text { .. })).count();
        if texts != 1 {
            return Err(format!("post_processor: single: the text A is wanted once, and it is there {texts} times"));
        }
        Ok(plans)
    }

    pub(crate) fn get(&self, is_pair: bool, add_special_tokens: bool) -> &Plan {
        let plans = if is_pair { &self.pair } else { &self.single };
        &plans[usize::from(add_special_tokens)]
    }

    /// The ids before and behind a single text.
    pub(crate) fn around(&self) -> (Vec<u32>, Vec<u32>) {
        let (mut before, mut behind, mut text_seen) = (Vec::new(), Vec::new(), false);
        for part in &self.single[1].parts {
            match part {
                Part::Text { .. } => text_seen = true,
                Part::Special { id, .. } => if text_seen { &mut behind } else { &mut before }.push(*id),
            }
        }
        (before, behind)
    }
}

type Encodings = Vec<Vec<Part>>;

fn plan(definition: Option<&PostProcessor>, texts: usize, special: bool, size: u32) -> Result<Plan, String> {
    let text = |index: usize| vec![Part::Text { second: index == 1, type_id: index as u32, trims: Vec::new() }];
    let mut encodings: Encodings = (0..texts).map(text).collect();
    let mut num_added = 0;
    if let Some(definition) = definition {
        process(definition, &mut encodings, texts == 2, special, &mut num_added)
            .map_err(|what| format!("post_processor: {what}"))?;
    }
    let parts = encodings.concat();
    for part in &parts {
        if let Part::Special { id, .. } = part
            && *id >= size
        {
            return Err(format!("post_processor: the id {id} is not in the vocabulary of {size}"));
        }
    }
    Ok(Plan { parts, num_added: if special { num_added } else { 0 } })
}

fn process(
    definition: &PostProcessor,
    encodings: &mut Encodings,
    is_pair: bool,
    special: bool,
    num_added: &mut usize,
) -> Result<(), String> {
    match definition {
        PostProcessor::Sequence { processors } => {
            return processors.iter().try_for_each(|step| process(step, encodings, is_pair, special, num_added));
        }
        PostProcessor::ByteLevel { add_prefix_space, trim_offsets, .. } => {
            if *trim_offsets {
                trim(encodings, *add_prefix_space);
            }
        }
        PostProcessor::BertProcessing { sep, cls } => {
            *num_added += if is_pair { 3 } else { 2 };
            if special {
                for (index, encoding) in encodings.iter_mut().enumerate() {
                    let type_id = u32::from(index > 0);
                    if index == 0 {
                        encoding.insert(0, Part::Special { id: cls.1, type_id });
                    }
                    encoding.push(Part::Special { id: sep.1, type_id });
                }
            }
        }
        PostProcessor::RobertaProcessing { sep, cls, trim_offsets, add_prefix_space } => {
            *num_added += if is_pair { 4 } else { 2 };
            if *trim_offsets {
                trim(encodings, *add_prefix_space);
            }
            for encoding in encodings.iter_mut() {
                set_type(encoding, 0);
            }
            if special {
                for (index, encoding) in encodings.iter_mut().enumerate() {
                    let before = if index == 0 { cls.1 } else { sep.1 };
                    encoding.insert(0, Part::Special { id: before, type_id: 0 });
                    encoding.push(Part::Special { id: sep.1, type_id: 0 });
                }
            }
        }
        PostProcessor::TemplateProcessing { single, pair, special_tokens } => {
            let template = match encodings.len() {
                1 => single,
                2 => pair,
                other => return Err(format!("a TemplateProcessing cannot follow a step that makes {other} parts")),
            };
            let name = if encodings.len() == 1 { "single" } else { "pair" };
            let of_texts = if is_pair { pair } else { single };
            let ids = |name: &str| {
                special_tokens
                    .get(name)
                    .map(|token| &*token.ids)
                    .ok_or_else(|| format!("special_tokens has no {name:?}"))
            };
            for piece in of_texts {
                if let TemplatePiece::SpecialToken { id, .. } = piece {
                    *num_added += ids(id)?.len();
                }
            }
            let mut made = Encodings::new();
            for piece in template {
                match piece {
                    TemplatePiece::Sequence { id, type_id } => {
                        let number = usize::from(*id == TemplateText::B);
                        let mut encoding = encodings
                            .get(number)
                            .ok_or_else(|| format!("{name}: the text B is not wanted where there is one text"))?
                            .clone();
                        set_type(&mut encoding, *type_id);
                        made.push(encoding);
                    }
                    TemplatePiece::SpecialToken { id, type_id } => {
                        let ids = ids(id)?;
                        if special {
                            made.push(ids.iter().map(|&id| Part::Special { id, type_id: *type_id }).collect());
                        }
                    }
                }
            }
            *encodings = made;
        }
    }
    Ok(())
}

fn set_type(encoding: &mut [Part], to: u32) {
    for part in encoding {
        let (Part::Special { type_id, .. } | Part::Text { type_id, .. }) = part;
        *type_id = to;
    }
}

fn trim(encodings: &mut Encodings, add_prefix_space: bool) {
    for encoding in encodings {
        for (index, part) in encoding.iter_mut().enumerate() {
            if let Part::Text { trims, .. } = part {
                trims.push(Trim { add_prefix_space, at_start: index == 0 });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plans(definition: &str) -> Result<Plans, String> {
        Plans::new(Some(&serde_json::from_str(definition).expect("is well-formed")), 10)
    }

    fn spelled(plan: &Plan) -> String {
        let part = |part: &Part| match part {
            Part::Special { id, type_id } => format!("{id}:{type_id}"),
            Part::Text { second, type_id, trims } => {
                format!("{}:{type_id}{}", if *second { "B" } else { "A" }, "!".repeat(trims.len()))
            }
        };
        plan.parts.iter().map(part).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn plans_are_those_of_the_processors() {
        let bert = plans(r#"{"type": "BertProcessing", "sep": ["s", 2], "cls": ["c", 1]}"#).expect("is usable");
        assert_eq!(spelled(bert.get(false, true)), "1:0 A:0 2:0");
        assert_eq!(spelled(bert.get(true, true)), "1:0 A:0 2:0 B:1 2:1");
        assert_eq!((spelled(bert.get(true, false)), bert.get(true, true).num_added), ("A:0 B:1".to_owned(), 3));
        assert_eq!(bert.around(), (vec![1], vec![2]));
        let roberta = plans(r#"{"type": "RobertaProcessing", "sep": ["s", 2], "cls": ["c", 1]}"#).expect("is usable");
        assert_eq!(spelled(roberta.get(true, true)), "1:0 A:0! 2:0 2:0 B:0! 2:0");
        let none = Plans::new(None, 10).expect("is usable");
        assert_eq!((spelled(none.get(false, true)), spelled(none.get(true, true))), ("A:0".into(), "A:0 B:1".into()));
    }

    #[test]
    fn templates_follow_other_steps_where_they_can() {
        let piece = |name: &str, type_id| format!(r#"{{"Sequence": {{"id": "{name}", "type_id": {type_id}}}}}"#);
        let special = |type_id| format!(r#"{{"SpecialToken": {{"id": "x", "type_id": {type_id}}}}}"#);
        let template = |single: &[String], pair: &[String]| {
            format!(
                r#"{{"type": "TemplateProcessing", "single": [{}], "pair": [{}],
                    "special_tokens": {{"x": {{"id": "x", "ids": [4, 5], "tokens": ["x", "y"]}}}}}}"#,
                single.join(","),
                pair.join(",")
            )
        };
        let (a, b) = (piece("A", 0), piece("B", 3));
        let good = template(&[special(7), a.clone()], &[b.clone(), special(1), a.clone()]);
        let found = plans(&good).expect("is usable");
        assert_eq!(spelled(found.get(false, true)), "4:7 5:7 A:0");
        assert_eq!((spelled(found.get(true, true)), found.get(true, true).num_added), ("B:3 4:1 5:1 A:0".into(), 2));
        let trim = r#"{"type": "ByteLevel", "trim_offsets": true}"#;
        let both = plans(&format!(r#"{{"type": "Sequence", "processors": [{trim}, {good}]}}"#)).expect("is usable");
        assert_eq!(spelled(both.get(false, true)), "4:7 5:7 A:0!");
        for (wrong, what) in [
            (template(&[b], &[]), "text B"),
            (template(&[], &[]), "single"),
            (template(&[a.clone(), a], &[]), "single"),
            (good.replace("\"ids\": [4, 5]", "\"ids\": [40]"), "40"),
            (good.replace("\"x\": {", "\"z\": {"), "special_tokens"),
            (format!(r#"{{"type": "Sequence", "processors": [{good}, {good}]}}"#), "parts"),
        ] {
            assert!(plans(&wrong).is_err_and(|error| error.contains(what)), "{what}");
        }
    }
}
