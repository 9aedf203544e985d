"""The stand-in's `local.Command` and `local.run` against pulumi-command 1.2.1.

Sources: pulumi/pulumi-command, `provider/pkg/provider/local/` and `common/inputs.go` ("source"); the docstrings of the
package pulumi-command 1.2.1 ("SDK"); what was measured with the real plug-in ("measured").
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from . import command
from .command_local import run
from .direct import CallFailedError, Direct
from .provider import Call, RefusedError
from .values import UNKNOWN


def local() -> Direct:
    return Direct(command.provider("1.2.1"), "command:local:Command", name="say")


def test_create_answers_both_streams_without_one_trailing_newline() -> None:
    """Source commandOutputs.go: TrimSuffix of one newline."""
    _, outputs = local().create(create="printf 'a\\n\\n'; echo b >&2")
    assert (outputs["stdout"], outputs["stderr"]) == ("a\n", "b")


def test_without_create_nothing_runs() -> None:
    """Source commandController.go: `if input.Create == nil { return }`."""
    _, outputs = local().create()
    assert (outputs["stdout"], outputs["stderr"]) == ("", "")


def test_the_id_is_the_name_and_eight_digits() -> None:
    """Source: resource.NewUniqueHex(name, 8, 0)."""
    identity, _ = local().create()
    assert identity.startswith("say")
    assert len(identity) == len("say") + 8
    int(identity.removeprefix("say"), 16)


def test_stdin_environment_directory_and_interpreter_are_passed(tmp_path: Path) -> None:
    """SDK: `stdin`, `environment`, `dir`, `interpreter` (default /bin/sh -c)."""
    _, outputs = local().create(
        create="cat; echo $GREETING; pwd", stdin="in ", environment={"GREETING": "hello"}, dir=str(tmp_path)
    )
    assert outputs["stdout"] == f"in hello\n{tmp_path}"
    _, outputs = local().create(create="print(6 * 7)", interpreter=["python3", "-c"])
    assert outputs["stdout"] == "42"


def test_any_changed_input_is_an_update_and_a_changed_trigger_a_replacement() -> None:
    """Measured: any input change re-runs the command. Source inputs.go: triggers are `replaceOnChanges`."""
    it = local()
    _, state = it.create(create="true", environment={"A": "1"}, triggers=[1, "x"])
    same = {"create": "true", "environment": {"A": "1"}, "triggers": [1, "x"]}
    assert it.diff(state, **same) == {}
    assert it.diff(state, **{**same, "environment": {"A": "2"}}) == {"environment.A": "UPDATE"}
    assert it.diff(state, **{**same, "delete": "true"}) == {"delete": "ADD"}
    assert it.diff(state, **{**same, "logging": "none"}) == {"logging": "ADD"}
    assert it.diff(state, **{**same, "triggers": [1, "y"]}) == {"triggers[1]": "UPDATE_REPLACE"}
    assert it.diff(state, **{**same, "triggers": [1, "x", 2]}) == {"triggers[2]": "ADD_REPLACE"}


def test_update_runs_the_update_command_or_create_again() -> None:
    """Source commandController.go: "Use Create command if Update is unspecified"."""
    it = local()
    _, state = it.create(create="echo created")
    assert it.update(state, create="echo again")["stdout"] == "again"
    assert it.update(state, create="echo again", update="echo updated")["stdout"] == "updated"


def test_update_without_commands_keeps_the_output() -> None:
    """Source: "If neither are specified, do nothing", with the old BaseOutputs."""
    it = local()
    _, state = it.create(create="echo once")
    assert it.update(state, delete="true")["stdout"] == "once"


def test_update_and_delete_see_the_previous_output_unless_told_not_to(tmp_path: Path) -> None:
    """SDK: PULUMI_COMMAND_STDOUT and _STDERR "are set to the stdout and stderr properties"; addPreviousOutputInEnv."""
    it = local()
    _, state = it.create(create="echo one; echo two >&2")
    show = 'echo "$PULUMI_COMMAND_STDOUT $PULUMI_COMMAND_STDERR"'
    assert it.update(state, create=show)["stdout"] == "one two"
    assert it.update(state, create=show, addPreviousOutputInEnv=False)["stdout"] == " ".strip("\n")
    _, state = it.create(create="echo gone", delete=f'echo "$PULUMI_COMMAND_STDOUT" > {tmp_path}/seen')
    it.delete(state)
    assert (tmp_path / "seen").read_text() == "gone\n"


def test_a_failure_shows_the_whole_command_and_all_output() -> None:
    """Source: `%w: running %q:\\n%s`. Measured: even when `create` is a secret; so no secret belongs into it."""
    with pytest.raises(CallFailedError) as error:
        local().create(create='echo out; sleep 0.3; echo "err" >&2; exit 3')
    assert str(error.value) == 'exit status 3: running "echo out; sleep 0.3; echo \\"err\\" >&2; exit 3":\nout\nerr\n'


def test_a_line_that_would_hang_the_real_plug_in_is_refused() -> None:
    """Measured: one output line over 64 KB hangs the command for good; `logging=none` avoids it."""
    long_line = "head -c 70000 /dev/zero | tr '\\0' x"
    with pytest.raises(CallFailedError, match="longer than 64 KiB"):
        local().create(create=long_line)
    _, outputs = local().create(create=long_line, logging="none")
    assert len(outputs["stdout"]) == 70000


def test_logging_says_which_stream_is_shown() -> None:
    """Source logging.go; without the input both are."""
    shown: list[str] = []
    call = Call("it", shown.append, threading.Event())
    for logging, expected in (
        (None, ["err", "out"]),
        ("stdout", ["out"]),
        ("stderr", ["err"]),
        ("stdoutAndStderr", ["err", "out"]),
        ("none", []),
    ):
        shown.clear()
        state = {} if logging is None else {"logging": logging}
        run("echo out; echo err >&2", state, call)
        assert sorted(shown) == expected
    _, failures = local().check(logging="all")
    assert "logging" in failures


def test_output_is_shown_while_the_command_runs() -> None:
    """Measured: stdout and stderr appear line by line during `up`."""
    moments: list[float] = []
    call = Call("it", lambda _: moments.append(time.monotonic()), threading.Event())
    run("echo a; sleep 0.4; echo b", {}, call)
    assert moments[1] - moments[0] > 0.2


def test_a_cancelled_command_is_killed() -> None:
    """Source: exec.CommandContext with the context that the engine's Cancel ends."""
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    begun = time.monotonic()
    with pytest.raises(RefusedError, match="signal: killed"):
        run("exec sleep 30", {}, Call("it", lambda _: None, cancelled))
    assert time.monotonic() - begun < 5


