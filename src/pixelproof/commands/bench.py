"""`pixelproof bench NAME`: measure a bundle. To add a benchmark, write a command here that calls it through `_run`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pixelproof.commands.options import (
    AsJson,
    Cascade,
    Data,
    OwnCode,
    Records,
    Results,
    Sample,
    Threads,
    WithOldNames,
    check_data,
    numbers,
    typed,
)
from pixelproof.errors import PixelproofError, missing_extra, resumable, unknown_name

if TYPE_CHECKING:
    from pixelproof.benchmarks.results import Results as Measured

bench = typer.Typer(no_args_is_help=True, help="Measure what attacks still do to a bundle and what protection costs.")

Bundle = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder.")]
Bundles = Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="Bundles' folders.")]
Figures = Annotated[Path | None, typer.Option("-o", "--output", help="Write the figures as JSON here.")]
Seed = Annotated[int, typer.Option(help="Of the attack's randomness.")]
Images = Annotated[int, typer.Option(min=1, help="Attack the first so many that the classifier gets right.")]


@bench.command()
def latency(
    bundle: Bundle,
    batch: Annotated[str, typer.Option(help="Images a call; several sizes separated by commas.")] = "1,8,64,256",
    rounds: Annotated[int, typer.Option(min=1, help="How often each row is timed at each batch size.")] = 100,
    threads: Threads = None,
    backend: Annotated[str, typer.Option(help="auto, or a name; pixelproof doctor lists them.")] = "auto",
    beside: Annotated[
        list[Path] | None, typer.Option(metavar="BUNDLE", help="Time this one too: the same networks in int8, say.")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compiled", help="Time torch.compile too, which takes it a minute or two.")
    ] = False,
    output: Results = None,
    as_json: AsJson = False,
) -> None:
    """Time the fused graph against two ONNX sessions, eager PyTorch and the bare classifier, in interleaved rounds."""
    from pixelproof.benchmarks.latency import bench_latency

    options = {"rounds": rounds, "threads": threads, "backend": backend, "beside": beside or [], "compiled": compiled}
    _run(bench_latency, output, as_json, bundle, batches=sorted(set(numbers("--batch", batch))), **options)


@bench.command(name="attack")
def attack_speed(
    bundles: Annotated[
        list[Path], typer.Argument(metavar="BUNDLE...", help="Bundles' folders, each of a shipped classifier.")
    ],
    data: Data = None,
    sample: Sample = False,
    images: Annotated[
        str,
        typer.Option(
            help="Attack the first so many that the classifier gets right; one number, or one a bundle: 50,10."
        ),
    ] = "50",
    generations: Annotated[int, typer.Option(min=1, help="Of differential evolution, after the first.")] = 75,
    population: Annotated[int, typer.Option(min=25, help="Of differential evolution.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Of the attacks' randomness.")] = 0,
    threads: Threads = None,
    records: Annotated[
        Path, typer.Option(help="Folder of each image's outcome; the same command resumes from there.")
    ] = Path("runs/attack-speed"),
    output: Results = None,
    as_json: AsJson = False,
) -> None:
    """Time corners and differential evolution against ART's PixelAttack and torchattacks' OnePixel, image by image."""
    from pixelproof.benchmarks.latency_ways import let_idle_threads_sleep

    let_idle_threads_sleep()
    from pixelproof.attack.evaluation import DataChoice
    from pixelproof.benchmarks.attack_speed import AttackSpeedSettings, bench_attack
    from pixelproof.benchmarks.attack_speed_peers import Budget

    check_data(data, sample)
    settings = AttackSpeedSettings(tuple(numbers("--images", images)), Budget(generations, population, seed))
    with resumable(f"finished images are kept in '{records}'"):
        choice = DataChoice.sample() if sample else DataChoice.at(data, bundles[0])
        _run(bench_attack, output, as_json, bundles, choice, settings, records=records, threads=threads)


@bench.command(cls=WithOldNames)
def techniques(
    bundles: Annotated[
        list[Path],
        typer.Argument(metavar="BUNDLE...", help="Bundles' folders, their purifiers compared."),
    ],
    data: Data = None,
    sample: Sample = False,
    images: Images = 200,
    adaptive_images: Annotated[
        int, typer.Option(min=0, help="Attack the first so many of them behind each technique that takes under 2 ms.")
    ] = 0,
    seed: Seed = 0,
    cascade: Cascade = None,
    own_code: OwnCode = False,
    threads: Threads = None,
    records: Records = Path("runs/records"),
    output: Results = None,
    as_json: AsJson = False,
) -> None:
    """Compare purifiers with median filter, blur, bit depth, JPEG and total variation, on the same attacked images."""
    from pixelproof.attack.evaluation import DataChoice
    from pixelproof.benchmarks.techniques import TechniqueSettings, bench_techniques
    from pixelproof.commands.progress import attack_progress

    check_data(data, sample)
    check_output(output)
    with resumable(f"finished images are kept in '{records}'"), attack_progress() as progress:
        results = bench_techniques(
            bundles,
            DataChoice.sample() if sample else DataChoice.at(data, bundles[0]),
            TechniqueSettings(images, adaptive_images, seed=seed, cascade=cascade, own_code=own_code),
            records=records,
            command=typed(),
            threads=threads,
            report=progress,
        )
    deliver(results, output, as_json=as_json)


@bench.command()
def kernels(
    bundle: Bundle,
    images: Annotated[int, typer.Option(min=1, help="Images whose whole budget of candidates is evaluated.")] = 1000,
    purified: Annotated[
        bool, typer.Option("--purified", help="The whole pipeline in place of the bare classifier.")
    ] = False,
    output: Results = None,
    as_json: AsJson = False,
) -> None:
    """Time the attack's CUDA kernels, the network between them, and a whole attack's candidates; needs a GPU."""
    from pixelproof.attack.cuda import open_device
    from pixelproof.benchmarks.kernels import bench_kernels
    from pixelproof.runtime import read_bundle

    check_output(output)
    read_bundle(bundle)
    with open_device() as device:
        _run(bench_kernels, output, as_json, bundle, device, images=images, purified=purified)


@bench.command()
def soak(
    bundle: Bundle,
    rounds: Annotated[int, typer.Option(min=1, help="How often it is opened, run and closed.")] = 10_000,
    images: Annotated[int, typer.Option(min=1, help="Images through one opened pipeline.")] = 1_000_000,
    backend: Annotated[str, typer.Option(help="auto, or a backend's name.")] = "auto",
    threads: Threads = None,
    output: Results = None,
    as_json: AsJson = False,
) -> None:
    """Open, run and close a bundle many times and run many images, watching memory; time cold processes."""
    from pixelproof.benchmarks.endurance import bench_soak

    _run(bench_soak, output, as_json, bundle, rounds=rounds, images=images, backend=backend, threads=threads)


@bench.command()
def precision(
    classifiers: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Shipped classifiers.", show_default="all")
    ] = None,
    purifier: Annotated[str, typer.Option(metavar="NAME", help="Before each.")] = "gated",
    data: Annotated[
        Path | None,
        typer.Option(help="Compare decisions on CIFAR-10's 10,000 test images.", show_default="200 shipped ones"),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each graph is timed.")] = 30,
    engines: Annotated[
        str, typer.Option(metavar="X.Y,...", help="Build engines for these, such as portable,8.9 (TensorRT for RTX).")
    ] = "",
    threads: Threads = None,
    output: Results = None,
    as_json: AsJson = False,
) -> None:
    """Export classifiers in every precision: decisions kept, accuracy, D_suc, PL, size and speed; build engines."""
    from pixelproof.benchmarks.precision import bench_precision
    from pixelproof.models import CLASSIFIERS
    from pixelproof.models.data import load_cifar10

    check_output(output)
    chosen = classifiers or CLASSIFIERS
    for name in chosen:
        if name not in CLASSIFIERS:
            raise unknown_name("classifier", name, CLASSIFIERS, "pixelproof bench precision NAME")
    test = None if data is None else load_cifar10("test", data)
    capabilities = [capability for capability in engines.split(",") if capability]
    options = {"purifier": purifier, "test": test, "rounds": rounds, "capabilities": capabilities, "threads": threads}
    _run(bench_precision, output, as_json, chosen, **options)


@bench.command()
def growth(
    bundle: Bundle,
    data: Data = None,
    sample: Sample = False,
    images: Annotated[str, typer.Option(help="Numbers of images, separated by commas.")] = "100,1000,7500",
    method: Annotated[str, typer.Option(help="Of the attack.")] = "corners",
    threads: Threads = 1,
    output: Figures = None,
) -> None:
    """Attack few images, more, and very many, to see whether an image's cost or the memory grows with their number."""
    from pixelproof.benchmarks.endurance import grow
    from pixelproof.models.data.cifar10 import locate

    check_data(data, sample)
    _check_json(output)
    source = None if sample else locate(data)
    sizes = tuple(numbers("--images", images))
    _print(grow(bundle, data=source, sizes=sizes, method=method, threads=threads or 1, command=typed()), output)


