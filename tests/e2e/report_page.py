"""What must hold of every report: one page that runs nothing, fetches nothing, and whose markup is its own."""

import html.parser
import re
import xml.etree.ElementTree

EMPTY = {"meta", "br", "img", "link", "hr", "input"}


class Page(html.parser.HTMLParser):
    """Tags, attributes and texts of a page. Tags that do not nest are an error."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.source, self.tags, self.open, self.texts = text, [], [], []
        self.feed(text)
        self.close()
        if self.open:
            raise AssertionError(f"never closed: {self.open}")

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            raise AssertionError(f"</{tag}> closes nothing, after {''.join(self.texts)[-200:]!r}")

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    def text(self):
        return re.sub(r"\s+", " ", "".join(self.texts))

    def charts(self):
        """Each as an element tree: SVG is XML."""
        return [xml.etree.ElementTree.fromstring(s) for s in re.findall(r"<svg.*?</svg>", self.source, re.S)]


ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "h3", "p", "span", "b", "i", "dl", "div",
    "dt", "dd", "small", "figure", "figcaption", "svg", "desc", "line", "path", "circle", "rect", "text", "g", "table",
    "thead", "tbody", "tr", "th", "td", "pre", "code", "footer",
}  # fmt: skip


def check(case, text):
    """Gives the page."""
    page = Page(text)
    for tag, attrs in page.tags:
        case.assertIn(tag, ALLOWED)
        for name, value in attrs.items():
            loads = name in ("href", "src", "style", "srcdoc", "xlink:href")
            case.assertFalse(loads or name.startswith("on"), (tag, name))
            case.assertNotIn("javascript:", value or "")
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    case.assertTrue(policy.startswith("default-src 'none'"), policy)
    case.assertNotRegex(text, r"url\(|@import|https?://")
    ids = [a["id"] for _, a in page.tags if "id" in a]
    case.assertEqual(len(ids), len(set(ids)))
    for chart in page.charts():
        case.assertEqual(chart.get("role"), "img")
        named = {e.get("id"): e.text for e in chart if e.tag in ("title", "desc")}
        case.assertEqual(sorted(chart.get("aria-labelledby").split()), sorted(named))
        case.assertTrue(all(named.values()))
        case.assertNotRegex("".join(str(e.attrib) for e in chart.iter()), r"nan|inf")
    return page
