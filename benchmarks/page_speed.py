"""Opening time of the page of 1,000 trajectories of 1,500 tokens in headless Chromium, and what making it costs.

    python benchmarks/page_speed.py --input TRAJECTORIES [--rows 1000] [--tokens 1500] [--keep page.html]

The rows are windows of real trajectories, of 90 to 130 % of `--tokens` tokens; where there are too few, they are taken
again with other ids. The time runs from the start of the navigation to the first frame with a trajectory in it, as the
browser measures it; each opening is a new browser context, without any cache.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from datasets import Dataset, load_from_disk

from deepcoder_hf import TrajectoryProcessor
from deepcoder_hf.dataset.features import SAD_FEATURES
from deepcoder_hf.view.page import page_of

OPENED = "() => performance.getEntriesByName('painted')[0].startTime"
SEARCHED = """async (words) => {
  const began = performance.now();
  document.getElementById("search").value = words;
  await filter();
  return performance.now() - began;
}"""
MOVED = """async (n) => {
  const times = [];
  for (let place = 1; place <= n; place++) {
    const began = performance.now();
    await open(place * 7);
    document.body.getBoundingClientRect();
    times.push(performance.now() - began);
  }
  return times;
}"""


def rows_of(sources: list[str], n_rows: int, n_tokens: int) -> Dataset:
    """Windows of real trajectories, of about so many tokens each."""
    settings = {"tokens": {"max_length": int(1.3 * n_tokens), "overflow": "window"}}
    with tempfile.TemporaryDirectory() as folder:
        TrajectoryProcessor(settings).process_files(sources, Path(folder) / "sad")
        rows = [row for row in load_from_disk(str(Path(folder) / "sad")) if row["length"] >= 0.9 * n_tokens]
    if not rows:
        raise SystemExit(f"{', '.join(sources)}: no trajectory of {n_tokens} tokens or more")
    print(f"{len(rows)} different rows of {0.9 * n_tokens:.0f}-{1.3 * n_tokens:.0f} tokens")
    numbered = enumerate(itertools.islice(itertools.cycle(rows), n_rows))
    named = [row | {"trajectory_id": f"{row['trajectory_id']}-{number:04d}"} for number, row in numbered]
    return Dataset.from_list(named, features=SAD_FEATURES)


def measure(page: Path, runs: int) -> None:
    """Print what the browser measures."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    opened: list[float] = []
    with sync_playwright() as driver:
        root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=path, args=root)
        for _ in range(runs):
            tab = browser.new_context(viewport={"width": 1360, "height": 860}).new_page()
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-ready]")
            opened.append(tab.evaluate(OPENED))
        moved, first = tab.evaluate(MOVED, 40), tab.evaluate(SEARCHED, "error")
        again = tab.evaluate(SEARCHED, "return")
        heap = tab.evaluate("() => performance.memory.usedJSHeapSize") / 1e6
        print(f"Chromium {browser.version}, {os.cpu_count()} cores, {runs} openings:")
        print(f"  opens in {statistics.median(opened):.0f} ms (median), {max(opened):.0f} ms (slowest)")
        print(f"  next trajectory in {statistics.median(moved):.0f} ms (median), {max(moved):.0f} ms (slowest)")
        print(f"  first search of all texts in {first:.0f} ms, the next in {again:.0f} ms; heap {heap:.0f} MB")
        browser.close()


def main() -> None:
    """Make the page and measure it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", nargs="+", required=True, help="files or folders of raw trajectories")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=1500)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--keep", help="keep the page under this name")
    wanted = parser.parse_args()
    rows = rows_of(wanted.input, wanted.rows, wanted.tokens)
    began = time.perf_counter()
    page = page_of(rows, {}, [], "page_speed", wanted.rows)
    seconds = time.perf_counter() - began
    mean = statistics.mean(rows["length"][:])
    print(f"{len(rows):,} rows of {mean:,.0f} tokens on average: {len(page) / 1e6:.1f} MB, made in {seconds:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(wanted.keep or Path(folder) / "page.html").absolute()
        path.write_text(page, encoding="utf-8")
        measure(path, wanted.runs)


if __name__ == "__main__":
    main()
