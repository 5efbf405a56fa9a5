//! What a call meant, as bytes at the end of its record.

use super::bytes::{Reader, Writer};
use crate::domain::capture::{Captured, Value};

/// Writes it.
pub(super) fn put(out: &mut Vec<u8>, captured: &Captured) {
    let mut out = Writer(out);
    out.u32(captured.impact_score.map_or(NO_SCORE, f32::to_bits));
    out.maybe(captured.cost_nano_usd);
    for (name, value) in &captured.params {
        out.text(name);
        match value {
            Value::Missing => out.u8(MISSING),
            Value::Bool(value) => out.u8(if *value { TRUE } else { FALSE }),
            Value::Int(number) => {
                out.u8(INT);
                out.i64(*number);
            }
            Value::Float(number) => {
                out.u8(FLOAT);
                out.u64(number.to_bits());
            }
            Value::Text(text) => {
                out.u8(TEXT);
                out.text(text);
            }
        }
    }
}

/// Reads it, up to the end. None when it makes no sense.
pub(super) fn read(from: &mut Reader<'_>) -> Option<Captured> {
    let impact_score = from.u32().map(f32::from_bits)?;
    let mut captured = Captured {
        params: Vec::new(),
        impact_score: Some(impact_score).filter(|score| score.is_finite()),
        cost_nano_usd: from.maybe()?,
    };
    while let Some(name) = from.text() {
        let value = match from.u8()? {
            MISSING => Value::Missing,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            INT => Value::Int(from.i64()?),
            FLOAT => Value::Float(f64::from_bits(from.u64()?)),
            TEXT => Value::Text(from.text()?.into()),
            _ => return None,
        };
        captured.params.push((name.into(), value));
    }
    Some(captured)
}

/// No score, for scores are numbers.
const NO_SCORE: u32 = u32::MAX;

const MISSING: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT: u8 = 4;
const TEXT: u8 = 5;
