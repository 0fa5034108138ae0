"""`bench_kernels`: a bundle's network between the attack's kernels, timed on a GPU."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from pixelproof.attack.cuda.device import Device
from pixelproof.attack.evaluation.victims import bare_classifier, purified_pipeline
from pixelproof.benchmarks.conditions import describe_conditions, now
from pixelproof.benchmarks.formats import KernelResults
from pixelproof.benchmarks.kernels.parts import Parts, Population
from pixelproof.errors import UsageError
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline

POPULATION = Population(lanes=64, size=400, rows=3200)
GENERATIONS = 100

Progress = Callable[[str, int, int], None]
"""Called with what is under way, how much of it is done, and how much there is."""


def bench_kernels(
    bundle: Path,
    device: Device,
    *,
    images: int = 1000,
    population: Population = POPULATION,
    generations: int = GENERATIONS,
    purified: bool = False,
    command: str = "",
    progress: Progress = lambda *_: None,
) -> KernelResults:
    """Time each kernel, the network, whole generations, and the whole budget of many images.

    Args:
        bundle: its folder.
        device: the GPU; see `open_device`.
        images: whose whole budget is evaluated, the shipped ones over and over.
        population: how many images and candidates at a time.
        generations: after the first population.
        purified: the whole pipeline, not the bare classifier.
        command: for the record.
        progress: told what is under way.

    Raises:
        BundleError: the bundle is missing or damaged.
        UsageError: a bundle for images of another size than the shipped ones.
        PixelproofError: the network does not run on the GPU, or there is too little memory.
    """
    shown = sample().images
    with Pipeline(bundle) as pipeline, Pipeline(bundle, part="classifier") as bare:
        if pipeline.image_size != shown.shape[1:3]:
            raise UsageError(f"kernels are timed on the shipped 32x32 images; '{bundle}' takes others. Next: another")
        victim = purified_pipeline(pipeline, bare) if purified else bare_classifier(bare)
        network = victim.on_device(images * population.size * (generations + 1))
        usual = replace(population, rows=min(population.rows, network.most_rows or population.rows))
        parts = Parts(device, network, np.resize(shown, (images, *shown.shape[1:])), usual, generations)
        progress("kernels", 0, 1)
        kernels, (generation_ms, batches) = parts.kernels(), parts.generation()
        network_ms = parts.network_alone(batches)
        copied = parts.copy_speed()
        progress("kernels", 1, 1)
        candidates, evaluated, seconds = parts.whole_budget(
            images, lambda done, total: progress("whole budget", done, total)
        )
        manifest = pipeline.manifest
    purifier = manifest["purifier"] if purified else None
    conditions = describe_conditions(
        provider=network.description, threads=None, data="the shipped CIFAR-10 test images", command=command, seed=0
    )
    return KernelResults(
        created=now(),
        conditions=conditions,
        gpu=device.name,
        classifier=manifest["classifier"]["name"],
        purifier=purifier and purifier["name"],
        network=network.description,
        lanes=usual.lanes,
        population=usual.size,
        rows=usual.rows,
        kernels=kernels,
        generation_ms=generation_ms,
        network_ms=network_ms,
        batches=batches,
        copy_gigabytes_per_second=copied,
        images=images,
        candidates=candidates,
        evaluated=evaluated,
        seconds=seconds,
    )
