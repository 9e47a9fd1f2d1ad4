//! One combination: what is declared, what is true, and what a probe has to say of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value as Json;

use super::{EVIDENCE, RIGHT, command, files, has_password, parsed, probed, project, step};
use crate::support::World;
use crate::support::mail::{Logins, Ports, Stack};
use crate::support::server::run_within;

/// Tables so far: each has a domain of its own.
static COUNT: AtomicUsize = AtomicUsize::new(1);

/// How many rows run at once: they mostly wait.
const AT_ONCE: usize = 6;

pub struct Row {
    /// Of the account; the user is `name@example.jp`, with a domain of its own in the place of that.
    pub name: &'static str,
    protocol: &'static str,
    /// Fields of the account, of the pattern, of its server.
    account: String,
    pattern: String,
    server: String,
    /// What is done to the user's row in the servers' store; `WHERE` is added.
    sql: &'static str,
    password: &'static str,
    /// Bytes of a message that lies in the mailbox.
    filled: usize,
    args: &'static [&'static str],
    outcome: &'static str,
    /// The step that is not well, its code, and what its hint must say.
    trouble: Option<(&'static str, &'static str, &'static [&'static str])>,
    /// Steps that must be there and be well.
    asked: Vec<&'static str>,
    logins: Logins,
}

/// Receiving by an account, with its own fields.
pub fn receiving(name: &'static str, protocol: &'static str, security: &str, port: &str, password: &str) -> Row {
    let account = format!(
        "incoming: {{ protocol: {protocol}, host: @host@, port: @{port}@, security: {security}, \
         username: {name}@example.jp, password: {{ env: {password} }} }}"
    );
    Row::new(name, protocol, account).asks(&["connect", "login"])
}

/// Sending by an account with a user and a password of its own.
pub fn sending(name: &'static str, security: &str, port: &str, mechanism: &str, password: &str) -> Row {
    let account = format!(
        "outgoing: {{ host: @host@, port: @{port}@, security: {security}, auth: {{ enabled: true, \
         mechanism: {mechanism}, username: {name}@example.jp, password: {{ env: {password} }} }} }}"
    );
    Row::new(name, "smtp", account).asks(&["connect", "login"])
}

/// Sending by whoever it is.
pub fn nobody(name: &'static str, security: &str, port: &str) -> Row {
    let account = format!("outgoing: {{ host: @host@, port: @{port}@, security: {security} }}");
    let mut row = Row::new(name, "smtp", account).asks(&["connect", "capabilities"]);
    row.logins = Logins::default();
    row
}

impl Row {
    fn new(name: &'static str, protocol: &'static str, account: String) -> Row {
        Row {
            name,
            protocol,
            account,
            pattern: String::new(),
            server: String::new(),
            sql: "",
            password: RIGHT,
            filled: 0,
            args: &[],
            outcome: "ok",
            trouble: None,
            asked: Vec::new(),
            logins: Logins { taken: 1, refused: 0 },
        }
    }

    /// Receiving and sending stand in a server, the account has name and password.
    pub fn at_server(name: &'static str, protocol: &'static str, server: &str, password: &str) -> Row {
        let account =
            format!("server: s-{name}, incoming: {{ username: {name}@example.jp, password: {{ env: {password} }} }}");
        Row { server: server.to_owned(), ..Row::new(name, protocol, account) }
    }

    /// A pattern with these fields beside `address`.
    pub fn pattern(name: &'static str, protocol: &'static str, fields: &str) -> Row {
        Row { pattern: fields.to_owned(), ..Row::new(name, protocol, String::new()) }
    }

    pub fn asks(mut self, steps: &[&'static str]) -> Row {
        self.asked.extend(steps);
        self
    }

    /// Nobody's password reaches the server.
    pub fn fails(mut self, step: &'static str, code: &'static str, hint: &'static [&'static str]) -> Row {
        self.outcome = "failed";
        self.trouble = Some((step, code, hint));
        self.asked.retain(|asked| *asked == "connect" && step != "connect");
        self.logins = Logins::default();
        self
    }

