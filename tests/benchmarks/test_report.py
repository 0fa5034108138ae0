"""The report: one page with every figure in it, which refers to nothing outside itself."""

import base64
import dataclasses
import re
import sys
from html.parser import HTMLParser

import pytest

from pixelproof.benchmarks.gallery import Positions, Prediction
from pixelproof.benchmarks.latency import FUSED, LatencyRow
from pixelproof.benchmarks.report import render_report, write_report
from pixelproof.benchmarks.report.headline import headlines
from pixelproof.benchmarks.report.plots import HEIGHT, WIDTH, TrainingResults, heat_maps, latency_plots, learning_curves
from pixelproof.benchmarks.results import read_results, write_results
from pixelproof.errors import PixelproofError, UsageError
from pixelproof.models import weights_path
from pixelproof.statistics import Share

_VOID = {"meta", "link", "img"}


class Page(HTMLParser):
    """The page's text and elements; fails where tags are not closed in order."""

    def __init__(self, html):
        super().__init__()
        self.text, self.elements, self.open = "", [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data if self.open[-1:] != ["style"] else ""

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def page(defense, latency):
    return Page(render_report([defense, latency]))


def test_nothing_outside_the_page_is_referred_to(defense, latency):
    html = render_report([defense, latency])
    page = Page(html)
    sources = [value for _, held in page.elements for name, value in held.items() if name in ("src", "href")]
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert not re.search(r"https?://|url\(|@import|<script", html)


@pytest.mark.parametrize(
    "figure",
    [
        *("63.4 %", "60.4–66.3", "1.2 %", "98.1 %", "0.5 %", "21.0 %", "31 / 8,192", "9,000 / 16,384", "0.052"),
        *("61.2 %", "21.7 %", "64.5 %", "19.2 %", "the paper's"),
        *("ONNX, fused graph", "0.412", "0.433", "0.510", "3.10", "2,427", "times vary by more than 5%"),
        *("62.0 %", "90.5 %", "cat, image 17"),
        *("AMD EPYC 9V74", "onnxruntime 1.32.0", "pixelproof bench defense lenet-gated", "2026-01-31T12:05:00"),
    ],
)
def test_every_figure_is_in_the_page(figure, page):
    assert figure in page.text


def test_images_are_inline_and_described(page, defense):
    images = page.all("img")
    assert len(images) == 3 * len(defense.gallery)
    assert base64.b64decode(images[0]["src"].removeprefix("data:image/png;base64,")) == defense.gallery[0].original
    assert images[1]["alt"] == "changed at row 2 column 5"
    assert all(image["alt"] for image in images)


def test_the_changed_pixel_is_ringed_where_it_is_and_only_once_changed(page, defense):
    centers = [(float(held["cx"]), float(held["cy"])) for held in page.all("circle")]
    assert set(centers) == {(5.5, 2.5)}
    assert len(centers) == 2 * 2 * len(defense.gallery)  # halo and ring, on the attacked and the purified image


def test_a_right_and_a_wrong_answer_are_told_apart_in_words(page):
    assert re.search(r"✗\s+dog\s+62\.0 %\s*, wrong", page.text)
    assert re.search(r"✓\s+cat\s+90\.5 %\s*, right", page.text)


def test_the_map_has_a_spot_where_attacks_succeeded(page):
    (spot,) = page.all("rect")
    assert (spot["x"], spot["y"], spot["fill-opacity"]) == ("5", "2", "1.00")
    assert "row 2, column 5: 7" in page.text


def test_tables_have_captions_and_scoped_headings(page):
    assert len(page.all("caption")) == len(page.all("table")) == 2
    assert all(held.get("scope") in ("row", "col") for held in page.all("th"))


def test_what_files_say_is_text_and_never_markup(defense):
    evil = "<script>alert(1)</script>"
    row = dataclasses.replace(defense.rows[0], classifier=evil)
    shown = dataclasses.replace(defense.gallery[0], label=evil, after=Prediction('"><img src=x>', 0.5))
    conditions = dataclasses.replace(defense.conditions, command=evil)
    html = render_report([dataclasses.replace(defense, rows=(row,), gallery=(shown,), conditions=conditions)])
    assert evil not in html
    assert "<img src=x>" not in html
    assert evil in Page(html).text


def test_either_kind_of_results_will_do(defense, latency):
    assert "Latency" not in Page(render_report([defense])).text
    text = Page(render_report([latency])).text
    assert "ONNX, fused graph" in text
    assert "Attacked images" not in text


def test_results_without_a_success_are_shown(defense):
    nothing = Share(0, 0)
    row = dataclasses.replace(defense.rows[0], attack_success=nothing, defense_rate=nothing, paper=None)
    empty = dataclasses.replace(defense.positions[0], counts=((0,) * 8,) * 8)
    page = Page(render_report([dataclasses.replace(defense, rows=(row,), gallery=(), positions=(empty,))]))
    assert "No attack succeeded." in page.text
    assert "the paper: not reported" in page.text


def test_the_headline_takes_the_default_purifier_and_the_most_images(defense, latency):
    gated = defense.rows[0]
    other = dataclasses.replace(gated, purifier="median", n=5000)
    small = dataclasses.replace(gated, method="de", n=30)
    (head,) = headlines([dataclasses.replace(defense, rows=(other, small, gated))], [latency])
    assert head.row == gated
    assert [tile.figure for tile in head.tiles] == ["98.1 %", "0.5 %", "21.0 %", "3.10 ×"]
    assert [tile.beside for tile in head.tiles] == [
        "the paper: 64.5 %",
        "the paper: 19.2 %",
        "no purifier: 63.4 %",
        "0.412 ms for 1 image",
    ]
    assert [bar.text for bar in head.bars] == ["63.4 %", "1.2 %", "21.0 %"]


def test_the_time_of_another_bundle_is_not_in_the_headline(defense, latency):
    (head,) = headlines([defense], [dataclasses.replace(latency, purifier="median")])
    assert len(head.tiles) == 3


def test_the_middle_quarter_is_counted(defense):
    counts = [[0] * 4 for _ in range(4)]
    counts[1][1], counts[2][2], counts[0][1], counts[3][3] = 3, 2, 4, 1
    positions = Positions("lenet", None, "transfer", (4, 4), tuple(map(tuple, counts)))
    (one,) = heat_maps([dataclasses.replace(defense, positions=(positions,))])
    assert one.summary == "10 pixels of successful attacks, 50.0 % of them in the middle quarter."


def test_what_came_twice_is_shown_once(defense):
    assert len(heat_maps([defense, defense])) == 1
    assert len(Page(render_report([defense, defense])).all("img")) == 6


def test_the_target_is_written_whole_or_not_at_all(defense, tmp_path):
    write_results(tmp_path / "results.json", defense)
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UsageError, match=r"broken.json' is no JSON"):
        write_report([tmp_path / "results.json", tmp_path / "broken.json"], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
    write_report([tmp_path / "results.json"], tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_text().startswith("<!doctype html>")


def test_results_and_folders_are_not_overwritten(defense, tmp_path):
    write_results(tmp_path / "results.json", defense)
    with pytest.raises(UsageError, match="is one of the results"):
        write_report([tmp_path / "results.json"], tmp_path / "." / "results.json")
    with pytest.raises(UsageError, match="is a folder"):
        write_report([tmp_path / "results.json"], tmp_path)


def test_a_missing_jinja2_is_told_with_the_pip_command(defense, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(PixelproofError, match=r"needs jinja2, .* pip install 'pixelproof\[report\]'"):
        render_report([defense])


TRAINED = TrainingResults(
    name="lenet",
    command="pixelproof train lenet --seed 0",
    device="CPU, 2 cores",
    wall_time_s=655.3,
    training_images=50_000,
    test_images=10_000,
    versions={"torch": "2.13.0"},
    figures={"accuracy": 0.7574},
    history=(
        {"epoch": 1.0, "loss": 2.0, "seconds": 7.0, "images_per_s": 7000.0, "accuracy": 0.25},
        {"epoch": 2.0, "loss": 1.0, "seconds": 7.0, "images_per_s": 7000.0, "accuracy": 0.75},
        {"epoch": 3.0, "loss": 1.5, "seconds": 7.0, "images_per_s": 7000.0, "accuracy": 0.5},
    ),
)


def test_a_training_run_has_a_curve_for_each_figure():
    (run,) = learning_curves([TRAINED])
    assert (run.title, run.epochs) == ("lenet", 3)
    assert [curve.name for curve in run.curves] == ["loss", "accuracy"]
    loss, accuracy = run.curves
    assert loss.line == f"0.0,0.0 {WIDTH / 2},{HEIGHT}.0 {WIDTH}.0,{HEIGHT / 2}"
    assert accuracy.line == f"0.0,{HEIGHT}.0 {WIDTH / 2},0.0 {WIDTH}.0,{HEIGHT / 2}"
    assert (accuracy.lowest, accuracy.highest, accuracy.last) == ("0.25", "0.75", "0.5")


@pytest.mark.parametrize("epochs", [0, 1])
def test_short_histories_are_drawn_or_left_out(epochs: int):
    short = dataclasses.replace(TRAINED, history=TRAINED.history[:epochs])
    page = Page(render_report([short]))
    assert len(page.all("polyline")) == 2 * epochs
    assert "pixelproof train lenet --seed 0" in page.text


def test_the_json_beside_shipped_weights_is_read_and_drawn(tmp_path):
    path = weights_path("gated").with_suffix(".json")
    assert isinstance(read_results(path), TrainingResults)
    write_report([path], tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    assert len(page.all("polyline")) == 4
    assert "Training of gated" in page.text


def test_latency_is_drawn_one_plot_a_batch_size(latency):
    rows = tuple(
        LatencyRow(name, "CPU", batch, 10, p50, p90, p90, 0.01, 1.0, None, None)
        for batch in (1, 64)
        for name, p50, p90 in ((FUSED, 2.0 * batch, 2.5 * batch), ("slower", 5.0 * batch, 10.0 * batch))
    )
    results = dataclasses.replace(latency, classifier="lenet", purifier="gated", precision="fp32", rows=rows)
    one, many = latency_plots([results], FUSED)
    assert (one.title, many.title) == (
        "lenet behind gated, fp32, 1 image a call",
        "lenet behind gated, fp32, 64 images a call",
    )
    assert [(bar.name, bar.width, bar.reach, bar.is_own) for bar in many.bars] == [
        (FUSED, 20.0, 5.0, True),
        ("slower", 50.0, 50.0, False),
    ]
    page = render_report([results])
    assert page.count('class="card timing"') == 2
    assert "width: 20.00%" in page
