//! What a task is given: what its file says, and the outputs of what it needs.

use crate::model::{Task, TaskId, TaskProtocol};
use serde_json::{Map, Value};

/// The parameters of a task. `output` gives the output of a task that has ended, when it gave one.
///
/// One dependency: its output stands at `dep_output`. Several: each stands below `dep_outputs`, by the task's id. The
/// older form of the protocol has texts only, and there the entries of the outputs stand at `dep_<key>`, or at `dep_value` what
/// is not an object.
pub(super) fn parameters<'o>(task: &Task, output: impl Fn(&TaskId) -> Option<&'o Value>) -> Map<String, Value> {
    let mut parameters = task.parameters.clone();
    let needs: Vec<&TaskId> = task.needs.iter().filter(|need| !need.implied).map(|need| &need.task).collect();
    let outputs: Vec<(&TaskId, &Value)> = needs.iter().filter_map(|id| Some((*id, output(id)?))).collect();
    match (task.protocol, needs.len()) {
        (_, 0) => {}
        (TaskProtocol::Map, _) => {
            for (_, output) in outputs {
                match output {
                    Value::Object(output) => {
                        for (key, value) in output {
                            parameters.insert(format!("dep_{key}"), value.clone());
                        }
                    }
                    // The form in which a value that is not an object is sent.
                    value => drop(parameters.insert("dep_value".to_owned(), value.clone())),
                }
            }
        }
        (TaskProtocol::Json, 1) => {
            for (_, output) in outputs {
                parameters.insert("dep_output".to_owned(), output.clone());
            }
        }
        (TaskProtocol::Json, _) => {
            let all: Map<String, Value> =
                outputs.iter().map(|(id, output)| (id.to_string(), (*output).clone())).collect();
            if !all.is_empty() {
                parameters.insert("dep_outputs".to_owned(), Value::Object(all));
            }
        }
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::compile;
    use crate::model::{FileEntry, FileKind, FileTree};
    use serde_json::json;
    use std::sync::Arc;

    fn task(needs: &str, more: &str) -> Task {
        let text = format!(
            "schedule:\n  tasks:\n    - {{id: a, address: \"h:1\"}}\n    - {{id: b, address: \"h:1\"}}\n    \
             - {{id: c, address: \"h:1\", parameters: {{n: 1}}{needs}{more}}}\n"
        );
        let content: Arc<[u8]> = text.as_bytes().into();
        let entry = FileEntry { oid: String::new(), kind: FileKind::Regular, size: 0, content: Some(content) };
        let mut tree = FileTree::default();
        tree.files.insert("schedules/s.yaml".to_owned(), entry);
        compile(&tree).unwrap().schedules.into_values().next().unwrap().tasks.remove(2)
    }

    fn given(task: &Task) -> Value {
        let (a, b) = (json!({"x": 1, "y": {"z": true}}), json!([2]));
        Value::Object(parameters(task, |id| match id.as_str() {
            "a" => Some(&a),
            _ => Some(&b),
        }))
    }

    #[test]
    fn outputs_arrive_where_existing_tasks_look_for_them() {
        assert_eq!(given(&task("", "")), json!({"n": 1}));
        assert_eq!(given(&task(", depends_on: a", "")), json!({"n": 1, "dep_output": {"x": 1, "y": {"z": true}}}));
        let both = json!({"n": 1, "dep_outputs": {"a": {"x": 1, "y": {"z": true}}, "b": [2]}});
        assert_eq!(given(&task(", depends_on: [a, b]", "")), both);
        let map = given(&task(", depends_on: a", ", protocol: map"));
        assert_eq!(map, json!({"n": 1, "dep_x": 1, "dep_y": {"z": true}}));
    }

    #[test]
    fn a_text_is_handed_on_as_a_text() {
        let hello = Value::from("hello");
        let given = |task: &Task| Value::Object(parameters(task, |_| Some(&hello)));
        assert_eq!(given(&task(", depends_on: a", "")), json!({"n": 1, "dep_output": "hello"}));
        assert_eq!(given(&task(", depends_on: a", ", protocol: map")), json!({"n": 1, "dep_value": "hello"}));
    }

    #[test]
    fn a_dependency_without_output_leaves_the_parameters_as_they_are() {
        let task = task(", depends_on: a", "");
        assert_eq!(Value::Object(parameters(&task, |_| None)), json!({"n": 1}));
    }
}
