//! A hermetic folder to run the program in.

pub mod http;
pub mod mail;
pub mod postgres;
pub mod proxy;
pub mod served;
pub mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;
use tempfile::TempDir;

/// A folder that vanishes with the test.
pub struct World {
    folder: TempDir,
}

/// What a run gave.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl World {
    pub fn new() -> World {
        World { folder: TempDir::new().unwrap() }
    }

    /// With a `yubin.yaml` of this system and these further lines.
    pub fn project(system: &str, more: &str) -> World {
        let world = World::new();
        world.write("yubin.yaml", format!("version: 1\nname: head-office\nsystem: {system}\n{more}"));
        world
    }

    /// A copy of a folder.
    pub fn copy_of(folder: &Path) -> World {
        let world = World::new();
        copy(folder, world.path());
        world
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.file(name)).unwrap();
    }

    /// The program in this folder, with none of the caller's variables that it reads.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_yubin"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("YUBIN_") {
                command.env_remove(name);
            }
        }
        // Under CI, a probe asks for more.
        for name in ["LC_ALL", "LC_MESSAGES", "LANG", "CI"] {
            command.env_remove(name);
        }
        command.env("YUBIN_ACTOR", "tester").env("NO_COLOR", "1");
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        Run::of(self.command(args).output().unwrap())
    }

    /// Runs and demands an exit code.
    #[track_caller]
    pub fn expect(&self, code: i32, args: &[&str]) -> Run {
        let run = self.run(args);
        assert_eq!(run.code, code, "yubin {}\n{}\n{}", args.join(" "), run.stdout, run.stderr);
        run
    }

    /// The JSON that a run prints.
    #[track_caller]
    pub fn json(&self, code: i32, args: &[&str]) -> Json {
        let args = [args, &["--format", "json"]].concat();
        let run = self.expect(code, &args);
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", run.stdout, run.stderr))
    }
}

impl Run {
    pub fn of(output: Output) -> Run {
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Texts that a format, a shell or a reader may take for something else.
pub const ODD_TEXTS: &[&str] = &[
    "no",
    "yes",
    "0123",
    "098765",
    "1_000",
    "1e3",
    "0x1F",
    "~",
    "null",
    "true",
    "<<",
    "=",
    "-",
    "- x",
    "? x",
    ": x",
    "x: y",
    "x #y",
    "#x",
    "@x",
    "`x`",
    "%x",
    "&x",
    "*x",
    "!x",
    "|",
    ">",
    "'x'",
    "\"x\"",
    "a\"b",
    "a'b",
    "{x}",
    "[x]",
    "a,b",
    ",",
    "a;b",
    " lead",
    "trail ",
    "受信箱/表示",
    "🦀 e\u{301}",
    "\u{feff}bom",
    "a\u{a0}b",
    "a\u{2028}b",
    "a\u{85}b",
    "a\tb",
    "2026-01-02",
    "12:34:56",
    "${env:X}",
    "\\n",
    "\\",
    "...",
    "---",
    "x",
    ".5",
    "?",
    " ",
    "\t",
    "\u{feff}x",
];
