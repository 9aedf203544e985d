"""The rig as a whole: the real engine runs programs with it as with the official parts.

Sources: the Pulumi docs; `sdk/go/common/resource/plugin` of the engine ("engine"); what was measured ("measured").
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pulumi
import pytest

from tools.common import VENV

from .engine import Engine

RIG = Path(__file__).parent
SECRET = "4dabf18193072939515e22adb298388d"


def test_secretness_flows_to_outputs_of_the_same_name_only(engine: Engine) -> None:
    """Measured, and facts/rig.md 4: `stdout` of a command with a secret `stdin` is plain text in the state unless
    `additional_secret_outputs` names it."""
    project = engine.project("""
import pulumi, pulumi_command as command, pulumi_random as random
word = random.RandomPassword("word", length=30, special=False).result
command.local.Command("open", create="cat", stdin=word)
command.local.Command("closed", create="cat", stdin=word, logging="none",
    opts=pulumi.ResourceOptions(additional_secret_outputs=["stdout"]))
pulumi.export("word", word)
""")
    engine.up(project)
    shown = engine.resource("open")["outputs"]
    hidden = engine.resource("closed")["outputs"]
    assert isinstance(shown["stdin"], dict)
    assert SECRET in shown["stdin"]
    assert len(shown["stdout"]) == 30
    assert SECRET in hidden["stdout"]
    assert SECRET in engine.outputs()["word"]
    assert engine.resource("word")["id"] == "none"


def test_a_second_up_changes_nothing_and_a_preview_says_so(engine: Engine) -> None:
    project = engine.project("""
import pulumi_command as command, pulumi_random as random, pulumi_tls as tls
random.RandomId("id", byte_length=4)
tls.PrivateKey("key", algorithm="ECDSA", ecdsa_curve="P256")
command.local.Command("c", create="date +%N", environment={"B": "1", "A": "2"}, triggers=[{"b": 1, "a": [1.5, None]}])
""")
    engine.up(project)
    engine.pulumi("preview", "--expect-no-changes", project=project)
    engine.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes", project=project)
    engine.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", project=project)


def plug_ins(engine: Engine) -> list[tuple[str, str]]:
    """Types and ids of those that the state knows; the id is a new one for another version."""
    return sorted((entry["type"], entry["id"]) for entry in engine.resources() if ":providers:" in entry["type"])


def test_plug_ins_start_before_anything_of_theirs_is_asked_for_and_are_those_that_are_used_then(engine: Engine) -> None:
    program = """
from pulumi_slipway.early import start_plugins
start_plugins().join()
"""
    project = engine.project(program)
    engine.up(project)
    started = plug_ins(engine)
    assert [kind for kind, _ in started] == [f"pulumi:providers:{name}" for name in ("command", "random", "tls")]
    (project / "__main__.py").write_text(f"""{program}
import pulumi_command as command, pulumi_random as random, pulumi_tls as tls
random.RandomId("id", byte_length=4)
tls.PrivateKey("key", algorithm="ED25519")
command.local.Command("c", create="true")
""")
    engine.up(project)
    assert plug_ins(engine) == started


def test_a_changed_trigger_runs_the_new_create_before_the_old_delete(engine: Engine) -> None:
    """Measured: "the new `create` runs first, then the old `delete`", with `update` set too."""
    log = engine.folder / "log"
    program = """
import pulumi_command as command
command.local.Command("c", create="echo create TRIGGER >> LOG", update="echo update >> LOG",
    delete="echo delete TRIGGER >> LOG", triggers=["TRIGGER"])
""".replace("LOG", str(log))
    project = engine.project(program.replace("TRIGGER", "one"))
    engine.up(project)
    (project / "__main__.py").write_text(program.replace("TRIGGER", "two"))
    engine.up(project)
    assert log.read_text().splitlines() == ["create one", "create two", "delete one"]


@pytest.mark.parametrize("guarded", [True, False])
def test_a_destroy_without_a_preview_meets_a_protected_resource_that_nothing_waits_for_first(
    guarded: bool, engine: Engine
) -> None:
    """What `servers/common.py` relies on, and what happens without it: what a protected resource waits for stays."""
    log = engine.folder / "log"
    program = """
import pulumi, pulumi_command as command
GUARDED = True
def after(*others, protect=False):
    return pulumi.ResourceOptions(depends_on=list(others), protect=protect)
address = command.local.Command("address", create="true", delete="echo address >> LOG", opts=after(protect=True))
assigned = command.local.Command("assigned", create="true", delete="echo assigned >> LOG", opts=after(address))
arrive = command.local.Command("arrive", create="true", opts=after(assigned))
if GUARDED:
    pulumi.Stash("protected", input="", opts=after(arrive, protect=True))
