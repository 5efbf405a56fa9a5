//! A request that may have to be sent again.

use http::{HeaderMap, Method, Request, Uri};

use super::{
    endpoint::Reached,
    upload::{Again, RequestBody, Upload},
};

/// A copy of a request, as far as its body can be had again.
#[derive(Debug)]
pub(super) struct Spare {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Again,
}

impl Spare {
    pub(super) fn of(request: &Request<RequestBody>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            body: request.body().again(),
        }
    }

    /// Whether all that was taken of the body is still there.
    pub(super) fn is_whole(&self) -> bool {
        self.body.is_whole()
    }

    fn request(&self) -> Request<RequestBody> {
        let mut request = Request::new(self.body.get());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// What is left of a request after an attempt.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// It came back unsent.
    unsent: Option<Box<Request<RequestBody>>>,
    spare: Option<Spare>,
}

impl Left {
    /// One that has not been sent at all.
    pub(super) fn all(request: Request<RequestBody>) -> Self {
        Self { unsent: Some(Box::new(request)), spare: None }
    }

    pub(super) fn after(reached: Reached, spare: Option<Spare>) -> Self {
        let unsent = match reached {
            Reached::Nothing(request) => Some(request),
            Reached::Refused | Reached::Something => None,
        };
        Self { unsent, spare }
    }

    /// The request, and the copy for the attempt after.
    pub(super) fn take(self) -> Option<(Request<RequestBody>, Option<Spare>)> {
        let request = match (self.unsent, &self.spare) {
            (Some(request), _) => *request,
            (None, Some(spare)) if spare.is_whole() => spare.request(),
            (None, _) => return None,
        };
        Some((request, self.spare))
    }

    /// Takes what the caller still sends, unless it waits for leave to.
    pub(super) fn discard(self, upload: &Upload) {
        if !upload.is_on_hold.get()
            && let Some((request, _)) = self.take()
        {
            super::upload::discard(request.into_body());
        }
    }
}
