//! What a client takes: the form of an answer, and how it may be compressed.

use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

use super::incoming::Coding;

/// The entries of such a header, each with its weight in thousandths; `None` if there is no header.
fn weighted(headers: &HeaderMap, name: HeaderName) -> Option<Vec<(String, u32)>> {
    let mut entries = Vec::new();
    let mut found = false;
    for value in headers.get_all(name) {
        found = true;
        for entry in value.to_str().unwrap_or_default().split(',') {
            let mut parts = entry.split(';');
            let what = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.trim().to_ascii_lowercase().strip_prefix("q=").map(str::to_owned));
            let weight = weight.map_or(1.0, |weight| weight.parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0));
            #[expect(clippy::cast_sign_loss, reason = "it is clamped to what is positive")]
            entries.push((what, (weight * 1000.0) as u32));
        }
    }
    found.then_some(entries)
}

/// The form that a client likes best of those offered, the first of them if it likes all the same.
pub fn form(headers: &HeaderMap, offered: &[&'static str]) -> Option<&'static str> {
    let Some(wanted) = weighted(headers, ACCEPT) else { return offered.first().copied() };
    let weight = |form: &str| {
        let plain = form.split(';').next().unwrap_or_default();
        let group = plain.split('/').next().unwrap_or_default();
        let said = |name: &str| wanted.iter().find(|(what, _)| what == name).map(|(_, weight)| *weight);
        said(plain).or_else(|| said(&format!("{group}/*"))).or_else(|| said("*/*")).unwrap_or(0)
    };
    let mut best: Option<(&'static str, u32)> = None;
    for form in offered {
        let weight = weight(form);
        if weight > best.map_or(0, |(_, weight)| weight) {
            best = Some((form, weight));
        }
    }
    best.map(|(form, _)| form)
}

/// How an answer is compressed.
pub fn coding(headers: &HeaderMap) -> Coding {
    let wanted = weighted(headers, ACCEPT_ENCODING).unwrap_or_default();
    let said = |name: &str| wanted.iter().find(|(what, _)| what == name).map(|(_, weight)| *weight);
    let weight = |name| said(name).or_else(|| said("*")).unwrap_or(0);
    let (zstd, gzip) = (weight("zstd"), weight("gzip").max(said("x-gzip").unwrap_or(0)));
    match (zstd, gzip) {
        (0, 0) => Coding::Identity,
        (zstd, gzip) if zstd >= gzip => Coding::Zstd,
        _ => Coding::Gzip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn the_form_is_the_one_that_is_liked_best() {
        const BOTH: &[&str] = &["application/json", "application/x-ndjson"];
        for (accept, expected) in [
            ("*/*", Some(BOTH[0])),
            ("application/*", Some(BOTH[0])),
            ("application/x-ndjson", Some(BOTH[1])),
            ("application/json;q=0.5, application/x-ndjson", Some(BOTH[1])),
            ("text/html, */*;q=0.1", Some(BOTH[0])),
            ("text/html", None),
            ("application/json;q=0", None),
            ("application/json;q=0, */*", Some(BOTH[1])),
            ("", None),
        ] {
            assert_eq!(form(&headers(ACCEPT, accept), BOTH), expected, "{accept}");
        }
        assert_eq!(form(&HeaderMap::new(), BOTH), Some(BOTH[0]));
    }

    #[test]
    fn the_coding_is_one_that_is_taken() {
        for (accept, expected) in [
            ("gzip", Coding::Gzip),
            ("gzip, zstd", Coding::Zstd),
            ("gzip;q=1.0, zstd;q=0.5", Coding::Gzip),
            ("zstd;q=0, gzip;q=0", Coding::Identity),
            ("br", Coding::Identity),
            ("*", Coding::Zstd),
            ("identity", Coding::Identity),
        ] {
            assert_eq!(coding(&headers(ACCEPT_ENCODING, accept)), expected, "{accept}");
        }
        assert_eq!(coding(&HeaderMap::new()), Coding::Identity);
    }
}
