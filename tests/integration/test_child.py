"""Children: how a process of ours is started, what it finds itself in, and how it ends."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from seeing import is_there, linux

from ecom.process import child

EITHER_WAY = pytest.mark.parametrize("fresh", [False, True], ids=["forked", "fresh"])
SECRET = "nobody-else-may-see-this"


@pytest.fixture
def log(tmp_path):
    """A child's log, to be written to."""
    with open(tmp_path / "log", "ab") as file:
        yield file


@pytest.fixture
def start(log):
    """Starts children that log there, and sees that they are gone afterwards."""
    started = []

    def begin(function, *arguments, **options):
        started.append(child.start(f"children:{function}", *arguments, log=log, **options))
        return started[-1]

    yield begin
    for each in started:
        each.kill()
        each.wait(10)


def said(log):
    """What is in a log, line by line."""
    return Path(log.name).read_text().splitlines()


def look(**options):
    """What a child finds itself in."""
    return child.call("children:look", seconds=30, **options)


def ends(pid):
    """A condition: this process is gone."""
    return lambda: not is_there(pid)


@linux
@EITHER_WAY
def test_a_child_has_a_session_an_environment_and_a_stdin_of_its_own(fresh):
    """It is told exactly what it is to be told; stdin is empty; its title is its name."""
    seen = look(environment={"ONE": "1"}, name="payment-2", fresh=fresh)
    assert seen["session"] == seen["pid"] != os.getpid()
    assert seen["environment"] == {"ONE": "1"}
    assert (seen["stdin"], seen["read"], seen["title"]) == ("/dev/null", "", "payment-2")


@linux
def test_children_share_what_is_imported_for_them_unless_they_are_fresh():
    """The module is there before the child is, and still there for the next."""
    look(imports=("colorsys",))
    assert "colorsys" in look()["modules"]
    assert "colorsys" not in look(fresh=True, imports=("colorsys",))["modules"]


def test_what_cannot_be_imported_ahead_is_the_childs_to_say():
    """Others do not suffer from it."""
    with pytest.raises(child.Died, match="No module named 'no_such_module'"):
        child.call("no_such_module:main", seconds=30)
    assert child.call("children:say", "hello", seconds=30) == "hello"


@linux
@EITHER_WAY
def test_a_secret_is_in_no_argument_and_in_no_environment_that_others_see(fresh, monkeypatch):
    """Neither the child's nor that of the process it was forked from; the child itself has it."""
    monkeypatch.setenv("ECOM_AMQP_URL", SECRET)
    assert look(fresh=fresh)["environment"]["ECOM_AMQP_URL"] == SECRET
    code = f"""
import os, sys
from ecom.process import child
log = open(os.devnull, "w")
told = {{"ECOM_PASSWORD": {SECRET!r}}}
it = child.start("children:stay", {SECRET!r}, log=log, environment=told, fresh={fresh})
print(it.pid, child.call("os:getppid", seconds=30), flush=True)
sys.stdin.read()
"""
    told = {**PATHS, "ECOM_AMQP_URL": SECRET}  # of ours, as of a shell's
    with holder("import sys; exec(sys.stdin.readline())", env=told) as process:
        process.stdin.write(f"exec({code!r})\n")
        process.stdin.flush()
        for pid in numbers(process):
            for seen in "environ", "cmdline":
                assert SECRET not in Path(f"/proc/{pid}/{seen}").read_text()
        process.stdin.close()


@EITHER_WAY
@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ("well", 0, "INFO it Ended with exit status 0"),
        (3, 3, "ERROR it Ended with exit status 3"),
        ("no such thing", 1, "no such thing"),
        ("at once", 70, "ERROR it Ended with exit status 70"),
        ("killed", -signal.SIGKILL, "ERROR it Ended by SIGKILL"),
        ("crashed", -signal.SIGSEGV, "Fatal Python error: Segmentation fault"),
    ],
)
def test_however_a_child_ends_its_starter_learns_how_and_the_log_says_why(
    start, log, how, status, words, fresh
):
    """By itself, by what it said, by a signal."""
    assert start("leave", how, name="it", fresh=fresh).wait(30) == status
    assert any(words in line for line in said(log))
    assert "Ended" in said(log)[-1]


