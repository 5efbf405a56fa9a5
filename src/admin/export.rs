//! Answers line by line, for other programs: CSV, or a JSON object on each line.
//!
//! Lines go out as they are made, in chunks, and the next ones are made when those were taken: an
//! export holds a page in memory, however long it is. One that cannot be finished breaks off, which
//! a reader of HTTP sees.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

use super::{
    csv,
    query::Asked,
    reply::{self, Fault},
};
use crate::config::suggest::did_you_mean;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON document, in the envelope.
    Json,
    /// Comma-separated values with a heading.
    Csv,
    /// A JSON object on each line.
    JsonLines,
}

/// The names of formats, and the media types that ask for them.
const FORMATS: [(Format, &str, &[&str]); 3] = [
    (Format::Json, "json", &["application/json"]),
    (Format::Csv, "csv", &["text/csv"]),
    (Format::JsonLines, "jsonl", &["application/jsonl", "application/x-ndjson"]),
];

impl Format {
    /// What `format=` says, else the first media type of `Accept` that is known, else JSON.
    pub(super) fn read(asked: &Asked, headers: &HeaderMap) -> Result<Self, Fault> {
        let Some(name) = asked.text("format") else { return Ok(Self::accepted(headers)) };
        let found = FORMATS.iter().find(|(_, known, _)| *known == name);
        found.map(|(format, ..)| *format).ok_or_else(|| {
            let near = did_you_mean(name, FORMATS.iter().map(|(_, name, _)| *name));
            Fault::unreadable("format", format_args!("one of json, csv, jsonl{near}"))
        })
    }

    fn accepted(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter();
        let ranges = accepted.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
        let types = ranges.map(|range| range.split(';').next().unwrap_or_default().trim());
        let of = |name: &str| {
            let known = |known: &&'static str| known.eq_ignore_ascii_case(name);
            FORMATS.iter().find(|(_, _, types)| types.iter().any(&known))
        };
        types.filter_map(of).map(|(format, ..)| *format).next().unwrap_or(Self::Json)
    }

    /// Some records, as lines.
    pub(super) fn lines(self, columns: &[&str], records: &[Map<String, Value>]) -> Bytes {
        let mut out = String::new();
        for record in records {
            if self == Self::Csv {
                let null = Value::Null;
                csv::line(&mut out, columns.iter().map(|name| record.get(*name).unwrap_or(&null)));
            } else {
                // A map of values always serializes.
                out.push_str(&serde_json::to_string(record).unwrap_or_default());
                out.push('\n');
            }
        }
        out.into()
    }

    /// A whole export as one text.
    pub(super) fn whole(self, columns: &[&str], records: &[Map<String, Value>]) -> String {
        let lines = self.lines(columns, records);
        self.heading(columns) + &String::from_utf8_lossy(&lines)
    }

    /// The line of names, where there is one.
    fn heading(self, columns: &[&str]) -> String {
        let mut heading = String::new();
        if self == Self::Csv {
            csv::heading(&mut heading, columns.iter().copied());
        }
        heading
    }

    /// A whole export: the heading where there is one, then these lines.
    pub(super) fn response<S>(self, columns: &[&str], lines: S) -> Response
    where
        S: Stream<Item = Result<Bytes, Fault>> + Send + 'static,
    {
        let heading = self.heading(columns);
        let heading = stream::iter((!heading.is_empty()).then(|| Ok(Bytes::from(heading))));
        let body = Body::from_stream(heading.chain(lines));
        let (kind, file) = match self {
            Self::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"fusebox.csv\""),
            Self::Json | Self::JsonLines => {
                ("application/jsonl", "attachment; filename=\"fusebox.jsonl\"")
            }
        };
        let mut response = reply::typed(StatusCode::OK, kind, body);
        response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(file));
        response
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};
    use serde_json::json;

    use super::Format;
    use crate::admin::query::tests::ask;

    fn read(query: &str, accept: Option<&'static str>) -> Result<Format, String> {
        let mut headers = HeaderMap::new();
        headers.extend(accept.map(|kind| (header::ACCEPT, HeaderValue::from_static(kind))));
        Format::read(&ask(query, &["format"])?, &headers).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_format_is_asked_for_by_name_or_by_media_type() {
        for (query, accept, format) in [
            ("", None, Format::Json),
            ("", Some("*/*"), Format::Json),
            ("", Some("text/csv"), Format::Csv),
            ("", Some("Text/CSV; header=present, */*"), Format::Csv),
            ("", Some("application/x-ndjson"), Format::JsonLines),
            ("", Some("text/html, application/jsonl;q=0.9"), Format::JsonLines),
            ("", Some("application/json, text/csv"), Format::Json),
            ("format=csv", None, Format::Csv),
            ("format=json", Some("text/csv"), Format::Json),
            ("format=jsonl", None, Format::JsonLines),
        ] {
            assert_eq!(read(query, accept), Ok(format), "{query} {accept:?}");
        }
        assert!(read("format=cvs", None).unwrap_err().contains("did you mean `csv`?"));
    }

    #[test]
    fn a_record_is_a_line_whatever_is_in_it() {
        let record = json!({"b": "x\ny", "a": "=1"}).as_object().cloned().unwrap();
        let records = [record];
        assert_eq!(Format::Csv.lines(&["a", "b", "c"], &records), "'=1,\"x\ny\",\r\n");
        assert_eq!(Format::JsonLines.lines(&[], &records), "{\"a\":\"=1\",\"b\":\"x\\ny\"}\n");
    }
}
