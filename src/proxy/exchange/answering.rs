//! How a call is answered: by the upstream, or by us.

use std::time::{Duration, Instant};

use http::{HeaderMap, Method, header};

use super::{Exchange, micros};
use crate::{
    clock,
    config::FixedAnswer,
    domain::{grpc::Code, outcome::Reason},
    proxy::{
        answer::Answer,
        answered::Answered,
        body::{Limits, Outgoing, ResponseBody},
        headers,
        message::Reply,
        reply::{self, Problem},
        tunnel::Tunnel,
        upgrade::Upgrade,
    },
};

/// How an answer is passed on.
#[derive(Debug)]
pub(in crate::proxy) struct Passing {
    /// What the connections become, if the answer says so.
    pub(in crate::proxy) upgrade: Option<Upgrade>,
    /// When the caller's own time for all of the call is over.
    pub(in crate::proxy) until: Option<Instant>,
}

impl Exchange {
    /// Answers with a problem of ours.
    pub(in crate::proxy) fn refuse(mut self: Box<Self>, problem: Problem) -> Reply<Outgoing> {
        let reason = problem.reason();
        self.is_last |= problem.breaks_connection();
        let record = &mut self.record;
        let (mut response, length) = if self.is_grpc {
            record.grpc_status = Some(problem.code().number());
            (problem.into_trailers_only(), 0)
        } else {
            problem.into_response(record)
        };
        record.end_with(reason);
        record.status = Some(response.status().as_u16());
        record.response_bytes = if record.method == Method::HEAD { 0 } else { length };
        self.ids().echo(response.headers_mut());
        self.ask_to_close(response.headers_mut());
        response
    }

    /// Answers with what is configured for such a case.
    pub(in crate::proxy) fn answer_instead(
        mut self: Box<Self>,
        answer: &FixedAnswer,
        reason: Reason,
    ) -> Reply<Outgoing> {
        let mut response = reply::fixed(answer, reason);
        let (status, length) = (response.status().as_u16(), answer.body.len() as u64);
        self.note(|record| {
            record.end_with(reason);
            record.status = Some(status);
            record.response_bytes = if record.method == Method::HEAD { 0 } else { length };
        });
        self.ids().echo(response.headers_mut());
        self.ask_to_close(response.headers_mut());
        response
    }

    /// Passes the upstream's answer on. The exchange goes with its body.
    pub(in crate::proxy) fn pass(
        mut self: Box<Self>,
        mut response: Reply<Answer>,
        answered: Answered,
        passing: Passing,
    ) -> Reply<Outgoing> {
        let now = clock::now();
        let said = *answered.said();
        let timeouts = answered.endpoint().settings().timeouts;
        self.answered = Some(answered);
        let first_byte_us = micros(now, self.started);
        self.note(|record| {
            record.status = Some(response.status().as_u16());
            record.first_byte_us = Some(first_byte_us);
            record.end_with(said.reason.unwrap_or(Reason::ClientGoneMidBody));
            record.grpc_status = said.code.map(Code::number);
        });
        if let Some(capture) = &mut self.capture {
            capture.answered(response.status().as_u16(), response.headers());
        }
        headers::strip_hop_by_hop(response.headers_mut(), said.present);
        if let Some(route) = &self.route {
            headers::apply(response.headers_mut(), &route.response_headers);
            let tasks = route.tasks.as_ref();
            if let Some(advice) = tasks.and_then(|tasks| tasks.advice(&self.record.site)) {
                response.headers_mut().insert(headers::TASK_ADVICE, advice);
            }
        }
        *response.version_mut() = http::Version::HTTP_11;
        // Over HTTP/1.1 they are written into the head.
        if self.connection.pace().is_some() {
            self.ids().echo(response.headers_mut());
        }
        self.ask_to_close(response.headers_mut());
        if let Some(upgrade) = passing.upgrade {
            return self.switch(response, &upgrade, timeouts.tunnel_idle);
        }
        response.map(|body| {
            let limits = Limits { idle: timeouts.body_idle, until: passing.until };
            Outgoing::Stream(Box::new(ResponseBody::new(body, limits, self)))
        })
    }

    /// The upstream has switched to another protocol, and so does the caller's connection when the
    /// answer has been written.
    fn switch(
        self: Box<Self>,
        response: Reply<Answer>,
        upgrade: &Upgrade,
        idle: Duration,
    ) -> Reply<Outgoing> {
        let Reply { mut head, body } = response;
        upgrade.put(head.headers_mut());
        let tunnel = body.into_switched().map(|switched| Tunnel::new(self, switched, idle));
        let body =
            tunnel.map_or_else(Outgoing::default, |tunnel| Outgoing::Switch(Box::new(tunnel)));
        Reply { head, body }
    }

    fn ask_to_close(&self, headers: &mut HeaderMap) {
        if self.connection.asks_to_close(self.is_last) {
            headers.insert(header::CONNECTION, http::HeaderValue::from_static("close"));
        }
    }
}
