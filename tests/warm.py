"""Processes of ours that begin at once: each is a copy of one that has imported torch, torchvision and the commands.

To import them takes a process 3 to 7 s, and on a busy machine many times that; nearly no test is about it. What is copied is itself
a copy of the run of tests as it was before the first of them (`keep_a_copy`): what tests import is not imported again for it.
`commands` gives shells an `lmos` and a `python` that begin so.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import logging
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import forkserver, get_context, resource_tracker, util
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from multiprocessing.reduction import DupFd
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Thread
from types import ModuleType, SimpleNamespace, TracebackType
from typing import IO, Any, Self

from runner import memory
from tests.processes import ended_session

PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL
_LOST_S = 120
_TOLD: list[int] = []
"""The end of a pipe at which the kept copy waits to be told what to import."""


def keep_a_copy() -> None:
    """Let a copy of this process as it is now be what `context` copies, when it is asked for. It ends with this process."""
    resource_tracker.ensure_running()
    told, telling = os.pipe()

    def fork(path: str, arguments: list[str], fds: list[int]) -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads: there is one, which reads for xdist, here alone
            pid = os.fork()
        if pid == 0:
            try:
                _serve_copies(told, arguments[-1], {told, *fds})
            finally:
                os._exit(0)
        return pid

    started, util.spawnv_passfds = util.spawnv_passfds, fork
    try:
        forkserver.ensure_running()
    finally:
        util.spawnv_passfds = started
    os.close(told)
    _TOLD.append(telling)


def _serve_copies(told: int, program: str, used: set[int]) -> None:
    """Leave everything that is the tests' alone; import what is said first, and then be `multiprocessing`'s server of copies."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.disable()
    nothing = os.open(os.devnull, os.O_RDWR)
    for link in [*Path("/proc/self/fd").iterdir()]:
        if (fd := int(link.name)) not in {*used, nothing, 2} and link.is_symlink():
            os.dup2(nothing, fd)  # not closed: whoever has it here would some day close what has its number then
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__ = tuple(
        open(fd, mode, closefd=False) for fd, mode in ((0, "r"), (1, "w"), (2, "w")))  # noqa: SIM115
    sys.unraisablehook, threading.excepthook = sys.__unraisablehook__, threading.__excepthook__
    sys.meta_path[:] = [one for one in sys.meta_path if not type(one).__module__.startswith("_pytest")]
    logging.root.handlers.clear()
    memory._SETTLED.clear()
    said = os.read(told, 1000).decode()
    if not said:
        return
    with ended_session():
        importlib.import_module(said)
        _share_no_lock()
        gc.enable()
        memory.release()
        gc.freeze()
        exec(program, {})


def _share_no_lock() -> None:
    """Pyomo and tqdm (of torch) have locks for all processes together, whose files in /dev/shm outlive a process that is killed."""
    if pyomo := sys.modules.get("pyomo.common.dependencies"):
        vars(pyomo)["capture_output_lock"] = threading.Lock()
    if tqdm := sys.modules.get("tqdm"):
        tqdm.tqdm.set_lock(threading.RLock())


def context(preloaded: str = "tests.preloaded") -> ForkServerContext:
    """Makes processes that have imported a module, the one that this process named first, and what `keep_a_copy` found."""
    found = get_context("forkserver")
    found.set_forkserver_preload([preloaded])
    while _TOLD:
        telling = _TOLD.pop()
        os.write(telling, preloaded.encode())
        os.close(telling)
    return found


def is_ours(command: Sequence[str]) -> bool:
    """Whether a command can be begun so: it is `python -m` one of our modules, or `python -c` a program."""
    return command[0] == sys.executable and command[1] in {"-m", "-c"}


class Popen:
    """As `subprocess.Popen` for the commands that `is_ours` takes, as far as tests use it."""

    def __init__(self, command: Sequence[str], *, stdin: Any = None, stdout: Any = None, stderr: Any = None, text: bool = True,
                 cwd: str | Path | None = None) -> None:  # fmt: skip
        assert is_ours(command), command
        assert text
        self.stdin: IO[str] | None = None
        self.stdout: IO[str] | None = None
        with ExitStack() as theirs:
            fds = []
            for number, given in enumerate((stdin, stdout, stderr)):
                if given == PIPE:
                    read, write = os.pipe()
                    one, ours = (read, write) if number == 0 else (write, read)
                    setattr(self, ("stdin", "stdout")[number], open(ours, "w" if number == 0 else "r"))  # noqa: PTH123, SIM115
                    theirs.callback(os.close, one)
                elif given in (None, DEVNULL):
                    one = os.open(os.devnull, os.O_RDWR)
                    theirs.callback(os.close, one)
                else:
                    one = given if isinstance(given, int) else given.fileno()
                fds.append(one)
            begun = (list(command[1:]), [_Stream(fd) for fd in fds], str(cwd or Path.cwd()), {**os.environ})
            self._process = context().Process(target=_become, args=begun)
            self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self.kill()
        self.wait(_LOST_S)
        for stream in (self.stdin, self.stdout):
            if stream is not None:
                stream.close()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@contextmanager
