//! The commands that ask a running Fusebox to do something as a whole: `drain`, `reload`.

use clap::Args;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ask::{Target, finish},
    client::{Client, Error},
    exit::Exit,
    output::say,
    settings,
};

/// Before the problems of a configuration that is not taken.
const REFUSED: &str = "the configuration cannot be used, the last good one counts";

/// `fusebox drain` and `fusebox reload`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `fusebox drain`.
pub(super) fn drain(arguments: &Arguments) -> Exit {
    let client = arguments.target.client(&settings::environment());
    finish(async move {
        let answer: Value = post(&client, "/api/v1/drain").await?;
        if arguments.json {
            say(answer);
        } else {
            say("it lets calls in flight end, and stops");
        }
        Ok(())
    })
}

/// Runs `fusebox reload`.
pub(super) fn reload(arguments: &Arguments) -> Exit {
    /// What of the answer is printed.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        generation: u64,
        needs_restart: Vec<String>,
    }
    let client = arguments.target.client(&settings::environment());
    finish(async move {
        let answer = post(&client, "/api/v1/config/reload").await.map_err(|error| match error {
            Error::Refused(status @ StatusCode::UNPROCESSABLE_ENTITY, report) => {
                Error::Refused(status, format!("{REFUSED}\n\n{report}"))
            }
            other => other,
        });
        let answer: Value = answer?;
        if arguments.json {
            say(answer);
            return Ok(());
        }
        let answer: Answer =
            serde_json::from_value(answer).map_err(|error| client.malformed(error))?;
        say(format!("the configuration in force is number {} since the start", answer.generation));
        if !answer.needs_restart.is_empty() {
            say(format!("waiting for a restart: {}", answer.needs_restart.join(", ")));
        }
        Ok(())
    })
}

async fn post(client: &Client, path: &str) -> Result<Value, Error> {
    client.change(Method::POST, path, &json!({})).await
}
