//! `probe:`.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Key, Look};
use crate::format::node::{Content, Node};
use crate::model::policy::plain;
use crate::model::probe::{Authorities, HostRule, Probing};

pub static PROBE_KEYS: &[Key] = &[
    Key { name: "hosts", read: |look, node| look.hosts(node) },
    Key {
        name: "timeout",
        read: |look, node| look.time(&node, "timeout", (1, 300), |probing| &mut probing.settings.timeout),
    },
    Key { name: "parallel", read: |look, node| look.parallel(&node) },
    Key { name: "attempts", read: |look, node| look.attempts(&node) },
    Key {
        name: "arrival",
        read: |look, node| look.time(&node, "arrival", (1, 1800), |probing| &mut probing.settings.arrival),
    },
    Key {
        name: "valid",
        read: |look, node| look.time(&node, "valid", (60, 30 * 24 * 3600), |probing| &mut probing.valid),
    },
    Key { name: "ca", read: |look, node| look.ca(&node) },
    Key { name: "nameserver", read: |look, node| look.nameserver(&node) },
];

const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 24 * 3600)];

/// What another file than the project's own says: its paths are relative to that file.
pub fn foreign(probing: Probing, root: &Path, file: &Path) -> Probing {
    let base = plain(file.parent().unwrap_or(root));
    let there = |one: Authorities| Authorities { path: base.join(one.path), ..one };
    Probing { authorities: probing.authorities.map(there), ..probing }
}

/// `20s`, `5m`, `24h`, `30d`: seconds.
fn seconds(word: &str) -> Option<u64> {
    let (unit, each) = UNITS.into_iter().find(|(unit, _)| word.ends_with(*unit))?;
    let number = word.strip_suffix(unit)?;
    let digits = (1..=5).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u64>().ok().filter(|_| digits).map(|number| number * each)
}

/// The shortest way to write it.
fn written(seconds: u64) -> String {
    let (unit, each) = UNITS.into_iter().rev().find(|(_, each)| seconds.is_multiple_of(*each)).unwrap_or(('s', 1));
    format!("{}{unit}", seconds / each)
}

/// `mail.example.jp`, `*.example.jp`, `192.0.2.1`, `::1`, each with `:port` if one port is meant (`[::1]:25`).
fn host_rule(word: &str) -> Option<HostRule> {
    let word = word.to_ascii_lowercase();
    if let Ok(address) = word.parse::<IpAddr>() {
        return Some(HostRule { name: address.to_string(), port: None });
    }
    if let Ok(socket) = word.parse::<SocketAddr>() {
        return (socket.port() != 0).then(|| HostRule { name: socket.ip().to_string(), port: Some(socket.port()) });
    }
    let (name, port) = match word.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok().filter(|port| *port != 0)?)),
        None => (word.as_str(), None),
    };
    let name = name.trim_end_matches('.');
    let labels = name.strip_prefix("*.").unwrap_or(name);
    let fine = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    // A rule for everything below the root would be none, and nothing is below an address.
    let below = labels.contains('.') && !labels.ends_with(|c: char| c.is_ascii_digit());
    (labels.split('.').all(fine) && (labels == name || below)).then(|| HostRule { name: name.to_owned(), port })
}