@bench.command()
def survival(
    bundle: Bundle,
    kills: Annotated[int, typer.Option(min=1, help="Processes that are killed.")] = 50,
    images: Annotated[int, typer.Option(min=1, help="Shipped images to attack.")] = 100,
    method: Annotated[str, typer.Option(help="Of the attack.")] = "de",
    output: Figures = None,
) -> None:
    """Kill an attack again and again, and compare what it finds with one that was left alone; 1 where they differ."""
    from pixelproof.benchmarks.endurance import survive

    _check_json(output)
    found = survive(bundle, kills=kills, images=images, method=method, command=typed())
    _print(found, output)
    if found["same_outcomes"] != found["of"] or found["kills"] != kills:
        raise typer.Exit(1)


@bench.command(name="cascade", cls=WithOldNames)
def cascade_validation(
    bundle: Bundle,
    cascade: Annotated[str, typer.Option(metavar="NAME", help="The cheaper network: int8 or bf16.")] = "int8",
    protocol: Annotated[str, typer.Option(help="transfer (the classifier) or adaptive (all of it).")] = "transfer",
    successes: Annotated[int, typer.Option(min=1, help="Successes after which no further image is begun.")] = 2_000,
    margin: Annotated[float | None, typer.Option(help="In nats.", show_default="the cheaper network's own")] = None,
    within: Annotated[
        float | None, typer.Option(help="Ask float32 of leads below so many nats alone.", show_default="of all")
    ] = None,
    threads: Threads = None,
    output: Figures = None,
) -> None:
    """Count the successes that a cheaper network would discard; 1 where any is lost, or there was none."""
    try:
        from pixelproof.benchmarks.cascade import validate_cascade
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "PyTorch", "export", "a cascade") from None

    _check_json(output)
    found = validate_cascade(
        bundle,
        cascade=cascade,
        protocol=protocol,
        successes=successes,
        margin=margin,
        within=float("inf") if within is None else within,
        threads=threads,
        command=typed(),
    )
    _print(found, output)
    if found["lost"]["count"] or not found["successes"]:
        raise typer.Exit(1)