def test_a_child_is_told_by_real_signals(start, log, wait_for):
    """SIGTERM, SIGKILL, and being looked at meanwhile."""
    first, second = start("stay", "here"), start("be_deaf")
    wait_for(lambda: sorted(said(log)) == ["deaf", "here"])
    assert (first.poll(), second.poll()) == (None, None)
    first.terminate()
    second.terminate()
    assert first.wait(10) == -signal.SIGTERM
    with pytest.raises(TimeoutError):
        second.wait(0.01)
    second.kill()
    assert second.wait(10) == second.poll() == -signal.SIGKILL
    second.kill()  # nobody else has its number


def test_what_a_function_returns_that_is_called_in_a_child():
    """However large; or what the child died of; or that it takes too long."""
    large = {"text": "x" * 1_000_000}
    assert child.call("children:say", large, seconds=30) == large
    with pytest.raises(child.Died, match=r"status 1.*ZeroDivisionError: this is a bug"):
        child.call("children:fail", seconds=30)
    with pytest.raises(child.Died, match="SIGKILL"):
        child.call("children:leave", "killed", seconds=30)
    with pytest.raises(TimeoutError):
        child.call("children:sleep", seconds=0.1)


@linux
def test_a_child_has_no_files_but_those_it_is_given(start, tmp_path):
    """Nothing of its siblings, nor of ours: a pipe that it kept open would not end."""
    start("stay")
    with open(tmp_path / "given", "w") as given, open(tmp_path / "ours", "w") as ours:
        os.set_inheritable(ours.fileno(), True)
        files = look(keep=[given.fileno()])["files"]
    assert given.name in files
    assert ours.name not in files
    assert sum(name.startswith("pipe:") for name in files) == 1  # what ends when we do
    assert not [name for name in files if name.startswith("socket:")]


def test_a_lock_is_held_by_the_children_that_are_given_it_and_by_nobody_else(start, tmp_path):
    """It is free when the last of them is gone, whatever others run."""
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    held = start("stay", keep=[lock])
    start("stay")
    assert held.pid
    os.close(lock)
    mine = os.open(tmp_path / "lock", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
    held.kill()
    held.wait(10)
    fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(mine)


def test_children_end_when_the_process_they_were_forked_from_is_killed(start, log, wait_for):
    """The log says it; the next child is forked from another."""
    it = start("stay", "here")
    wait_for(lambda: said(log) == ["here"])
    os.kill(child.call("os:getppid", seconds=30), signal.SIGKILL)
    assert it.wait(10) == child.WITH_ITS_SERVER
    wait_for(ends(it.pid))
    assert "has gone" in said(log)[-1]
    assert child.call("children:say", "again", seconds=30) == "again"


def test_a_module_that_is_edited_is_imported_anew(tmp_path):
    """Children run what is in the file, not what their fork server has imported."""
    (tmp_path / "edited.py").write_text("def said(): return 'before'")
    code = f"""
import sys
from ecom.process import child
sys.path.append({str(tmp_path)!r})
print(child.call("edited:said", imports=("edited",), seconds=30), flush=True)
sys.stdin.readline()
print(child.call("edited:said", imports=("edited",), seconds=30))
"""
    with holder(code) as process:
        assert process.stdout.readline() == "before\n"
        (tmp_path / "edited.py").write_text("def said(): return 'afterwards'")
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "afterwards\n"


# ── whoever starts them ───────────────────────────────────────────────────────────────────────────
def holder(code, *arguments, **options):
    """A process that starts children; it does not import from the current folder itself."""
    command = [sys.executable, "-P", "-c", code, *arguments]
    pipe = subprocess.PIPE
    options = {"stdin": pipe, "stdout": pipe, "text": True, "env": PATHS, **options}
    return subprocess.Popen(command, **options)


TESTS = Path(__file__).parents[1]
PATHS = {**os.environ, "PYTHONPATH": os.pathsep.join([f"{TESTS}/support", str(TESTS.parent)])}


def numbers(process):
    """Those in the next line that the process says."""
    return [int(word) for word in process.stdout.readline().split()]


HOLDER = """
import os, signal, sys, time
from ecom.process import child
log = open("log", "ab")
pids = [child.start(f"children:{what}", log=log, fresh=fresh, patience=0.5).pid
        for what in sys.argv[1:] for fresh in (False, True)]
server = child.call("os:getppid", seconds=30)
if forked := os.fork():
    print(*pids, server, forked, flush=True)
    sys.stdin.read()
else:
    os.close(1)
    time.sleep(1_000)  # as a worker of a process pool, which nobody tells
"""


@pytest.mark.parametrize(
    ("how", "what"),
    [(signal.SIGKILL, ["stay", "be_deaf"]), (signal.SIGTERM, ["stay"]), (None, ["stay"])],
)
def test_nothing_outlives_its_starter_however_that_ends(how, what, tmp_path, wait_for):
    """Killed or not: children, also those that ignore SIGTERM, and what they were forked from,
    though another child of the starter lives on."""
    with holder(HOLDER, *what, cwd=tmp_path) as process:
        *ours, forked = numbers(process)
        if how is None:
            process.stdin.close()
        else:
            process.send_signal(how)
    try:
        for pid in ours:
            wait_for(ends(pid))
        os.kill(forked, 0)
    finally:
        os.kill(forked, signal.SIGKILL)


LOOK = """
from ecom.process import child
print(child.call("children:look", seconds=30)["read"] == "")
"""


@pytest.mark.parametrize("how", ["0<&- 2>&-", "</dev/null", "<<< x", "< <(:)", "0< /etc/hostname"])
def test_whatever_the_starters_stdin_is_children_do_not_care(how):
    """As under cron, over ssh, in a pipe."""
    command = ["bash", "-c", f'exec "$0" "$@" {how}', sys.executable, "-P", "-c", LOOK]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=PATHS)
    assert done.stdout == "True\n"


