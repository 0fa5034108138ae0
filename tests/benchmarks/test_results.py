"""Result files: what is written is what is read, and everything else is refused in one line."""

import json

import pytest

from pixelproof.benchmarks.results import read_results, result_paths, to_json, write_results
from pixelproof.errors import UsageError
from pixelproof.models import TRAINABLE, weights_path
from pixelproof.statistics import Share


@pytest.mark.parametrize("kind", ["defense", "latency"])
def test_written_results_are_read_back_equal(kind, request, tmp_path):
    results = request.getfixturevalue(kind)
    write_results(tmp_path / "results.json", results)
    assert read_results(tmp_path / "results.json") == results


def test_shares_are_written_with_their_interval(defense):
    written = to_json(defense)["rows"][0]["attack_success"]
    assert written == {
        "count": 634,
        "n": 1000,
        "value": 0.634,
        "low": pytest.approx(0.6037, abs=1e-4),
        "high": pytest.approx(0.6633, abs=1e-4),
    }


def test_a_share_of_nothing_has_no_figures():
    share = Share(0, 0)
    assert (share.value, share.low, share.high) == (None, None, None)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("rows", 0, "classifier"), 3, r"results.rows\[0\].classifier must be a text, got 3"),
        (("rows", 0, "attack_success", "count"), 1001, r"attack_success: count must be 0 to n, got 1001 of 1000"),
        (("rows", 0, "attack_success", "n"), 10.5, r"attack_success.n must be a whole number, got 10.5"),
        (("rows", 0, "queries_median"), float("nan"), r"queries_median must be a finite number, got NaN"),
        (("rows",), None, r"results.rows must be a list, got null"),
        (("conditions", "versions"), [], r"conditions.versions must be an object, got \[\]"),
        (("gallery", 0, "original"), "%%%", r"gallery\[0\].original must be base64"),
        (("gallery", 0, "original"), "aGVsbG8=", r"must be PNG files"),
        (("gallery", 0, "pixels"), [[2, 8]], r"pixels must lie inside the 8x8 image"),
        (("gallery", 0, "pixels"), [[2]], r"pixels\[0\] must be a list of 2, got \[2\]"),
        (("positions", 0, "counts"), [[1]], r"positions\[0\]: counts must have 8 rows of 8"),
        (
            ("kind",),
            "memory",
            r"kind of results .* 'memory'; there are: attack-speed, defense, kernels, latency, precision",
        ),
        (("kind",), None, r"without the 'kind'"),
        (("format_version",), 2, r"format version 2; pixelproof .* reads version 1"),
    ],
)
def test_a_damaged_field_is_named(path, value, message, defense, tmp_path):
    content = to_json(defense)
    holder = content
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    file = tmp_path / "results.json"
    file.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=message) as caught:
        read_results(file)
    assert str(file) in str(caught.value)
    assert ". Next: " in str(caught.value)


def test_a_missing_field_is_named(latency, tmp_path):
    content = to_json(latency)
    del content["rows"][1]["p99_ms"]
    (tmp_path / "results.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"results.rows\[1\] has no 'p99_ms'"):
        read_results(tmp_path / "results.json")


def test_results_from_before_there_were_screens_are_read(defense, tmp_path):
    content = to_json(defense)
    for row in content["rows"]:
        del row["screen"]
    (tmp_path / "results.json").write_text(json.dumps(content))
    assert read_results(tmp_path / "results.json") == defense


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b"7", b"[" * 100_000])
def test_what_is_no_result_file_is_refused(content, tmp_path):
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(UsageError, match="expected a result file of pixelproof bench"):
        read_results(tmp_path / "results.json")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("notes.md", r"notes\.md' exists, with no 'notes\.json' beside it"),
        ("notes", r"notes\.md' exists, with no 'notes\.json' beside it"),
        ("other.json", r"other\.json' exists, and is no result"),
        ("bundle.json", r"bundle\.json' exists, and is no result"),
        (".", r"is a folder, not a result file\. Next: -o .*/results\.json$"),
        ("folder", r"folder' is a folder, not a result file\. Next: -o .*folder/results\.json$"),
        ("lenet-0.5", r"Next: -o .*lenet-0\.5\.json$"),
    ],
)
def test_what_was_not_measured_is_not_written_over(asked: str, message: str, tmp_path):
    (tmp_path / "notes.md").write_text("mine")
    (tmp_path / "other.json").write_text("[1")
    (tmp_path / "bundle.json").write_text('{"format_version": 1}')
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=message):
        result_paths(tmp_path / asked)


def test_older_results_are_written_over(defense, tmp_path):
    for _ in range(2):
        write_results(tmp_path / "results.json", defense)
    assert read_results(tmp_path / "results.json") == defense


def test_what_an_attack_found_is_told_from_a_damaged_file(tmp_path):
    (tmp_path / "results.json").write_text('{"kind": "attack", "format_version": 1}')
    with pytest.raises(UsageError, match=r"is what one attack found, of which there is no report. Next: pixelproof"):
        read_results(tmp_path / "results.json")


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no result file"):
        read_results(tmp_path / "none.json")
    with pytest.raises(UsageError, match="is no file"):
        read_results(tmp_path)


@pytest.mark.parametrize("name", TRAINABLE)
def test_the_shipped_weights_tell_how_they_were_trained(name):
    path = weights_path(name)
    assert path is not None
    results = read_results(path.with_suffix(".json"))
    assert results.name == name
    assert results.test_images == 10_000


def test_results_that_no_report_draws_are_named_as_what_they_are(tmp_path):
    (tmp_path / "growth.json").write_text(json.dumps({"kind": "growth"}))
    with pytest.raises(UsageError, match="'growth'; there are: attack-speed"):
        read_results(tmp_path / "growth.json")
