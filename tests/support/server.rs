//! `yubin serve` on a free port of this machine, and runs that may not take for ever.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Run, World};

/// How long anything may take that is not measured.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A running server; it goes with the test.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    logs: TempDir,
}

impl Server {
    /// Over the store of the world's project.
    pub fn start(world: &World) -> Server {
        Server::start_with(world, &["--listen", "127.0.0.1:0"])
    }

    /// At the address of one that is gone.
    pub fn start_at(world: &World, address: SocketAddr) -> Server {
        Server::start_with(world, &["--listen", &address.to_string()])
    }

    pub fn start_with(world: &World, args: &[&str]) -> Server {
        Server::spawn(world.command(&[&["serve"], args].concat()), is_ready)
    }

    /// One that speaks TLS: whoever can connect may try.
    pub fn start_secure(world: &World, args: &[&str]) -> Server {
        Server::spawn(world.command(&[&["serve"], args].concat()), |address| TcpStream::connect(address).is_ok())
    }

    /// Of a shell that has the program as `$0`, for limits that only a shell can set.
    pub fn start_in_shell(world: &World, script: &str) -> Server {
        let yubin = world.command(&[]);
        let mut shell = Command::new("bash");
        shell.args(["-c", script]).arg(yubin.get_program()).current_dir(world.path()).stdin(Stdio::null());
        for (name, value) in yubin.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        Server::spawn(shell, is_ready)
    }

    fn spawn(mut command: Command, is_ready: impl Fn(SocketAddr) -> bool) -> Server {
        let logs = TempDir::new().unwrap();
        let file = |name: &str| File::create(logs.path().join(name)).unwrap();
        let mut child = command.stdout(file("out")).stderr(file("err")).spawn().unwrap();
        let start = Instant::now();
        let mut address = None;
        loop {
            let said = said(&logs);
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status}: {said}");
            }
            address = address.or_else(|| printed(&said));
            if address.is_some_and(&is_ready) {
                break;
            }
            if start.elapsed() > DEADLINE {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("the server is not ready at {address:?}: {said}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Server { child, address: address.unwrap(), logs }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it has said so far.
    pub fn said(&self) -> String {
        said(&self.logs)
    }

    /// The most memory that it has had, in MiB.
    #[cfg(target_os = "linux")]
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    /// With no time to finish anything.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// As `systemctl stop` does; the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not stop: {}", self.said());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn said(logs: &TempDir) -> String {
    let read = |name: &str| String::from_utf8_lossy(&std::fs::read(logs.path().join(name)).unwrap()).into_owned();
    read("out") + &read("err")
}

/// The address in the first words of the server.
fn printed(said: &str) -> Option<SocketAddr> {
    let (at, _) = said.match_indices("127.0.0.1:").find(|(at, host)| {
        said[at + host.len()..].find(|c: char| !c.is_ascii_digit()).is_some_and(|digits| digits > 0)
    })?;
    let text: String = said[at..].chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
    text.trim_end_matches(['.', ':']).parse().ok().filter(|address: &SocketAddr| address.port() != 0)
}

fn is_ready(address: SocketAddr) -> bool {
    let client = super::http::client();
    client.get(format!("http://{address}/readyz")).send().is_ok_and(|answer| answer.status() == 200)
}

/// Runs a command that must end within this time.
#[track_caller]
pub fn run_within(command: &mut Command, limit: Duration) -> Run {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| File::create(folder.path().join(name)).unwrap();
    let mut child = command.stdout(file("out")).stderr(file("err")).spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if start.elapsed() > limit {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let run =
        Run { code: status.and_then(|status| status.code()).unwrap_or(-1), stdout: read("out"), stderr: read("err") };
    assert!(status.is_some(), "{command:?} has not ended after {limit:?}\n{}\n{}", run.stdout, run.stderr);
    run
}
