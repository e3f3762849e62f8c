"""`report` as a browser shows it: report_test.py PATH_OF_PROGRESS_TRACKER [unittest options].

Exit status 77: skipped, because there is no chromium or no chromedriver. With the environment
variable REPORT_SCREENSHOTS=DIRECTORY the pages are left there as PNG files, to be looked at.
"""

import base64
import json
import os
import re
import select
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
import xml.etree.ElementTree
import zlib

import tool_support

SKIPPED = 77
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
WIDTHS = (360, 1280)
START_MS = 1_773_306_195_000  # 2026-03-12 09:03:15 UTC

# The elements a report is made of. What else is in a page has come from a name or a message.
ELEMENTS = set("html head meta title style body header main footer section article h1 h2 h3 p span "
               "dl div dt dd ul li table thead tbody tfoot tr th td pre figure figcaption "
               "svg defs pattern g rect line path text desc".split())

OWNED = "document.title='owned'"

# The least contrast of text with its ground, and where that is. A half-transparent ground would
# need more than this.
LEAST_CONTRAST = """
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const luminance = colour => {
    const [r, g, b] = colour.slice(0, 3).map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = numbers(getComputedStyle(e).backgroundColor);
      if (colour.length == 3 || colour[3] == 1) return colour;
      if (colour[3] != 0) throw new Error("a half-transparent ground");
    }
    throw new Error("no ground");
  };
  let least = [99, ""], seen = 0;
  for (const element of document.body.querySelectorAll("*")) {
    if (![...element.childNodes].some(n => n.nodeType == 3 && n.data.trim())) continue;
    if (["title", "desc"].includes(element.tagName)) continue;  // SVG's: not painted
    const style = getComputedStyle(element);
    const colour = numbers(element instanceof SVGElement ? style.fill : style.color);
    const pair = [luminance(colour), luminance(ground(element))].sort((a, b) => b - a);
    const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (contrast < least[0]) least = [contrast, element.outerHTML.slice(0, 100)];
    ++seen;
  }
  return [...least, seen];
"""

# Labels of one chart that lie over each other, and those that leave the screen.
BAD_LABELS = """
  const bad = [];
  for (const svg of document.querySelectorAll("svg[role=img]")) {
    const labels = [...svg.querySelectorAll("text")]
        .map(t => [t.textContent, t.getBoundingClientRect()]).filter(([, box]) => box.width > 0);
    labels.forEach(([text, a], i) => {
      if (a.left < 0 || a.right > document.documentElement.clientWidth) bad.push(text + " is cut");
      for (const [other, b] of labels.slice(i + 1)) {
        // Boxes of text are higher than its letters.
        const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top + 3 ||
                      b.bottom <= a.top + 3;
        if (!apart) bad.push(text + " lies over " + other);
      }
    });
  }
  return bad;
"""


