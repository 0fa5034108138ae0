"""A bundle's TensorRT engines: what was built, and whether it fits this machine.

Import rule: as for `runtime`; TensorRT itself is imported when an engine is built or run, and not before.
"""

from pixelproof.runtime.engines.fit import Machine, choose_engine, engine_names, misfits
from pixelproof.runtime.engines.flavor import FLAVORS, PORTABLE, Flavor, open_flavor
from pixelproof.runtime.engines.listening import first_cause, listener
from pixelproof.runtime.engines.sidecar import ENGINES, Engine, engine_name, noted_profile, read_engine

__all__ = [
    "ENGINES",
    "FLAVORS",
    "PORTABLE",
    "Engine",
    "Flavor",
    "Machine",
    "choose_engine",
    "engine_name",
    "engine_names",
    "first_cause",
    "listener",
    "misfits",
    "noted_profile",
    "open_flavor",
    "read_engine",
]