def begun(command: Sequence[str], **options: Any) -> Iterator[Popen]:
    """A command of ours; killed at the end of the block if it still runs."""
    with Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run`; what is no command of ours it runs."""
    if not is_ours(command) or {*options} - {"capture_output", "text", "check", "cwd", "stdout", "stderr"}:
        return subprocess.run(command, check=options.pop("check", False), **options)
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        with Popen(command, stdout=out, stderr=err, cwd=options.get("cwd")) as process:
            code = process.wait()
        out.seek(0)
        err.seek(0)
        done = subprocess.CompletedProcess(command, code, out.read(), err.read())
    if options.get("check"):
        done.check_returncode()
    return done


SUBPROCESS = SimpleNamespace(Popen=Popen, run=run, PIPE=PIPE, DEVNULL=DEVNULL, TimeoutExpired=subprocess.TimeoutExpired)
"""In place of a module's `subprocess`."""


class _Stream:
    """A file's number, which is another one in the process that gets it."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _detached, (DupFd(self._number),)


def _detached(stream: Any) -> int:
    return stream.detach()


def _become(command: list[str], streams: list[int], folder: str, environment: dict[str, str]) -> None:
    """Do what `python` does with these arguments: `-c TEXT`, `-m MODULE` or a file, and what it is given."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    match command:
        case ["-c", text, *_]:
            sys.path.insert(0, "")
            sys.argv = ["-c", *command[2:]]
            main = sys.modules["__main__"] = ModuleType("__main__")
            exec(compile(text, "<string>", "exec"), main.__dict__)
        case ["-m", module, *_]:
            sys.path.insert(0, folder)
            sys.argv = command[1:]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case [file, *_]:
            sys.path.insert(0, str(Path(file).resolve().parent))
            sys.argv = command
            runpy.run_path(file, run_name="__main__")


_SHIM = """#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({address!r})
    told = json.dumps([{before!r} + sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(asked, [len(told).to_bytes(4, "big")], [0, 1, 2])
    asked.sendall(told)
    os._exit(asked.recv(1)[0])
"""


@contextmanager
def commands(preloaded: str = "tests.preloaded_commands") -> Iterator[Path]:
    """A folder with an `lmos` and a `python` for the front of a PATH, where what commands do is looked at and not how they start.

    Each is a copy of a process that has imported all that the commands use (`preloaded`), with the arguments, the folder, the
    environment and the streams of what was called; it ends with that, and that with it.
    """
    with TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as listener:
        folder = Path(name)
        address = str(folder / "socket")
        listener.bind(address)
        listener.listen()
        for command, before in (("lmos", ["-m", "lmos"]), ("python", [])):
            file = folder / command
            file.write_text(_SHIM.format(python=sys.executable, address=address, before=before))
            file.chmod(0o755)
        Thread(target=_accept, args=(listener, preloaded), daemon=True).start()
        yield folder
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, preloaded: str) -> None:
    while True:
        try:
            asking, _ = listener.accept()
        except OSError:  # shut down
            return
        Thread(target=_answer, args=(asking, preloaded), daemon=True).start()


def _answer(asking: socket.socket, preloaded: str) -> None:
    """Begin what is asked for and say how it ended; end it where nobody waits for it any more."""
    with asking, ExitStack() as theirs:
        length, fds, _, _ = socket.recv_fds(asking, 4, 3)
        for fd in fds:
            theirs.callback(os.close, fd)
        told = asking.makefile("rb").read(int.from_bytes(length, "big"))
        command, folder, environment = json.loads(told)
        process = context(preloaded).Process(
            target=_become, args=(command, [_Stream(fd) for fd in fds], folder, environment))  # fmt: skip
        process.start()
        theirs.close()
        if asking in wait([asking, process.sentinel]):
            process.kill()
        process.join()
        code = process.exitcode or 0
        with suppress(OSError):
            asking.sendall(bytes([code if code >= 0 else 128 - code]))
