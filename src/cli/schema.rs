//! `setpoint schema`

use super::exit::{Exit, Failure};
use super::session::Session;
use crate::manifest::{Kind, schema};
use clap::Args;

/// Print the JSON Schema of a kind of file, for completion in editors
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  setpoint schema deployment > deployment.schema.json
  # first line of a deployment file:
  # yaml-language-server: $schema=../deployment.schema.json")]
pub(super) struct SchemaArgs {
    /// Kind of file
    #[arg(value_name = "KIND", value_parser = kinds())]
    kind: String,
}

fn kinds() -> Vec<&'static str> {
    Kind::ALL.into_iter().map(Kind::name).collect()
}

pub(super) fn run(session: &Session, args: &SchemaArgs) -> Result<Exit, Failure> {
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| kind.name() == args.kind)
        .ok_or_else(|| Failure::Usage(format!("no kind `{}`", args.kind)))?;
    session.printer.line(&serde_json::to_string_pretty(&schema(kind))?)?;
    Ok(Exit::Ok)
}
