//! A request while it may have to be sent, or sent again.

use http::{HeaderMap, Method, Request, Uri};

use super::{
    endpoint::Reached,
    message::Ask,
    upload::{self, Again, RequestBody, Upload},
};

/// A request on its way: at hand, or at an endpoint.
#[derive(Debug)]
pub(super) struct Sendable {
    /// None while an attempt has it.
    request: Option<Ask<RequestBody>>,
    /// In a box because it is rare.
    spare: Option<Box<Spare>>,
}

/// A copy of a request, as far as its body can be had again.
#[derive(Debug)]
struct Spare {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Again,
}

impl Sendable {
    /// `is_spared` says whether it may be needed after some of it has been sent.
    pub(super) fn new(request: Ask<RequestBody>, is_spared: bool) -> Self {
        let spare = is_spared.then(|| Box::new(Spare::of(&request)));
        Self { request: Some(request), spare }
    }

    /// Whether it can be sent now.
    pub(super) fn is_at_hand(&self) -> bool {
        self.request.is_some() || self.spare.as_ref().is_some_and(|spare| spare.body.is_whole())
    }

    /// It is for another upstream, which may have to be waited for. The attempt before, whose answer
    /// nobody wants any more, may still be sending: it gets no more of the body, which could become too
    /// long to be kept in that time.
    pub(super) fn hold(&mut self) {
        self.request = self.take();
    }

    /// The request, for an attempt; none if too much of it is gone.
    pub(super) fn take(&mut self) -> Option<Ask<RequestBody>> {
        match (self.request.take(), &self.spare) {
            (Some(request), _) => Some(request),
            (None, Some(spare)) if spare.body.is_whole() => Some(spare.request()),
            (None, _) => None,
        }
    }

    /// What an attempt left of it.
    pub(super) fn put_back(&mut self, reached: Reached) {
        if let Reached::Nothing(request) = reached {
            self.request = Some(request);
        }
    }

    /// Takes what the caller still sends, unless it waits for leave to.
    pub(super) fn discard(mut self, upload: &Upload) {
        if !upload.is_on_hold.get()
            && let Some(request) = self.take()
        {
            upload::discard(request.body);
        }
    }
}

impl Spare {
    fn of(request: &Ask<RequestBody>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            body: request.body.again(),
        }
    }

    fn request(&self) -> Ask<RequestBody> {
        let mut request = Box::new(Request::new(()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        Ask { head: request, body: self.body.get() }
    }
}
