"""`pixelproof export-triton` as it is typed."""

from pathlib import Path


def test_it_says_what_it_wrote_and_how_to_serve_it(lenet_median_bundle: Path, run_cli, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run_cli("export-triton", lenet_median_bundle)
    assert code == 0
    assert "triton-models: lenet-median/1/model.onnx, lenet-median/config.pbtxt, lenet-median/labels.txt" in out
    assert "tritonserver --model-repository triton-models" in out


def test_what_it_says_is_of_the_model_that_was_added(make_bundle, run_cli, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    assert run_cli("export-triton", make_bundle("first")).code == 0
    code, out, _ = run_cli("export-triton", make_bundle("second"))
    assert code == 0
    assert "triton-models: second/1/model.onnx, second/config.pbtxt, second/labels.txt\n" in out


def test_bad_requests_are_one_line(lenet_median_bundle: Path, refused, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("theirs")
    assert "there is no bundle 'none'" in refused(1, "export-triton", "none")
    assert "'file' is a file" in refused(2, "export-triton", lenet_median_bundle, "-o", "file", "--force")
    assert (tmp_path / "file").read_text() == "theirs"
    assert "has no engine 'fast'" in refused(2, "export-triton", lenet_median_bundle, "--engine", "fast")
