"""Defense and latency benchmarks, and the report.

Import rule: may import every other folder.
"""