class Browser:
    """A headless browser that reaches no network, spoken to as WebDriver is."""

    def __init__(self):
        self.home = tempfile.TemporaryDirectory(prefix="progress-tracker-browser-")
        self.driver = subprocess.Popen(
            [DRIVER, "--port=0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env={**os.environ, "HOME": self.home.name})
        self.session = None
        try:
            self.address = f"http://127.0.0.1:{self.port()}/session"
            arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                         "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND",
                         f"--user-data-dir={self.home.name}/profile"]
            wanted = {"goog:chromeOptions": {"binary": BROWSER, "args": arguments},
                      "goog:loggingPrefs": {"performance": "ALL"}}
            self.session = self.call("POST", "", {"capabilities": {"alwaysMatch": wanted}})
            self.session = self.session["sessionId"]
        except BaseException:
            self.close()
            raise

    def port(self):
        """The one that the driver says it listens on."""
        said = b""
        end = time.monotonic() + tool_support.DEADLINE_S
        while time.monotonic() < end:
            if not select.select([self.driver.stdout], [], [], 1)[0]:
                continue
            more = os.read(self.driver.stdout.fileno(), 4096)
            if not more:
                break
            said += more
            found = re.search(rb"on port (\d+)\.", said)
            if found:
                return int(found[1])
        raise RuntimeError(f"chromedriver does not start: {said!r}")

    def call(self, method, path, body=None):
        address = self.address + (f"/{self.session}" if self.session else "") + path
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data, {"Content-Type": "application/json"},
                                         method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=tool_support.DEADLINE_S) as answer:
            return json.load(answer)["value"]

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, path, width=1280, scheme="light"):
        self.devtools("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=800,
                      deviceScaleFactor=1, mobile=width < 500)
        self.requests()  # forgets those before
        self.call("POST", "/url", {"url": "file://" + path})

    def requests(self):
        """The addresses asked for since the last call."""
        events = [json.loads(entry["message"])["message"]
                  for entry in self.call("POST", "/se/log", {"type": "performance"})]
        return [event["params"]["request"]["url"] for event in events
                if event["method"] == "Network.requestWillBeSent"]

    def run(self, script):
        """The result of a script of ours in the page."""
        return self.call("POST", "/execute/sync", {"script": script, "args": []})

    def texts(self, selector):
        return self.run(f"return [...document.querySelectorAll({json.dumps(selector)})]"
                        ".map(e => e.textContent)")

    def screenshot(self, width, height):
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.devtools("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])

    def close(self):
        try:
            if self.session:
                self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.driver.stdout.close()
            self.home.cleanup()


def setUpModule():
    global browser
    browser = Browser()
    unittest.addModuleCleanup(browser.close)


def first_pixel(png):
    """Red, green and blue of a PNG file's first pixel: no filter has a pixel before it to use."""
    at, data = 8, b""
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        if kind == b"IDAT":
            data += png[at + 8:at + 8 + length]
        at += 12 + length
    return tuple(zlib.decompress(data)[1:4])


class ReportTest(tool_support.ToolTest):
    # ---- Verbs -----------------------------------------------------------------------------

    def report(self, job="j"):
        """Makes the report; its path."""
        self.tool("--db", "progress.db", "report", job, "-o", "out.html")
        return os.path.join(self.home, "out.html")

    def document(self, job="j"):
        with open(self.report(job), encoding="utf-8") as file:
            return file.read()

    def make_failing_job(self, names, script):
        self.make(*names)
        self.tool("run", "--job", "j", "--images", "d", "-j1", "--", "sh", "-c", script, "sh",
                  expect=1)

    def make_large_job(self, images=900):
        """Some hours of work with errors, retries, and a night between."""
        self.make("list", text="".join(f"scans/{i % 3}/IMG_{i:05}.tif\n" for i in range(images)))
        for path in self.read("list").decode().split():
            self.make(path)
        self.tool("run", "--job", "j", "--images", "scans", "-j1", "--", "sh", "-c",
                  'case $1 in *7.tif) echo "cannot decode $((${#1} % 2))" >&2; exit 1;; esac', "sh",
                  expect=1)
        number = "(id & 0xFFFFFFFF)"  # of the image within its job, from 1
        self.falsify(
            f"UPDATE state SET started_at = {START_MS} + {number} * 9000 + "
            f"({number} > 400) * 40000000",
            f"UPDATE state SET changed_at = started_at + 300 + {number} * 7919 % 5000 + "
            f"({number} % 97 = 0) * 60000",
            f"UPDATE state SET attempts = 3, deaths = 1 WHERE {number} % 200 = 0")

    def falsify(self, *statements):
        """What a program could do that knows nothing of us."""
        connection = sqlite3.connect(os.path.join(self.home, "progress.db"),
                                               isolation_level=None)
        for statement in statements:
            connection.execute(statement)
        connection.close()

    def save_screenshot(self, name, width):
        directory = os.environ.get("REPORT_SCREENSHOTS")
        if not directory:
            return
        height = browser.run("return document.documentElement.scrollHeight")
        with open(os.path.join(directory, f"{name}.png"), "wb") as file:
            file.write(browser.screenshot(width, min(height, 6000)))

    def check_layout(self, path, name):
        """In every width and colour scheme: nothing leaves the screen, and all can be read."""
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                with self.subTest(page=name, width=width, scheme=scheme):
                    browser.open(path, width, scheme)
                    self.save_screenshot(f"{name}-{scheme}-{width}", width)
                    wide, screen = browser.run("const e = document.documentElement;"
                                               "return [e.scrollWidth, e.clientWidth]")
                    self.assertEqual(screen, width)
                    self.assertLessEqual(wide, screen)
                    contrast, where, seen = browser.run(LEAST_CONTRAST)
                    self.assertGreaterEqual(contrast, 4.5, where)
                    self.assertGreater(seen, 10)
                    self.assertEqual(browser.run(BAD_LABELS), [])

    def check_harmless(self, path):
        browser.open(path)
        self.assertEqual(browser.requests(), ["file://" + path])
        names = set(browser.run("return [...document.querySelectorAll('*')].map(e => e.localName)"))
        self.assertLessEqual(names, ELEMENTS)
        self.assertEqual(browser.run("return document.scripts.length"), 0)
        self.assertEqual(browser.run("return [...document.querySelectorAll('*')].flatMap(e => "
                                     "e.getAttributeNames()).filter(n => n.startsWith('on') || "
                                     "n == 'href' || n == 'src' || n == 'style')"), [])
        self.assertEqual(browser.run("return document.title"), "Job j: report")


class FiguresTest(ReportTest):
    def test_the_page_says_what_status_says(self):
        self.make_large_job()
        path = self.report()
        status = json.loads(self.tool("status", "j", "--json"))
        browser.open(path)
        facts = dict(zip(browser.texts("header .facts dt"), browser.texts("header .facts .value")))
        self.assertEqual(facts["Images"], str(status["total_images"]))
        self.assertEqual(facts["Completed"], str(status["completed"]))
        self.assertEqual(facts["In error"], str(status["error"]))
        self.assertEqual(facts["Left"], "0")
        self.assertEqual(facts["Elapsed"], "13 h 21 min")
        rows = browser.run("return [...document.querySelectorAll('section:first-of-type tbody tr')]"
                           ".map(r => [...r.cells].slice(0, 6).map(c => c.textContent))")
        self.assertEqual(rows, [
            [split, *(str(n) for n in (sum(counts.values()), counts["completed"], counts["error"],
                                       counts["processing"], counts["pending"]))]
            for split, counts in sorted(status["splits"].items())])
        self.assertEqual(browser.texts("h2"), [
            "By split", "Finished over time", "How long images took", "Errors", "Slowest images",
            "Tried more than once", "Workers"])

    def test_the_bars_of_the_charts_are_the_images(self):
        self.make_large_job()
        browser.open(self.report())
        charts = browser.run("return [...document.querySelectorAll('svg[role=img]')].map(s => "
                             "[...s.querySelectorAll('g > title')].map(t => t.textContent))")
        finished = [tuple(map(int, re.search(r": (\d+) images? completed, (\d+) in error",
                                             bar).groups())) for bar in charts[0]]
        self.assertEqual((sum(a for a, _ in finished), sum(b for _, b in finished)), (810, 90))
        took = [int(re.search(r": (\d+) image", bar)[1]) for bar in charts[1]]
        self.assertEqual(sum(took), 900)
        # What is drawn is as high as it is said to be.
        heights = browser.run("return [...document.querySelectorAll('rect.duration')]"
                              ".map(r => r.getBoundingClientRect().height)")
        tallest = max(range(len(took)), key=took.__getitem__)
        for count, height in zip(took, heights):
            expected = max(1.5, heights[tallest] * count / took[tallest])
            self.assertAlmostEqual(height, expected, delta=0.1)

    def test_a_page_for_every_state_of_a_job(self):
        self.make("d/a.png", "d/b.png")
        self.run_images("true", options=("--limit", "1", "-j1"), expect=4)
        browser.open(self.report())
        self.assertEqual(browser.texts(".state"), ["Unfinished"])
        self.run_images("true")
        browser.open(self.report())
        self.assertEqual(browser.texts(".state"), ["Complete"])
        process = self.start_waiting_run(images=6)
        browser.open(self.report())
        self.assertEqual(browser.texts(".state"), ["In work"])
        self.assertIn(str(process.pid), browser.texts("td"))
        process.kill()
        process.wait()
        browser.open(self.report())
        self.assertEqual(browser.texts(".state"), ["Interrupted"])

    def test_no_such_job(self):
        self.make("d/a.png")
        self.run_images("true")
        self.tool("report", "k", "-o", "out.html", expect=3)
        self.assertFalse(os.path.exists(self.path("out.html")))


class HostileTest(ReportTest):
    NAMES = (f"d/<img src=x onerror={OWNED}>.png",
             f"d/<svg onload={OWNED}>/a.png",
             f"d/\"><script>{OWNED}</script>.png",
             f"d/</style><script>{OWNED}</script>.png",
             "d/&lt;b&gt;&amp;.png",
             "d/line\nbreak\x1b[2J.png",
             "d/abc\u202egnp.png",
             b"d/\xff\xfe.png",
             "d/" + "x" * 200 + ".png")
    SCRIPT = f'''case $1 in *.png) printf '%s' "</pre></style><script>{OWNED}</script>$1" >&2
                 exit 1;; esac'''

    def test_no_name_and_no_message_becomes_part_of_the_page(self):
        self.make_failing_job(self.NAMES, self.SCRIPT)
        path = self.report()
        self.check_harmless(path)
        shown = browser.texts("td.path, th.path, li.path")
        for name in ("d/<img src=x onerror=document.title='owned'>.png", "d/&lt;b&gt;&amp;.png",
                     "d/line\\nbreak\\x1B[2J.png", "d/abc\\u{202E}gnp.png", "d/\\xFF\\xFE.png"):
            self.assertIn(name, shown)
        self.assertTrue(any("</style><script>" in text for text in browser.texts("pre")))
        self.check_layout(path, "hostile")

    def test_nor_would_it_without_the_content_security_policy(self):
        self.make_failing_job(self.NAMES, self.SCRIPT)
        document = self.document()
        bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", document)
        self.assertEqual(len(re.findall("Content-Security", document)), 1)
        self.assertNotIn("Content-Security", bare)
        self.make("bare.html", text=bare)
        self.check_harmless(os.path.join(self.home, "bare.html"))

    def test_the_checks_see_what_they_look_for(self):
        """A page as ours must never be."""
        self.make("bad.html", text="<!DOCTYPE html><title>Job j: report</title><p>a"
                  f"<img src='http://images.example/x.png' onerror=\"{OWNED}\">")
        path = os.path.join(self.home, "bad.html")
        browser.open(path)
        self.assertIn("http://images.example/x.png", browser.requests())
        self.eventually(lambda: browser.run("return document.title") == "owned", "the script")
        with self.assertRaises(AssertionError):
            self.check_harmless(path)

    def test_the_policy_keeps_scripts_and_requests_out(self):
        """Should the escaping fail one day."""
        self.make("d/a.png")
        self.run_images("true")
        evil = f"<img src='http://images.example/x.png' onerror=\"{OWNED}\"><script>{OWNED}</script>"
        document = self.document()
        self.assertEqual(document.count("</main>"), 1)
        self.make("evil.html", text=document.replace("</main>", evil + "</main>"))
        browser.open(os.path.join(self.home, "evil.html"))
        self.assertEqual(browser.run("return document.images.length"), 1)
        self.assertEqual(browser.run("return document.title"), "Job j: report")

    def test_is_well_formed(self):
        self.make_failing_job(self.NAMES, self.SCRIPT)
        document = self.document()
        self.assertTrue(document.startswith("<!DOCTYPE html>\n"))
        root = xml.etree.ElementTree.fromstring(document.removeprefix("<!DOCTYPE html>\n"))
        self.assertEqual(root.get("lang"), "en")
        self.assertLessEqual({element.tag for element in root.iter()}, ELEMENTS)


class LookTest(ReportTest):
    def test_fits_phones_and_desks_in_light_and_dark(self):
        self.make_large_job()
        self.check_layout(self.report(), "large")

    def test_small_jobs_fit_too(self):
        self.make("d/a.png")
        self.run_images("true")
        self.check_layout(self.report(), "one")

    def test_light_and_dark_differ_on_the_screen(self):
        self.make("d/a.png")
        self.run_images("true")
        path = self.report()
        grounds = {}
        for scheme in ("light", "dark"):
            browser.open(path, scheme=scheme)
            grounds[scheme] = first_pixel(browser.screenshot(1, 1))
        self.assertGreater(min(grounds["light"]), 200)
        self.assertLess(max(grounds["dark"]), 60)

    def test_can_be_read_without_eyes(self):
        self.make_large_job(60)
        browser.open(self.report())
        levels = browser.run("return [...document.querySelectorAll('h1, h2, h3')]"
                             ".map(h => Number(h.localName[1]))")
        self.assertEqual(levels[0], 1)
        self.assertEqual(levels.count(1), 1)
        for above, below in zip(levels, levels[1:]):
            self.assertLessEqual(below, above + 1)
        self.assertEqual(browser.run("return [...document.querySelectorAll('th')]"
                                     ".filter(h => !['row', 'col'].includes(h.scope)).length"), 0)
        self.assertEqual(browser.run("return [...document.querySelectorAll('svg')].filter(s => "
                                     "s.getAttribute('role') != 'img' && "
                                     "s.getAttribute('aria-hidden') != 'true').length"), 0)
        labels = browser.run("return [...document.querySelectorAll('svg[role=img]')].map(s => "
                             "s.getAttribute('aria-labelledby').split(' ')"
                             ".map(id => document.getElementById(id).textContent))")
        self.assertEqual(len(labels), 2)
        for title, description in labels:
            self.assertTrue(title)
            self.assertRegex(description, r"\b(54 completed|60) images?\b")

    def test_prints_on_white(self):
        self.make_large_job(60)
        browser.open(self.report(), scheme="dark")
        browser.devtools("Emulation.setEmulatedMedia", media="print",
                         features=[{"name": "prefers-color-scheme", "value": "dark"}])
        self.addCleanup(browser.devtools, "Emulation.setEmulatedMedia", media="")
        self.assertEqual(first_pixel(browser.screenshot(1, 1)), (255, 255, 255))
        contrast, where, _ = browser.run(LEAST_CONTRAST)
        self.assertGreaterEqual(contrast, 4.5, where)
        pdf = base64.b64decode(browser.devtools("Page.printToPDF")["data"])
        self.assertTrue(pdf.startswith(b"%PDF-"))


if __name__ == "__main__":
    if not (BROWSER and DRIVER):
        print("skipped: needs chromium and chromedriver")
        sys.exit(SKIPPED)
    tool_support.main()
