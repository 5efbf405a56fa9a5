//! Zero-file mode: a configuration from the command line alone.
//!
//! The flags become the tree that a file would have been, so that they are checked by the same
//! rules; only the names in problems are those of the flags.

use super::{
    Loaded, check,
    environment::Environment,
    file::{Entry, Node, Scalar, Tree, Value},
    mapping::Mapping,
    path::{Path, shown},
    problem::{Problem, Problems},
    reading::Reading,
    secrets::Secrets,
    setting::Setting as _,
    text::Name,
};

/// The name of the one listener, in rows and metrics.
const LISTENER: &str = "egress";

/// Where it listens unless told otherwise.
const LISTEN: &str = "127.0.0.1:8080";

/// What stands in for a file's name.
const COMMAND_LINE: &str = "command line";

/// The flags of `fusebox run` that stand in for a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flags {
    /// `--listen`: where calls come in; 127.0.0.1:8080 when left out.
    pub listen: Option<String>,
    /// `--admin`: where the admin port is; 127.0.0.1:9901 when left out.
    pub admin: Option<String>,
    /// `--upstream`, each `name=url`.
    pub upstreams: Vec<String>,
}

/// Makes a configuration of flags. One upstream takes all calls. Of several, a call goes to the
/// one whose name is its Host, else to the one named by its first path segment, which is stripped.
///
/// # Errors
/// The flags or the variables do not make a configuration; every problem is reported.
pub fn from_flags(flags: &Flags, environment: &Environment) -> Result<Loaded, Problems> {
    let reading = Reading::new(environment);
    let (upstreams, names) = upstreams(flags, &reading);
    if flags.upstreams.is_empty() {
        let message = "at least one is needed: `--upstream payments=http://localhost:8081`";
        reading.error(None, &Path::flag("--upstream"), message);
    }
    let tree =
        Tree { root: tree(flags, upstreams, &names), strays: Vec::new(), comments: Vec::new() };
    let config =
        (!names.is_empty()).then(|| check::config(&Mapping::root(&tree.root, &reading), &reading));
    let named = |problem| with_flag(problem, &names);
    let secrets = Secrets::of(&tree);
    Loaded::new(config, reading.finish(COMMAND_LINE, "", &secrets).map(named))
}

/// The upstreams of the tree, and their names.
fn upstreams<'a>(flags: &'a Flags, reading: &Reading<'_>) -> (Vec<Entry>, Vec<&'a str>) {
    let (mut entries, mut names): (Vec<Entry>, Vec<&str>) = Default::default();
    for flag in &flags.upstreams {
        let Some((name, url)) = flag.split_once('=') else {
            let message = "expected `name=url`, such as `payments=http://localhost:8081`";
            reading.error(None, &Path::flag("--upstream"), message);
            continue;
        };
        let fault = match Name::read(name) {
            Err(fault) => Some(fault),
            Ok(_) if names.contains(&name) => {
                Some("there are two upstreams of this name".to_owned())
            }
            Ok(_) => None,
        };
        if let Some(fault) = fault {
            reading.error(None, &Path::flag(&format!("--upstream {}", shown(name))), &fault);
            continue;
        }
        let endpoints = Node::unplaced(Value::List(vec![text(url)]));
        entries.push(entry(name, map(vec![entry("endpoints", endpoints)])));
        names.push(name);
    }
    (entries, names)
}

/// The tree that a file would have been.
fn tree(flags: &Flags, upstreams: Vec<Entry>, names: &[&str]) -> Node {
    let listen = text(flags.listen.as_deref().unwrap_or(LISTEN));
    let calls = match names {
        [only] => entry("upstream", text(only)),
        several => entry("routes", routes(several)),
    };
    let listener = map(vec![entry("listen", listen), calls]);
    let mut entries = vec![
        entry("listeners", map(vec![entry(LISTENER, listener)])),
        entry("upstreams", map(upstreams)),
    ];
    if let Some(admin) = &flags.admin {
        entries.push(entry("admin", map(vec![entry("listen", text(admin))])));
    }
    map(entries)
}

/// By Host and by first segment, for each upstream.
fn routes(names: &[&str]) -> Node {
    let by_host = |name: &&str| {
        let matches = map(vec![entry("host", text(name))]);
        map(vec![entry("match", matches), entry("upstream", text(name))])
    };
    let by_segment = |name: &&str| {
        let matches = map(vec![entry("path_prefix", text(&format!("/{name}")))]);
        let strip_prefix = entry("strip_prefix", text("true"));
        map(vec![entry("match", matches), entry("upstream", text(name)), strip_prefix])
    };
    let routes = names.iter().map(by_host).chain(names.iter().map(by_segment));
    Node::unplaced(Value::List(routes.collect()))
}

fn map(entries: Vec<Entry>) -> Node {
    Node::unplaced(Value::Map(entries))
}

fn text(text: &str) -> Node {
    Node::unplaced(Value::Scalar(Scalar { text: text.to_owned(), expanded: false }))
}

fn entry(key: &str, value: Node) -> Entry {
    Entry { key: key.to_owned(), key_span: None, value }
}

/// The problem with the flag in place of the key that it stands for.
fn with_flag(problem: Problem, names: &[&str]) -> Problem {
    let upstreams = Path::root().key("upstreams");
    let is_about = |name: &&&str| problem.path.starts_with(upstreams.key(name).as_str());
    let flag = match problem.path.split('.').next() {
        Some("listeners") => "--listen".to_owned(),
        Some("admin") => "--admin".to_owned(),
        Some("upstreams") => match names.iter().filter(is_about).max_by_key(|name| name.len()) {
            Some(name) => format!("--upstream {}", shown(name)),
            None => "--upstream".to_owned(),
        },
        _ => return problem,
    };
    Problem { path: flag, ..problem }
}
