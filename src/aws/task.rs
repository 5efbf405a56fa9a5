//! Which task of ECS this process belongs to, as the task metadata endpoint tells it.

use serde_json::Value;

use super::ask::{AskError, ask};

/// A task of ECS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The cluster's name.
    pub cluster: String,
    /// The last part of the task's ARN, which is its name to people.
    pub id: String,
    /// The family of its definition and the revision, as `orders:7`.
    pub definition: String,
    /// The zone; none where the platform does not say.
    pub zone: Option<String>,
}

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The endpoint does not answer.
    #[error("the task metadata endpoint does not tell")]
    Asked(#[from] AskError),
    /// It answers, and leaves this out.
    #[error("the task metadata endpoint says nothing of {0}")]
    Missing(&'static str),
}

/// Asks once. `metadata` is what `ECS_CONTAINER_METADATA_URI_V4` holds.
///
/// # Errors
/// There is no such endpoint, or it tells something else.
pub async fn of(metadata: &str) -> Result<Task, TaskError> {
    read(&ask(&format!("{metadata}/task"), None).await?)
}

fn read(told: &Value) -> Result<Task, TaskError> {
    let text = |key: &'static str| {
        let found = told[key].as_str().filter(|text| !text.is_empty());
        found.ok_or(TaskError::Missing(key))
    };
    // Both may be a whole ARN or its last part, by platform and version.
    let last = |text: &str| text.rsplit('/').next().unwrap_or(text).to_owned();
    Ok(Task {
        cluster: last(text("Cluster")?),
        id: last(text("TaskARN")?),
        definition: format!("{}:{}", text("Family")?, text("Revision")?),
        zone: text("AvailabilityZone").ok().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::{Task, read};
    use serde_json::json;

    #[test]
    fn names_are_the_last_parts_of_arns() {
        let told = json!({
            "Cluster": "arn:aws:ecs:us-west-2:111122223333:cluster/default",
            "TaskARN": "arn:aws:ecs:us-west-2:111122223333:task/default/158d1c8083dd49d6b527399fd6414f5c",
            "Family": "curltest", "Revision": "26", "AvailabilityZone": "us-west-2d",
        });
        let task = Task {
            cluster: "default".to_owned(),
            id: "158d1c8083dd49d6b527399fd6414f5c".to_owned(),
            definition: "curltest:26".to_owned(),
            zone: Some("us-west-2d".to_owned()),
        };
        assert_eq!(read(&told).unwrap(), task);
        let bare = json!({ "Cluster": "a", "TaskARN": "b", "Family": "c", "Revision": "1" });
        assert_eq!(read(&bare).unwrap().zone, None);
        assert!(read(&json!({ "Cluster": "a" })).unwrap_err().to_string().ends_with("TaskARN"));
    }
}
