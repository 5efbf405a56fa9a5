//! What is captured of one call, from its head to its end.

use std::{borrow::Cow, sync::Arc};

use http::HeaderMap;

use super::{
    Extraction, form,
    head::{self, Content},
    tee::{Copied, Ends},
};
use crate::domain::capture::{
    Conclusion, Evidence, Fault, Found, Plan, Scalar, Source, Wanted, json, sse,
};

/// The longest text that is taken out of a head, in bytes: longer than any that is kept.
const MAX_WORD: usize = 256;

/// See the module docs.
#[derive(Debug)]
pub struct Capture {
    terms: Arc<Extraction>,
    /// What the heads said, by the number of the source.
    words: Vec<(usize, Option<Box<str>>)>,
    request: Request,
    status: Option<u16>,
    answer: Answer,
}

/// The body of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    /// It is not read.
    Unread,
    Document,
    Form,
}

/// The body of the answer.
#[derive(Debug)]
enum Answer {
    /// It is not read.
    Unread,
    Document(Copied),
    Events(Ends),
}

impl Capture {
    /// Begins with the head of a request. The path is as routes compare it.
    pub fn begin(
        terms: &Arc<Extraction>,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Self {
        let mut words = Vec::new();
        let plan = &*terms.plan;
        for (number, source) in plan.sources().iter().enumerate() {
            let word = match source {
                Source::RequestHeader(name) => head::word(headers, name),
                Source::Path(at) => {
                    let template = plan.path.as_ref();
                    template.and_then(|template| template.value(*at, path))
                }
                Source::Query(_) => None,
                Source::RequestJson(_)
                | Source::RequestForm(_)
                | Source::ResponseJson(_)
                | Source::ResponseHeader(_) => continue,
            };
            words.push((number, word.map(kept)));
        }
        form::find(query.unwrap_or_default(), plan.query(), |number, word| {
            words.push((number, Some(kept(&word))));
        });
        let request = Request::of(plan, headers).unwrap_or_else(|fault| {
            terms.faults.note(fault);
            Request::Unread
        });
        Self { terms: Arc::clone(terms), words, request, status: None, answer: Answer::Unread }
    }

    /// Whether the body of the request is to be copied.
    pub fn wants_request(&self) -> bool {
        self.request != Request::Unread
    }

    /// The upstream has answered.
    pub fn answered(&mut self, status: u16, headers: &HeaderMap) {
        self.status = Some(status);
        let plan = &*self.terms.plan;
        for (number, source) in plan.sources().iter().enumerate() {
            if let Source::ResponseHeader(name) = source {
                self.words.push((number, head::word(headers, name).map(kept)));
            }
        }
        if plan.response().is_empty() {
            return;
        }
        self.answer = match head::content(headers) {
            Ok(Content::Json) => Answer::Document(Copied::default()),
            Ok(Content::Events) => Answer::Events(Ends::default()),
            other => {
                self.terms.faults.note(other.err().unwrap_or(Fault::NotJson));
                Answer::Unread
            }
        };
    }

    /// Some of the answer's body goes by.
    pub fn passes(&mut self, bytes: &[u8]) {
        match &mut self.answer {
            Answer::Unread => {}
            Answer::Document(copied) => copied.add(bytes),
            Answer::Events(ends) => ends.add(bytes),
        }
    }

    /// What it comes to. The body of the request is there as far as it was copied, and says
    /// nothing unless it is complete; so does a document that was answered.
    pub fn conclude(&self, request: Option<&Copied>, is_sent: bool, is_over: bool) -> Conclusion {
        let plan = &*self.terms.plan;
        let mut evidence = Evidence::new(plan.sources().len());
        for (number, word) in &self.words {
            let word = word.as_deref().map(|word| Scalar::Word(Cow::Borrowed(word)));
            evidence.put(*number, word.map_or(Found::Missing, Found::Value));
        }
        match (self.request, request) {
            (Request::Unread, _) | (_, None) => {}
            (Request::Document, Some(body)) => {
                evidence.miss(plan.form().map(|(number, _)| number));
                let found = whole(body, is_sent).and_then(|bytes| values(bytes, plan.request()));
                self.tell(plan.request().numbers(), found, &mut evidence);
            }
            (Request::Form, Some(body)) => {
                evidence.miss(plan.request().numbers());
                let found = whole(body, is_sent).and_then(|bytes| fields(bytes, plan.form()));
                self.tell(plan.form().map(|(number, _)| number), found, &mut evidence);
            }
        }
        match &self.answer {
            Answer::Unread => {}
            Answer::Document(body) => {
                let found = whole(body, is_over).and_then(|bytes| values(bytes, plan.response()));
                self.tell(plan.response().numbers(), found, &mut evidence);
            }
            Answer::Events(ends) => self.read_events(plan, ends, &mut evidence),
        }
        plan.conclude(
            &evidence,
            self.status,
            |parameter, text, most| self.terms.admits(parameter, text, most),
            |fault| self.terms.faults.note(fault),
        )
    }

    /// Tells what was found of what is wanted of a body, or counts why nothing was.
    fn tell<'a>(
        &self,
        wanted: impl Iterator<Item = usize>,
        found: Result<Vec<(usize, Scalar<'a>)>, Fault>,
        evidence: &mut Evidence<'a>,
    ) {
        match found {
            Ok(found) => {
                evidence.miss(wanted);
                found.into_iter().for_each(|(at, value)| evidence.put(at, Found::Value(value)));
            }
            Err(fault) => self.terms.faults.note(fault),
        }
    }

    /// Reads the documents of a stream, of which some may be none: the last of them often says that
    /// it is the last.
    fn read_events<'a>(&self, plan: &Plan, ends: &'a Ends, evidence: &mut Evidence<'a>) {
        let wanted = plan.response();
        let stretches = ends.stretches().into_iter();
        let data = stretches.flat_map(|(stretch, is_cut)| sse::data(stretch, is_cut));
        let mut is_any = false;
        for found in data.filter_map(|data| values(data, wanted).ok()) {
            if !is_any {
                evidence.miss(wanted.numbers());
            }
            is_any = true;
            found.into_iter().for_each(|(at, value)| evidence.put(at, Found::Value(value)));
        }
        if !is_any {
            self.terms.faults.note(Fault::NotJson);
        }
    }
}

