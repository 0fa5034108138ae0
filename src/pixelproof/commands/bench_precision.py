"""`pixelproof bench precision`: the shipped classifiers in every precision."""

from pathlib import Path
from typing import Annotated

import typer

from pixelproof.commands.options import AsJson, Results, Threads, typed


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
    from pixelproof.benchmarks.results_file import result_paths
    from pixelproof.commands.progress import stages
    from pixelproof.commands.results import deliver
    from pixelproof.errors import missing_extra, unknown_name
    from pixelproof.models import CLASSIFIERS
    from pixelproof.models.data import load_cifar10

    if output is not None:
        result_paths(output)
    try:
        from pixelproof.benchmarks.precision import bench_precision
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "onnx", "export", "exporting a classifier") from None
    chosen = classifiers or CLASSIFIERS
    for name in chosen:
        if name not in CLASSIFIERS:
            raise unknown_name("classifier", name, CLASSIFIERS, "pixelproof bench precision NAME")
    with stages() as progress:
        results = bench_precision(
            chosen,
            purifier=purifier,
            test=None if data is None else load_cifar10("test", data),
            rounds=rounds,
            capabilities=[capability for capability in engines.split(",") if capability],
            threads=threads,
            command=typed(),
            progress=progress,
        )
    deliver(results, output, as_json=as_json)
