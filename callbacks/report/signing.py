"""What a page leaves open, to be filled in and signed: lot, part number, decision, name, date and signature."""

from __future__ import annotations

from html import escape

END = "</main>"


def decision_fields(choices: tuple[str, ...] = ("accept the lot", "hold it", "reject it")) -> str:
    """Write the choices of a decision."""
    labels = (
        f'<label><input type="radio" name="decision" value="{escape(one)}"> {escape(one)}</label>' for one in choices
    )
    return f'<fieldset class="decision"><legend>Decision</legend>{"".join(labels)}</fieldset>'


def lot_fields(lot: str, part: str) -> str:
    """Write lot and part number, filled in where they are known."""
    return f'<div class="signed">{_field("lot", "Lot or batch", lot)}{_field("part", "Part number", part)}</div>'


def signature_fields() -> str:
    """Write name, date and signature, each a line to write on."""
    signed = '<label class="signature">Signature <span></span></label>'
    return f'<div class="signed">{_field("name", "Name")}{_field("date", "Date")}{signed}</div>'


def with_certificate(page: str, lot: str, part: str) -> str:
    """Put a certificate to sign at the end of a page whose styles are ``page.css``."""
    section = (
        '<section id="certificate" class="together" aria-labelledby="certificate-title">'
        f'<h2 id="certificate-title">Certificate of inspection</h2>{lot_fields(lot, part)}{decision_fields()}'
        f"{signature_fields()}</section>\n"
    )
    head, end, tail = page.rpartition(END)
    return f"{head}{section}{end}{tail}" if end else page


def _field(name: str, label: str, value: str = "") -> str:
    return f'<label>{label} <input type="text" name="{name}" value="{escape(value)}" autocomplete="off"></label>'
