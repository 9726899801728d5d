"""`autotrace-run`: becomes the program by one exec, and is invisible from then on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.programs import BOOTSTRAP, RUNNER, bare, environment, python, traced

ACTIVE = "import sys; print('autotrace.activation' in sys.modules)"


def test_a_python_command_is_instrumented() -> None:
    done = traced(*python(ACTIVE))
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_a_script_a_module_and_a_shebang_script_are_instrumented(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(f"#!{sys.executable}\n{ACTIVE}\n")
    script.chmod(0o755)
    assert traced(sys.executable, "app.py", cwd=tmp_path).stdout == "True\n"
    assert traced(sys.executable, "-m", "app", cwd=tmp_path).stdout == "True\n"
    assert traced("./app.py", cwd=tmp_path).stdout == "True\n"


def test_a_console_script_is_instrumented() -> None:
    done = traced("flask", "--version", AUTOTRACE_LOG="debug")
    assert done.returncode == 0
    assert done.stdout.startswith("Python")


def test_a_script_without_a_first_line_runs_as_a_shell_would_run_it(tmp_path: Path) -> None:
    script = tmp_path / "start.sh"
    script.write_text(f'exec {sys.executable} -c "{ACTIVE}"\n')
    script.chmod(0o755)
    done = traced("./start.sh", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_exit_code_is_the_programs(code: int) -> None:
    assert traced(*python(f"raise SystemExit({code})")).returncode == code


def test_an_uncaught_exception_looks_as_without_the_agent() -> None:
    program = python("def f(): raise KeyError('x')\nf()")
    assert traced(*program).stderr == bare(*program).stderr
    assert traced(*program).returncode == 1


def test_signals_reach_the_program_itself() -> None:
    process = subprocess.Popen(
        [str(RUNNER), *python("import time; print('up', flush=True); time.sleep(60)")],
        env=environment(AUTOTRACE_EXPORTER="none"),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM
    process.stdout.close()


def test_there_is_one_process_the_runner_becomes_the_program() -> None:
    process = subprocess.Popen(
        [str(RUNNER), *python("import os; print(os.getpid())")], env=environment(), stdout=subprocess.PIPE, text=True
    )
    out, _ = process.communicate(timeout=60)
    assert int(out) == process.pid


def test_a_program_that_is_no_python_gets_default_signals() -> None:
    """Python ignores SIGPIPE and SIGXFSZ; a shell's pipe must not inherit that."""
    ignored = int(traced("sh", "-c", "grep SigIgn /proc/self/status").stdout.split()[1], 16)
    assert not ignored & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)


def test_the_python_path_gets_the_folder_in_front_and_nothing_else(tmp_path: Path) -> None:
    program = python("import os; print(os.environ['PYTHONPATH'])")
    assert traced(*program, cwd=tmp_path).stdout.strip() == str(BOOTSTRAP)
    assert traced(*program, PYTHONPATH="/a:/b").stdout.strip() == f"{BOOTSTRAP}:/a:/b"
    assert traced(*program, PYTHONPATH=f"{BOOTSTRAP}:/a").stdout.strip() == f"{BOOTSTRAP}:/a"


def test_a_local_module_does_not_shadow_the_standard_library(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("raise RuntimeError('the local one')")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "app.py").write_text("import random; print(random.__name__)")
    done = traced(sys.executable, "sub/app.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "random\n"), done.stderr


def test_sys_path_is_what_it_would_be_without_the_agent(tmp_path: Path) -> None:
    program = python("import sys; print(sys.path, sys.argv, sys.flags)")
    assert traced(*program, cwd=tmp_path).stdout == bare(*program, cwd=tmp_path).stdout


def test_command_not_found_is_one_line_and_127() -> None:
    done = traced("no-such-command-here")
    assert done.returncode == 127
    assert done.stderr == "autotrace: no-such-command-here: command not found\n"


def test_a_file_that_is_not_executable_is_one_line_and_126(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    done = traced("./notes.txt", cwd=tmp_path)
    assert done.returncode == 126
    assert done.stderr == "autotrace: ./notes.txt: Permission denied\n"


@pytest.mark.parametrize(
    ("words", "named"),
    [([], "a command is missing"), (["--colour", "x"], "--colour"), (["--service"], "--service needs a value")],
)
def test_wrong_options_are_named_and_end_with_2(words: list[str], named: str) -> None:
    done = subprocess.run([str(RUNNER), *words], capture_output=True, text=True, env=environment())
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("autotrace: ")
    assert named in done.stderr


def test_options_are_environment_variables_said_shorter() -> None:
    program = python(
        "import os; print(*(os.environ[n] for n in ('AUTOTRACE_SERVICE_NAME', 'AUTOTRACE_EXPORTER', 'AUTOTRACE_ENDPOINT')))"
    )
    done = subprocess.run(
        [str(RUNNER), "--service", "shop", "--exporter=none", "--endpoint", "udp://h:6831", "--", *program],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.stdout == "shop none udp://h:6831\n", done.stderr


def test_the_programs_own_options_are_not_read() -> None:
    done = traced(sys.executable, "-c", "import sys; print(sys.argv[1:])", "--service", "x")
    assert done.stdout == "['--service', 'x']\n"


def test_children_in_python_are_instrumented_too() -> None:
    program = f"import subprocess, sys; print(subprocess.run([sys.executable, '-c', {ACTIVE!r}], capture_output=True, text=True))"
    assert "stdout='True\\n', stderr=''" in traced(*python(program)).stdout


def test_a_bad_setting_is_one_line_naming_it_and_the_program_runs_on() -> None:
    done = traced(*python(ACTIVE), AUTOTRACE_SAMPLER="sometimes", AUTOTRACE_QUEUE_SIZE="many")
    assert (done.returncode, done.stdout) == (0, "True\n")
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("autotrace: AUTOTRACE_SAMPLER='sometimes': write one of always_on")
    assert lines[1].startswith("autotrace: AUTOTRACE_QUEUE_SIZE='many': write a whole number")


def test_only_the_process_that_was_started_speaks_of_settings() -> None:
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass'])"
    assert len(traced(*python(program), AUTOTRACE_SAMPLER="sometimes").stderr.splitlines()) == 1


def test_the_runner_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(RUNNER), sys.executable, "-S", "-c", "pass"],
        capture_output=True,
        text=True,
        env=environment(),
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "autotrace.cli" in imported
    assert not imported & {
        "argparse",
        "logging",
        "typing",
        "subprocess",
        "wrapt",
        "opentelemetry",
        "autotrace.settings",
    }


def test_a_program_that_closes_its_stderr_is_not_hurt() -> None:
    done = traced(*python("import sys, os; os.close(2); print('ok')"), AUTOTRACE_SAMPLER="sometimes")
    assert (done.returncode, done.stdout) == (0, "ok\n")


def test_ctrl_c_looks_as_without_the_agent() -> None:
    program = python("import time; print('up', flush=True)\ntime.sleep(60)")
    process = subprocess.Popen(
        [str(RUNNER), *program],
        env=environment(AUTOTRACE_EXPORTER="none"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert err.strip().endswith("KeyboardInterrupt")
