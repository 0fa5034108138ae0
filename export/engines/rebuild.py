"""Builds those of a bundle's engines again that no longer fit it or this machine."""

from pathlib import Path

from pixelproof.errors import BundleError, UsageError
from pixelproof.export.engines.build import DEFAULT_PROFILE, Progress, build_engine, machine_here
from pixelproof.runtime import Bundle, read_bundle
from pixelproof.runtime.engines import FLAVOURS, Engine, Machine, misfits, open_flavour, read_engine


def rebuild_engines(bundle: Path, *, progress: Progress = lambda *_: None) -> list[Path]:
    """Build each engine again, with its own part, flavour, profile and compute capability, that does not fit.

    One is left as it is that fits. One of TensorRT for RTX that was built for other GPUs is measured by its version and
    the bundle's graph alone; one of TensorRT for another GPU stays, and one for the GPU that is here comes beside it.

    Args:
        bundle: its folder.
        progress: told what TensorRT is doing.

    Returns:
        The engines that were built.

    Raises:
        UsageError: the bundle has no engines.
        PixelproofError: as `build_engine`.
    """
    opened = read_bundle(bundle)
    if not opened.engines:
        raise UsageError(f"bundle '{bundle}' has no engines to rebuild. Next: pixelproof build-engine {bundle}")
    machines: dict[str, Machine | None] = {}
    built = []
    for name in opened.engines:
        part, flavour, capability = _parts(name)
        if flavour not in machines:
            machines[flavour] = machine_here(open_flavour(flavour, purpose="building"))
        engine = _readable(opened, name)
        if engine is not None and not _misfits(engine, opened, machines[flavour]):
            continue
        chosen = capability if flavour == "tensorrt-rtx" else None
        profile = engine.profile if engine else DEFAULT_PROFILE
        built.append(
            build_engine(bundle, flavour=flavour, part=part, profile=profile, capability=chosen, progress=progress)
        )
    return built


def _parts(name: str) -> tuple[str, str, str]:
    part, _, rest = name.removesuffix(".engine").partition(".")
    flavour, _, capability = rest.partition(".")
    if flavour not in FLAVOURS:
        raise UsageError(
            f"engine '{name}' is of no known flavour ({', '.join(FLAVOURS)}). Next: pixelproof build-engine BUNDLE"
        )
    return part, flavour, capability


def _readable(bundle: Bundle, name: str) -> Engine | None:
    try:
        return read_engine(bundle, name)
    except BundleError:
        return None


def _misfits(engine: Engine, bundle: Bundle, machine: Machine | None) -> list[str]:
    own = engine.sidecar["compute_capability"]
    if machine is None or engine.sidecar["gpu"] is None:  # tied to no GPU: built for whatever it was built for
        flavour = open_flavour(engine.sidecar["flavour"], purpose="building")
        machine = Machine(flavour.name, flavour.version, own, "", "")
    return misfits(engine, bundle, machine)
