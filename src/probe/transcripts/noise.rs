//! Whatever a server says: no panic, no secret, nothing unprintable.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::dialogue::{Dialogue, Stream};
use super::super::finding::{Finding, Steps};
use super::super::login::log_in;
use super::super::secrets::Secrets;
use super::super::session::Session;
use super::super::{behind, smtp};
use super::{clean, target};
use crate::model::probe::{Mechanism, Outcome, Protocol, Security, Send, Step, StepName, Target};

/// A server that says these bytes, whatever it is asked.
struct Noise {
    bytes: VecDeque<u8>,
    piece: usize,
    encrypted: bool,
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.bytes.len().min(buffer.len()).min(self.piece);
        for place in &mut buffer[..n] {
            *place = self.bytes.pop_front().unwrap_or_default();
        }
        Ok(n)
    }
}

impl Write for Noise {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Noise {
    fn until(&mut self, _: Instant) {}

    fn encrypt(&mut self, _: &Secrets) -> Result<Finding, Finding> {
        self.encrypted = true;
        Ok(Finding::ok(""))
    }

    fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    fn greets_with_tls(&mut self, _: Duration) -> Option<String> {
        None
    }

    fn own_address(&self) -> Option<IpAddr> {
        None
    }

    fn is_local(&self) -> bool {
        false
    }
}

fn noisy(target: &Target, bytes: &[u8], piece: usize) -> Vec<Step> {
    let secrets = Secrets::of(target);
    let mut steps = Steps::default();
    let noise = Noise { bytes: bytes.iter().copied().collect(), piece, encrypted: false };
    let timeout = Duration::from_secs(1);
    let dialogue = Dialogue::new(noise, &secrets, timeout, Instant::now() + timeout);
    if let Ok(mut session) = Session::open(dialogue, target, &mut steps) {
        if let Ok(login) = log_in(&mut session, &mut steps, None) {
            let _ = behind(&mut session, login, &mut steps);
            if let Some(send) = &target.send {
                let sent = smtp::send(&mut session, send, "x");
                let _ = steps.take(StepName::Send, sent);
            }
        }
        session.close();
    }
    steps.into_list()
}

/// Lines that come near to the protocols, and bytes that do not.
fn said() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "* OK ready",
        "* BYE",
        "* CAPABILITY IMAP4rev1 AUTH=PLAIN STARTTLS QUOTA",
        "a1 OK",
        "a2 OK",
        "a3 OK x",
        "a4 OK",
        "a5 OK",
        "a2 NO [LIMIT]",
        "+ ",
        "+OK <1@2>",
        "+OK",
        "-ERR",
        ".",
        "USER",
        "STLS",
        "SASL PLAIN LOGIN CRAM-MD5",
        "220 x",
        "250-x",
        "250 AUTH LOGIN PLAIN",
        "250-STARTTLS",
        "250 SIZE 99999999999999999999",
        "334 ",
        "334 YWJj",
        "354 x",
        "235 x",
        "535 x",
        "* {3}",
        "* LIST () \".\" {9}",
        "* QUOTA \"\" (STORAGE 9 9)",
        "* 1 EXISTS",
        "250",
        "220-",
        "* OK Kanaria \"7\\!",
        "é",
        "字",
    ]);
    let line = prop_oneof![
        6 => words.prop_map(|word| format!("{word}\r\n").into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => Just(b"\n".to_vec()),
    ];
    prop::collection::vec(line, 0..40).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn whatever_a_server_says(
        bytes in said(), piece in 1_usize..64, which in 0_usize..3, tls in 0_usize..2, how in 0_usize..5,
    ) {
        let protocol = [Protocol::Imap, Protocol::Pop3, Protocol::Smtp][which];
        let mechanism = [Mechanism::Auto, Mechanism::Login, Mechanism::Plain, Mechanism::CramMd5, Mechanism::Apop][how];
        let mut target = target(protocol, [Security::None, Security::StartTls][tls], mechanism);
        target.folder = Some("x".to_owned());
        if protocol == Protocol::Smtp {
            target.send = Some(Send { from: "a@b".to_owned(), to: "c@d".to_owned(), back: None });
        }
        let steps = noisy(&target, &bytes, piece);
        clean(&steps);
        for step in &steps {
            let said = step.said.as_deref().unwrap_or("");
            prop_assert!(said.chars().count() <= 301 && !said.contains(char::is_control), "{said:?}");
            prop_assert_eq!(step.outcome == Outcome::Ok, step.code.is_none());
            prop_assert_eq!(step.outcome == Outcome::Ok, step.hint.is_none(), "{:?}", step);
        }
    }
}