    /// The password reaches the server, once, and is refused.
    pub fn refused(self, hint: &'static [&'static str]) -> Row {
        let mut row = self.fails("login", "probe/login-refused", hint);
        row.logins = Logins { taken: 0, refused: 1 };
        row
    }

    pub fn warns(mut self, step: &'static str, code: &'static str, hint: &'static [&'static str]) -> Row {
        self.outcome = "warning";
        self.trouble = Some((step, code, hint));
        self
    }

    pub fn sql(mut self, sql: &'static str) -> Row {
        self.sql = sql;
        self
    }

    /// Of the user, at the servers.
    pub fn has(mut self, password: &'static str) -> Row {
        self.password = password;
        self
    }

    pub fn filled(mut self, bytes: usize) -> Row {
        self.filled = bytes;
        self
    }

    pub fn args(mut self, args: &'static [&'static str]) -> Row {
        self.args = args;
        self
    }

    pub fn taken(mut self, taken: usize) -> Row {
        self.logins.taken = taken;
        self
    }

    fn address(&self) -> String {
        if self.pattern.is_empty() { format!("account/{}", self.name) } else { format!("pattern/u/{}", self.name) }
    }

    fn yaml(&self) -> String {
        let Row { name, account, pattern, server, .. } = self;
        let servers = match server.as_str() {
            "" => String::new(),
            fields => format!("servers:\n  s-{name}: {{ {fields} }}\n"),
        };
        let address = format!("address: {name}@example.jp");
        match pattern.as_str() {
            "" => format!("{servers}accounts:\n  {name}: {{ {address}, {account} }}\n"),
            fields => format!("{servers}patterns:\n  u:\n    {name}: {{ {address}, {fields} }}\n"),
        }
    }

    /// What is wrong with what was said.
    fn judge(&self, code: i32, document: &Json) -> Result<(), String> {
        let is_strict = self.args.contains(&"--strict");
        let expected = i32::from(self.outcome == "failed" || is_strict && self.outcome == "warning");
        if code != expected {
            return Err(format!("exit code {code}, expected {expected}"));
        }
        let probe = probed(document, &self.address(), self.protocol);
        if probe["outcome"] != self.outcome {
            return Err(format!("outcome {}, expected {}", probe["outcome"], self.outcome));
        }
        for name in &self.asked {
            if step(probe, name)["outcome"] != "ok" {
                return Err(format!("step {name} is {}", step(probe, name)));
            }
        }
        let Some((name, code, hint)) = self.trouble else { return Ok(()) };
        // After STARTTLS, a step may stand there once more.
        let steps = probe["steps"].as_array().into_iter().flatten();
        let found = steps.filter(|step| step["step"] == name).find(|step| step["code"] == code);
        let Some(step) = found.filter(|step| step["outcome"] == self.outcome) else {
            return Err(format!("step {name} is {}, expected {code}", step(probe, name)));
        };
        // A message may name what its hint speaks of.
        let said = ["message", "hint"].map(|part| step[part].as_str().unwrap_or_default()).join("\n");
        match hint.iter().find(|word| !said.contains(**word)) {
            Some(word) => Err(format!("the hint of {name} does not say `{word}`: {said}")),
            None => Ok(()),
        }
    }
}

fn fill(text: &str, host: &str, ports: &Ports, dead: u16) -> String {
    let Ports { smtp, submission, smtps, imap, imaps, pop3, pop3s, lmtp } = *ports;
    [
        ("smtp", smtp),
        ("submission", submission),
        ("smtps", smtps),
        ("imap", imap),
        ("imaps", imaps),
        ("pop3", pop3),
        ("pop3s", pop3s),
        ("lmtp", lmtp),
        ("dead", dead),
    ]
    .iter()
    .fold(text.replace("@host@", host), |text, (name, port)| text.replace(&format!("@{name}@"), &port.to_string()))
}

/// Probes each row for itself, and says all that is wrong at once.
#[track_caller]
pub fn check(stack: &Stack, rows: &[Row]) {
    check_at(stack, &stack.setup.listen.to_string(), rows);
}

/// The same with another name for the host.
#[track_caller]
pub fn check_at(stack: &Stack, host: &str, rows: &[Row]) {
    let world = project("");
    world.write("ca.pem", std::fs::read(stack.ca()).unwrap());
    // Bound for as long as the rows run, so that nobody else gets the port, and never listened at.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let _entered = runtime.enter();
    let dead = tokio::net::TcpSocket::new_v4().unwrap();
    dead.bind((stack.setup.listen, 0).into()).unwrap();
    let dead_port = dead.local_addr().unwrap().port();
    let domain = format!("t{}.example.jp", COUNT.fetch_add(1, Ordering::Relaxed));
    for row in rows {
        let yaml = fill(&row.yaml(), host, &stack.ports, dead_port).replace("example.jp", &domain);
        world.write(&format!("{}.yaml", row.name), yaml);
        let user = format!("{}@{domain}", row.name);
        stack.account(&user, row.password);
        if row.filled > 0 {
            stack.deliver(&user, &"0123456789abcdef\r\n".repeat(row.filled / 18));
        }
        if !row.sql.is_empty() {
            stack.sql(&format!("{} WHERE address = '{user}'", row.sql));
        }
    }
    let before = files(world.path());
    let wrong = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = run(&world, row) {
                        wrong.lock().unwrap().push(why);
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    let logins = stack.logins();
    for row in rows {
        let counted = logins.get(&format!("{}@{domain}", row.name)).copied().unwrap_or_default();
        if counted != row.logins {
            wrong.push(format!("{}: {counted:?} at the server, expected {:?}", row.name, row.logins));
        }
    }
    let mut after = files(world.path());
    // What has come of it is all that may be new.
    let evidence = after.remove(EVIDENCE).unwrap_or_default();
    if after != before {
        wrong.push(format!("the files of the project have changed: {:?}", after.keys()));
    }
    if has_password(&evidence) || after.values().any(|content| has_password(content)) {
        wrong.push("a password in a file of the project".to_owned());
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

fn run(world: &World, row: &Row) -> Result<(), String> {
    let address = row.address();
    let args = [&["probe", &address, "--format", "json"], row.args].concat();
    let run = run_within(&mut command(world, &args), super::PATIENCE);
    let said = || format!("{}:\n{}\n{}", row.name, run.stdout, run.stderr);
    if has_password(run.stdout.as_bytes()) || has_password(run.stderr.as_bytes()) {
        return Err(format!("a password is shown: {}", said()));
    }
    if !run.stdout.starts_with('{') {
        return Err(format!("no JSON (exit {}): {}", run.code, said()));
    }
    row.judge(run.code, &parsed(&run)).map_err(|why| format!("{}: {why}\n{}", row.name, run.stdout))
}
