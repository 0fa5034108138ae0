"""The table's rows from the records of attacks on one classifier."""

from collections.abc import Sequence

import numpy as np

from pixelproof.attack.evaluation.store import Record
from pixelproof.benchmarks.attack_speed.contenders import Contender
from pixelproof.benchmarks.formats import AttackSpeedRow
from pixelproof.statistics import Share


def speed_rows(
    classifier: str,
    contenders: Sequence[Contender],
    records: Sequence[Sequence[Record]],
    peaks: Sequence[float | None],
) -> list[AttackSpeedRow]:
    """A row a contender, from its records (one or more) and its peak memory in MiB."""
    seconds = [[record.seconds for record in found] for found in records]
    means = [float(np.mean(each)) for each in seconds]
    faster_peer = min((mean for mean, each in zip(means, contenders, strict=True) if each.peer), default=None)
    rows = []
    for contender, found, mean, times, peak in zip(contenders, records, means, seconds, peaks, strict=True):
        queries = [record.queries for record in found]
        rows.append(
            AttackSpeedRow(
                classifier=classifier,
                attack=contender.name,
                peer=contender.peer,
                provider=contender.provider,
                n=len(found),
                attack_success=Share(sum(record.success for record in found), len(found)),
                seconds_per_image=mean,
                seconds_median=float(np.median(times)),
                seconds_p90=float(np.percentile(times, 90)),
                queries_per_image=float(np.mean(queries)),
                queries_median=float(np.median(queries)),
                queries_p90=float(np.percentile(queries, 90)),
                queries_per_second=sum(queries) / sum(times),
                times_faster=None if faster_peer is None else faster_peer / mean,
                peak_memory_mib=peak,
            )
        )
    return rows
