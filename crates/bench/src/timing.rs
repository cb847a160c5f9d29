//! Does the time of a computation tell its input? Welch's t-test over two classes of inputs, as in dudect (Reparaz,
//! Balasch and Verbauwhede, "Dude, is my code constant time?", 2017).

/// Beyond this |t| a difference is no accident (dudect's own threshold for more measurements is 10).
pub const LEAKS_BEYOND: f64 = 4.5;

/// Mean and variance of a class, as they come (Welford 1962).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Class {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Class {
    /// Adds a measurement.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let delta = value - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (value - self.mean);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    fn variance_of_mean(&self) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        self.squares / (self.count - 1) as f64 / self.count as f64
    }
}

/// Welch's t of two classes: how many standard errors their means are apart. 0 where nothing can be said.
pub fn welch_t(a: &Class, b: &Class) -> f64 {
    let error = (a.variance_of_mean() + b.variance_of_mean()).sqrt();
    if error > 0.0 {
        (a.mean - b.mean) / error
    } else {
        0.0
    }
}

/// Two classes after the slowest measurements are cut off: those are interrupts, not the code. The cut is the same for
/// both and knows no class.
pub fn cropped(a: &[f64], b: &[f64], keep: f64) -> (Class, Class) {
    let mut all: Vec<f64> = a.iter().chain(b).copied().collect();
    all.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place within the list"
    )]
    let place = (all.len() as f64 * keep.clamp(0.0, 1.0)) as usize;
    let cut = all.get(place).copied().unwrap_or(f64::INFINITY);
    let class = |values: &[f64]| {
        let mut class = Class::default();
        values
            .iter()
            .filter(|value| **value <= cut)
            .for_each(|value| class.add(*value));
        class
    };
    (class(a), class(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Random;

    fn noise(random: &mut Random, mean: f64) -> f64 {
        mean + random.below(100) as f64
    }

    fn of(values: &[f64]) -> Class {
        let mut class = Class::default();
        for value in values {
            class.add(*value);
        }
        class
    }

    #[test]
    fn the_t_value_is_welchs() {
        // By hand: means 2 and 5, variances 1 and 4, three values each.
        let t = welch_t(&of(&[1.0, 2.0, 3.0]), &of(&[3.0, 5.0, 7.0]));
        assert!((t + 3.0 / (5.0_f64 / 3.0).sqrt()).abs() < 1e-12, "{t}");
        assert!(welch_t(&Class::default(), &of(&[1.0])).abs() < f64::EPSILON);
    }

    #[test]
    fn a_difference_is_found_and_none_is_not_invented() {
        let mut random = Random::new(1);
        let (mut same, mut other) = (Vec::new(), Vec::new());
        let mut slower = Vec::new();
        for _ in 0..20_000 {
            same.push(noise(&mut random, 1000.0));
            other.push(noise(&mut random, 1000.0));
            slower.push(noise(&mut random, 1003.0));
        }
        let t = |a: &[f64], b: &[f64]| {
            let (a, b) = cropped(a, b, 0.95);
            welch_t(&a, &b).abs()
        };
        assert!(t(&same, &other) < LEAKS_BEYOND);
        assert!(t(&same, &slower) > LEAKS_BEYOND);
    }

    #[test]
    fn the_cut_takes_the_slowest_of_both() {
        let (a, b) = cropped(&[1.0, 2.0, 900.0], &[1.0, 2.0, 3.0], 0.8);
        assert_eq!((a.count(), b.count()), (2, 3));
    }
}
