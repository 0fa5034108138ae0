"""One attack on one bundle: figures, records, and adversarial images that hold once they are files."""

from pathlib import Path

import numpy as np
import pytest

from pixelproof.attack.evaluation import DataChoice
from pixelproof.codec import encode
from pixelproof.errors import UsageError
from pixelproof.runtime import Pipeline
from pixelproof.statistics import Share

SETTINGS = {"method": "corners", "pixels": 1, "seed": 0, "target": None, "provider": "CPUExecutionProvider"}


def test_a_transfer_attack_is_on_what_the_bare_classifier_gets_right(run_attack, stand_in: Path):
    run = run_attack()
    assert run.summary.items() >= {**SETTINGS, "protocol": "transfer", "data": "solid images"}.items()
    assert run.summary["bundle"] == str(stand_in)
    assert run.summary["attack_success"] == encode(Share(2, 4))
    assert {image["image"]: image["success"] for image in run.images} == {1: True, 2: False, 3: False, 4: True}
    assert run.names == ("00001-red.png", "00004-green.png")


def test_an_adaptive_attack_is_on_the_same_images_and_counts_what_the_purifier_loses(run_attack, choice: DataChoice):
    run = run_attack(protocol="adaptive")
    assert run.summary["attack_success"] == encode(Share(2, 4))
    assert {image["image"]: image["success"] for image in run.images} == {1: True, 2: False, 3: True, 4: False}
    lost = run.images[2]
    assert (lost["pixels"], lost["queries"], lost["label"], lost["label_after"]) == ([], 0, "green", "red")
    np.testing.assert_array_equal(run.adversarial[run.names.index("00003-green.png")], choice.images.images[3])


def test_both_ways_to_measure_give_the_same_figure(run_attack, measure):
    for options in ({}, {"method": "levels"}, {"images": 3}):
        row = measure(**{"images": 100, **options}).row
        assert run_attack(**options).summary["attack_success"] == encode(row.attack_success)
        assert run_attack(**options, protocol="adaptive").summary["attack_success"] == encode(row.adaptive_success)


def test_a_target_counts_alone_what_reaches_it(run_attack):
    """Red is what the purifier makes of the image that it loses; the image of the target class is left out."""
    run = run_attack(protocol="adaptive", target=0)
    assert {image["image"]: image["success"] for image in run.images} == {3: True, 4: False}
    run = run_attack(protocol="adaptive", target=2)
    assert {image["image"]: image["success"] for image in run.images} == {1: False, 2: False, 3: False, 4: False}


@pytest.mark.parametrize("protocol", ["transfer", "adaptive"])
def test_each_file_deceives_what_was_attacked_by_one_pixel(protocol: str, lenet_median_bundle, some_real, run_attack):
    run = run_attack(lenet_median_bundle, some_real, protocol=protocol, images=3)
    successes = [image for image in run.images if image["success"]]
    assert len(run.images) == 3
    assert len(successes) == len(run.adversarial) > 0
    data = some_real.images
    with Pipeline(lenet_median_bundle, part="classifier" if protocol == "transfer" else "pipeline") as deployed:
        for image, name, attacked in zip(successes, run.names, run.adversarial, strict=True):
            index = image["image"]
            assert name == f"{index:05d}-{data.class_names[data.labels[index]]}.png"
            changed = np.argwhere((attacked != data.images[index]).any(-1)).tolist()
            assert changed == image["pixels"]
            assert attacked[tuple(changed[0])].tolist() == image["colours"][0]
            assert deployed.predict(attacked[None]).argmax() != data.labels[index]
            np.testing.assert_allclose(deployed.predict(attacked[None])[0], image["probabilities_after"], atol=1e-6)
            np.testing.assert_allclose(
                deployed.predict(data.images[[index]])[0], image["probabilities_before"], atol=1e-6
            )
    for image in run.images:
        assert image["label_after"] == data.class_names[int(np.argmax(image["probabilities_after"]))]
        assert (image["label_after"] != image["label"]) == image["success"]
        assert (image["probabilities_after"] != image["probabilities_before"]) == image["success"]


def test_a_targeted_attack_leaves_out_the_targets_images_and_reaches_it(run_attack, stand_in: Path, choice):
    run = run_attack(target=0)
    assert run.summary["target"] == "red"
    assert {image["image"]: image["success"] for image in run.images} == {3: False, 4: True}
    with Pipeline(stand_in, part="classifier") as bare:
        assert bare.predict(run.adversarial[run.names.index("00004-green.png")][None]).argmax() == 0
    assert run_attack(target=2).summary["attack_success"] == encode(Share(0, 4))  # blue is beyond one pixel's reach


def test_only_so_many_images_are_attacked_and_figures_are_theirs(run_attack):
    run = run_attack(images=2)
    assert [image["image"] for image in run.images] == [1, 2]
    queries = [image["queries"] for image in run.images]
    assert run.summary["queries_median"] == np.median(queries)
    assert run.summary["queries_p90"] == pytest.approx(np.percentile(queries, 90))
    assert run.summary["seconds_per_image"] == pytest.approx(np.mean([image["seconds"] for image in run.images]))


