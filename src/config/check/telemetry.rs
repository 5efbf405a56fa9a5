//! The section `telemetry`, and OpenTelemetry's own switches.

use crate::{
    config::{
        Emf, Telemetry, Traces,
        environment::{Environment, Variable},
        keys,
        mapping::Mapping,
        otel::Target,
        problem::Severity,
        reading::Reading,
        telemetry::SamplerKind,
    },
    domain::sampling::{Sampler, Share},
};

/// Reads the section.
pub(super) fn read(telemetry: &Mapping<'_>, reading: &Reading<'_>) -> Telemetry {
    Telemetry { emf: emf(&telemetry.mapping(&keys::EMF)), traces: traces(telemetry, reading) }
}

fn emf(emf: &Mapping<'_>) -> Option<Emf> {
    let settings =
        Emf { namespace: emf.get(&keys::EMF_NAMESPACE).0, every: emf.get(&keys::EMF_EVERY) };
    emf.get(&keys::EMF_ENABLED).then_some(settings)
}

/// The variables are those of every program with OpenTelemetry in it, so what they say besides is
/// looked at only where there is a collector, or a section.
fn traces(telemetry: &Mapping<'_>, reading: &Reading<'_>) -> Option<Traces> {
    let traces = telemetry.mapping(&keys::TRACES);
    let collector = traces.good(&keys::TRACES_ENDPOINT).and_then(|Target(collector)| collector);
    if collector.is_none() && !telemetry.has(&keys::TRACES) {
        return None;
    }
    warn_of_protocols(reading);
    let headers = traces.get(&keys::TRACES_HEADERS).0;
    let ca = traces.optional(&keys::TRACES_CA);
    let compression = traces.get(&keys::TRACES_COMPRESSION);
    let timeout = traces.get(&keys::TRACES_TIMEOUT);
    let sampler = sampler(traces.get(&keys::TRACES_SAMPLER), traces.get(&keys::TRACES_RATIO));
    let queue = traces.get(&keys::TRACES_QUEUE).get();
    let batch = traces.get(&keys::TRACES_BATCH).get();
    let every = traces.get(&keys::TRACES_EVERY);
    if batch > queue {
        let message = "more spans in a request than may wait: `queue` must be at least `batch`";
        traces.error(&keys::TRACES_BATCH, message);
    }
    let is_off = is_switched_off(reading.environment);
    let (resource, collector) = (reading.environment.attributes(), collector.filter(|_| !is_off)?);
    Some(Traces {
        collector,
        headers,
        ca,
        compression,
        timeout,
        sampler,
        queue,
        batch,
        every,
        resource,
    })
}

const fn sampler(kind: SamplerKind, ratio: Share) -> Sampler {
    let (is_parent_based, share) = match kind {
        SamplerKind::AlwaysOn => (false, Share::ALL),
        SamplerKind::AlwaysOff => (false, Share::NONE),
        SamplerKind::Ratio => (false, ratio),
        SamplerKind::ParentOrOn => (true, Share::ALL),
        SamplerKind::ParentOrOff => (true, Share::NONE),
        SamplerKind::ParentOrRatio => (true, ratio),
    };
    Sampler { is_parent_based, share }
}

/// OpenTelemetry's switches, which win over the file.
fn is_switched_off(environment: &Environment) -> bool {
    let says = |name: &'static str, word: &str| {
        let text = Variable::Plain(name).text(environment);
        text.is_some_and(|text| text.eq_ignore_ascii_case(word))
    };
    says("OTEL_SDK_DISABLED", "true") || says("OTEL_TRACES_EXPORTER", "none")
}

/// Spans are sent in one way, whatever is asked for.
fn warn_of_protocols(reading: &Reading<'_>) {
    for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
        let variable = Variable::Plain(name);
        match variable.text(reading.environment).as_deref() {
            None | Some("http/protobuf") => {}
            Some(_) => {
                let message = "spans are sent by `http/protobuf`, the only protocol that is spoken";
                reading.variable(Severity::Warning, variable, message);
            }
        }
    }
}
