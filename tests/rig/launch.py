"""Start one plug-in of the rig quickly: `python -I -S launch.py SITE_PACKAGES NAME VERSION [flags] ENGINE_ADDRESS`.

`import pulumi` takes a third of a second and none of it is needed here but the generated gRPC stubs. They are made
importable without running the SDK's own `__init__` modules: the packages that hold them are registered empty.
"""

import gc
import importlib
import sys
import types
from pathlib import Path

MODULES = {
    "command": "command",
    "random": "random_values",
    "tls": "tls_keys",
    "aws": "clouds.aws",
    "digitalocean": "clouds.digitalocean",
    "linode": "clouds.linode",
    "language-python": "language",
}


def register_stub_packages(site_packages: Path) -> None:
    """Make `pulumi.runtime.proto.*_pb2` importable at the cost of those modules alone."""
    folder = site_packages
    name = ""
    for part in ("pulumi", "runtime", "proto"):
        folder = folder / part
        name = f"{name}.{part}" if name else part
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package


def main(arguments: list[str]) -> None:
    """Import the plug-in named and serve it until the engine ends it."""
    site_packages, name, version, *rest = arguments
    gc.disable()  # a plug-in lives as long as one command of the engine: it starts in less time without
    addresses = [word for word in rest if not word.startswith("-")]
    if not addresses:
        sys.exit(f"pulumi plug-in {name}: to be started by the Pulumi engine, which passes its address")
    sys.path[:0] = [str(Path(__file__).resolve().parent.parent), site_packages]
    register_stub_packages(Path(site_packages))
    importlib.import_module(f"rig.{MODULES[name]}").serve(addresses[-1], version)


if __name__ == "__main__":
    main(sys.argv[1:])