def test_the_same_attack_again_asks_nothing_and_says_the_same(run_attack, asked: list[int]):
    first = run_attack()
    assert asked
    asked.clear()
    again = run_attack()
    assert (again.summary, again.images, again.names) == (first.summary, first.images, first.names)
    np.testing.assert_array_equal(again.adversarial, first.adversarial)
    assert asked == []


def test_more_pixels_fell_what_one_does_not(run_attack, choice: DataChoice):
    run = run_attack(pixels=2)
    fallen = {image["image"]: image for image in run.images if image["success"]}
    assert fallen.keys() == {1, 3, 4}  # 3 withstands one pixel alone
    assert len(fallen[3]["pixels"]) == 2
    changed = (run.adversarial[run.names.index("00003-green.png")] != choice.images.images[3]).any(-1)
    assert changed.sum() == 2


def test_nothing_to_attack_is_named(run_attack, choice: DataChoice):
    reds = DataChoice(choice.images.take(slice(1, 3)), "two red images")
    with pytest.raises(UsageError, match=r"none of the 2 images that are not of class 'red'.* Next: another --target"):
        run_attack(choice=reds, target=0)


def test_a_bundle_without_a_purifier_has_nothing_to_adapt_to(run_attack, make_bundle):
    bare = make_bundle("bare", purifier=None)
    assert run_attack(bare).summary["attack_success"] == encode(Share(2, 4))
    with pytest.raises(UsageError, match=r"'.*bare' has no purifier to adapt to\. Next: --protocol transfer"):
        run_attack(bare, protocol="adaptive")


@pytest.mark.parametrize("protocol", ["Adaptive", "both", "transfer "])
def test_a_protocol_that_there_is_not_is_no_weaker_attack(run_attack, protocol: str):
    with pytest.raises(UsageError, match=rf"unknown protocol '{protocol}';.* there are: adaptive, transfer"):
        run_attack(protocol=protocol)


@pytest.mark.parametrize("images", [0, -3])
def test_no_images_are_refused(run_attack, images: int):
    with pytest.raises(UsageError, match=f"{images} images are none to attack"):
        run_attack(images=images)


def test_the_samples_images_are_told_by_what_the_export_calls_them():
    choice = DataChoice.sample()
    assert len(choice.files) == len(choice.images)
    assert choice.files[7] == "0007-frog.png"
    assert choice.files[198] == "0246-automobile.png"  # its place in the sample is not that in the test set


def test_a_seed_or_pixels_out_of_range_leave_no_record(run_attack, tmp_path: Path):
    for options in ({"seed": -1}, {"pixels": 25}, {"pixels": 0}):
        with pytest.raises(UsageError, match="expected"):
            run_attack(**options)
    assert not list(tmp_path.glob("records/*.jsonl"))


def test_the_strongest_attack_is_one_record_an_image(run_attack):
    run = run_attack(method="strongest", images=2)
    assert run.summary["method"] == "strongest"
    fell, held = run.images
    assert (fell["success"], held["success"]) == (True, False)
    assert fell["queries"] < 4 * 6 * 8
    assert held["queries"] > 4 * 6 * (8 + 64) + 3 * 400
    assert not held["exhausted"]  # differential evolution exhausts nothing


def test_an_evolution_of_ones_own_is_kept_apart(run_attack):
    """Few candidates of few generations, alone and as part of the union; the published ones are asked for afresh."""
    small = run_attack(method="de", images=2, population=8, generations=2)
    assert [each["queries"] for each in small.images if not each["success"]] == [8 * 3]
    assert (small.summary["population"], small.summary["generations"]) == (8, 2)
    union = run_attack(method="strongest", images=2, population=8)
    whole = run_attack(method="strongest", images=2)
    assert whole.images[1]["queries"] - union.images[1]["queries"] == 3 * (400 - 8) * 101
    assert (whole.summary["population"], whole.summary["generations"]) == (400, 100)
    assert "population" not in run_attack(images=2).summary


def test_what_evolves_nothing_has_no_population(run_attack, tmp_path: Path):
    with pytest.raises(UsageError, match=r"corners evolves nothing, .* no population\. Next: leave out --population"):
        run_attack(population=8)
    with pytest.raises(UsageError, match=r"population.*expected"):
        run_attack(method="de", population=3)


def test_adaptive_corners_try_what_the_purifier_lets_pass(lenet_median_bundle, some_real, run_attack):
    seen: list[str] = []
    run_attack(lenet_median_bundle, some_real, protocol="adaptive", images=2, report=lambda name, _: seen.append(name))
    assert list(dict.fromkeys(seen)) == ["transfer", "adaptive, colors let pass", "adaptive"]


def test_a_method_that_there_is_not_is_named(run_attack):
    with pytest.raises(UsageError, match=r"unknown method 'corner'; did you mean 'corners'\?"):
        run_attack(method="corner")
