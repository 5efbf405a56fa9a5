//! The events of a stream (`text/event-stream`, as in the HTML standard): what their data say.
//!
//! Every provider puts a document of JSON on one line, so a line of data is taken for one.

use super::words;

/// What the lines of data in a stretch of a stream say. A line that goes on behind the stretch is
/// left out; `is_cut` says that the first one began before it.
pub fn data(stretch: &[u8], is_cut: bool) -> impl Iterator<Item = &[u8]> {
    let mut lines = Lines(stretch);
    if is_cut {
        lines.next();
    }
    lines.filter_map(|line| line.strip_prefix(b"data:").map(<[u8]>::trim_ascii))
}

/// Whole lines, without what ends them.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = words::end_of_line(self.0, 0);
        let (line, rest) = self.0.split_at(length);
        self.0 = rest.get(1..)?;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::data;

    #[test]
    fn whole_lines_of_data_are_told_whatever_ends_them() {
        let stream =
            b"event: a\ndata: {\"a\":1}\n\ndata:{\"b\":2}\r\n\r\n: x\ndata: [DONE]\n\ndata: {\"cut";
        let told: Vec<_> = data(stream, false).collect();
        assert_eq!(told, [&b"{\"a\":1}"[..], b"{\"b\":2}", b"[DONE]"]);
    }

    #[test]
    fn the_first_line_of_a_stretch_that_was_cut_is_left_out() {
        assert_eq!(data(b"data: 1\ndata: 2\n", true).collect::<Vec<_>>(), [b"2"]);
        assert_eq!(data(b"data: 1", true).count(), 0);
        assert_eq!(data(b"", false).count(), 0);
    }
}
