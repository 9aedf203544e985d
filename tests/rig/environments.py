"""Which Python a program of Pulumi runs in, and what is installed there, told without starting it where possible."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .provider import RefusedError


@dataclass(frozen=True)
class Environment:
    """The options `toolchain` and `virtualenv` of Pulumi.yaml's runtime, seen from the folder of that file."""

    root: Path
    toolchain: str
    venv: Path | None

    @classmethod
    def of(cls, root: str, options: Mapping[str, Any]) -> Environment:
        """Raises RefusedError for a toolchain that this stand-in does not know."""
        toolchain = str(options.get("toolchain") or "pip").lower()
        if toolchain not in ("pip", "uv"):
            raise RefusedError(f"Pulumi.yaml: the option toolchain is {toolchain!r}; this stand-in knows pip and uv")
        name = options.get("virtualenv") or (".venv" if toolchain == "uv" else None)
        return cls(Path(root), toolchain, Path(root, str(name)) if name else None)

    def python(self) -> Path:
        """The interpreter. Raises RefusedError when the virtual environment is missing."""
        if self.venv is None:
            found = shutil.which("python3") or shutil.which("python")
            if found is None:
                raise RefusedError("no python3 on PATH")
            return Path(found)
        python = self.venv / "bin" / "python"
        if not python.exists():
            raise RefusedError(f"the virtual environment {self.venv} does not exist; make it with `pulumi install`")
        return python

    def site_packages(self) -> list[Path]:
        """The folders that packages are installed in."""
        if self.venv is not None:
            return sorted(self.venv.glob("lib/python*/site-packages"))
        code = "import json, site; print(json.dumps([*site.getsitepackages(), site.getusersitepackages()]))"
        printed = subprocess.run([self.python(), "-c", code], capture_output=True, check=True).stdout
        return [Path(folder) for folder in json.loads(printed)]

    def version(self) -> str:
        """The interpreter's version."""
        if self.venv is not None:
            for line in (self.venv / "pyvenv.cfg").read_text().splitlines():
                key, _, value = line.partition("=")
                if key.strip() in ("version_info", "version"):
                    return value.strip()
        printed = subprocess.run([self.python(), "--version"], capture_output=True, check=True).stdout
        return printed.decode().split()[-1]

    def plugins(self) -> Iterator[tuple[str, str, str]]:
        """(name, version, server) of the plug-ins that installed packages ask for in their pulumi-plugin.json."""
        for folder in self.site_packages():
            for file in sorted(folder.glob("*/pulumi-plugin.json")):
                wish = json.loads(file.read_text())
                if wish.get("resource"):
                    name = wish.get("name") or file.parent.name.removeprefix("pulumi_").replace("_", "-")
                    yield name, wish.get("version", ""), wish.get("server", "")

    def packages(self) -> Iterator[tuple[str, str]]:
        """(name, version) of every package installed."""
        for folder in self.site_packages():
            for info in sorted(folder.glob("*.dist-info")):
                name, _, version = info.name.removesuffix(".dist-info").partition("-")
                yield name, version

    def install_commands(self) -> Iterator[list[str]]:
        """What `pulumi install` runs. Raises RefusedError when a program for it is missing."""
        if self.toolchain == "uv":
            if shutil.which("uv") is None:
                raise RefusedError("the toolchain uv is asked for, and there is no uv on PATH")
            yield ["uv", "sync"]
            return
        python = "python3"
        if self.venv is not None:
            if not (self.venv / "bin" / "python").exists():
                yield ["python3", "-m", "venv", str(self.venv)]
            python = str(self.venv / "bin" / "python")
        if (self.root / "requirements.txt").exists():
            yield [python, "-m", "pip", "install", "--disable-pip-version-check", "-r", "requirements.txt"]
