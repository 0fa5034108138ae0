"""The table of what a generation on a GPU is made of."""

from pixelproof.benchmarks.formats import KernelResults, KernelRow
from pixelproof.benchmarks.layout import NOTHING, Cell, Row, Table, percent

_HEADINGS = ("part", "launches", "ms a generation", "share", "GB/s")


def kernels_layout(results: KernelResults) -> Table:
    """A row a kernel, then the network and the whole."""
    whole = results.generation_ms
    rows = [Row(_cells(row, whole)) for row in results.kernels]
    batches = results.batches or -(-results.lanes * results.population // results.rows)
    network = KernelRow(f"network ({results.network})", batches, results.network_ms, None)
    everything = KernelRow("generation", 1, whole, None)
    rows += [Row(_cells(row, whole)) for row in (network, everything)]
    subject = results.classifier if results.purifier is None else f"{results.classifier} behind {results.purifier}"
    return Table(f"A generation on {results.gpu}: {subject}", _HEADINGS, 1, 0, tuple(rows), _notes(results))


def _cells(row: KernelRow, whole: float) -> tuple[Cell, ...]:
    speed = row.gigabytes_per_second
    return (
        Cell(row.part),
        Cell(f"{row.launches:,}"),
        Cell(f"{row.ms:,.3f}"),
        Cell(percent(row.ms / whole)),
        Cell(NOTHING if speed is None else f"{speed:,.0f}"),
    )


def _notes(results: KernelResults) -> tuple[str, ...]:
    return (
        f"{results.lanes:,} images of {results.population:,} candidates at a time, {results.rows:,} a batch of the "
        "network. Each part is timed without the rest; place_images copies whole images, as it does once to a lane "
        f"that takes a new one. The driver's own copy: {results.copy_gigabytes_per_second:,.0f} GB/s, both ways.",
        f"What is not the network takes {percent(results.kernels_share)} of a generation: candidates go by at "
        f"{percent(results.share_of_network_alone)} of the network's own speed.",
        f"{results.images:,} images, whole budget and no early stop: {results.candidates:,} candidates in "
        f"{results.seconds:,.1f} s, {results.candidates / results.seconds:,.0f} a second{_seen(results)}.",
    )


def _seen(results: KernelResults) -> str:
    if results.evaluated is None:
        return ""
    share = percent(results.evaluated / results.candidates)
    return f"; {results.evaluated:,} of them ({share}) had not been seen before and were evaluated"
