//! The pieces of a document, as the steps before the model make them.

use std::ops::Range;

use lmfast_base::{Control, Result};

use crate::cut::{Cut, Stage};
use crate::format::components::{Normalizer, PreTokenizer};
use crate::normalize::{Normalized, Normalizers};

/// The steps made ready.
#[derive(Debug)]
pub(super) struct Pieces {
    normalizers: Option<Normalizers>,
    cut: Cut,
}

impl Pieces {
    /// Makes a normalizer and a pre-tokenizer ready; behind `ByteLevel`, pieces are left as text.
    ///
    /// # Errors
    /// Says what of them cannot be used.
    pub(super) fn new(
        normalizer: Option<&Normalizer>,
        pre_tokenizer: Option<&PreTokenizer>,
    ) -> std::result::Result<Self, String> {
        let normalizers = normalizer.map(|normalizer| Normalizers::new(Some(normalizer))).transpose();
        let normalizers = normalizers.map_err(|what| format!("normalizer: {what}"))?;
        Ok(Self { normalizers, cut: Cut::new(pre_tokenizer, true)? })
    }

    /// Gives each piece of a document, as a range of a text.
    pub(super) fn each(
        &self,
        document: &str,
        ranges: &mut Vec<Range<usize>>,
        control: &Control,
        take: &mut impl FnMut(&str, Range<usize>),
    ) -> Result<()> {
        match (&self.normalizers, &*self.cut.stages) {
            (None, [Stage { rewrites, split }]) if rewrites.is_empty() => {
                let mut from = 0;
                while from < document.len() {
                    control.check()?;
                    from = split.split(document, from, ranges)?;
                    ranges.drain(..).for_each(|range| take(document, range));
                }
                Ok(())
            }
            (normalizers, stages) => {
                let mut text = Normalized::new(document, 0, self.cut.needs_start);
                if let Some(normalizers) = normalizers {
                    normalizers.apply(&mut text)?;
                }
                through(stages, &text, control, take)
            }
        }
    }
}

/// Takes a text through stages.
fn through(
    stages: &[Stage],
    text: &Normalized<'_>,
    control: &Control,
    take: &mut impl FnMut(&str, Range<usize>),
) -> Result<()> {
    let Some((stage, others)) = stages.split_first() else {
        if !text.text().is_empty() {
            take(text.text(), 0..text.text().len());
        }
        return Ok(());
    };
    if text.text().is_empty() {
        return Ok(());
    }
    let mut text = text.slice(0..text.text().len());
    stage.rewrites.iter().for_each(|rewrite| rewrite.apply(&mut text));
    let (mut ranges, mut from) = (Vec::new(), 0);
    while from < text.text().len() {
        control.check()?;
        from = stage.split.split(text.text(), from, &mut ranges)?;
        for range in ranges.drain(..) {
            if others.is_empty() {
                take(text.text(), range);
            } else {
                through(others, &text.slice(range), control, take)?;
            }
        }
    }
    Ok(())
}
