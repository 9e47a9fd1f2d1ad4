//! The server under measure.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Result, traffic, yubin};

pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    pub fn start(dir: &Path) -> Result<Server> {
        let log: PathBuf = dir.join("serve.log");
        let mut command = yubin(dir);
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?);
        let mut child = command.stdin(Stdio::null()).spawn()?;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            let said = fs::read_to_string(&log)?;
            let address = said.split("127.0.0.1:").nth(1).and_then(|rest| {
                let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
                if rest.len() > port.len() { format!("127.0.0.1:{port}").parse().ok() } else { None }
            });
            if let Some(address) = address.filter(|address| traffic::get(*address, "", "/readyz").is_ok()) {
                return Ok(Server { child, address });
            }
            if let Some(status) = child.try_wait()? {
                return Err(format!("the server ended with {status}: {said}").into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        Err("the server is not ready".into())
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn resident(&self) -> Result<f64> {
        self.memory("VmRSS:")
    }

    pub fn peak(&self) -> Result<f64> {
        self.memory("VmHWM:")
    }

    /// In MiB.
    fn memory(&self, name: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn token(dir: &Path) -> Result<String> {
    let output = yubin(dir).args(["token", "create", "bench", "--scope", "apply", "--owner", "bench"]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

pub fn revision(server: &Server, token: &str) -> Result<u64> {
    let body = traffic::get(server.address, token, "/v1/revision")?;
    let json: serde_json::Value = serde_json::from_str(&body)?;
    Ok(json["revision"].as_u64().ok_or("no revision")?)
}

/// As many open files as that, here and in the server, which inherits it.
pub fn allow_files(count: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= count) {
        return Ok(());
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum: now.maximum })?)
}
