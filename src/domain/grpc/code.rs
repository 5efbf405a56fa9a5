//! The seventeen codes of gRPC, and what else stands for them.

use http::{HeaderValue, StatusCode};

use crate::domain::outcome::{Outcome, Reason};

/// Declares [`Code`] with its names, in the order of the numbers.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// How a gRPC call ended. The numbers are those of `grpc-status`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Code { $($(#[$doc])* $variant = $number,)* }

        impl Code {
            /// All of them, by number.
            pub const ALL: [Self; 17] = [$(Self::$variant,)*];

            /// The name, as in gRPC's own texts.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The value of `grpc-status`.
            pub const fn value(self) -> HeaderValue {
                HeaderValue::from_static(match self { $(Self::$variant => stringify!($number),)* })
            }
        }
    };
}

codes! {
    /// It succeeded.
    Ok = 0, "OK";
    /// The caller gave it up.
    Cancelled = 1, "CANCELLED";
    /// Nobody knows, or the code is none of these.
    Unknown = 2, "UNKNOWN";
    /// The caller's argument is wrong, whatever the state of the service.
    InvalidArgument = 3, "INVALID_ARGUMENT";
    /// The deadline passed first.
    DeadlineExceeded = 4, "DEADLINE_EXCEEDED";
    /// What was asked for does not exist.
    NotFound = 5, "NOT_FOUND";
    /// What was to be made exists.
    AlreadyExists = 6, "ALREADY_EXISTS";
    /// The caller may not do this.
    PermissionDenied = 7, "PERMISSION_DENIED";
    /// A quota is used up, or room.
    ResourceExhausted = 8, "RESOURCE_EXHAUSTED";
    /// The state of the service forbids it.
    FailedPrecondition = 9, "FAILED_PRECONDITION";
    /// Another call got in between.
    Aborted = 10, "ABORTED";
    /// Beyond the valid range.
    OutOfRange = 11, "OUT_OF_RANGE";
    /// There is no such method.
    Unimplemented = 12, "UNIMPLEMENTED";
    /// Something that must hold does not.
    Internal = 13, "INTERNAL";
    /// Not there now; trying again may help.
    Unavailable = 14, "UNAVAILABLE";
    /// Data is lost for good.
    DataLoss = 15, "DATA_LOSS";
    /// The caller did not say who it is.
    Unauthenticated = 16, "UNAUTHENTICATED";
}

impl Code {
    /// The number, as it is stored.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The code with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The code in a `grpc-status`. What is no code of gRPC is unknown.
    pub fn of_field(value: &[u8]) -> Self {
        let number = |text: &str| text.parse::<u8>().ok().filter(|_| is_number(text));
        let number = std::str::from_utf8(value).ok().and_then(number);
        number.and_then(Self::from_number).unwrap_or(Self::Unknown)
    }

    /// Reads a code as people write it: by its name or by its number.
    pub fn parse(text: &str) -> Option<Self> {
        let named = || Self::ALL.into_iter().find(|code| code.as_str() == text);
        if is_number(text) { Self::from_number(text.parse().ok()?) } else { named() }
    }

