//! The marked message of `--send` (RFC 5322), which is sent and looked for (004:153).

use jiff::Zoned;
use jiff::fmt::rfc2822;

use super::secrets::hex;
use crate::model::probe::Send;
use crate::model::{Error, Result};

pub const HEADER: &str = "X-Yubin-Probe";

/// A word that no other message has.
pub fn word() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::failure("the system has no random numbers").because(error))?;
    Ok(hex(&bytes).to_string())
}

/// Lines with CRLF between them, none behind the last. Less than 1 KB.
pub fn text(send: &Send, word: &str, now: &Zoned) -> String {
    let date = rfc2822::to_string(now).unwrap_or_default();
    let domain = send.from.rsplit_once('@').map_or("yubin.invalid", |(_, domain)| domain);
    [
        format!("From: <{}>", send.from),
        format!("To: <{}>", send.to),
        format!("Date: {date}"),
        format!("Message-ID: <{word}@{domain}>"),
        "Subject: yubin probe".to_owned(),
        format!("{HEADER}: {word}"),
        // Nobody on holiday answers to it (RFC 3834).
        "Auto-Submitted: auto-generated".to_owned(),
        "MIME-Version: 1.0".to_owned(),
        "Content-Type: text/plain; charset=us-ascii".to_owned(),
        "Content-Transfer-Encoding: 7bit".to_owned(),
        String::new(),
        "yubin probe has sent this message to see whether mail arrives.".to_owned(),
        "It may be deleted.".to_owned(),
    ]
    .join("\r\n")
}

/// Whether these are the headers of the message with that word.
pub fn is_marked(headers: &[String], word: &str) -> bool {
    headers.iter().any(|line| {
        line.split_once(':').is_some_and(|(name, value)| name.eq_ignore_ascii_case(HEADER) && value.trim() == word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_short_and_found_again() {
        let send = Send { from: "a@example.jp".to_owned(), to: "b@example.com".to_owned(), back: None };
        let word = word().unwrap();
        let text = text(&send, &word, &Zoned::now());
        assert!(text.len() < 1024 && text.is_ascii());
        assert!(
            text.split("\r\n").all(|line| line.len() <= 78 && !line.contains(['\r', '\n']) && !line.starts_with('.'))
        );
        let headers: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
        assert!(is_marked(&headers, &word));
        assert!(is_marked(&[format!("x-yubin-probe:  {word} ")], &word));
        assert!(!is_marked(&headers, "other"));
    }
}
