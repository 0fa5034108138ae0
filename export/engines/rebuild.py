"""Builds those of a bundle's engines again that no longer fit it or this machine."""

import logging
from pathlib import Path

from pixelproof.errors import BundleError, UsageError, quote
from pixelproof.export.engines.build import DEFAULT_PROFILE, Progress, build_engine, machine_here
from pixelproof.runtime import Bundle, read_bundle
from pixelproof.runtime.distributions import DISTRIBUTIONS, Distribution, open_distribution
from pixelproof.runtime.engines import Engine, Machine, engine_name, incompatibilities, noted_profile, read_engine

_log = logging.getLogger("pixelproof")


def rebuild_engines(bundle: Path, *, progress: Progress = lambda *_: None) -> list[Path]:
    """Build each engine that does not fit again, with its own part, distribution, profile and compute capability.

    An engine that fits is left as it is. One of TensorRT for RTX that was built for other GPUs is judged by its version
    and the bundle's graph alone. One of TensorRT for another compute capability stays; where there is none for this
    machine's, one comes beside it.

    Args:
        bundle: its folder.
        progress: called with what TensorRT is doing.

    Returns:
        The engines that were built.

    Raises:
        UsageError: the bundle has no engines.
        PixelproofError: as `build_engine`.
    """
    opened = read_bundle(bundle)
    if not opened.engines:
        raise UsageError(f"bundle '{bundle}' has no engines to rebuild. Next: pixelproof build-engine {quote(bundle)}")
    flavors = {_parts(name)[1] for name in opened.engines}
    built = []
    for flavor in sorted(flavors, reverse=True):  # TensorRT for RTX first, which builds where the other finds no GPU
        chosen = open_distribution(flavor, purpose="building")
        machine = machine_here(chosen)
        for (part, built_for), names in _places(opened, chosen, machine).items():
            target = engine_name(part, flavor, built_for)
            for other in names:
                if other != target and _readable(opened, other) is None:
                    remedy = f"on that, pixelproof build-engine {quote(bundle)} --rebuild"
                    _log.warning("engine '%s' is damaged, and for another GPU. Next: %s", other, remedy)
            own = _readable(opened, target) if target in names else None
            if own is not None and not _incompatibilities(own, opened, machine):
                continue
            profile = _profile(opened, target, names)
            capability = built_for if chosen.chooses_capability else None
            built.append(
                build_engine(
                    bundle, flavor=flavor, part=part, profile=profile, capability=capability, progress=progress
                )
            )
    return built


def _places(bundle: Bundle, distribution: Distribution, machine: Machine | None) -> dict[tuple[str, str], list[str]]:
    """By part and what it would be built for now: the distribution's engines whose place one built there takes.

    TensorRT builds for the GPU that is here, so that all of a part's engines come to the one place.
    """
    places: dict[tuple[str, str], list[str]] = {}
    for name in bundle.engines:
        part, of, capability = _parts(name)
        if of == distribution.name:
            here = capability if machine is None or distribution.chooses_capability else machine.capability
            places.setdefault((part, here), []).append(name)
    return places


def _parts(name: str) -> tuple[str, str, str]:
    part, _, rest = name.removesuffix(".engine").partition(".")
    flavor, _, capability = rest.partition(".")
    if flavor not in DISTRIBUTIONS:
        raise UsageError(
            f"engine '{name}' is of no known distribution ({', '.join(DISTRIBUTIONS)}). "
            "Next: pixelproof build-engine BUNDLE"
        )
    return part, flavor, capability


def _profile(bundle: Bundle, target: str, names: list[str]) -> tuple[int, int, int]:
    """That of `target`, or of another of `names`, whose place it takes; the usual one where no sidecar states it."""
    for name in sorted(names, key=lambda name: name != target):
        if (profile := noted_profile(bundle, name)) is not None:
            return profile
    usual = ",".join(map(str, DEFAULT_PROFILE))
    _log.warning("no sidecar states the profile of '%s': it is built with the usual one, %s", target, usual)
    return DEFAULT_PROFILE


def _readable(bundle: Bundle, name: str) -> Engine | None:
    try:
        return read_engine(bundle, name)
    except BundleError:
        return None


def _incompatibilities(engine: Engine, bundle: Bundle, machine: Machine | None) -> list[str]:
    own = engine.sidecar["compute_capability"]
    if machine is None or engine.sidecar["gpu"] is None:  # tied to no GPU: built for whatever it was built for
        made_by = open_distribution(engine.sidecar["flavour"], purpose="building")
        machine = Machine(made_by.name, made_by.version, own, "", "")
    return incompatibilities(engine, bundle, machine)
