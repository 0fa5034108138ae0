"""One search of many images: what counts as a success, what is asked again, and what comes from the records."""

from pathlib import Path

import numpy as np
import pytest

from pixelproof.attack.evaluation import DataChoice
from pixelproof.attack.evaluation import searches as module
from pixelproof.attack.evaluation.records import Record, Store
from pixelproof.attack.evaluation.searches import Task, changed_images, holds, read_png, search, settings_of, write_png
from pixelproof.attack.evaluation.victims import bare_classifier, purified_pipeline
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline

CORNERS = Task("any name", "corners", 1, 0)


@pytest.fixture
def run(stand_in: Path, choice: DataChoice, tmp_path: Path):
    """Search the stand-in's bare classifier: the records of some images, always the same folder."""

    def run(chosen: list[int], task: Task = CORNERS, deployed=None) -> list[Record]:
        with Pipeline(stand_in, part="classifier") as bare:
            victim = bare_classifier(bare)
            store = Store(tmp_path / "records", settings_of(task, victim, choice.name))
            try:
                deployed = deployed or bare.predict
                return search(task, victim, deployed, choice.images, np.array(chosen), store, lambda *_: None)
            finally:
                store.close()

    return run


def outcomes(records: list[Record]) -> dict[int, bool]:
    return {record.image: record.success for record in records}


def test_records_come_in_the_order_asked_for(run):
    assert list(outcomes(run([4, 1, 2])).items()) == [(4, True), (1, True), (2, False)]


def test_a_success_says_which_pixel_and_color_and_a_failure_that_all_were_tried(run, stand_in: Path, choice):
    fallen, withstood = run([4, 2])
    assert (withstood.pixels, withstood.colors) == ([], [])
    assert (withstood.queries, withstood.exhausted) == (4 * 6 * 8, True)
    attacked = changed_images([fallen, withstood], choice.images)
    changed = (attacked != choice.images.images[[4, 2]]).any(-1)
    assert changed.sum(axis=(1, 2)).tolist() == [1, 0]
    assert np.argwhere(changed[0]).tolist() == fallen.pixels
    with Pipeline(stand_in, part="classifier") as bare:
        assert bare.predict(attacked).argmax(1).tolist() == [0, 0]  # once green, now red; red as it was


def test_a_second_run_asks_the_network_nothing(run, asked: list[int]):
    first = run([1, 2, 4])
    assert asked
    asked.clear()
    assert run([1, 2, 4]) == first
    assert asked == []


def test_more_images_reuse_the_records_of_fewer(run, asked: list[int]):
    few = run([1, 2])
    asked.clear()
    assert run([1, 2, 4])[:2] == few
    with_records = len(asked)
    asked.clear()
    run([4], Task("", "corners", 1, seed=1))  # the same image alone, under settings without records
    assert len(asked) == with_records > 0


def test_other_settings_are_searched_anew(run, asked: list[int]):
    run([2])
    for task in (Task("", "levels", 1, 0), Task("", "corners", 2, 0), Task("", "corners", 1, 0, target=1)):
        asked.clear()
        run([2], task)
        assert asked, task


def test_the_plans_name_is_for_people_and_changes_nothing(run, asked: list[int]):
    run([1])
    asked.clear()
    run([1], Task("another name", "corners", 1, 0))
    assert asked == []


def test_what_the_deployed_bundle_withstands_is_no_success(run):
    answer = np.eye(3, dtype=np.float32)[[1]]  # image 4 is green, whatever was done to it
    (record,) = run([4], deployed=lambda images: answer)
    assert (record.success, record.pixels, record.colors) == (False, [], [])


def test_what_does_not_survive_writing_and_reading_is_no_success(run, monkeypatch: pytest.MonkeyPatch, choice):
    original = write_png(choice.images.images[4])
    monkeypatch.setattr(module, "write_png", lambda image: original)  # as if the file lost the changed pixel
    assert outcomes(run([4])) == {4: False}


def test_a_file_that_changes_more_pixels_than_planned_is_no_success(run, monkeypatch: pytest.MonkeyPatch):
    def smearing(image: np.ndarray) -> bytes:
        return write_png(np.clip(image, 1, None))

    monkeypatch.setattr(module, "write_png", smearing)  # as a lossy format would
    assert outcomes(run([4])) == {4: False}


def test_a_target_is_reached_or_it_is_no_success():
    image = np.zeros((2, 2, 3), np.uint8)
    untargeted, targeted = Task("", "corners", 1, 0), Task("", "corners", 1, 0, target=2)
    for seen, (wrong, reached) in enumerate([(False, False), (True, False), (True, True)]):
        answer = np.eye(3, dtype=np.float32)[[seen]]
        assert holds(untargeted, image, image, 0, lambda images, answer=answer: answer) is wrong
        assert holds(targeted, image, image, 0, lambda images, answer=answer: answer) is reached


def test_png_keeps_every_level_of_real_images():
    for image in sample().images[:20]:
        np.testing.assert_array_equal(read_png(write_png(image)), image)


def test_pixels_are_drawn_in_their_order_and_no_others(choice: DataChoice):
    records = [
        Record(2, True, [[0, 1], [3, 5], [0, 1]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]], 1, False, 0.0),
        Record(1, False, [], [], 1, True, 0.0),
    ]
    drawn = changed_images(records, choice.images)
    expected = choice.images.images[[2, 1]].copy()
    expected[0, 0, 1], expected[0, 3, 5] = (7, 8, 9), (4, 5, 6)
    np.testing.assert_array_equal(drawn, expected)
    assert (choice.images.images[2] == (180, 0, 0)).all()  # the data stay as they were


def test_the_colors_that_a_purifier_lets_pass_are_a_search_of_their_own(lenet_median_bundle: Path, tmp_path: Path):
    """Image 1 falls to a color that the median lets pass, none of the color cube's corners."""
    data, passed = sample(), Task("", "corners", 1, 0, passed_colors=True)
    with Pipeline(lenet_median_bundle) as pipeline, Pipeline(lenet_median_bundle, part="classifier") as bare:
        victim = purified_pipeline(pipeline, bare)
        store = Store(tmp_path, settings_of(passed, victim, "sample"))
        assert store.path != Store(tmp_path, settings_of(CORNERS, victim, "sample")).path
        (record,) = search(passed, victim, pipeline.predict, data, np.array([1]), store, lambda *_: None)
        store.close()
        attacked = changed_images([record], data)
        assert record.success
        assert not set(record.colors[0]) <= {0, 255}
        np.testing.assert_array_equal(pipeline.purify(attacked), attacked)
        assert pipeline.predict(attacked).argmax() != data.labels[1]
