//! Paths with names for some of their segments, and actions that are made of them.

use std::fmt;

use super::value::{MAX_TEXT, OTHER};
use crate::domain::secret;

/// A path with names: `/v1/beats/{kind}`. Longer paths begin with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Plain(Box<str>),
    Named(Box<str>),
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is no path.
    #[error(
        "a path begins with `/`, and a name stands for a whole segment, as in `/beats/{{kind}}`"
    )]
    Shape,
    /// A name with other characters.
    #[error("`{{{0}}}`: a name has 1 to 32 of `a-z 0-9 _`")]
    Name(String),
    /// A name is there twice.
    #[error("`{{{0}}}` is there twice")]
    Twice(String),
    /// A name that the path does not have.
    #[error("there is no segment `{{{0}}}` in the path")]
    Unknown(String),
    /// A brace that opens or closes nothing.
    #[error("a `{{` needs its `}}`")]
    Brace,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// It is no path, or its names are wrong.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let rest = text.strip_prefix('/').ok_or(TemplateError::Shape)?.trim_end_matches('/');
        let mut segments: Vec<Segment> = Vec::new();
        for part in rest.split('/') {
            let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            let segment = match name {
                Some(name) => Segment::Named(checked(name)?.into()),
                None if part.contains(['{', '}']) || part.is_empty() => {
                    return Err(TemplateError::Shape);
                }
                None => Segment::Plain(part.into()),
            };
            if matches!(segment, Segment::Named(_)) && segments.contains(&segment) {
                return Err(TemplateError::Twice(name.unwrap_or_default().to_owned()));
            }
            segments.push(segment);
        }
        Ok(Self(segments))
    }

    /// The number of a named segment.
    pub fn segment(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|segment| matches!(segment, Segment::Named(own) if **own == *name))
    }

    /// The name of a segment by its number.
    pub fn name(&self, at: usize) -> Option<&str> {
        match self.0.get(at)? {
            Segment::Named(name) => Some(name),
            Segment::Plain(_) => None,
        }
    }

    /// What stands in a segment of a path that begins like this one.
    pub fn value<'p>(&self, at: usize, path: &'p str) -> Option<&'p str> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let mut value = None;
        for (number, segment) in self.0.iter().enumerate() {
            let part = parts.next()?;
            match segment {
                Segment::Plain(text) if **text != *part => return None,
                Segment::Named(_) if number == at => value = Some(part),
                Segment::Plain(_) | Segment::Named(_) => {}
            }
        }
        value.filter(|value| !value.is_empty())
    }

    /// Whether all calls to this prefix are named alike: the template begins with it.
    pub fn is_below(&self, prefix: &str) -> bool {
        let prefix = prefix.trim_matches('/');
        let mut segments = self.0.iter();
        prefix.is_empty()
            || prefix.split('/').all(
                |part| matches!(segments.next(), Some(Segment::Plain(text)) if **text == *part),
            )
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| match segment {
            Segment::Plain(text) => write!(f, "/{text}"),
            Segment::Named(name) => write!(f, "/{{{name}}}"),
        })
    }
}

/// A name of a segment.
fn checked(name: &str) -> Result<&str, TemplateError> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let is_good = (1..=32).contains(&name.len()) && name.bytes().all(is_plain);
    if is_good { Ok(name) } else { Err(TemplateError::Name(name.to_owned())) }
}

/// What a call does, with segments of its path: `generate-{kind}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    path: Template,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Plain(Box<str>),
    Segment(usize),
}

impl Action {
    /// Whether a text has anything to be filled in.
    pub fn is_template(text: &str) -> bool {
        text.contains(['{', '}'])
    }

    /// Reads an action.
    ///
    /// # Errors
    /// It names a segment that the path does not have.
    pub fn parse(text: &str, path: &Template) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}').ok_or(TemplateError::Brace)?;
            let segment = path.segment(checked(name)?);
            let segment = segment.ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
            parts.extend([Part::Plain(before.into()), Part::Segment(segment)]);
            rest = behind;
        }
        if rest.contains('}')
            || parts.iter().any(|part| matches!(part, Part::Plain(text) if text.contains('}')))
        {
            return Err(TemplateError::Brace);
        }
        parts.push(Part::Plain(rest.into()));
        Ok(Self { path: path.clone(), parts })
    }

    /// The action of a call to this path, in lower case; [`OTHER`] when it would be too long or tell
    /// a secret. A segment that the path does not have is `__missing__`.
    pub fn of(&self, path: &str) -> String {
        let mut action = String::new();
        for part in &self.parts {
            action.push_str(match part {
                Part::Plain(text) => text,
                Part::Segment(at) => self.path.value(*at, path).unwrap_or("__missing__"),
            });
        }
        action.make_ascii_lowercase();
        if action.chars().nth(MAX_TEXT).is_some() || secret::is_in(action.as_bytes()) {
            return OTHER.to_owned();
        }
        action
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Template, TemplateError};

    #[test]
    fn segments_are_found_by_name_where_the_path_begins_like_the_template() {
        let template = Template::parse("/v1/{team}/beats/{kind}").unwrap();
        let kind = template.segment("kind").unwrap();
        for (path, value) in [
            ("/v1/x/beats/hip-hop", Some("hip-hop")),
            ("/v1/x/beats/hip-hop/7", Some("hip-hop")),
            ("/v1/x/beats/", None),
            ("/v1/x/beats", None),
            ("/v2/x/beats/hip-hop", None),
        ] {
            assert_eq!(template.value(kind, path), value, "{path}");
        }
        assert_eq!(template.segment("genre"), None);
        assert!(template.is_below("/v1/") && template.is_below("/"));
        assert!(!template.is_below("/v1/x") && !template.is_below("/v2"));
    }

    #[test]
    fn an_action_is_made_of_segments_in_lower_case() {
        let template = Template::parse("/beats/{kind}").unwrap();
        let action = Action::parse("generate-{kind}", &template).unwrap();
        let long = format!("/beats/{}", "x".repeat(60));
        for (path, expected) in [
            ("/beats/Hip-Hop", "generate-hip-hop"),
            ("/beats", "generate-__missing__"),
            (&*long, "__other__"),
            ("/beats/jo@example.com", "__other__"),
        ] {
            assert_eq!(action.of(path), expected);
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in ["beats", "/a//b", "/a{x}", "/{}", "/{Kind}", "/{a}/{a}", "/"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
        let path = Template::parse("/beats/{kind}").unwrap();
        for (text, error) in [
            ("a-{genre}", TemplateError::Unknown("genre".into())),
            ("a-{kind", TemplateError::Brace),
            ("a-kind}", TemplateError::Brace),
            ("a-}{kind}", TemplateError::Brace),
        ] {
            assert_eq!(Action::parse(text, &path), Err(error), "{text}");
        }
    }
}
