//! `fusebox cloudwatch`: what CloudWatch can show and warn of, as JSON. Calls nobody.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{exit::Exit, output::say};
use crate::telemetry::cloudwatch::{Fleet, alarms, dashboard};

/// What to print.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The body for `aws cloudwatch put-dashboard --dashboard-body`.
    Dashboard(Of),
    /// A list, each for `aws cloudwatch put-metric-alarm --cli-input-json`.
    Alarms(Of),
}

/// Which fleet.
#[derive(Debug, Args)]
struct Of {
    /// What names begin with; the log group is /ecs/PREFIX.
    #[arg(long, default_value = "fusebox")]
    prefix: String,
    /// The label `environment` of its sidecars.
    #[arg(long, default_value = "production")]
    environment: String,
    /// The region of AWS.
    #[arg(long, env = "AWS_REGION")]
    region: String,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Exit {
    let json = match &arguments.what {
        What::Dashboard(of) => dashboard(&of.fleet()),
        What::Alarms(of) => Value::from(alarms(&of.fleet())),
    };
    say(format!("{json:#}"));
    Exit::Ok
}

impl Of {
    fn fleet(&self) -> Fleet {
        Fleet {
            prefix: self.prefix.clone(),
            environment: self.environment.clone(),
            region: self.region.clone(),
        }
    }
}
