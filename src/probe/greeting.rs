//! Which protocol a first line is of.

use super::advice;
use super::finding::Finding;
use super::secrets::Shown;
use crate::model::probe::{Protocol, Target};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// What is declared.
    Ours,
    /// What is declared, and it turns us away.
    Refused,
    /// Another protocol.
    Other(&'static str),
    Unknown,
}

pub fn heard(protocol: Protocol, line: &str) -> Heard {
    match (spoken(line), protocol) {
        (Some("IMAP"), Protocol::Imap) if starts(line, "* BYE") => Heard::Refused,
        (Some("POP3"), Protocol::Pop3) if starts(line, "-ERR") => Heard::Refused,
        (Some("SMTP"), Protocol::Smtp) if !line.starts_with('2') => Heard::Refused,
        (Some("IMAP"), Protocol::Imap) | (Some("POP3"), Protocol::Pop3) | (Some("SMTP"), Protocol::Smtp) => Heard::Ours,
        (Some(other), _) => Heard::Other(other),
        (None, _) => Heard::Unknown,
    }
}

/// Whether a line that has not ended may become a greeting of this protocol.
pub fn begins(protocol: Protocol, rest: &str) -> bool {
    let words: &[&str] = match protocol {
        Protocol::Imap => &["* OK", "* BYE", "* PREAUTH"],
        Protocol::Pop3 => &["+OK", "-ERR"],
        Protocol::Smtp => &["220", "421", "554"],
    };
    let part = words.iter().any(|word| starts(word, rest));
    !rest.is_empty() && (part || matches!(heard(protocol, rest), Heard::Ours | Heard::Refused))
}

fn starts(line: &str, word: &str) -> bool {
    line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn spoken(line: &str) -> Option<&'static str> {
    let bytes = line.as_bytes();
    let code = bytes.len() >= 3
        && bytes[..3].iter().all(u8::is_ascii_digit)
        && matches!(bytes.get(3), None | Some(b' ' | b'-'));
    let upper = line.to_ascii_uppercase();
    Some(match () {
        () if ["* OK", "* PREAUTH", "* BYE"].iter().any(|word| upper.starts_with(word)) => "IMAP",
        () if upper.starts_with("+OK") || upper.starts_with("-ERR") => "POP3",
        () if upper.starts_with("SSH-") => "SSH",
        () if upper.starts_with("HTTP/") => "HTTP",
        () if upper.starts_with("\"IMPLEMENTATION\"") => "ManageSieve",
        () if upper.starts_with("@RSYNCD:") => "rsync",
        () if upper.starts_with("RFB ") => "VNC",
        () if code && upper.contains("FTP") && !upper.contains("SMTP") => "FTP",
        () if code && upper.contains("LMTP") => "LMTP",
        () if code && (upper.starts_with("200") || upper.starts_with("201")) => "NNTP",
        () if code && matches!(bytes[0], b'2' | b'4' | b'5') => "SMTP",
        () => return None,
    })
}

/// What is said of a first line that does not let us in.
pub fn finding(target: &Target, heard: Heard, said: Shown) -> Finding {
    let declared = target.protocol.title();
    match heard {
        Heard::Refused => Finding::failed("probe/greeting-refused", "the server turns us away")
            .hint("the server says why: limits, lists of addresses that it refuses, or maintenance"),
        Heard::Other(other) => {
            Finding::failed("probe/wrong-protocol", format!("the server speaks {other}, not {declared}"))
                .hint(advice::other_protocol(target, other))
        }
        Heard::Ours | Heard::Unknown => {
            Finding::failed("probe/protocol", format!("the first line of the server is not that of {declared}"))
                .hint(advice::port(target))
        }
    }
    .said(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_has_not_ended_may_still_be_ours() {
        use Protocol::{Imap, Pop3, Smtp};
        for (protocol, rest, expected) in [
            (Imap, "* OK xxxx", true),
            (Imap, "* b", true),
            (Imap, "*", true),
            (Imap, "", false),
            (Imap, "x", false),
            (Imap, "+OK", false),
            (Pop3, "+", true),
            (Pop3, "-err no", true),
            (Smtp, "2", true),
            (Smtp, "220-x", true),
            (Smtp, "450 x", true),
            (Smtp, "220 ProFTPD", false),
            (Smtp, "字", false),
        ] {
            assert_eq!(begins(protocol, rest), expected, "{rest}");
        }
    }

    #[test]
    fn a_first_line_tells_the_protocol() {
        use Heard::{Other, Ours, Refused, Unknown};
        use Protocol::{Imap, Pop3, Smtp};
        for (protocol, line, expected) in [
            (Imap, "* OK ready", Ours),
            (Imap, "* ok [CAPABILITY IMAP4rev1] ready", Ours),
            (Imap, "* PREAUTH hello", Ours),
            (Imap, "* BYE too many", Refused),
            (Imap, "+OK ready", Other("POP3")),
            (Imap, "220 mail ESMTP", Other("SMTP")),
            (Pop3, "+OK", Ours),
            (Pop3, "-ERR go away", Refused),
            (Pop3, "* OK ready", Other("IMAP")),
            (Smtp, "220 mail ESMTP", Ours),
            (Smtp, "220-mail", Ours),
            (Smtp, "220", Ours),
            (Smtp, "421 busy", Refused),
            (Smtp, "554 no", Refused),
            (Smtp, "220 ProFTPD Server", Other("FTP")),
            (Smtp, "220 mail LMTP", Other("LMTP")),
            (Smtp, "200 news", Other("NNTP")),
            (Smtp, "SSH-2.0-OpenSSH_9.2", Other("SSH")),
            (Imap, "HTTP/1.1 400 Bad Request", Other("HTTP")),
            (Imap, "\"IMPLEMENTATION\" \"Dovecot\"", Other("ManageSieve")),
            (Imap, "", Unknown),
            (Imap, "\u{15}\u{3}\u{1}", Unknown),
            (Smtp, "2200 x", Unknown),
            (Smtp, "字字字字", Unknown),
        ] {
            assert_eq!(heard(protocol, line), expected, "{line}");
        }
    }
}
