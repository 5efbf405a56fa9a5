//! The notes of one reading: every problem on the way, until all are shown at once.

use std::cell::{Cell, RefCell};

use super::{
    environment::{Environment, Variable},
    file::Span,
    path::Path,
    problem::{MAX_PROBLEMS, Place, Problem, Problems, Severity},
    secrets::Secrets,
    snippet::{Snippet, is_harmless},
};

/// What is known while a configuration is read.
pub(super) struct Reading<'a> {
    pub(super) environment: &'a Environment,
    findings: RefCell<Vec<Finding>>,
    left_out: Cell<usize>,
}

/// A problem whose line is not cut out yet.
struct Finding {
    severity: Severity,
    origin: Origin,
    path: String,
    message: String,
}

/// What a problem is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    File(Option<Span>),
    Environment,
}

impl<'a> Reading<'a> {
    /// A reading in this environment, without problems so far.
    pub(super) fn new(environment: &'a Environment) -> Self {
        Self { environment, findings: RefCell::default(), left_out: Cell::default() }
    }

    /// Notes what keeps Fusebox from starting.
    pub(super) fn error(&self, at: Option<Span>, path: &Path, message: &str) {
        self.note(Severity::Error, Origin::File(at), path.as_str(), message);
    }

    /// Notes what is hardly meant.
    pub(super) fn warning(&self, at: Option<Span>, path: &Path, message: &str) {
        self.note(Severity::Warning, Origin::File(at), path.as_str(), message);
    }

    /// Notes what is wrong with a variable, once however often it is asked for.
    pub(super) fn variable(&self, severity: Severity, variable: Variable, message: &str) {
        let path = variable.name();
        let is_same =
            |finding: &Finding| finding.origin == Origin::Environment && finding.path == path;
        if !self.findings.borrow().iter().any(is_same) {
            self.note(severity, Origin::Environment, path, message);
        }
    }

    /// How many problems there are so far.
    pub(super) fn count(&self) -> usize {
        self.findings.borrow().len() + self.left_out.get()
    }

    /// Whether further problems are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.count() >= MAX_PROBLEMS
    }

    fn note(&self, severity: Severity, origin: Origin, path: &str, message: &str) {
        let mut findings = self.findings.borrow_mut();
        if findings.len() >= MAX_PROBLEMS {
            self.left_out.set(self.left_out.get() + 1);
            return;
        }
        let message = message.chars().map(|c| if is_harmless(c) { c } else { '\u{fffd}' });
        let (path, message) = (path.to_owned(), message.collect());
        findings.push(Finding { severity, origin, path, message });
    }

    /// Cuts out the lines behind the problems, without the secrets in them.
    pub(super) fn finish(self, file: &str, text: &str, secrets: &Secrets) -> Problems {
        let place = |span: Span| {
            let hidden = secrets.around(text, span.start);
            let snippet = Snippet::cut(text, span, &hidden);
            Place { line: span.line, column: span.column, snippet }
        };
        let shown = |finding: Finding| {
            let (file, place) = match finding.origin {
                Origin::File(span) => (file, span.map(place)),
                Origin::Environment => ("environment", None),
            };
            Problem {
                severity: finding.severity,
                file: file.to_owned(),
                place,
                path: finding.path,
                message: finding.message,
            }
        };
        let mut list: Vec<_> = self.findings.into_inner().into_iter().map(shown).collect();
        list.extend(self.environment.warnings());
        Problems::new(list, self.left_out.get())
    }
}
