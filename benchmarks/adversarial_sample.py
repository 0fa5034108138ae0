"""`pixelproof data adversarial`: finds the shipped adversarial images, by `corners` on every shipped classifier.

A search that was stopped goes on from its records, on the device that it was on; a classifier whose weights were
attacked already, on as many images, is left. Where an image takes a CPU a minute, the first so many are attacked.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pixelproof.attack.evaluation.attack_run import attack_bundle
from pixelproof.attack.evaluation.device import open_attack_device
from pixelproof.attack.evaluation.settings import DataChoice, Settings
from pixelproof.attack.search.results import Progress
from pixelproof.deprecation import keyword_renamed
from pixelproof.errors import UsageError, unknown_name
from pixelproof.export import export_bundle
from pixelproof.models import CLASSIFIERS, provenance
from pixelproof.models.data import write_adversarial_sample
from pixelproof.models.data.adversarial import is_attacked
from pixelproof.models.data.sample import SAMPLE_FOLDER

_COMMAND = "pixelproof data adversarial"


@keyword_renamed("screen", "cascade")
def find(
    classifier: str,
    choice: DataChoice,
    records: Path,
    backend: str = "auto",
    folder: Path = SAMPLE_FOLDER,
    *,
    cascade: str | None = None,
    images: int | None = None,
) -> int:
    """Attack a shipped classifier, and keep what fooled it; how many images that is.

    Args:
        classifier: its name.
        choice: the shipped images.
        records: folder of each image's outcome.
        backend: see `open_attack_device`.
        folder: of the sample, where it is kept.
        cascade: see `Settings`.
        images: attack the first so many that it gets right; None for all of those.
    """
    with TemporaryDirectory(prefix="pixelproof-") as temporary:
        bundle = Path(temporary) / classifier
        export_bundle(classifier, bundle, purifier="none")
        with open_attack_device(backend, "corners", [bundle], cascade=cascade) as device:
            run = attack_bundle(
                bundle,
                choice,
                Settings(images=len(choice.images) if images is None else images, cascade=cascade),
                protocol="transfer",
                records=records,
                report=lambda _, progress: _tell(classifier, progress),
                device=device,
            )
            screened = f"on {device.name}" if device is not None else cascade and f"in {cascade}"
            method = f"corners, one pixel, screened {screened}" if screened else "corners, one pixel"
    changes = [(each["image"], *each["pixels"][0], *each["colours"][0]) for each in run.images if each["success"]]
    digest = provenance(classifier)["weights_sha256"]
    first = None if images is None or len(run.images) < images else images  # fewer than asked for are all
    write_adversarial_sample(classifier, digest, method, changes, folder, first=first)
    return len(changes)


def _tell(classifier: str, progress: Progress) -> None:
    print(f"\r{classifier}: {progress.finished} of {progress.images}", end="", file=sys.stderr)


@keyword_renamed("screen", "cascade")
def attack_all(
    names: Sequence[str], backend: str, records: Path, cascade: str | None = None, images: int | None = None
) -> None:
    """Find those of the named classifiers whose present weights were not attacked on as many images.

    Args:
        names: of shipped classifiers.
        backend: see `open_attack_device`.
        records: folder of the outcomes.
        cascade: see `Settings`.
        images: see `find`.

    Raises:
        UsageError: an unknown name or backend, or no images.
        PixelproofError: CUDA was asked for and does not work.
    """
    if images is not None and images < 1:
        raise UsageError(f"{images} images are none to attack. Next: --images 50, or leave it out")
    for name in names:
        if name not in CLASSIFIERS:
            raise unknown_name("classifier", name, CLASSIFIERS, f"{_COMMAND} {CLASSIFIERS[0]}")
    for name in names:
        digest = provenance(name)["weights_sha256"]
        if not is_attacked(name, digest, images):
            outcomes = records / f"{name}-{digest[:12]}"
            found = find(name, DataChoice.sample(), outcomes, backend, cascade=cascade, images=images)
            print(f"\r{name}: {found} adversarial images", file=sys.stderr)
