"""The report: result files in, one self-contained HTML page out."""

from pixelproof.benchmarks.report.page import render_report, write_report

__all__ = ["render_report", "write_report"]
