"""What a command prints on a terminal, as a page that can be photographed."""

import fcntl
import html
import os
import pty
import re
import struct
import subprocess
import termios

STYLE = """
  body { margin: 0; display: inline-block; background: #16181d; padding: 18px 22px; }
  pre { margin: 0; font: 13px/1.45 "DejaVu Sans Mono", monospace; color: #d6d9df; }
  .s1 { font-weight: bold } .s2 { opacity: .6 } .s4 { text-decoration: underline }
  .s31 { color: #ff6b68 } .s32 { color: #5fd38d } .s33 { color: #f2c55c }
"""


def printed(command, columns, rows):
    """Runs a command on a terminal of this size; what it printed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 65_536):
            text += part
    except OSError:
        # The other end is closed: it has printed everything.
        pass
    os.close(ours)
    if process.wait() != 0:
        raise SystemExit(text.decode())
    return text.decode().replace("\r\n", "\n")


def page(prompt, text):
    """The page that shows it, below the command line that printed it."""
    parts = re.split(r"\x1b\[([0-9;]*)m", text)
    spans = [html.escape(parts[0])]
    for codes, words in zip(parts[1::2], parts[2::2]):
        names = " ".join(f"s{code}" for code in codes.split(";") if code not in ("", "0"))
        spans.append(f'<span class="{names}">{html.escape(words)}</span>')
    body = f'<span class="s2">$ {html.escape(prompt)}</span>\n' + "".join(spans)
    return f"<!doctype html><style>{STYLE}</style><pre>{body}</pre>"
