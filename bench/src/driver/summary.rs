//! Medians, ranges and ratios over the rounds of a row.
//! It must never average: one disturbed round must not move a figure.

use std::fmt;

/// The median of some figures with the smallest and the largest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// `None` when there are no figures.
    pub(super) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median = if figures.len() % 2 == 1 {
            figures[middle]
        } else {
            (figures[middle - 1] + figures[middle]) / 2.0
        };
        Some(Spread { median, min, max })
    }

    /// Ratios round by round; rounds that lack either figure are left out.
    pub(super) fn of_ratios(figures: &[Option<f64>], to: &[Option<f64>]) -> Option<Spread> {
        let pairs = figures.iter().zip(to);
        Spread::of(pairs.filter_map(|(figure, to)| Some((*figure)? / (*to)?)))
    }
}

/// Three significant digits, thousands with commas.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figure(pub f64);

impl fmt::Display for Figure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure(value) = *self;
        let size = value.abs();
        if size < 1.0 {
            return write!(formatter, "{value:.3}");
        }
        if size < 10.0 {
            return write!(formatter, "{value:.2}");
        }
        if size < 100.0 {
            return write!(formatter, "{value:.1}");
        }
        let digits = format!("{size:.0}");
        let mut text = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index) % 3 == 0 {
                text.push(',');
            }
            text.push(digit);
        }
        write!(formatter, "{}{text}", if value < 0.0 { "-" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_between_two() {
        let check = |figures: &[f64], median, min, max| {
            let spread = Spread::of(figures.iter().copied());
            assert_eq!(spread, Some(Spread { median, min, max }), "{figures:?}");
        };
        check(&[3.0], 3.0, 3.0, 3.0);
        check(&[9.0, 1.0, 2.0], 2.0, 1.0, 9.0);
        check(&[4.0, 1.0, 2.0, 100.0], 3.0, 1.0, 100.0);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn ratios_compare_within_a_round() {
        let ours = [Some(2.0), None, Some(9.0), Some(6.0)];
        let floor = [Some(1.0), Some(1.0), Some(3.0), Some(3.0)];
        let spread = Spread::of_ratios(&ours, &floor);
        assert_eq!(spread, Some(Spread { median: 2.0, min: 2.0, max: 3.0 }));
        assert_eq!(Spread::of_ratios(&[None], &[Some(1.0)]), None);
    }

    #[test]
    fn figures_have_three_digits_or_commas() {
        let check = |value, text: &str| assert_eq!(Figure(value).to_string(), text);
        check(0.1774, "0.177");
        check(2.663, "2.66");
        check(26.44, "26.4");
        check(369155.2, "369,155");
        check(1000.0, "1,000");
        check(-1234.5, "-1,234");
        check(100.0, "100");
    }
}