    /// What a caller of gRPC makes of an answer that is not gRPC, by its HTTP status: the table of
    /// gRPC's own document on it.
    pub const fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            200 => Self::Ok,
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502..=504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// What a gRPC caller is told when Fusebox answers in the upstream's place.
    ///
    /// A deadline that passed is one, except while connecting: then nothing was sent, and trying
    /// again may help. Where the table for HTTP has no better word than "unknown", this has.
    pub fn of_reason(reason: Reason) -> Self {
        match reason {
            Reason::ConnectTimeout => Self::Unavailable,
            Reason::MethodNotAllowed => Self::Unimplemented,
            Reason::HeadTooLarge | Reason::UriTooLong | Reason::BodyTooLarge => {
                Self::ResourceExhausted
            }
            Reason::ClientBodyError
            | Reason::ExpectationFailed
            | Reason::LoopDetected
            | Reason::Internal => Self::Internal,
            Reason::GrpcDeadlineExceeded => Self::DeadlineExceeded,
            Reason::GrpcInternal => Self::Internal,
            Reason::GrpcDataLoss => Self::DataLoss,
            Reason::GrpcResourceExhausted => Self::ResourceExhausted,
            Reason::GrpcOther => Self::Unknown,
            _ => match reason.outcome() {
                Outcome::Timeout => Self::DeadlineExceeded,
                Outcome::Cancelled => Self::Cancelled,
                _ => Self::of_http(reason.status()),
            },
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::Code;
    use crate::domain::outcome::Reason;
    use http::StatusCode;
    use proptest::prelude::{any, proptest};

    #[test]
    fn every_code_is_read_by_its_value_its_number_and_its_name() {
        for (number, code) in (0_u8..).zip(Code::ALL) {
            assert_eq!(code.number(), number);
            assert_eq!(code.value(), number.to_string());
            assert_eq!(Code::of_field(code.value().as_bytes()), code);
            assert_eq!(Code::parse(&number.to_string()), Some(code));
            assert_eq!(Code::parse(code.as_str()), Some(code));
        }
    }

    #[test]
    fn what_is_no_code_is_unknown_to_callers_and_an_error_to_people() {
        for text in ["", "17", "255", "256", "-1", "+1", " 0", "0x1", "OK ", "ok", "é"] {
            assert_eq!(Code::of_field(text.as_bytes()), Code::Unknown, "{text:?}");
            assert_eq!(Code::parse(text), None, "{text:?}");
        }
        assert_eq!(Code::of_field(b"\xff"), Code::Unknown);
    }

    #[test]
    fn an_http_status_stands_for_the_code_of_the_table() {
        for (status, code) in [
            (200, Code::Ok),
            (400, Code::Internal),
            (401, Code::Unauthenticated),
            (403, Code::PermissionDenied),
            (404, Code::Unimplemented),
            (429, Code::Unavailable),
            (502, Code::Unavailable),
            (503, Code::Unavailable),
            (504, Code::Unavailable),
            (204, Code::Unknown),
            (418, Code::Unknown),
            (500, Code::Unknown),
        ] {
            assert_eq!(Code::of_http(StatusCode::from_u16(status).unwrap()), code, "{status}");
        }
    }

    #[test]
    fn a_refusal_has_the_code_that_a_caller_can_act_on() {
        for (reason, code) in [
            (Reason::BreakerOpen, Code::Unavailable),
            (Reason::BulkheadFull, Code::Unavailable),
            (Reason::Shutdown, Code::Unavailable),
            (Reason::DnsFailure, Code::Unavailable),
            (Reason::ConnectRefused, Code::Unavailable),
            (Reason::ConnectTimeout, Code::Unavailable),
            (Reason::ResetBeforeHeaders, Code::Unavailable),
            (Reason::TimeoutFirstByte, Code::DeadlineExceeded),
            (Reason::TimeoutTotal, Code::DeadlineExceeded),
            (Reason::TimeoutAttempt, Code::DeadlineExceeded),
            (Reason::CallerDeadline, Code::DeadlineExceeded),
            (Reason::NoRoute, Code::Unimplemented),
            (Reason::MethodNotAllowed, Code::Unimplemented),
            (Reason::BadRequest, Code::Internal),
            (Reason::ClientBodyError, Code::Internal),
            (Reason::ClientGoneMidBody, Code::Cancelled),
            (Reason::HeadTooLarge, Code::ResourceExhausted),
            (Reason::UriTooLong, Code::ResourceExhausted),
            (Reason::BodyTooLarge, Code::ResourceExhausted),
            (Reason::ExpectationFailed, Code::Internal),
            (Reason::Internal, Code::Internal),
        ] {
            assert_eq!(Code::of_reason(reason), code, "{reason:?}");
        }
    }

    #[test]
    fn no_reason_is_told_as_success_and_those_of_grpc_as_themselves() {
        for reason in Reason::ALL {
            assert_ne!(Code::of_reason(*reason), Code::Ok, "{reason:?}");
        }
        for code in Code::ALL {
            let Some(reason) = Reason::of_grpc(code, &Code::ALL) else { continue };
            let told = Code::of_reason(reason);
            assert!(told == code || reason == Reason::GrpcOther, "{code:?}: {told:?}");
        }
    }

    proptest! {
        #[test]
        fn any_value_is_read_as_some_code(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            assert!(Code::ALL.contains(&Code::of_field(&value)));
        }
    }
}