impl Request {
    /// How the body of a request is read, by its head.
    fn of(plan: &Plan, headers: &HeaderMap) -> Result<Self, Fault> {
        let (wants_json, wants_form) = (!plan.request().is_empty(), plan.form().next().is_some());
        if !wants_json && !wants_form {
            return Ok(Self::Unread);
        }
        match head::content(headers)? {
            Content::Json if wants_json => Ok(Self::Document),
            Content::Form if wants_form => Ok(Self::Form),
            _ => Err(if wants_json { Fault::NotJson } else { Fault::NotForm }),
        }
    }
}

/// All of a body.
fn whole(copied: &Copied, is_whole: bool) -> Result<&[u8], Fault> {
    let bytes = copied.bytes().ok_or(Fault::TooLarge)?;
    is_whole.then_some(bytes).ok_or(Fault::Incomplete)
}

/// What is wanted of a form and there.
fn fields<'a, 'n>(
    bytes: &'a [u8],
    wanted: impl Iterator<Item = (usize, &'n str)>,
) -> Result<Vec<(usize, Scalar<'a>)>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::NotForm)?;
    let mut found = Vec::new();
    let put = |number, value| found.push((number, Scalar::Word(value)));
    form::find(text, wanted, put).then_some(found).ok_or(Fault::TooLarge)
}

/// What is wanted of a document and there.
fn values<'a>(bytes: &'a [u8], wanted: &Wanted) -> Result<Vec<(usize, Scalar<'a>)>, Fault> {
    let mut found = Vec::new();
    json::find(bytes, wanted, &mut |number, value| found.push((number, value)))?;
    Ok(found)
}

/// A text of a head, as far as it can matter.
fn kept(word: &str) -> Box<str> {
    word[..word.floor_char_boundary(MAX_WORD)].into()
}
