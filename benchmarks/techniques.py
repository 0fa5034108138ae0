"""`pixelproof bench techniques`: purifiers beside the usual input transformations, on the same attacked images.

The transformations are Pillow's and scikit-image's, in the strengths that the literature uses on CIFAR-10. Sources: Xu,
Evans, Qi, "Feature squeezing: detecting adversarial examples in deep neural networks", NDSS 2018 (median filter, bit
depth); Guo, Rana, Cisse, van der Maaten, "Countering adversarial images using input transformations", ICLR 2018 (JPEG
at quality 75, total variation, after Rudin, Osher, Fatemi, 1992, by the algorithm of Chambolle, 2004).
"""

import io
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from pixelproof.attack.evaluation.cascades import BehindCascade, check_cascade, open_cascade
from pixelproof.attack.evaluation.known import warn_of_silence
from pixelproof.attack.evaluation.records import Transform, gets_right
from pixelproof.attack.evaluation.searches import Report, Searches, changed_images
from pixelproof.attack.evaluation.settings import DataChoice, Settings, check_fit, check_some
from pixelproof.attack.evaluation.victims import Predict, Victim, bare_classifier, purified_pipeline
from pixelproof.benchmarks.conditions import describe_conditions, now
from pixelproof.benchmarks.latency import Contender, measure_latency
from pixelproof.benchmarks.results import Results, classifiers_of
from pixelproof.benchmarks.tables import NOTHING, Column, Table, make_table, number, share_cell
from pixelproof.deprecation import field_renamed, keyword_renamed
from pixelproof.errors import missing_extra
from pixelproof.models.data import ImageSet
from pixelproof.runtime import Pipeline, read_bundle
from pixelproof.runtime.bundle import CLASSIFIER
from pixelproof.runtime.onnx_bytes import graph_sha256
from pixelproof.statistics import Share


@dataclass(frozen=True)
class TechniqueRow:
    """One classifier behind one technique: a purifier or an input transformation."""

    classifier: str
    technique: str
    n: int
    attack_success: Share
    defense_rate: Share
    performance_loss: Share
    adaptive_success: Share | None
    milliseconds: float
    """The technique alone, one image a call."""
    screen: str | None = None
    """As of `DefenseRow`."""


COLUMNS = (
    Column("classifier", lambda row: row.classifier, is_text=True),
    Column("technique", lambda row: row.technique, is_text=True),
    Column("D_suc", lambda row: share_cell(row.defense_rate)),
    Column("PL", lambda row: share_cell(row.performance_loss)),
    Column("adaptive success", lambda row: share_cell(row.adaptive_success)),
    Column("adaptive n", lambda row: NOTHING if row.adaptive_success is None else number(row.adaptive_success.n)),
    Column("ms/image", lambda row: number(row.milliseconds, 3)),
    Column("n", lambda row: number(row.n)),
)
_SHIELDED_NOTE = (
    "Adaptive success behind gated is too low: an independent attack felled 18 of LeNet's first 100 images; the "
    "searches here do not try shielded colors (lenet-strongest.md)."
)
_NOTES = (
    "Beside or below a percentage: its 95 % Wilson interval. Every technique of a classifier is judged on the same "
    "attacked images.",
    "D_suc: the share of the successes against the bare classifier that the technique undoes. PL: the share of clean "
    "images, right without it, that it gets wrong. Adaptive success: the attacker asks technique and classifier as "
    "one, and tries what fooled the bare classifier.",
    "ms/image: the technique alone, one image a call, median of interleaved rounds.",
)


@dataclass(frozen=True)
class TechniqueResults(Results):
    """What `pixelproof bench techniques` measured."""

    rows: tuple[TechniqueRow, ...]

    def title(self) -> str:
        """What was measured, in a few words."""
        return f"Techniques in front of {classifiers_of(self.rows)}"

    def tables(self) -> tuple[Table, ...]:
        """The techniques, classifier by classifier."""
        notes = list(_NOTES)
        if screens := sorted({row.screen for row in self.rows if row.screen is not None}):
            notes.append(f"Candidates of the attacks were screened in {' or '.join(screens)}.")
        if any(row.technique == "gated" and row.adaptive_success for row in self.rows):
            notes.append(_SHIELDED_NOTE)
        return (make_table("Purifiers and the usual input transformations", COLUMNS, self.rows, notes),)


def _each(change: Callable[[Image.Image], Image.Image]) -> Transform:
    """`change` for each image of a batch."""

    def transform(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.stack([np.asarray(change(Image.fromarray(image))) for image in images])

    return transform


def _jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=75)
    return Image.open(file).convert("RGB")


