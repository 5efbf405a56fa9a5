//! What a value looks like, for those who describe the file to others: the schema, the reference.

/// See the module docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A mapping with keys of its own.
    Section,
    /// A mapping from names that the user chooses.
    Named,
    /// A list of these.
    List(&'static Self),
    /// A text; what else is to be said of it, its reader says.
    Text,
    /// A text that a regular expression describes.
    Pattern(&'static str),
    /// A text that can be read as nothing else, and that a regular expression describes.
    Address(&'static str),
    /// A whole number.
    Whole,
    /// A number, decimals allowed.
    Number,
    /// A whole number, or this word.
    WholeOr(&'static str),
    /// A whole number from the first to the second.
    Within(u16, u16),
    /// One of these words.
    Words(&'static [&'static str]),
    /// A duration with its unit.
    Duration,
    /// A size with its unit.
    Size,
    /// A share with its percent sign.
    Share,
}

/// Something that has a shape.
pub(super) trait Shaped {
    /// Its shape.
    const SHAPE: Shape;
}

impl Shape {
    /// In words.
    pub(super) fn in_words(self) -> String {
        match self {
            Self::Section => "a mapping".to_owned(),
            Self::Named => "a mapping from names".to_owned(),
            Self::List(Self::Section) => "a list of mappings".to_owned(),
            Self::List(item) => format!("a list, each {}", item.in_words()),
            Self::Text | Self::Pattern(_) => "a text".to_owned(),
            Self::Address(_) => "an address".to_owned(),
            Self::Whole => "a whole number".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::WholeOr(word) => format!("`{word}` or a whole number"),
            Self::Within(least, most) => format!("a whole number from {least} to {most}"),
            Self::Words(words) => {
                let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
                quoted.join(", ")
            }
            Self::Duration => "a duration".to_owned(),
            Self::Size => "a size".to_owned(),
            Self::Share => "a share".to_owned(),
        }
    }
}