impl Look<'_> {
    pub(super) fn probe(&mut self, node: Node) {
        if !node.is_null() {
            self.keys(node, "`probe`", PROBE_KEYS, |_| {});
        }
    }

    fn hosts(&mut self, node: Node) {
        const HINT: &str = "as in `hosts: [mail.example.jp, \"*.example.com\", \"192.0.2.1:993\"]`";
        let found = node.what();
        let Content::List(items) = node.content else {
            self.problem("value/type", format!("`hosts` is a list of hosts, not {found}"), node.place, HINT);
            return;
        };
        for item in items {
            let Some(word) = self.word(&item, "hosts") else { continue };
            match host_rule(&word) {
                Some(rule) => self.project.probing.settings.hosts.0.push(rule),
                None => self.problem(
                    "project/value",
                    "a host is a name, `*.` and a domain, or an IP address, each with a port or without",
                    item.place,
                    HINT,
                ),
            }
        }
    }

    fn time(&mut self, node: &Node, what: &str, (least, most): (u64, u64), to: fn(&mut Probing) -> &mut Duration) {
        let Some(word) = self.word(node, what) else { return };
        if let Some(seconds) = seconds(&word).filter(|seconds| (least..=most).contains(seconds)) {
            *to(&mut self.project.probing) = Duration::from_secs(seconds);
        } else {
            let (least, most) = (written(least), written(most));
            let message = format!("`{what}` is a time from {least} to {most}");
            self.problem("project/value", message, node.place, "a number and a unit, as in `20s`, `5m` or `24h`");
        }
    }

    fn at_most(&mut self, node: &Node, what: &str, most: u32) -> Option<u32> {
        let word = self.word(node, what)?;
        let count = word.parse().ok().filter(|count| (1..=most).contains(count));
        if count.is_none() {
            self.problem("project/value", format!("`{what}` is a number from 1 to {most}"), node.place, "");
        }
        count
    }

    fn parallel(&mut self, node: &Node) {
        if let Some(count) = self.at_most(node, "parallel", 64) {
            self.project.probing.settings.parallel = count as usize;
        }
    }

    fn attempts(&mut self, node: &Node) {
        if let Some(count) = self.at_most(node, "attempts", 5) {
            self.project.probing.settings.attempts = count;
        }
    }

    fn ca(&mut self, node: &Node) {
        let Some(word) = self.word(node, "ca") else { return };
        if word.is_empty() {
            self.problem("project/value", "`ca` names a file of certificates", node.place, "as in `ca: tls/ca.pem`");
            return;
        }
        let (file, place) = (self.name.to_owned(), node.place);
        self.project.probing.authorities = Some(Authorities { path: PathBuf::from(word), file, place });
    }

    fn nameserver(&mut self, node: &Node) {
        let Some(word) = self.word(node, "nameserver") else { return };
        let address = word.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)).or_else(|_| word.parse());
        if let Some(address) = address.ok().filter(|address: &SocketAddr| address.port() != 0) {
            self.project.probing.settings.nameserver = Some(address);
        } else {
            let message = "`nameserver` is an IP address, with a port or without";
            self.problem("project/value", message, node.place, "as in `192.0.2.53` or `127.0.0.1:5353`");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::load::{Tree, read_project};
    use crate::model::Diagnostics;

    fn read(probe: &str) -> (Probing, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("yubin.yaml"), format!("version: 1\nname: x\n{probe}")).unwrap();
        let mut diagnostics = Diagnostics::default();
        let project = read_project(&Tree::Folder(folder.path().to_path_buf()), None, &mut diagnostics).unwrap();
        let said = |one: &crate::model::Diagnostic| format!("{}:{} {} {}", one.line, one.column, one.code, one.message);
        (project.probing, diagnostics.iter().map(said).collect())
    }

    #[test]
    fn all_of_it_is_read() {
        let (probing, said) = read(
            "probe:
  hosts: [Mail.Example.jp, \"*.example.com:993\", 192.0.2.1, \"192.0.2.1:25\", \"::1\", \"[::1]:143\"]
  timeout: 5m
  parallel: 64
  attempts: 5
  arrival: 30m
  valid: 30d
  ca: tls/ca.pem
  nameserver: 192.0.2.53
",
        );
        assert_eq!(said, [""; 0]);
        let hosts: Vec<(String, Option<u16>)> =
            probing.settings.hosts.0.iter().map(|rule| (rule.name.clone(), rule.port)).collect();
        let expected = [
            ("mail.example.jp", None),
            ("*.example.com", Some(993)),
            ("192.0.2.1", None),
            ("192.0.2.1", Some(25)),
            ("::1", None),
            ("::1", Some(143)),
        ];
        assert_eq!(hosts, expected.map(|(name, port)| (name.to_owned(), port)));
        assert_eq!(probing.settings.timeout, Duration::from_secs(300));
        assert_eq!((probing.settings.parallel, probing.settings.attempts), (64, 5));
        assert_eq!(
            (probing.settings.arrival, probing.valid),
            (Duration::from_secs(1800), Duration::from_secs(2_592_000))
        );
        assert_eq!(probing.settings.nameserver, Some("192.0.2.53:53".parse().unwrap()));
        let authorities = probing.authorities.unwrap();
        assert_eq!((authorities.path.as_path(), authorities.place.line), (Path::new("tls/ca.pem"), 10));
    }

    #[test]
    fn what_is_wrong_is_said_where_it_stands() {
        let (probing, said) = read(
            "probe:
  hosts: [\"*\", \"*.jp\", \"https://mail.example.jp\", \"mail example\", \"\", \"a..b\", \"a:0\", \"a:x\", \"*.*.jp\", \"*.0.0.1\"]
  timeout: 0s
  parallel: 65
  attempts: 0
  arrival: 31m
  valid: 1y
  ca: \"\"
  nameserver: dns.example.jp
  host: x
",
        );
        let places: Vec<&str> = said.iter().map(|line| line.split(' ').next().unwrap()).collect();
        let hosts = ["4:11", "4:16", "4:24", "4:51", "4:67", "4:71", "4:79", "4:86", "4:93", "4:103"];
        let others = ["5:12", "6:13", "7:13", "8:12", "9:10", "10:7", "11:15", "12:3"];
        assert_eq!(places, [&hosts[..], &others[..]].concat(), "{said:#?}");
        assert!(probing.settings.hosts.0.is_empty());
        for list in ["probe: []\n", "probe: { hosts: mail.example.jp }\n"] {
            assert_eq!(read(list).1.len(), 1, "{list}");
        }
        assert_eq!(read("probe:\n").1, [""; 0]);
    }
}
