"""The page at /docs: self-contained, it asks for a key and shows what that key may read."""

from __future__ import annotations

from pathlib import Path

DOCS_HTML = Path(__file__).with_name("docs.html").read_bytes()
#: Nothing from elsewhere is loaded, and the page may talk to this gateway only.
DOCS_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'"
}