def _total_variation(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    try:
        from skimage.restoration import denoise_tv_chambolle
    except ModuleNotFoundError as error:
        raise missing_extra("scikit-image", "techniques", "total-variation denoising") from error
    denoise: Any = denoise_tv_chambolle
    smooth = [denoise(image / 255.0, weight=0.05, channel_axis=-1) for image in images]
    levels: NDArray[np.uint8] = (np.stack(smooth) * 255 + 0.5).clip(0, 255).astype(np.uint8)
    return levels


TRANSFORMS: dict[str, Transform] = {
    "median filter 3x3": _each(lambda image: image.filter(ImageFilter.MedianFilter(3))),
    "Gaussian blur, radius 1": _each(lambda image: image.filter(ImageFilter.GaussianBlur(1))),
    "bit depth 4": _each(lambda image: ImageOps.posterize(image, 4)),
    "JPEG, quality 75": _each(_jpeg),
    "total variation, weight 0.05": _total_variation,
}
"""By name, with their settings."""


@field_renamed("screen", "cascade")
@dataclass(frozen=True)
class TechniqueSettings:
    """How techniques are compared.

    Attributes:
        images: attack the first so many images that the bare classifier gets right.
        adaptive_images: attack so many of them behind each technique; 0 for none.
        slowest_query_ms: techniques that take longer an image are not attacked.
        rounds: how often each is timed.
        seed: of the attack's randomness.
        cascade: see `Settings` of `pixelproof.attack.evaluation`.
        own_code: likewise.
    """

    images: int = 200
    adaptive_images: int = 0
    slowest_query_ms: float = 2.0
    rounds: int = 100
    seed: int = 0
    cascade: str | None = None
    own_code: bool = False


@dataclass(frozen=True)
class _Technique:
    """A name, how it is attacked, and what stands behind it."""

    name: str
    victim: Victim
    network: Pipeline
    """The purifier and the classifier as deployed, or the bare classifier behind a transformation."""
    transform: Transform | None = None

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the classifier says behind it."""
        return self.network.predict(images if self.transform is None else self.transform(images))

    def keeps(self, data: ImageSet, folder: Path) -> NDArray[np.bool_]:
        """Which of the clean images are right behind it, bool `(len(data),)`."""
        behind = None if self.transform is None else (self.name, self.transform)
        return gets_right(self.network, data, folder, behind)


@dataclass(frozen=True)
class _Subject:
    """One classifier, and the bundles with a purifier before it."""

    bundle: Path
    bare: Pipeline
    pipelines: Sequence[Pipeline]


@keyword_renamed("folder", "records")
def bench_techniques(
    bundles: Sequence[Path],
    choice: DataChoice,
    settings: TechniqueSettings,
    *,
    records: Path,
    command: str,
    threads: int | None = None,
    report: Report = lambda *_: None,
) -> TechniqueResults:
    """Compare the bundles' purifiers with `TRANSFORMS`, classifier by classifier.

    Args:
        bundles: of one classifier or several, each bundle with a purifier or none.
        choice: images of their size and classes.
        settings: how.
        records: folder of attacks' outcomes, and of what bundles say of clean images; a measurement that was stopped
            goes on from there.
        command: the command line, for the record.
        threads: CPU threads a call may use.
        report: called with what is under way.

    Raises:
        UsageError: data that do not fit a bundle, none that its classifier gets right, or a cascade that is not for it.
        BundleError: a bundle that is missing or damaged.
        DataError: kept outcomes that are damaged.
        BackendError: what is asked for does not run here.
        ExportError: as for `own_passes`, if `settings.own_code`.
    """
    with ExitStack() as opened:
        subjects = _open(bundles, choice, settings.cascade, threads, opened)
        # All are timed first, in one go, so that the machine need be quiet no longer than that.
        times = [_milliseconds(subject.pipelines, choice.images.images, settings.rounds) for subject in subjects]
        rows: list[TechniqueRow] = []
        for subject, each in zip(subjects, times, strict=True):
            with open_cascade(settings.cascade, subject.bare) as behind_cascade:
                rows += _compare(subject, behind_cascade, each, choice, settings, records, report)
        provider = subjects[-1].bare.provider
    conditions = describe_conditions(
        provider=provider, threads=threads, data=choice.name, command=command, seed=settings.seed
    )
    return TechniqueResults(created=now(), conditions=conditions, rows=tuple(rows))


def _open(
    bundles: Sequence[Path], choice: DataChoice, cascade: str | None, threads: int | None, opened: ExitStack
) -> list[_Subject]:
    """The classifiers of the bundles, in their order, each with the bundles that purify before it."""
    groups: dict[str, list[tuple[Path, Pipeline]]] = {}
    for bundle in bundles:
        pipeline = opened.enter_context(Pipeline(bundle, threads=threads))
        check_fit(bundle, pipeline, choice.images)
        check_cascade(cascade, pipeline)
        groups.setdefault(graph_sha256(read_bundle(bundle).files[CLASSIFIER]), []).append((bundle, pipeline))
    subjects = []
    for group in groups.values():
        bundle = group[0][0]
        bare = opened.enter_context(Pipeline(bundle, part="classifier", threads=threads))
        purifying = [pipeline for _, pipeline in group if pipeline.manifest["purifier"] is not None]
        subjects.append(_Subject(bundle, bare, purifying))
    return subjects


def _compare(
    subject: _Subject,
    behind_cascade: BehindCascade,
    times: dict[str, float],
    choice: DataChoice,
    settings: TechniqueSettings,
    folder: Path,
    report: Report,
) -> list[TechniqueRow]:
    """The rows of one classifier."""
    data, bare, name = choice.images, subject.bare, subject.bare.manifest["classifier"]["name"]
    right = gets_right(bare, data, folder)
    chosen = np.flatnonzero(right)[: settings.images]
    check_some(subject.bundle, chosen, data)
    searches = Searches(
        choice,
        Settings(images=settings.images, seed=settings.seed),
        folder,
        lambda stage, progress: report(f"{name}: {stage}", progress),
    )
    windows = settings.cascade is None  # a cascade does without
    victim = bare_classifier(bare, windows=windows)
    records = searches.transfer(behind_cascade(victim, bare.predict), chosen)
    succeeded = np.array([record.success for record in records], np.bool_)
    attacked = changed_images(records, data)
    rows = []
    for technique in _techniques(bare, victim, subject.pipelines, settings):
        kept = technique.keeps(data, folder)
        undone = succeeded & (technique.predict(attacked).argmax(1) == data.labels[chosen])
        adaptive = None
        if settings.adaptive_images and times[technique.name] < settings.slowest_query_ms:
            if technique.transform is None and technique.victim.passes is None:
                warn_of_silence(technique.network, settings.own_code)
            some = chosen[: settings.adaptive_images]
            carried = [record for record, still in zip(records, succeeded & ~undone, strict=True) if still]
            victim = behind_cascade(technique.victim, technique.predict)
            found = searches.adaptive(victim, technique.predict, some, some[~kept[some]], carried)
            adaptive = Share(sum(record.success for record in found.values()), len(found))
        rows.append(
            TechniqueRow(
                classifier=name,
                technique=technique.name,
                n=len(chosen),
                attack_success=Share(int(succeeded.sum()), len(succeeded)),
                defense_rate=Share(int(undone.sum()), int(succeeded.sum())),
                performance_loss=Share(int((right & ~kept).sum()), int(right.sum())),
                adaptive_success=adaptive,
                milliseconds=times[technique.name],
                screen=settings.cascade,
            )
        )
    return rows


def _techniques(
    bare: Pipeline, victim: Victim, pipelines: Sequence[Pipeline], settings: TechniqueSettings
) -> list[_Technique]:
    known = {"windows": settings.cascade is None, "own_code": settings.own_code and settings.adaptive_images > 0}
    purifiers = [_Technique(_name(each), purified_pipeline(each, bare, **known), each) for each in pipelines]
    return [*purifiers, *(_transform(name, transform, bare, victim) for name, transform in TRANSFORMS.items())]


def _transform(name: str, transform: Transform, bare: Pipeline, victim: Victim) -> _Technique:
    """A transformation as a technique; the attacker ranks candidates by the gradient of the classifier alone."""

    def around(classify: Predict) -> Predict:
        return lambda images: classify(transform(images))

    identity = f"{victim.identity} behind {name}"
    return _Technique(name, Victim(around(bare.predict), victim.order, None, identity, around=around), bare, transform)


def _name(pipeline: Pipeline) -> str:
    name: str = pipeline.manifest["purifier"]["name"]
    return name


def _milliseconds(pipelines: Sequence[Pipeline], images: NDArray[np.uint8], rounds: int) -> dict[str, float]:
    """What each technique takes for one image, the median of interleaved rounds; the classifier not counted."""
    ways: dict[str, Transform] = {_name(each): each.purify for each in pipelines} | TRANSFORMS
    contenders = [Contender(name, "", way) for name, way in ways.items()]
    rows = measure_latency(contenders, images[:1], batches=(1,), rounds=rounds)
    return {row.name: row.p50_ms for row in rows}
