"""Run a Pulumi program for the language host, in the program's own Python: `python program.py SETTINGS_JSON`.

The configuration comes by the environment (PULUMI_CONFIG, PULUMI_CONFIG_SECRET_KEYS), as it holds secrets.
Standard library and the program's own `pulumi` only: nothing else of the rig can be imported there.
"""

import asyncio
import json
import logging
import os
import runpy
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from pathlib import Path
from types import ModuleType
from typing import Any

MESSAGE_SHOWN = 32
"""The exit status that tells the host that the user has been told what is wrong."""


RARELY_USED = ("pulumi.automation", "pulumi.dynamic", "pulumi.policy")
"""Parts of the SDK that `import pulumi` loads and few programs touch: a third of its time."""


class LoadedWhenTouched(MetaPathFinder):
    """Finds the modules of RARELY_USED so that they load at the first use of anything in them."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """As the interpreter's own finder for the modules meant, nothing for others."""
        spec = PathFinder.find_spec(name, path, target) if name in RARELY_USED else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


def watch_parent() -> None:
    """End with the language host, which a killed CLI takes along."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def relevant_traceback(error: BaseException, program: str) -> str:
    """The traceback from the program's first own frame on; whole when there is none."""
    own = (program, str(Path(program) / "__main__.py"))
    frames = traceback.extract_tb(error.__traceback__)
    first = next((i for i, frame in enumerate(frames) if frame.filename in own), 0)
    return "".join(traceback.format_exception(error, limit=first - len(frames)))


def main(settings: dict[str, Any]) -> int:
    """Configure the SDK, run the program in a stack, answer the exit status."""
    sys.meta_path.insert(0, LoadedWhenTouched())
    try:
        import pulumi
        import pulumi.runtime
    except ImportError:
        traceback.print_exc()
        print("The Pulumi SDK is not installed in the program's virtual environment.", file=sys.stderr)
        return 1

    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(pulumi.runtime.Settings(**settings["runtime"]))
    program = settings["program"]
    sys.argv = [program, *settings["arguments"]]
    os.chdir(settings["directory"])
    # The program's traceback is shown; asyncio's complaints about what a failed program left undone are noise.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(max_workers=4 * max(settings["runtime"]["parallel"], 1))
    loop.set_default_executor(executor)

    def run() -> None:
        runpy.run_path(program, run_name="__main__")

    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(run))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return 1
    except Exception as error:
        pulumi.log.error(f"Program failed with an unhandled exception:\n{relevant_traceback(error, program)}")
        return MESSAGE_SHOWN
    finally:
        executor.shutdown(wait=True)
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    watch_parent()
    # Everything is written; waiting for the gRPC library's threads to wind down costs a tenth of a second.
    status = main(json.loads(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
