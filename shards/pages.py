"""What our HTML pages share: one style, clips that play in step, and everything inside one file."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from configs import counted
from shards.storage import publish

_WEB = Path(__file__).parent / "web"


def data_url(data: bytes, mime: str = "video/mp4") -> str:
    """Return `data` as a URL that holds it."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def bytes_of(url: str) -> bytes:
    """Undo `data_url`.

    Raises:
        ValueError: what it holds is not base64.
    """
    return base64.b64decode(url.partition(";base64,")[2], validate=True)


def write_html(path: Path, template: Path, **values: Any) -> None:
    """Write a rendered template, see `render_html`.

    Raises:
        OutputError: `path` cannot be written.
    """
    publish(path, render_html(template, **values))


def render_html(template: Path, **values: Any) -> str:
    """Render a jinja2 template with the shared style and script as `style` and `script`, and `counted`; values are escaped."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    shared: dict[str, Any] = {
        "counted": counted,
        "style": Markup((_WEB / "page.css").read_text(encoding="utf-8")),
        "script": Markup((_WEB / "page.js").read_text(encoding="utf-8")),
    }
    return environment.from_string(template.read_text(encoding="utf-8")).render(**shared, **values)
