"""Finds the shipped adversarial images: `corners` on every shipped classifier and test image (make adversarial).

A search that was stopped goes on from its records; a classifier whose weights were attacked already is left.

    python -m pixelproof.benchmarks.adversarial_sample [NAME...] [--attack-backend cuda]
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pixelproof.attack.results import Progress
from pixelproof.benchmarks.defence.attack_run import attack_bundle
from pixelproof.benchmarks.defence.devices import ATTACK_BACKENDS, open_attack_device
from pixelproof.benchmarks.defence.settings import DataChoice
from pixelproof.errors import PixelproofError
from pixelproof.export import export_bundle
from pixelproof.models import CLASSIFIERS, provenance
from pixelproof.models.data import adversarial_sample, write_adversarial_sample
from pixelproof.models.data.sample import SAMPLE_FOLDER

_RECORDS = Path("runs/adversarial")


def find(
    classifier: str, choice: DataChoice, records: Path, backend: str = "auto", folder: Path = SAMPLE_FOLDER
) -> int:
    """Attack a shipped classifier, and keep what fooled it; how many images that is.

    Args:
        classifier: its name.
        choice: the shipped images, or the first of them.
        records: SQLite file of each image's outcome.
        backend: see `open_attack_device`.
        folder: of the sample, where it is kept.
    """
    with TemporaryDirectory(prefix="pixelproof-") as temporary:
        bundle = Path(temporary) / classifier
        export_bundle(classifier, bundle, purifier="none")
        with open_attack_device(backend, "corners", [bundle]) as device:
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
                device=device,
            )
    changes = [(each["image"], *each["pixels"][0], *each["colours"][0]) for each in run.images if each["success"]]
    digest = provenance(classifier)["weights_sha256"]
    write_adversarial_sample(classifier, digest, "corners, one pixel", changes, folder)
    return len(changes)


def _tell(classifier: str, progress: Progress) -> None:
    print(f"\r{classifier}: {progress.finished} of {progress.images}", end="", file=sys.stderr)


def main() -> None:
    """Do so for those named, or for all."""
    line = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    line.add_argument("names", nargs="*", metavar="NAME", choices=[[], *CLASSIFIERS], help="all where none is named")
    line.add_argument("--attack-backend", choices=ATTACK_BACKENDS, default="auto")
    asked = line.parse_args()
    for classifier in asked.names or CLASSIFIERS:
        digest = provenance(classifier)["weights_sha256"]
        if adversarial_sample(classifier, digest) is not None:
            continue
        records = _RECORDS / f"{classifier}-{digest[:12]}.sqlite"
        try:
            found = find(classifier, DataChoice.sample(), records, asked.attack_backend)
        except PixelproofError as error:
            sys.exit(f"error: {error}")
        print(f"\r{classifier}: {found} adversarial images", file=sys.stderr)


if __name__ == "__main__":
    main()
