//! What a server answers to a command, the same of all three protocols.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `OK`, `+OK`, 2xx.
    Done,
    /// `+`, 3xx: the server waits for more.
    More,
    /// `NO`, `-ERR`, 4xx, 5xx.
    No,
    /// `BAD`.
    Bad,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub verdict: Verdict,
    /// 0 but for SMTP.
    pub number: u16,
    /// What stands in brackets (IMAP, POP3), or the enhanced code of SMTP; upper case.
    pub code: String,
    /// The line that decides, without the tag.
    pub line: String,
    /// What came before it, or behind it where the answer has several lines.
    pub lines: Vec<String>,
}

impl Reply {
    pub fn is_done(&self) -> bool {
        self.verdict == Verdict::Done
    }

    /// Whether the code in brackets is this one.
    pub fn has(&self, code: &str) -> bool {
        self.code.split(' ').next() == Some(code)
    }

    /// Whether any of these stands in the text; in lower case.
    pub fn tells(&self, words: &[&str]) -> bool {
        let text = self.line.to_lowercase();
        words.iter().any(|word| text.contains(word))
    }

    /// All of it, as one line.
    pub fn whole(&self) -> String {
        let mut whole = self.lines.join(" ");
        if !whole.is_empty() {
            whole.push(' ');
        }
        whole + &self.line
    }
}

/// Why a login failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// User or password, and nobody says which of them.
    Password,
    NeedsTls,
    Unavailable,
    Limit,
    Mechanism,
    NoAuth,
    Protocol,
}

/// What several servers say in words alone, while the connection is not encrypted.
pub fn wants_tls(reply: &Reply, encrypted: bool) -> bool {
    !encrypted
        && reply.tells(&["plaintext", "cleartext", "clear text", "encrypt", "starttls", "ssl", " tls"])
        && reply.tells(&[
            "disallow",
            "not allowed",
            "not permitted",
            "disabled",
            "must",
            "require",
            "need",
            "only",
            "first",
        ])
}

pub fn wants_rest(reply: &Reply) -> bool {
    reply.tells(&["too many", "maximum number", "rate limit", "try again later", "throttl"])
}

/// What stands in brackets at the beginning.
pub fn bracketed(text: &str) -> String {
    let text = text.trim_start();
    let inside = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or("", |(inside, _)| inside);
    inside.to_uppercase()
}
