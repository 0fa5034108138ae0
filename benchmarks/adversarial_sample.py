"""Finds the shipped adversarial images: `corners` on every shipped classifier and test image (make adversarial).

A search that was stopped goes on from its records; a classifier whose weights were attacked already is left.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pixelproof.attack.results import Progress
from pixelproof.benchmarks.defence.attack_run import attack_bundle
from pixelproof.benchmarks.defence.settings import DataChoice
from pixelproof.export import export_bundle
from pixelproof.models import CLASSIFIERS, provenance, weights_path
from pixelproof.models.data import adversarial_sample, write_adversarial_sample

_RECORDS = Path("runs/adversarial")


def find(classifier: str, records: Path) -> int:
    """Attack a classifier on the shipped images, and keep what fooled it; how many images that is."""
    choice = DataChoice.sample()
    with TemporaryDirectory(prefix="pixelproof-") as folder:
        bundle = Path(folder) / classifier
        export_bundle(classifier, bundle, purifier="none")
        run = attack_bundle(
            bundle,
            choice,
            protocol="transfer",
            method="corners",
            images=len(choice.images),
            pixels=1,
            target=None,
            seed=0,
            records=records,
            report=lambda _, progress: _tell(classifier, progress),
        )
    changes = [(each["image"], *each["pixels"][0], *each["colours"][0]) for each in run.images if each["success"]]
    write_adversarial_sample(classifier, provenance(classifier)["weights_sha256"], "corners, one pixel", changes)
    return len(changes)


def _tell(classifier: str, progress: Progress) -> None:
    print(f"\r{classifier}: {progress.finished} of {progress.images}", end="", file=sys.stderr)


def main() -> None:
    """Do so for all that are shipped."""
    for classifier in CLASSIFIERS:
        if weights_path(classifier) is None:
            continue
        digest = provenance(classifier)["weights_sha256"]
        if adversarial_sample(classifier, digest) is None:
            found = find(classifier, _RECORDS / f"{classifier}-{digest[:12]}.sqlite")
            print(f"\r{classifier}: {found} adversarial images", file=sys.stderr)


if __name__ == "__main__":
    main()
