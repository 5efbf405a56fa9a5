//! What the doctor found, with a code that stays and what to do about it.

use std::fmt::Write as _;

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
            "run `fusebox migrate up --grant ROLE` as the owner of the tables";
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
}

impl Finding {
    pub(super) fn good(subject: Subject, detail: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Good, detail: detail.into() }
    }

    pub(super) fn doubtful(subject: Subject, detail: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Doubtful, detail: detail.into() }
    }

    pub(super) fn bad(subject: Subject, detail: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Bad, detail: detail.into() }
    }
}

/// All findings, a line each, and below those that are not good what to do.
pub(super) fn report(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { subject, verdict, detail } in findings {
        // Writing to a string cannot fail.
        writeln!(text, "{} {} {}: {detail}", verdict.sign(), subject.code, subject.title).ok();
        if *verdict != Verdict::Good {
            writeln!(text, "           do: {}", subject.remedy).ok();
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
            "remedy": (finding.verdict != Verdict::Good).then_some(finding.subject.remedy),
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
    use super::{Finding, report, subject};

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
