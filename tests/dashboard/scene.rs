//! A Fusebox, what it calls, and a script that looks at it.

use std::{path::Path, process::Command};

use crate::{
    harness::{Fusebox, ScriptedUpstream, Setup, status},
    peer::run,
};

/// See the module docs.
pub(crate) struct Scene {
    pub(crate) fusebox: Fusebox,
    _upstream: ScriptedUpstream,
}

impl Scene {
    /// With an upstream `payments`, which fails on `/fail`, and `music`.
    pub(crate) fn new() -> Self {
        let upstream = ScriptedUpstream::start();
        upstream.answer_on("/fail", status(500));
        let url = upstream.url();
        let yaml = format!(
            "listeners:
  egress:
    listen: \"{{proxy}}\"
    routes:
      - {{ match: {{ path_prefix: /music }}, upstream: music, strip_prefix: true }}
      - match: {{ path_prefix: / }}
        upstream: payments
        task: {{ domain: payments, action: charge }}
upstreams:
  payments: {{ endpoints: [\"{url}\"], breaker: {{ open_for: 5m }} }}
  music: {{ endpoints: [\"{url}\"] }}
"
        );
        Self { fusebox: Setup::of(yaml).start(), _upstream: upstream }
    }

    /// With so many upstreams, and routes to them by path.
    pub(crate) fn crowd(count: usize) -> Self {
        let upstream = ScriptedUpstream::start();
        upstream.answer_on("/fail", status(500));
        let names: Vec<String> = (0..count).map(|at| format!("service-{at:03}")).collect();
        let route = |name| {
            format!(
                "      - {{ match: {{ path_prefix: /{name} }}, upstream: {name}, strip_prefix: true }}\n"
            )
        };
        let routes: String = names.iter().map(route).collect();
        let one = |name| format!("  {name}: {{ endpoints: [\"{}\"] }}\n", upstream.url());
        let upstreams: String = names.iter().map(one).collect();
        let yaml = format!(
            "listeners:\n  egress:\n    listen: \"{{proxy}}\"\n    routes:\n{routes}upstreams:\n{upstreams}"
        );
        Self { fusebox: Setup::of(yaml).start(), _upstream: upstream }
    }

    /// Runs a script to its end, which is good; what it printed.
    #[track_caller]
    pub(crate) fn look(&self, script: &str, more: &[&str]) -> String {
        let (admin, proxy) = (self.fusebox.admin, self.fusebox.proxy);
        let mut command = python(script);
        command.args([format!("http://{admin}"), format!("http://{proxy}")]).args(more);
        run(command, vec![]).text()
    }
}

/// A program for the Python that `tests/run` sets up beside what Cargo builds.
pub(crate) fn python(script: &str) -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dashboard/scripts");
    let mut command = Command::new(target.join("peers/bin/python"));
    command.arg("-B").arg(scripts.join(script));
    command
}
