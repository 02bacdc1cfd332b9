"""Pages of servers as a person opens them: nothing foreign is asked, and the console stays empty."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, ViewportSize


@contextmanager
def opened(
    browser: Browser, address: str, path: str, size: dict[str, int], *, dark: bool, touch: bool = False
) -> Iterator[Page]:
    """Open a page as a person of their own; at the end, hold what it asked for and wrote to that."""
    scheme: Literal["dark", "light"] = "dark" if dark else "light"
    viewport: ViewportSize = {"width": size["width"], "height": size["height"]}
    context = browser.new_context(viewport=viewport, color_scheme=scheme, has_touch=touch)
    page = context.new_page()
    asked: list[str] = []
    written: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: written.append(message.text))
    page.on("pageerror", lambda error: written.append(str(error)))
    page.goto(address + path)
    yield page
    assert asked
    assert [url for url in asked if not url.startswith((address, "data:", f"blob:{address}"))] == []
    assert written == []
    context.close()
