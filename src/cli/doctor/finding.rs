//! What the doctor found, with a code that stays and what to do about it.

use std::{borrow::Cow, fmt::Write as _};

use serde_json::{Value, json};

/// How an examination ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// All is well.
    Good,
    /// It works, but will not for ever, or not as well as it could.
    Doubtful,
    /// It does not work.
    Bad,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Doubtful => "warning",
            Self::Bad => "failure",
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Good => "ok  ",
            Self::Doubtful => "warn",
            Self::Bad => "FAIL",
        }
    }
}

/// Something that is examined. Its code never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subject {
    /// The code, which scripts and docs/doctor.md know.
    pub(super) code: &'static str,
    /// What it is.
    pub(super) title: &'static str,
    /// What to do when it is not well.
    pub(super) remedy: &'static str,
}

/// All subjects, by code.
pub(super) mod subject {
    use super::Subject;

    macro_rules! subjects {
        ($($name:ident: $code:literal, $title:literal, $remedy:literal;)*) => {
            $(pub(in super::super) const $name: Subject =
                Subject { code: $code, title: $title, remedy: $remedy };)*

            /// All of them.
            #[cfg(test)]
            pub(in super::super) const ALL: &[Subject] = &[$($name,)*];
        };
    }

    subjects! {
        CONFIGURATION: "FB101", "the configuration can be used",
            "correct what `fusebox validate` shows";
        DATA_DIR: "FB102", "the data directory can be written",
            "create it for the user that Fusebox runs as, or set data_dir to another";
        PORT: "FB201", "ports are free, or held by a running Fusebox",
            "stop what listens there (`ss -ltnp` names it), or give the listener another address";
        FILES: "FB301", "certificates, keys and authorities can be used",
            "correct the file or the key of the configuration that is named";
        EXPIRY: "FB302", "certificates are valid for longer than 30 days",
            "put a new certificate in place of the old: running instances take it over by themselves";
        NAMES: "FB401", "names of upstreams resolve",
            "check the name, and the resolver of this machine or container";
        REACH: "FB402", "upstreams accept connections",
            "check that the upstream runs, and firewalls and security groups in between";
        CONNECT: "FB501", "the database can be reached",
            "check host, port, user, password and sslmode in database.url, and the network in between";
        SCHEMA: "FB502", "the tables are up to date",
            "run `fusebox migrate up`, or set database.migrate to true";
        PRIVILEGES: "FB503", "the role may do what it must",
            "run `fusebox migrate up --grant ROLE` with the URL of the tables' owner";
        LISTEN: "FB504", "notifications of the database come through",
            "connect without a pooler in transaction mode, or accept that breakers are shared by polling";
        CLOCK: "FB505", "the clocks of this machine and of the database agree",
            "let NTP or chrony set both clocks: times of rows are those of the machine that wrote them";
    }
}

/// What was found about a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) subject: Subject,
    pub(super) verdict: Verdict,
    /// What exactly.
    pub(super) detail: String,
    /// What to do when it is not well: the subject's, unless more is known.
    pub(super) remedy: Cow<'static, str>,
}

impl Finding {
    const fn new(subject: Subject, verdict: Verdict, detail: String) -> Self {
        Self { subject, verdict, detail, remedy: Cow::Borrowed(subject.remedy) }
    }

    pub(super) fn good(subject: Subject, detail: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Good, detail.into())
    }

    pub(super) fn doubtful(subject: Subject, detail: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Doubtful, detail.into())
    }

    pub(super) fn bad(subject: Subject, detail: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Bad, detail.into())
    }

    /// With this to do about it.
    pub(super) fn with_remedy(self, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }
}

/// All findings, a line each, and below those that are not good what to do.
pub(super) fn report(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { subject, verdict, detail, remedy } in findings {
        // Writing to a string cannot fail.
        writeln!(text, "{} {} {}: {detail}", verdict.sign(), subject.code, subject.title).ok();
        if *verdict != Verdict::Good {
            writeln!(text, "           do: {remedy}").ok();
            let anchor = subject.code.to_ascii_lowercase();
            writeln!(text, "           see: docs/doctor.md#{anchor}").ok();
        }
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (bad, doubtful) = (count(Verdict::Bad), count(Verdict::Doubtful));
    writeln!(text, "{} examined, {bad} failed, {doubtful} doubtful", findings.len()).ok();
    text
}

/// The same for scripts.
pub(super) fn json(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        json!({
            "code": finding.subject.code,
            "title": finding.subject.title,
            "verdict": finding.verdict.as_str(),
            "detail": finding.detail,
            "remedy": (finding.verdict != Verdict::Good).then_some(&finding.remedy),
        })
    };
    let worst = findings.iter().map(|finding| finding.verdict).max();
    json!({
        "healthy": worst != Some(Verdict::Bad),
        "findings": findings.iter().map(one).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::{Finding, report, subject};
    use crate::cli::Cli;

    #[test]
    fn every_code_is_documented_once_with_its_remedy() {
        let page = include_str!("../../../docs/doctor.md");
        for subject in subject::ALL {
            let heading = format!("\n## {}\n", subject.code);
            assert_eq!(page.matches(&heading).count(), 1, "{}", subject.code);
            let same = |other: &&super::Subject| other.code == subject.code;
            assert_eq!(subject::ALL.iter().filter(same).count(), 1, "{}", subject.code);
        }
    }

    #[test]
    fn what_is_to_be_done_names_commands_and_keys_that_there_are() {
        let keys = include_str!("../../../docs/configuration.md");
        for subject in subject::ALL {
            for command in subject.remedy.split('`').skip(1).step_by(2) {
                let mut words = command.split_whitespace();
                if words.next() == Some("fusebox") {
                    let known = Cli::command().try_get_matches_from(command.split_whitespace());
                    assert!(known.is_ok(), "{}: {command}", subject.code);
                }
            }
            let names = subject.remedy.split([' ', ',', ':', '`']);
            let is_key = |name: &&str| name.contains('_') || name.contains('.');
            for key in names.filter(is_key) {
                assert!(keys.contains(&format!("\n## `{key}`\n")), "{}: {key}", subject.code);
            }
        }
    }

    #[test]
    fn what_is_not_well_says_what_to_do() {
        let findings = [
            Finding::good(subject::CONFIGURATION, "fusebox.yaml"),
            Finding::bad(subject::CONNECT, "connection refused"),
        ];
        let expected = "\
ok   FB101 the configuration can be used: fusebox.yaml
FAIL FB501 the database can be reached: connection refused
           do: check host, port, user, password and sslmode in database.url, and the network in between
           see: docs/doctor.md#fb501
2 examined, 1 failed, 0 doubtful
";
        assert_eq!(report(&findings), expected);
    }
}
