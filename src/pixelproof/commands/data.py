"""`pixelproof data`: fetch CIFAR-10, write the shipped sample as image files, and make one's own fit a bundle."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pixelproof.commands.options import WithOldNames
from pixelproof.errors import UsageError

data = typer.Typer(no_args_is_help=True, help="Fetch CIFAR-10, write the shipped sample, or make images fit a bundle.")


@data.command()
def fetch(
    to: Annotated[
        Path | None, typer.Option(help="The folder that gets cifar-10-batches-bin.", show_default="the user cache")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Where the archive is taken from.", show_default="the official site")
    ] = None,
) -> None:
    """Download CIFAR-10's binary version (162 MB) and verify every file; the same command resumes where it stopped."""
    from pixelproof.models.data.fetch import URL, fetch_cifar10

    with _download_progress() as progress:
        folder = fetch_cifar10(to, url=url or URL, progress=progress)
    typer.echo(f"{folder}: complete, the SHA-256 of every file is right")
    if to is not None:
        typer.echo(f"it is found by --data '{to}', or by PIXELPROOF_DATA='{to}'", err=True)


@data.command(cls=WithOldNames)
def adversarial(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Shipped classifiers.", show_default="all")
    ] = None,
    attack_backend: Annotated[str, typer.Option(help="auto or cpu, or cuda, in a cascade of its own.")] = "auto",
    cascade: Annotated[
        str | None, typer.Option(metavar="NAME", help="Leave out what the classifier in int8 or bf16 is sure of.")
    ] = None,
    images: Annotated[
        int | None, typer.Option(help="Attack the first so many that it gets right.", show_default="all")
    ] = None,
    records: Annotated[Path, typer.Option(help="Folder of what came of each image.")] = Path("runs/adversarial"),
) -> None:
    """Find the shipped adversarial images anew, where a classifier has other weights than those that were attacked."""
    from pixelproof.benchmarks.adversarial_sample import attack_all
    from pixelproof.models import CLASSIFIERS

    attack_all(names or CLASSIFIERS, attack_backend, records, cascade, images)


@data.command()
def export(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.", show_default=False)],
) -> None:
    """Write the 200 shipped CIFAR-10 test images as PNG files named by test index and class (0007-frog.png)."""
    from PIL import Image

    from pixelproof.files import atomic_folder, is_free
    from pixelproof.models.data.sample import sample, sample_files

    if not is_free(folder):
        raise UsageError(f"'{folder}' exists already. Next: pixelproof data export FOLDER, with another name")
    images = sample()
    with atomic_folder(folder, replace=False) as new:
        for name, image in zip(sample_files(), images.images, strict=True):
            Image.fromarray(image).save(new / name)
    typer.echo(f"{folder}: {len(images)} images")


@data.command()
def fit(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="A folder, with those in it, or image files.")
    ],
    size: Annotated[
        str, typer.Option(metavar="H,W", help="Height and width, as pixelproof inspect reports a bundle's.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="A folder that does not exist yet.")],
    crop: Annotated[
        bool, typer.Option("--crop", help="Cut what is too long or too wide, in place of squeezing it.")
    ] = False,
) -> None:
    """Make images upright, 8-bit RGB and of one size: PNG files in the same subfolders, for --data or --calibration."""
    from pixelproof.commands.options import height_and_width
    from pixelproof.commands.progress import stages
    from pixelproof.export.interface import check_size
    from pixelproof.export.own_images import fit_images

    checked = check_size(height_and_width(size))
    with stages() as progress:
        written, left_out = fit_images(
            sources, checked, output, crop=crop, progress=lambda done, total: progress("images", done, total)
        )
    for reason in left_out:
        typer.echo(f"left out: {reason}", err=True)
    typer.echo(f"{output}: {written} images of {checked[0]}x{checked[1]}")


@contextmanager
def _download_progress() -> Iterator[Callable[[int, int | None], None]]:
    """A bar on stderr that appears with the first byte: size, speed and time left."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("CIFAR-10", total=None, visible=False)
        yield lambda done, total: progress.update(task, completed=done, total=total, visible=True)
