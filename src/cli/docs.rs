//! `setpoint completions` and `setpoint man`: made from the command line's own types.

use super::exit::{Exit, Failure};
use super::session::Session;
use clap::{Args, Command};
use clap_complete::Shell;
use std::path::PathBuf;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint completions bash > /etc/bash_completion.d/setpoint
  setpoint completions zsh > \"${fpath[1]}/_setpoint\"")]
pub(super) struct CompletionsArgs {
    #[arg(value_enum)]
    shell: Shell,
}

/// Write man pages to a folder
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Folder for `setpoint.1`, `setpoint-plan.1`, …
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn completions(session: &Session, args: &CompletionsArgs, program: &mut Command) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, program, "setpoint", &mut text);
    session.printer.out(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Ok)
}

pub(super) fn man(session: &Session, args: &ManArgs, program: Command) -> Result<Exit, Failure> {
    std::fs::create_dir_all(&args.folder)?;
    clap_mangen::generate_to(program, &args.folder)?;
    session.printer.note(&format!("written to {}", args.folder.display()));
    Ok(Exit::Ok)
}