SHADOWED = """
import os, sys
from ecom.process import child
sys.path.insert(0, "")  # as in a notebook
print(child.call("children:say", 1, imports=("random", "uvicorn"), seconds=30, fresh={fresh}))
print([path for path in child.call("children:look", seconds=30, fresh={fresh})["paths"]
       if path in ("", os.getcwd())])
"""


@EITHER_WAY
def test_children_do_not_import_from_the_current_folder(tmp_path, fresh):
    """A reader's file may have the name of any module."""
    for name in ("random", "httptools", "faulthandler", "children", "ecom"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')")
    with holder(SHADOWED.format(fresh=fresh), cwd=tmp_path) as process:
        assert process.stdout.read() == "1\n[]\n"


def test_modules_that_only_the_starter_knows_where_to_find_are_found(tmp_path):
    """A folder that it added to its path is on theirs, behind everything else."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "known_to_us.py").write_text("def where(): return __file__")
    (tmp_path / "elsewhere" / "random.py").write_text("raise SystemExit('not this one')")
    code = f"""
import sys
from ecom.process import child
sys.path.insert(0, {str(tmp_path / "elsewhere")!r})
print(child.call("known_to_us:where", seconds=30, imports=("random",)))
"""
    with holder(code) as process:
        assert process.stdout.read().strip() == str(tmp_path / "elsewhere" / "known_to_us.py")


class Overtaken:
    """The line to a child whose end another thread hears of first."""

    def poll(self, seconds):
        self.child._status = 3
        return True

    def recv(self):
        assert not hasattr(self, "child"), "there is nothing more to be heard: this would hang"
        return os.getpid()


def test_two_threads_may_ask_after_one_child():
    """Who looks whether it lives does not wait for what another was told."""
    line = Overtaken()
    line.child = child.Child(line)
    assert line.child.poll() == 3


@linux
def test_a_child_that_ends_as_its_server_begins_to_wait_is_seen_to_end(start):
    """Its end is told then, and not with the next order, which may never come."""
    it = start("sleep")
    assert it.pid
    child.prepare("untimely")  # which kills it
    assert it.wait(10) == -signal.SIGKILL