command.local.Command("release", create="true", opts=after(arrive))
""".replace("LOG", str(log))
    project = engine.project(program.replace("GUARDED = True", f"GUARDED = {guarded}"))
    engine.up(project)
    said = engine.pulumi("destroy", "--yes", "--skip-preview", project=project, check=False).stdout
    assert "cannot be deleted" in said
    assert (log.read_text().splitlines() if log.exists() else []) == ([] if guarded else ["assigned"])
    (project / "__main__.py").write_text(program.replace("protect=True", "protect=False"))
    engine.up(project)
    engine.pulumi("destroy", "--yes", "--skip-preview", project=project)
    assert engine.resources() == []


def test_a_stash_that_ignores_its_input_keeps_what_it_was_given_first(engine: Engine) -> None:
    """What `servers/later.py` relies on: also for what a preview does not know yet, and for what a refresh reads."""
    program = """
import pulumi, pulumi_random as random
word = random.RandomId("word", byte_length=LENGTH).hex
kept = pulumi.Stash("kept", input={"word": word}, opts=pulumi.ResourceOptions(ignore_changes=["input"]))
pulumi.export("kept", kept.output)
pulumi.export("word", word)
"""
    project = engine.project(program.replace("LENGTH", "4"))
    engine.pulumi("preview", project=project)
    engine.up(project)
    first = engine.outputs()["word"]
    (project / "__main__.py").write_text(program.replace("LENGTH", "5"))
    engine.up(project)
    assert engine.outputs()["word"] != first
    assert engine.outputs()["kept"] == {"word": first}
    engine.pulumi("refresh", "--yes", "--skip-preview", project=project)
    engine.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes", project=project)


def test_a_failed_update_keeps_the_old_state(engine: Engine) -> None:
    """DESIGN, steps: "a failed step keeps the old state, so that reverting the source is clean"."""
    program = 'import pulumi_command as command\ncommand.local.Command("c", create="COMMAND")\n'
    project = engine.project(program.replace("COMMAND", "echo good"))
    engine.up(project)
    (project / "__main__.py").write_text(program.replace("COMMAND", "echo the reason; exit 3"))
    assert "the reason" in engine.up(project, check=False)
    (project / "__main__.py").write_text(program.replace("COMMAND", "echo good"))
    engine.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes", project=project)


def test_inputs_that_a_stand_in_does_not_know_stop_the_run_before_anything_is_made(engine: Engine) -> None:
    project = engine.project("""
import pulumi, pulumi_command as command
class Odd(pulumi.CustomResource):
    pass
Odd("command:local:Odd", "odd", {"a": 1}, pulumi.ResourceOptions(version="1.2.1"))
""")
    printed = engine.pulumi("preview", project=project, check=False).stdout
    assert "this stand-in for command has no resource type command:local:Odd" in printed


def test_a_program_sees_its_configuration_and_secrets_of_it_stay_secret(engine: Engine) -> None:
    project = engine.project(
        """
import pulumi
config = pulumi.Config()
pulumi.export("plain", config.require_object("thing")["a"])
pulumi.export("hidden", config.require_secret("key"))
pulumi.export("where", [pulumi.get_project(), pulumi.get_stack(), pulumi.get_root_directory()])
""",
        config={"thing": {"a": 5}},
    )
    engine.pulumi("config", "set", "--secret", "key", "value-of-key", project=project)
    engine.up(project)
    outputs = engine.outputs()
    assert outputs["plain"] == 5
    assert SECRET in outputs["hidden"]
    assert outputs["where"] == ["rigtest", "dev", str(project)]


def test_an_error_of_the_program_is_shown_from_its_own_first_line_on(engine: Engine) -> None:
    project = engine.project("def helper():\n    return 1 / 0\n\nhelper()\n")
    printed = engine.up(project, check=False)
    assert "Program failed with an unhandled exception" in printed
    assert "line 4, in <module>" in printed
    assert "ZeroDivisionError" in printed
    assert "run_in_stack" not in printed


def test_a_run_error_is_shown_without_a_traceback(engine: Engine) -> None:
    project = engine.project("import pulumi\nraise pulumi.RunError('one line for people')\n")
    printed = engine.up(project, check=False)
    assert "one line for people" in printed
    assert "Traceback" not in printed


def test_a_program_that_ends_by_itself_is_told_with_its_status(engine: Engine) -> None:
    project = engine.project("import sys\nsys.exit(7)\n")
    assert "exited with non-zero exit code: 7" in engine.up(project, check=False)


def test_rarely_used_parts_of_the_sdk_are_there_when_they_are_used(engine: Engine) -> None:
    """The rig loads them late (program.py); the official host's programs have them at once."""
    if not engine.rig:
        pytest.skip("it is the rig that loads them late")
    project = engine.project("""
import sys, pulumi
from pulumi.dynamic import CreateResult
assert "pulumi.automation.interface" not in sys.modules
pulumi.export("names", [pulumi.automation.LocalWorkspace.__name__, CreateResult.__name__])
""")
    engine.up(project)
    assert engine.outputs()["names"] == ["LocalWorkspace", "CreateResult"]


