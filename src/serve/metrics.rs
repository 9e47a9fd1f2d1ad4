//! Figures as Prometheus reads them: `Families` is such a text while it is written.

use std::fmt::Write as _;
use std::time::Duration;

#[derive(Default)]
pub struct Families(String);

impl Families {
    /// A family, with a value for each set of labels.
    pub fn family(&mut self, name: &str, kind: &str, doc: &str, lines: &[(String, String)]) {
        self.head(name, kind, doc);
        for (labels, value) in lines {
            // Writing to a string cannot fail.
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    /// A family of one value.
    pub fn one(&mut self, name: &str, kind: &str, doc: &str, value: impl ToString + Copy) {
        self.family(name, kind, doc, &[(String::new(), value.to_string())]);
    }

    /// A histogram for each set of labels.
    pub fn histogram<'a>(
        &mut self,
        name: &str,
        doc: &str,
        all: impl IntoIterator<Item = (&'a [(&'a str, &'a str)], &'a Histogram)>,
    ) {
        self.head(name, "histogram", doc);
        for (pairs, histogram) in all {
            let Histogram { bounds, within, count, sum } = histogram;
            let text = &mut self.0;
            let mut bucket = |bound: &str, count: u64| {
                let labels = labels(&[pairs, &[("le", bound)]].concat());
                let _ = writeln!(text, "{name}_bucket{labels} {count}");
            };
            for (bound, count) in bounds.iter().zip(within) {
                bucket(&bound.to_string(), *count);
            }
            bucket("+Inf", *count);
            let labels = labels(pairs);
            let _ = writeln!(text, "{name}_sum{labels} {sum}\n{name}_count{labels} {count}");
        }
    }

    pub fn into_text(self) -> String {
        self.0
    }

    fn head(&mut self, name: &str, kind: &str, doc: &str) {
        let _ = writeln!(self.0, "# HELP {name} {doc}\n# TYPE {name} {kind}");
    }
}

/// `{name="value",…}`, with what would end a value escaped.
pub fn labels(pairs: &[(&str, &str)]) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

/// How long something took.
pub struct Histogram {
    /// Upper ones, in seconds.
    bounds: &'static [f64],
    /// How many took no longer than each bound.
    within: Vec<u64>,
    count: u64,
    sum: f64,
}

impl Histogram {
    pub fn new(bounds: &'static [f64]) -> Histogram {
        Histogram { bounds, within: vec![0; bounds.len()], count: 0, sum: 0.0 }
    }

    pub fn count(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        for (within, bound) in self.within.iter_mut().zip(self.bounds) {
            *within += u64::from(seconds <= *bound);
        }
        self.count += 1;
        self.sum += seconds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_value_is_escaped() {
        assert_eq!(labels(&[]), "");
        assert_eq!(labels(&[("a", "x"), ("b", "\"\\\n受")]), "{a=\"x\",b=\"\\\"\\\\\\n受\"}");
    }

    #[test]
    fn buckets_hold_what_took_no_longer() {
        let mut histogram = Histogram::new(&[0.5, 2.0]);
        for millis in [100, 500, 1500, 5000] {
            histogram.count(Duration::from_millis(millis));
        }
        let mut families = Families::default();
        families.histogram("took", "How long.", [(&[("a", "x")][..], &histogram), (&[][..], &Histogram::new(&[1.0]))]);
        assert_eq!(
            families.into_text(),
            "# HELP took How long.\n# TYPE took histogram\ntook_bucket{a=\"x\",le=\"0.5\"} 2\n\
             took_bucket{a=\"x\",le=\"2\"} 3\ntook_bucket{a=\"x\",le=\"+Inf\"} 4\ntook_sum{a=\"x\"} 7.1\n\
             took_count{a=\"x\"} 4\ntook_bucket{le=\"1\"} 0\ntook_bucket{le=\"+Inf\"} 0\ntook_sum 0\ntook_count 0\n"
        );
    }
}