def test_a_preview_runs_nothing(tmp_path: Path) -> None:
    """SDK: commands run on create, update, delete. pulumi-go-provider, infer/resource.go `markComputed`: outputs are
    unknown in a preview, all of them where an input of an update has changed."""
    it = local()
    command_text = f"touch {tmp_path}/ran"
    _, outputs = it.create(create=command_text, preview=True)
    assert (outputs["create"], outputs["stdout"]) == (command_text, UNKNOWN)
    outputs = it.update({"create": "true", "stdout": "", "stderr": ""}, create=command_text, preview=True)
    assert set(outputs.values()) == {UNKNOWN}
    assert not list(tmp_path.iterdir())


def test_the_function_runs_at_once_and_answers_its_inputs_too() -> None:
    """Source run.go: "This command will always be run on any preview or deployment"; RunState embeds RunArgs."""
    answer = local().invoke("command:local:run", command="cat", stdin="data")
    assert (answer["stdout"], answer["stderr"], answer["command"]) == ("data", "", "cat")
    with pytest.raises(CallFailedError, match="exit status 1"):
        local().invoke("command:local:run", command="false")


def test_unknown_inputs_functions_and_types_are_refused() -> None:
    """DESIGN: a stand-in refuses what it does not know."""
    _, failures = local().check(create="true", envronment={})
    assert "did you mean 'environment'" in failures["envronment"]
    _, failures = local().check(create=["a", "list"])
    assert failures["create"] == "must be of type string, not list"
    _, failures = local().check(create="true", archivePaths=["*"])
    assert "not supported by this stand-in" in failures["archivePaths"]
    with pytest.raises(CallFailedError, match="no function command:local:walk"):
        local().invoke("command:local:walk")
    with pytest.raises(CallFailedError, match="no resource type command:remote:CopyFile"):
        Direct(command.provider("1.2.1"), "command:remote:CopyFile").create()