def test_what_a_program_prints_is_shown(engine: Engine) -> None:
    project = engine.project("print('hello from the program')\n")
    assert "hello from the program" in engine.up(project)


def test_a_missing_virtual_environment_and_an_unknown_toolchain_are_told(engine: Engine) -> None:
    if not engine.rig:
        pytest.skip("these messages are the stand-in's")
    project = engine.project("", venv=engine.folder / "nowhere")
    assert "make it with `pulumi install`" in engine.up(project, check=False)
    description = project / "Pulumi.yaml"
    description.write_text(description.read_text().replace('"uv"', '"poetry"'))
    assert "this stand-in knows pip and uv" in engine.up(project, check=False)


def test_about_names_the_programs_python(engine: Engine) -> None:
    project = engine.project("")
    printed = engine.pulumi("about", project=project).stdout
    assert f"executable='{VENV / 'bin' / 'python'}'" in printed
    assert sys.version.split()[0] in printed


def test_a_component_package_is_served_to_another_program(engine: Engine) -> None:
    """Facts/rig.md 3 and 7: `package get-schema` runs InstallDependencies and RunPlugin."""
    package = engine.folder / "package"
    package.mkdir()
    (package / "PulumiPlugin.yaml").write_text(
        f"runtime: {{name: python, options: {{toolchain: pip, virtualenv: {VENV}}}}}\n"
    )
    (package / "__main__.py").write_text("""
from typing import TypedDict
import pulumi
from pulumi.provider.experimental import component_provider_host
class GreetingArgs(TypedDict):
    name: pulumi.Input[str]
class Greeting(pulumi.ComponentResource):
    text: pulumi.Output[str]
    def __init__(self, name: str, args: GreetingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("greet:index:Greeting", name, {}, opts)
component_provider_host(components=[Greeting], name="greet")
""")
    project = engine.project("")
    printed = engine.pulumi("package", "get-schema", str(package), project=project).stdout
    assert "greet:index:Greeting" in printed


def test_the_automation_api_runs_a_program_in_this_process(engine: Engine) -> None:
    """Facts/rig.md 5: inline programs need no language host."""
    import pulumi_random as random

    def program() -> None:
        pulumi.export("id", random.RandomId("id", byte_length=3).hex)

    stack = engine.inline(program)
    result = stack.up()
    assert len(result.outputs["id"].value) == 6
    assert stack.preview().change_summary == {"same": 2}
    stack.destroy()


def test_plug_ins_end_with_a_killed_cli_and_the_command_that_runs_goes_on(engine: Engine) -> None:
    """Measured with the real plug-ins: SIGKILL leaves the lock, and what runs on runs on. Facts/rig.md 3: plug-ins
    outlive a dead CLI, so the rig's watch their parent."""
    if not engine.rig:
        pytest.skip("the rig's own plug-ins are looked for")
    done = engine.folder / "done"
    project = engine.project(
        f'import pulumi_command as command\ncommand.local.Command("c", create="sleep 3; touch {done}")\n'
    )
    process = subprocess.Popen(
        [engine.program, "up", "--yes", "--skip-preview", "--non-interactive", "--stack", "dev"],
        cwd=project,
        env=engine.environment(),
        stdout=subprocess.DEVNULL,
    )
    _until(lambda: _descendants(process.pid, "sleep"))
    plug_ins = _descendants(process.pid, "launch.py")
    assert len(plug_ins) >= 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    _until(lambda: not any(map(_runs, plug_ins)))
    _until(done.exists)
    assert "locked by 1 lock" in engine.up(project, check=False)
    engine.pulumi("cancel", "--yes", "dev", project=project)
    assert "pending operations" in engine.up(project)


def test_a_plug_in_starts_without_the_sdk() -> None:
    """Facts/rig.md 4: 72 ms when only the stubs are imported, 142 ms with the whole SDK."""
    site_packages = next(VENV.glob("lib/python*/site-packages"))
    code = f"""
import runpy, sys
sys.argv = ["launch.py"]
launch = runpy.run_path({str(RIG / "launch.py")!r})
sys.path[:0] = [{str(RIG.parent)!r}, {str(site_packages)!r}]
launch["register_stub_packages"](__import__("pathlib").Path({str(site_packages)!r}))
import rig.command, rig.tls_keys, rig.random_values, rig.language
print(*sorted(set(sys.modules) & {{"pulumi.output", "pulumi.resource", "paramiko", "cryptography", "bcrypt"}}))
"""
    printed = subprocess.run(
        [VENV / "bin" / "python", "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == ""


def _until(condition: object, seconds: float = 20) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _descendants(pid: int, word: str) -> list[int]:
    """The processes below one whose command line holds a word."""
    parents, found = {pid}, []
    for entry in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):  # noqa: PTH208
        try:
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            words = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if int(fields[1]) in parents:
            parents.add(entry)
            if word in words:
                found.append(entry)
    return found
