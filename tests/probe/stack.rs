//! The mail server of the tests is what they take it for.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;

use crate::support::mail::{Certificate, Logins, Setup, Stack};

/// Says each line, and gives the last line of the last answer.
fn talk(stack: &Stack, port: u16, lines: &[&str]) -> String {
    let stream = TcpStream::connect((stack.setup.listen, port)).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut answer = || {
        let mut said = String::new();
        while said.is_empty() || said.starts_with("250-") {
            said.clear();
            reader.read_line(&mut said).unwrap();
        }
        said
    };
    let mut said = answer();
    for line in lines {
        (&stream).write_all(format!("{line}\r\n").as_bytes()).unwrap();
        said = answer();
    }
    said
}

#[test]
fn two_stand_beside_each_other() {
    let stacks = [Setup::default(), Setup { certificate: Certificate::None, ..Setup::default() }].map(Stack::start);
    let roots = [0, 1].map(|i| stacks[i].root().to_owned());
    stacks[0].account("taro@example.jp", "right horse");
    stacks[0].sql("UPDATE account SET pop3_enabled = 0");
    let login = "a LOGIN taro@example.jp \"right horse\"";
    let said = talk(&stacks[0], stacks[0].ports.imap, &[login]);
    assert!(said.contains("a OK"), "{said}\n{}", stacks[0].logs());
    let said = talk(&stacks[0], stacks[0].ports.pop3, &["USER taro@example.jp", "PASS right horse"]);
    assert!(said.contains("-ERR [AUTH]"), "{said}");
    let said = talk(&stacks[1], stacks[1].ports.imap, &[login]);
    assert!(said.contains("AUTHENTICATIONFAILED"), "{said}");
    let plain = "AUTH PLAIN AHRhcm9AZXhhbXBsZS5qcAByaWdodCBob3JzZQ==";
    let said = talk(&stacks[0], stacks[0].ports.smtp, &["EHLO localhost", plain]);
    assert!(said.starts_with("235"), "{said}");
    let counts = |i: usize| stacks[i].logins().get("taro@example.jp").copied().unwrap_or_default();
    assert_eq!(counts(1), Logins { taken: 0, refused: 1 }, "{}", stacks[1].logs());
    assert_eq!(counts(0), Logins { taken: 2, refused: 1 }, "{}", stacks[0].logs());
    stacks[0].deliver("taro@example.jp", "hello");
    assert_eq!(stacks[0].messages("taro@example.jp").len(), 1);
    assert!(!stacks[0].logs().contains("horse"));
    assert!(stacks[0].ca().exists());
    assert!(TcpStream::connect((stacks[1].setup.listen, stacks[1].ports.imaps)).is_err());
    drop(stacks);
    assert!(!roots.iter().any(|root| Path::new(root).exists()));
}
