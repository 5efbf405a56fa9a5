//! AWS on loopback, and the scripts beside it.

use std::{
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    files::{program, programs, root},
    local::{free_address, wait_until},
    peer::{Finished, Home, Peer, started},
};

/// Where the double is said to be.
pub(crate) const REGION: &str = "eu-central-1";

/// A double of AWS, which forgets all in the end.
pub(crate) struct Cloud {
    address: SocketAddr,
    _processes: [Peer; 2],
    /// Where AWS's own program is asked, which is loaded once for all that ask.
    home: Home,
}

/// A network to deploy into: the VPC, and two subnets in the words of `--subnets`.
pub(crate) struct Network {
    pub(crate) vpc: String,
    pub(crate) subnets: String,
}

impl Cloud {
    pub(crate) fn start() -> Self {
        let (address, home) = (free_address(), Home::new("cloud"));
        let port = address.port().to_string();
        let socket = home.path().join(SOCKET);
        let mut double = python(&["tests/deploy/aws.py", &port]);
        let mut loaded = python(&[AWS, "--serve", socket.to_str().expect("a plain path")]);
        until_it_listens(&mut double, || TcpStream::connect(address).is_ok());
        until_it_listens(&mut loaded, || UnixStream::connect(&socket).is_ok());
        Self { address, _processes: [double, loaded], home }
    }

    /// Asks with AWS's own program; the answer, or `Null` where there is none.
    pub(crate) fn ask(&self, words: &[&str]) -> Value {
        let said = self.run(root().join(AWS).to_str().expect("a plain path"), words, &[]).text();
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
        let loaded = root().join(AWS).with_file_name("");
        command.env("PATH", format!("{}:{}", loaded.display(), search_path()));
        command.env("AWS_LOADED", self.home.path().join(SOCKET));
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

/// A server of these words, which knows of no account either.
fn python(words: &[&str]) -> Peer {
    let mut command = program("python");
    command.args(words).env_clear().env("PATH", search_path()).env("HOME", "/nonexistent");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Peer(started(&mut command))
}

fn until_it_listens(server: &mut Peer, listens: impl Fn() -> bool) {
    wait_until("what stands for AWS listens", LONG, || {
        let ended = server.0.try_wait().expect("it is our child");
        assert!(ended.is_none(), "it ended: {ended:?}");
        listens().then_some(())
    });
}

/// Where programs are looked for.
fn search_path() -> String {
    format!("{}:/usr/local/bin:/usr/bin:/bin", programs().display())
}

/// A program that knows of no account, no variables and no home, and has a deadline.
pub(crate) fn bare(path: &str) -> Command {
    let limit = format!("{}s", LONG.as_secs());
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5s", &limit, path]).current_dir(root());
    command.env_clear().env("PATH", search_path()).env("HOME", "/nonexistent");
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

/// AWS's own program, and where it is asked in the directory of its cloud.
const AWS: &str = "tests/deploy/loaded/aws";
const SOCKET: &str = "aws.socket";

/// A script asks many questions.
const LONG: Duration = Duration::from_secs(300);
