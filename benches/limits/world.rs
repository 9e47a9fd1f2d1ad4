//! The data: a world of CatchMe@MAIL patterns, and accounts in YAML. The same size gives the same
//! bytes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Deserialize;

pub const COLUMNS: [&str; 26] = [
    "user",
    "pattern",
    "out_label",
    "out_host",
    "out_port",
    "in_label",
    "in_host",
    "in_port",
    "address",
    "protocol",
    "login",
    "password",
    "del_after",
    "del_days",
    "sender_name",
    "organization",
    "reply_to",
    "bcc",
    "save_sent",
    "receipt",
    "auth",
    "auth_mode",
    "auth_user",
    "auth_pass",
    "imap_root",
    "pop_folder",
];
const OUT_HOST: usize = 3;
const ORGANIZATION: usize = 15;

/// The state that is, without a header.
pub const BASE: &str = "base.csv";
/// The state that is wanted: 1 % of the rows changed, 0.5 % turned into key-only deletes, 0.5 % new.
pub const DESIRED: &str = "desired.csv";
/// The same two with a header and without the deletes: an SQL script knows no such rows.
pub const BASE_HEADER: &str = "base.header.csv";
pub const DESIRED_HEADER: &str = "desired.header.csv";

/// What a correct plan counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Summary {
    pub add: u32,
    pub overwrite: u32,
    pub delete: u32,
    pub unchanged: u32,
}

/// Writes the four files for `rows` patterns.
pub fn patterns(dir: &Path, rows: u32) -> io::Result<Summary> {
    let (mut base, mut desired) = (table(dir, BASE)?, table(dir, DESIRED)?);
    let (mut base_header, mut desired_header) = (table(dir, BASE_HEADER)?, table(dir, DESIRED_HEADER)?);
    base_header.write_record(COLUMNS)?;
    desired_header.write_record(COLUMNS)?;
    let mut random = Random(u64::from(rows));
    let mut summary = Summary { add: rows / 200, overwrite: 0, delete: 0, unchanged: 0 };
    for number in 0..rows {
        let mut row = pattern(number, &mut random);
        base.write_record(&row)?;
        base_header.write_record(&row)?;
        if number % 200 == 7 {
            summary.delete += 1;
            desired.write_record(&row[..2])?;
            continue;
        }
        if number % 100 == 13 {
            summary.overwrite += 1;
            "smtp2.example.test".clone_into(&mut row[OUT_HOST]);
            row[ORGANIZATION].push_str(" 2課");
        } else {
            summary.unchanged += 1;
        }
        desired.write_record(&row)?;
        desired_header.write_record(&row)?;
    }
    for number in rows..rows + summary.add {
        let row = pattern(number, &mut random);
        desired.write_record(&row)?;
        desired_header.write_record(&row)?;
    }
    for table in [base, desired, base_header, desired_header] {
        // On the disk before the clock starts: pages still to be written would slow the first fsync measured.
        table.into_inner().map_err(|error| io::Error::other(error.to_string()))?.sync_all()?;
    }
    Ok(summary)
}

fn table(dir: &Path, name: &str) -> io::Result<csv::Writer<File>> {
    let file = File::create(dir.join(name))?;
    // The deletes are shorter than the other records.
    let mut builder = csv::WriterBuilder::new();
    Ok(builder.flexible(true).terminator(csv::Terminator::CRLF).buffer_capacity(1 << 18).from_writer(file))
}

