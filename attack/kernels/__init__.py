"""Differential evolution's arithmetic as CUDA kernels, whose very source also compiles as C++ for the CPU.

Import rule: the attack's own, and nothing here imports a CUDA package: compiling needs nvcc alone.
"""
