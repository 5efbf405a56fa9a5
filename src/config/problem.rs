//! What is wrong with a configuration, where, and how that is shown.
//!
//! A [`Problem`] is data: whoever shows it elsewhere than on a terminal reads its fields. Nothing
//! here finds problems, and nothing here can show a secret: snippets arrive with them hidden.

use std::fmt;

use super::snippet::Snippet;

/// The most problems that are kept; the rest is counted.
pub const MAX_PROBLEMS: usize = 1_000;

/// Whether a problem keeps Fusebox from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not, but is hardly what was meant.
    Warning,
}

impl Severity {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file's name, or `environment`, or `command line`.
    pub file: String,
    /// Where in the file; none when it is not in a file.
    pub place: Option<Place>,
    /// The key (`upstreams.payments.breaker.open_for`), the variable or the flag. Empty for the
    /// file as a whole.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    /// The line, counted from 1.
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.line)
    }

    /// The column in characters, counted from 1.
    pub fn column(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.column)
    }
}

/// A place in a file, with the line that it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is written there.
    pub(super) snippet: Snippet,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.path.is_empty() { "" } else { ": " };
        let Self { severity, file, path, message, place } = self;
        writeln!(f, "{}: {path}{colon}{message}", severity.as_str())?;
        let Some(Place { line, column, snippet }) = place else {
            return writeln!(f, "  --> {file}");
        };
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{margin}--> {file}:{line}:{column}")?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{}", format!("{number} | {}", snippet.text).trim_end())?;
        let (before, carets) = (" ".repeat(snippet.caret), "^".repeat(snippet.width));
        writeln!(f, "{margin} | {before}{carets}")
    }
}

/// Everything that is wrong, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    left_out: usize,
}

impl Problems {
    /// Orders them: by place, then those without one.
    pub(super) fn new(mut list: Vec<Problem>, left_out: usize) -> Self {
        list.sort_by_key(|problem| {
            (problem.place.is_none(), problem.line(), problem.column(), problem.severity)
        });
        Self { list, left_out }
    }

    /// A single one, without a place.
    pub(super) fn of_file(file: &str, message: impl Into<String>) -> Self {
        let problem = Problem {
            severity: Severity::Error,
            file: file.to_owned(),
            place: None,
            path: String::new(),
            message: message.into(),
        };
        Self { list: vec![problem], left_out: 0 }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// How many there are of this severity among those kept.
    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|problem| problem.severity == severity).count()
    }

    /// The same with each problem changed.
    pub(super) fn map(self, change: impl FnMut(Problem) -> Problem) -> Self {
        Self { list: self.list.into_iter().map(change).collect(), ..self }
    }

    /// The problems themselves.
    pub(super) fn into_list(self) -> Vec<Problem> {
        self.list
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<T: IntoIterator<Item = Problem>>(problems: T) -> Self {
        Self::new(problems.into_iter().collect(), 0)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            writeln!(f, "{problem}")?;
        }
        let plural = |count: usize, noun: &str| match count {
            1 => format!("1 {noun}"),
            _ => format!("{count} {noun}s"),
        };
        write!(f, "{}", plural(self.count(Severity::Error), "error"))?;
        if self.count(Severity::Warning) > 0 {
            write!(f, ", {}", plural(self.count(Severity::Warning), "warning"))?;
        }
        if self.left_out > 0 {
            write!(f, ", and {} more that are not shown", self.left_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