fn pattern(number: u32, random: &mut Random) -> [String; 26] {
    let pop = !number.is_multiple_of(3);
    let own = number.is_multiple_of(7);
    let expires = pop && number.is_multiple_of(5);
    let host = format!("d{:03}.example.test", number % 97);
    let user = format!("user{number:07}");
    let flag = |on: bool| if on { "1" } else { "0" }.to_owned();
    let only = |on: bool, text: String| if on { text } else { String::new() };
    [
        user.clone(),
        format!("pattern{}", number % 4 + 1),
        "送信サーバ".to_owned(),
        format!("smtp.{host}"),
        random.choice(&["", "25", "587"]),
        "受信サーバ".to_owned(),
        format!("{}.{host}", if pop { "pop" } else { "imap" }),
        random.choice(&["", if pop { "110" } else { "143" }]),
        format!("{user}@{host}"),
        flag(pop),
        user.clone(),
        format!("pw-{:016x}", random.next()),
        flag(expires),
        only(expires, (number % 100).to_string()),
        format!("山田 {number}"),
        random.choice(&["営業部", "開発部", "総務部", "Sales, East"]),
        format!("reply-{user}@{host}"),
        only(number.is_multiple_of(10), format!("archive@{host}")),
        flag(number % 2 == 1),
        flag(false),
        flag(own),
        flag(own),
        only(own, format!("auth-{user}")),
        only(own, format!("apw-{:016x}", random.next())),
        only(!pop, "INBOX".to_owned()),
        only(pop, format!("受信箱/{user}")),
    ]
}

/// Writes `count` accounts of 42 nodes each: key and mapping, 16 scalars with their keys, 2
/// nested mappings, 1 flow list of 2 items.
pub fn accounts(path: &Path, count: u32) -> io::Result<()> {
    let mut to = BufWriter::with_capacity(1 << 18, File::create(path)?);
    let mut random = Random(u64::from(count));
    writeln!(to, "accounts:")?;
    for number in 0..count {
        let organization = random.choice(&["営業部", "開発部", "総務部", "Sales, East"]);
        let capacity = number % 50 + 1;
        let visible = number.is_multiple_of(2);
        let password = random.next() >> 32;
        write!(
            to,
            "  u{number:06}:
    label: \"{organization}\"
    user: u{number}
    user_id: \"{number}\"
    address: u{number}@a.test
    capacity: {capacity}
    comment: 新設
    sender_name: 山田
    bcc: bcc@a.test
    visible: {visible}
    incoming:
      protocol: imap
      host: d{domain}.a.test
      port: 993
      username: u{number}
      password: p{password:08x}
    forward:
      enabled: true
      keep_copy: {visible}
      to: [a{number}@a.test, b@a.jp]
",
            domain = number % 97,
        )?;
    }
    to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Makes the password of a row.
pub type Password<'a> = &'a dyn Fn(u32) -> String;

/// Writes `rows` patterns as canonical CSV; `password` makes the password of each, if they have one.
pub fn canonical(path: &Path, rows: u32, password: Option<Password<'_>>) -> io::Result<()> {
    let mut to = BufWriter::with_capacity(1 << 18, File::create(path)?);
    let title = if password.is_some() { ",incoming.password" } else { "" };
    writeln!(to, "user,name,address,incoming.host,incoming.port,incoming.username{title},outgoing.host")?;
    for number in 0..rows {
        let password = password.map_or(String::new(), |password| format!(",{}", password(number)));
        writeln!(to, "u{number:07},work,u{number:07}@a.test,pop.a.test,110,u{number:07}{password},smtp.a.test")?;
    }
    to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Writes what CPI exports of `count` accounts, and the same accounts as they are wanted: a tenth with
/// another capacity, all with a password that nobody has recorded yet, and 120 more.
pub fn mailboxes(export: &Path, wanted: &Path, count: u32) -> io::Result<()> {
    let mut random = Random(u64::from(count));
    let mut to = BufWriter::new(File::create(export)?);
    writeln!(to, "mail_account,mail_password,comment,amount_of_mail_box,spam,forward,auto,pop,mail_capacity")?;
    for number in 0..count {
        writeln!(to, "user{number:05},,営業部 {number},1.5,1,0,0,1,5")?;
    }
    to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    let mut to = BufWriter::new(File::create(wanted)?);
    writeln!(to, "name,password,comment,capacity")?;
    for number in 0..count + 120 {
        let capacity = if number.is_multiple_of(10) { 10 } else { 5 };
        writeln!(to, "user{number:05},p{:013x}1,営業部 {number},{capacity}", random.next() >> 12)?;
    }
    to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// `SplitMix64`: the data need no more than to look different and to be the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn choice(&mut self, words: &[&str]) -> String {
        let at = self.next() % words.len() as u64;
        words[at as usize].to_owned()
    }
}
