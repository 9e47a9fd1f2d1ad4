//! `yubin schema`, `yubin completions`, `yubin man`: what is generated from the program itself.

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use serde_json::{Map, Value as Json};

use super::{Cli, Common, End, print_data, print_json};
use crate::model::{Error, Result};
use crate::{schema, serve};

/// Print the JSON Schemas of project and resource files, and the description of the API
#[derive(clap::Args)]
pub struct SchemaArgs {
    /// Write them to this folder, a file each
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn schema(common: &Common, args: &SchemaArgs) -> Result<End> {
    match &args.out {
        Some(folder) => {
            let written = write_schemas(folder)?;
            common.say(&format!("{written} schemas written to {}", folder.display()));
        }
        None => print_json(&Json::Object(all().into_iter().collect::<Map<_, _>>()))?,
    }
    Ok(End::Done)
}

/// File names and documents of everything that is generated.
fn all() -> Vec<(String, Json)> {
    let mut all = schema::all();
    all.push(("openapi.json".to_owned(), serve::document()));
    all
}

/// Writes every schema to a folder; returns how many.
pub fn write_schemas(folder: &Path) -> Result<usize> {
    fs::create_dir_all(folder)
        .map_err(|error| Error::failure(format!("{} cannot be made", folder.display())).because(error))?;
    let all = all();
    for (name, schema) in &all {
        let path = folder.join(name);
        fs::write(&path, format!("{schema:#}\n"))
            .map_err(|error| Error::failure(format!("{} cannot be written", path.display())).because(error))?;
    }
    Ok(all.len())
}

/// Print the completions of a shell
#[derive(clap::Args)]
pub struct CompletionsArgs {
    shell: clap_complete::Shell,
}

pub fn completions(args: &CompletionsArgs) -> Result<End> {
    let mut bytes = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "yubin", &mut bytes);
    print_data(|to| to.write_all(&bytes))?;
    Ok(End::Done)
}

/// Print the manual page, or write a page for each command
#[derive(clap::Args)]
pub struct ManArgs {
    /// Write all pages to this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn man(args: &ManArgs) -> Result<End> {
    let failed = |error| Error::failure("the manual cannot be written").because(error);
    if let Some(folder) = &args.out {
        fs::create_dir_all(folder).map_err(failed)?;
        clap_mangen::generate_to(Cli::command(), folder).map_err(failed)?;
    } else {
        let mut bytes = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut bytes).map_err(failed)?;
        print_data(|to| to.write_all(&bytes))?;
    }
    Ok(End::Done)
}
