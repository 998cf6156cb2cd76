//! Tables of the numbers that occur, or of averages of them.

use rayon::prelude::*;

use super::Table;

/// Tables of more numbers would not stay in the cache.
const MOST_EXACT: usize = 1 << 20;

/// Gives numbers codes.
pub(super) struct Coder {
    /// What the codes stand for, rising; nothing if they are the bits of the numbers.
    pub(super) table: Vec<f32>,
}

impl Coder {
    /// Exact codes, as short as may be.
    pub(super) fn exact(numbers: Vec<f32>) -> Self {
        let count = numbers.len();
        let table = distinct(numbers);
        let is_shorter = Table(&table).width() as usize * count + 32 * table.len() < 32 * count;
        Self { table: if is_shorter && table.len() <= MOST_EXACT { table } else { Vec::new() } }
    }

    /// Codes of this many bits. If there are more numbers than codes, the sorted numbers are cut into parts of equal size,
    /// and a code stands for the average of its part; but 0 stays itself, for it is what most contexts without successors
    /// have. (Equal population binning: Federico and Bertoldi 2006, "How many bits are needed to store probabilities for
    /// phrase-based translation?")
    pub(super) fn quantized(mut numbers: Vec<f32>, bits: u32) -> Self {
        let most = 1 << bits;
        numbers.par_sort_unstable_by(f32::total_cmp);
        let mut table: Vec<f32> = numbers.clone();
        table.dedup_by(|a, b| a.to_bits() == b.to_bits());
        if table.len() <= most {
            return Self { table };
        }
        numbers.retain(|&number| number != 0.0 && number.is_finite());
        let parts = most - 1;
        let mut table: Vec<f32> = (0..parts)
            .map(|part| &numbers[part * numbers.len() / parts..(part + 1) * numbers.len() / parts])
            .filter(|part| !part.is_empty())
            .map(|part| (part.iter().copied().map(f64::from).sum::<f64>() / part.len() as f64) as f32)
            .chain([0.0])
            .collect();
        table.sort_unstable_by(f32::total_cmp);
        table.dedup();
        Self { table }
    }

    /// How many bits a code has.
    pub(super) fn width(&self) -> u32 {
        Table(&self.table).width()
    }

    /// The code of the number, or of the one in the table that is nearest.
    pub(super) fn code(&self, number: f32) -> u32 {
        if self.table.is_empty() {
            return number.to_bits();
        }
        let above = self.table.partition_point(|entry| entry.total_cmp(&number).is_lt());
        let Some(&high) = self.table.get(above) else { return self.table.len() as u32 - 1 };
        match above.checked_sub(1).and_then(|below| self.table.get(below)) {
            Some(low) if high.to_bits() != number.to_bits() && number - low < high - number => above as u32 - 1,
            _ => above as u32,
        }
    }
}

/// The numbers that occur, rising; numbers of different bits are different.
fn distinct(mut numbers: Vec<f32>) -> Vec<f32> {
    numbers.par_sort_unstable_by(f32::total_cmp);
    numbers.dedup_by(|a, b| a.to_bits() == b.to_bits());
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_codes_come_back() {
        let numbers: Vec<f32> = (0..5000).map(|number| (number % 37) as f32 * -0.1).chain([-0.0]).collect();
        let coder = Coder::exact(numbers.clone());
        assert_eq!(coder.width(), 6);
        assert!(
            numbers.iter().all(|&number| Table(&coder.table).get(coder.code(number)).to_bits() == number.to_bits())
        );
        let coder = Coder::exact((0..50).map(|number| 1.0 / number as f32).collect());
        assert_eq!((coder.width(), coder.code(1.0)), (32, 1.0_f32.to_bits()));
    }

    #[test]
    fn quantized_codes_are_near() {
        let numbers: Vec<f32> = (0..10_000).map(|number| -(number as f32).sqrt()).chain([0.0; 500]).collect();
        let coder = Coder::quantized(numbers.clone(), 8);
        assert_eq!((coder.width(), coder.table.len()), (8, 256));
        for number in numbers {
            let found = Table(&coder.table).get(coder.code(number));
            assert!((found - number).abs() <= 4.0, "{number} became {found}");
            assert!(number != 0.0 || found == 0.0);
        }
        let few = Coder::quantized(vec![-1.5, 0.0, f32::NEG_INFINITY, -1.5], 2);
        assert!(
            [-1.5, 0.0, f32::NEG_INFINITY]
                .iter()
                .all(|&number| Table(&few.table).get(few.code(number)).to_bits() == number.to_bits())
        );
    }
}
