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
        let text = self.text();
        words.iter().any(|word| text.contains(word))
    }

    /// The words, in lower case; those of SMTP over all lines, and without the numbers, which part sentences.
    pub fn text(&self) -> String {
        if self.number == 0 || self.verdict == Verdict::More {
            return self.line.to_lowercase();
        }
        let all = self.lines.iter().chain([&self.line]).filter_map(|line| line.get(4..));
        let words = all.flat_map(|line| {
            let words = line.split_whitespace();
            words.enumerate().filter(|(at, word)| *at > 0 || enhanced(word).is_none()).map(|(_, word)| word)
        });
        words.collect::<Vec<_>>().join(" ").to_lowercase()
    }

    /// What is told of it to people: every line that says something about this command. The line that decides stands
    /// first where the others are beside it (IMAP), as what is too long is cut at its end.
    pub fn said(&self) -> String {
        if self.number > 0 {
            return self.whole();
        }
        let beside = |line: &&String| {
            !self.is_done()
                && ["* OK", "* NO", "* BAD", "* BYE"]
                    .iter()
                    .any(|word| line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)))
        };
        let all = [&self.line].into_iter().chain(self.lines.iter().filter(beside));
        all.map(String::as_str).collect::<Vec<_>>().join(" ")
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
        && (reply.text().starts_with("tls")
            || reply.tells(&["plaintext", "cleartext", "clear text", "encrypt", "starttls", "ssl", " tls"]))
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

/// RFC 2034: `5.7.8` at the beginning.
pub fn enhanced(text: &str) -> Option<&str> {
    let word = text.split(' ').next()?;
    let parts: Vec<&str> = word.split('.').collect();
    let sound =
        parts.len() == 3 && parts.iter().all(|part| (1..4).contains(&part.len()) && part.parse::<u16>().is_ok());
    sound.then_some(word)
}

/// What stands in brackets at the beginning.
pub fn bracketed(text: &str) -> String {
    let text = text.trim_start();
    let inside = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or("", |(inside, _)| inside);
    inside.to_uppercase()
}
