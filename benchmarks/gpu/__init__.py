"""All that needs a GPU, in one run: tests, compute-sanitizer, benchmarks, training (make gpu).

Import rule: as for `benchmarks`; this folder starts with the standard library alone, and installs the rest.
"""
