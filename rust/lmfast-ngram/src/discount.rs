//! Stage 3: the discounts of an order, in closed form.
//!
//! Input: how many n-grams have the adjusted counts 1 to 4. Output: D1, D2 and D3+, what is taken from an adjusted count
//! of 1, 2, and 3 or more. (Chen and Goodman 1998, equation 26.)

use lmfast_base::{Error, Result};

/// The discounts that `lmplz --discount_fallback` takes if it is given none.
pub const DEFAULT_FALLBACK: [f32; 3] = [0.5, 1.0, 1.5];

/// What is taken from counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Discount {
    /// Taken from counts of 0 (always 0), 1, 2, and 3 or more.
    pub amounts: [f32; 4],
    /// Whether these are the fallback, for the data gave none.
    pub is_fallback: bool,
}

impl Discount {
    /// The discount of a count.
    pub(crate) fn of(&self, count: u32) -> f32 {
        self.amounts[count.min(3) as usize]
    }

    /// A count less its discount.
    pub(crate) fn apply(&self, count: u32) -> f32 {
        count as f32 - self.of(count)
    }

    /// The discounts of an order, of which `with_count[c]` n-grams have count c, or `fallback` for counts that give none.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the counts give none and there is no fallback.
    pub(crate) fn estimate(order: usize, with_count: &[u64; 5], fallback: Option<[f32; 3]>) -> Result<Self> {
        match (closed_form(with_count), fallback) {
            (Ok(amounts), _) => Ok(Self { amounts, is_fallback: false }),
            (Err(_), Some([one, two, more])) => Ok(Self { amounts: [0.0, one, two, more], is_fallback: true }),
            (Err(cause), None) => Err(Error::invalid(format!(
                "no Kneser-Ney discounts for {order}-grams: {cause}; is the text small, repetitive or made of few classes? \
                 Remove duplicates from it, or allow fixed discounts with discount_fallback='auto'"
            ))),
        }
    }
}

fn closed_form(with_count: &[u64; 5]) -> std::result::Result<[f32; 4], String> {
    let n = with_count;
    if let Some(missing) = (1..4).find(|&count| n[count] == 0) {
        return Err(format!("none has an adjusted count of {missing}"));
    }
    // The widths of the operands are those of KenLM, adjust_counts.cc: single precision but for the sum.
    let y = n[1] as f32 / (n[1] as f64 + 2.0 * n[2] as f64) as f32;
    let mut amounts = [0.0; 4];
    for count in 1..4 {
        let amount = count as f32 - (count + 1) as f32 * y * n[count + 1] as f32 / n[count] as f32;
        if !(0.0..=count as f32).contains(&amount) {
            return Err(format!("the discount of adjusted count {count} would be {amount}, outside 0 to {count}"));
        }
        amounts[count] = amount;
    }
    Ok(amounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_form_by_hand() -> Result<()> {
        let discount = Discount::estimate(2, &[9, 40, 10, 5, 2], None)?;
        // y = 40 / 60; D1 = 1 - 2y 10/40, D2 = 2 - 3y 5/10, D3 = 3 - 4y 2/5.
        for (found, expected) in discount.amounts.iter().zip([0.0, 2.0 / 3.0, 1.0, 29.0 / 15.0]) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
        assert!(!discount.is_fallback);
        Ok(())
    }

    #[test]
    fn counts_that_give_no_discounts() -> Result<()> {
        for with_count in [[0; 5], [0, 5, 0, 1, 1], [0, 9, 1, 9, 9]] {
            assert!(Discount::estimate(3, &with_count, None).is_err_and(|error| error.to_string().contains("3-grams")));
            let fallback = Discount::estimate(3, &with_count, Some(DEFAULT_FALLBACK))?;
            assert_eq!((fallback.amounts, fallback.is_fallback), ([0.0, 0.5, 1.0, 1.5], true));
        }
        Ok(())
    }
}
