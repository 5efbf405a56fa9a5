//! AWS on loopback, and the scripts beside it.

use std::{
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    files::{program, programs, root},
    local::{free_address, wait_until},
    peer::{Finished, Peer, started},
};

/// Where the double is said to be.
pub(crate) const REGION: &str = "eu-central-1";

/// A double of AWS, which forgets all in the end.
pub(crate) struct Cloud {
    address: SocketAddr,
    _process: Peer,
}

/// A network to deploy into: the VPC, and two subnets in the words of `--subnets`.
pub(crate) struct Network {
    pub(crate) vpc: String,
    pub(crate) subnets: String,
}

impl Cloud {
    pub(crate) fn start() -> Self {
        let address = free_address();
        let mut command = program("python");
        command.arg("tests/deploy/aws.py").arg(address.port().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Peer(started(&mut command));
        wait_until("the double of AWS listens", LONG, || {
            let ended = process.0.try_wait().expect("it is our child");
            assert!(ended.is_none(), "the double ended: {ended:?}");
            TcpStream::connect(address).ok()
        });
        Self { address, _process: process }
    }

    /// Asks with AWS's own program; the answer, or `Null` where there is none.
    pub(crate) fn ask(&self, words: &[&str]) -> Value {
        let aws = programs().join("aws");
        let said = self.run(aws.to_str().expect("a plain path"), words, &[]).text();
        if said.trim().is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{words:?}: {error}: {said}"))
    }

    /// A script of `deploy` with these words, to its end.
    pub(crate) fn script(
        &self,
        name: &str,
        words: &[&str],
        variables: &[(&str, &str)],
    ) -> Finished {
        let path = root().join("deploy").join(name);
        self.run(path.to_str().expect("a plain path"), words, variables)
    }

    /// A program that finds the double where AWS would be, with nothing else in its environment.
    fn run(&self, path: &str, words: &[&str], variables: &[(&str, &str)]) -> Finished {
        let mut command = bare(path);
        command.args(words).env("AWS_ENDPOINT_URL", format!("http://{}", self.address));
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("AWS_REGION", REGION).env("AWS_DEFAULT_REGION", REGION);
        command.envs(variables.iter().copied());
        to_its_end(command)
    }

    pub(crate) fn network(&self) -> Network {
        let subnets = self.ask(&["ec2", "describe-subnets"]);
        let text = |at: usize, key: &str| subnets["Subnets"][at][key].as_str().expect("text");
        Network {
            vpc: text(0, "VpcId").to_owned(),
            subnets: format!("{},{}", text(0, "SubnetId"), text(1, "SubnetId")),
        }
    }
}

/// A program that knows of no account, no variables and no home, and has a deadline.
pub(crate) fn bare(path: &str) -> Command {
    let programs = format!("{}:/usr/local/bin:/usr/bin:/bin", programs().display());
    let limit = format!("{}s", LONG.as_secs());
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5s", &limit, path]).current_dir(root());
    command.env_clear().env("PATH", programs).env("HOME", "/nonexistent");
    // Else it asks the machine that it may run on, and waits.
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// What a program says that has a deadline of its own.
pub(crate) fn to_its_end(mut command: Command) -> Finished {
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Finished { code: output.status.code(), stdout: output.stdout, stderr }
}

/// AWS's own program takes a second or more for each question, and a script asks many.
const LONG: Duration = Duration::from_secs(300);
