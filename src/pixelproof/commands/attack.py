"""`pixelproof attack`: search for adversarial pixels in many images."""

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pixelproof.commands.options import (
    AsJson,
    AttackBackend,
    Cascade,
    Data,
    Generations,
    OwnCode,
    Population,
    Records,
    Sample,
    Threads,
    check_data,
    print_table,
    typed,
)
from pixelproof.errors import UsageError, resumable, unknown_name
from pixelproof.files import check_writable, is_free

if TYPE_CHECKING:
    from pixelproof.attack.evaluation.attack_run import AttackRun


def attack(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder.")],
    data: Data = None,
    sample: Sample = False,
    images: Annotated[int, typer.Option(min=1, help="Attack the first so many that the classifier gets right.")] = 100,
    method: Annotated[str, typer.Option(help="corners, levels, de, or strongest (all of them).")] = "corners",
    protocol: Annotated[
        str, typer.Option(help="transfer (the bare classifier), or adaptive (purifier and all).")
    ] = "transfer",
    pixels: Annotated[int, typer.Option(min=1, help="Pixels that may change.")] = 1,
    target: Annotated[
        str | None, typer.Option(metavar="CLASS", help="Reach this class.", show_default="any wrong class")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the attack's randomness.")] = 0,
    population: Population = 400,
    generations: Generations = 100,
    cascade: Cascade = None,
    own_code: OwnCode = False,
    attack_backend: AttackBackend = "auto",
    threads: Threads = None,
    records: Records = Path("runs/records"),
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="New folder for results (JSON, CSV) and adversarial images (PNG, .npy)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Attack a bundle: its bare classifier, or the whole pipeline as an attacker who knows the purifier."""
    from pixelproof.attack.evaluation.settings import PROTOCOLS
    from pixelproof.attack.methods import METHODS

    if method not in METHODS:
        raise unknown_name("method", method, METHODS, "pixelproof attack BUNDLE --method NAME")
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS, "pixelproof attack BUNDLE --protocol NAME")
    if output is not None:
        if not is_free(output):
            raise UsageError(f"'{output}' exists already. Next: choose another --output, or remove it")
        check_writable(output)
    from pixelproof.attack.evaluation import DataChoice, Settings
    from pixelproof.attack.evaluation.attack_run import attack_bundle
    from pixelproof.attack.evaluation.device import open_attack_device
    from pixelproof.commands.progress import attack_progress

    check_data(data, sample)
    choice = DataChoice.sample() if sample else DataChoice.at(data, bundle)
    settings = Settings(
        method=method,
        images=images,
        pixels=pixels,
        seed=seed,
        target=_class_index(target, choice.images.class_names),
        cascade=cascade,
        own_code=own_code,
        population=population,
        generations=generations,
    )
    with (
        resumable(f"finished images are kept in '{records}'"),
        open_attack_device(attack_backend, method, [bundle], pixels=pixels, cascade=cascade) as device,
        attack_progress() as progress,
    ):
        run = attack_bundle(
            bundle,
            choice,
            settings,
            protocol=protocol,
            records=records,
            threads=threads,
            report=progress,
            device=device,
        )
    _show(run.summary, as_json)
    if output is not None:
        _save(run, output, threads)


def _class_index(name: str | None, names: tuple[str, ...]) -> int | None:
    if name is None:
        return None
    if name not in names:
        raise unknown_name("class", name, names, "pixelproof attack BUNDLE --target CLASS")
    return names.index(name)


def _show(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        shown = {name: value for name, value in summary.items() if not name.endswith("sha256")}
        print_table([(name.replace("_", " "), _text(value)) for name, value in shown.items()])


def _text(value: Any) -> str:  # noqa: ANN401  (whatever JSON holds)
    if isinstance(value, dict):
        return f"{value['count']} of {value['n']} ({value['value']:.1%}, {value['low']:.1%} to {value['high']:.1%})"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def _save(run: "AttackRun", output: Path, threads: int | None) -> None:
    import numpy as np

    from pixelproof.attack.evaluation.searches import write_png
    from pixelproof.benchmarks.results import attack_json
    from pixelproof.files import atomic_folder, write_bytes, write_json, write_text

    with atomic_folder(output, replace=False) as folder:
        write_json(folder / "results.json", attack_json(run.summary, run.images, threads=threads, command=typed()))
        write_text(folder / "results.jsonl", "".join(json.dumps(image) + "\n" for image in run.images))
        write_text(folder / "results.csv", _csv(run.images, run.summary["pixels"]))
        np.save(folder / "adversarial.npy", run.adversarial, allow_pickle=False)
        for name, image in zip(run.names, run.adversarial, strict=True):
            write_bytes(folder / name, write_png(image))
    typer.echo(f"wrote {output}: results.json, .jsonl and .csv, {len(run.names)} adversarial images", err=True)


def _csv(images: list[dict[str, Any]], pixels: int) -> str:
    """A line an image; the columns of pixels that were not changed are empty. Confidences: the largest probability."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    plain = ["image", "label", "success", "label_after", "queries", "exhausted", "seconds"]
    plain += ["file"] if images and "file" in images[0] else []  # one's own
    confidences = ("confidence_before", "confidence_after")
    parts = ("row", "column", "red", "green", "blue")
    writer.writerow([*plain, *confidences, *(f"{part}_{number}" for number in range(1, pixels + 1) for part in parts)])
    for image in images:
        changed = [v for where, what in zip(image["pixels"], image["colours"], strict=True) for v in (*where, *what)]
        sure = (max(image[name]) for name in ("probabilities_before", "probabilities_after"))
        writer.writerow([*(image[name] for name in plain), *sure, *changed, *[""] * (5 * pixels - len(changed))])
    return text.getvalue()
