use std::process::ExitCode;

fn main() -> ExitCode {
    yubin::commands::main()
}
