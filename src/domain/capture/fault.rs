//! Why something that was to be captured was not. Never an error to anybody: counted.

/// Declares [`Fault`] with the names of its metric.
macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// See the module docs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Fault { $($(#[$doc])* $variant,)* }

        impl Fault {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

faults! {
    /// A body is no JSON, by its content type or by what it holds.
    NotJson = "not_json";
    /// A body is no form, by its content type or by what it holds.
    NotForm = "not_form";
    /// A body has more bytes, or a form more fields, than are looked at.
    TooLarge = "too_large";
    /// A body is nested too deeply.
    TooDeep = "too_deep";
    /// A body is compressed.
    Compressed = "compressed";
    /// A body did not come to its end.
    Incomplete = "incomplete";
    /// A body says something wanted twice.
    DuplicateKey = "duplicate_key";
    /// A value is of another type.
    WrongType = "wrong_type";
    /// A value is less or more than it may be.
    OutOfRange = "out_of_range";
    /// A text is longer than any that is kept.
    TooLong = "too_long";
    /// There are more different texts than are kept.
    TooMany = "too_many";
    /// A text looks like a secret.
    Secret = "secret";
    /// What a cost is made of is missing.
    CostMissing = "cost_missing";
    /// No price is configured for a model.
    NoPrice = "no_price";
}