@bench.command()
def tables(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Markdown files, such as README.md.")],
    results: Annotated[Path, typer.Option(help="Folder of result files.")] = Path("benchmarks/results"),
    check: Annotated[bool, typer.Option("--check", help="Change nothing; 1 where a table has drifted.")] = False,
) -> None:
    """Write the measured tables of Markdown files anew from result files, between their comments."""
    from pixelproof.benchmarks.documented import write_tables

    drifted = [(path, name) for path in files for name in write_tables(path, results, check=check)]
    for path, name in drifted:
        typer.echo(f"{path}: table '{name}' {'is not what the results make' if check else 'is written anew'}")
    if check and drifted:
        raise PixelproofError("documented tables have drifted from the results. Next: make tables")


def _run(measure: Callable[..., "Measured"], output: Path | None, as_json: bool, *what: Any, **options: Any) -> None:  # noqa: ANN401
    """Call a benchmark with the command line and its progress shown, and deliver what it gives."""
    from pixelproof.commands.progress import stages

    check_output(output)
    try:
        with stages() as progress:
            results = measure(*what, **options, command=typed(), progress=progress)
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "onnx", "export", "this benchmark") from None
    deliver(results, output, as_json=as_json)


def check_output(output: Path | None) -> None:
    """Refuse an output that results cannot be written to, before the long work."""
    from pixelproof.benchmarks.results import result_paths

    if output is not None:
        result_paths(output)


def deliver(results: "Measured", output: Path | None, *, as_json: bool) -> None:
    """Print `results`, and write them to `output` where one is given."""
    from pixelproof.benchmarks.results import result_paths, to_json, write_results
    from pixelproof.benchmarks.tables import print_table

    if as_json:
        typer.echo(json.dumps(to_json(results), indent=2))
    else:
        for index, table in enumerate(results.tables()):
            if index:
                typer.echo()
            print_table(table)
    if output is not None:
        write_results(output, results)
        typer.echo(f"wrote {' and '.join(map(str, result_paths(output)))}", err=True)


def _check_json(output: Path | None) -> None:
    """Refuse a file that nothing can be written to, before the long work."""
    from pixelproof.files import check_writable

    if output is not None:
        check_writable(output)


def _print(found: dict[str, Any], output: Path | None) -> None:
    """Print figures that have no table as JSON, and write them to `output` where one is given."""
    from pixelproof.files import write_json

    if output is not None:
        write_json(output, found)
    typer.echo(json.dumps(found, indent=2))
