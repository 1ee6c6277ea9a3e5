"""A Flink cluster on this machine: JobManager, TaskManager, a pool of Beam workers.

    python -m tests.flink.cluster

fetches what it needs, starts it, prints the options for `synthfilter build`, and stops
it at Ctrl-C.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.flink.fetch import Jars, fetch_jars

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("SYNTHFILTER_FLINK", REPOSITORY / ".cache" / "flink"))
HOST = "127.0.0.1"
SLOTS = 2
START_SECONDS = 60
# What Flink and Beam reach into, as in the configuration that Flink ships.
_OPENED = (
    "java.base/java.io java.base/java.lang java.base/java.lang.reflect "
    "java.base/java.net java.base/java.nio java.base/java.text java.base/java.time "
    "java.base/java.util java.base/java.util.concurrent "
    "java.base/java.util.concurrent.atomic java.base/java.util.concurrent.locks "
    "java.base/sun.nio.ch"
).split()
# Short lives: less compiling, one thread of garbage collection.
QUICK = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
JAVA = [*QUICK, *(f"--add-opens={name}=ALL-UNNAMED" for name in _OPENED)]
# All of it, which Flink's scripts would work out.
_MEMORY = {
    "framework.heap.size": "128m",
    "framework.off-heap.size": "128m",
    "task.heap.size": "256m",
    "task.off-heap.size": "0m",
    "managed.size": "128m",
    "network.min": "256m",
    "network.max": "256m",
    "jvm-metaspace.size": "256m",
    "jvm-overhead.min": "192m",
    "jvm-overhead.max": "192m",
}
_LOGGING = """
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = out
appender.out.name = out
appender.out.type = CONSOLE
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1} - %m%n
"""
_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_WORKERS = "apache_beam.runners.worker.worker_pool_main"


class Cluster:
    """A running cluster; use it in a `with`, so that no process outlives it.

    Args:
      jars: What to run.
      folder: Of logs and temporary files.
      restarts: How often Flink starts a job again that lost a worker.
    """

    def __init__(self, jars: Jars, folder: Path, restarts: int = 0) -> None:
        self.jars = jars
        self.folder = folder
        self.processes: dict[str, subprocess.Popen] = {}
        self.rest, self._rpc, self._pool = _free_ports(3)
        self._settings = {
            "jobmanager.rpc.address": HOST,
            "jobmanager.rpc.port": self._rpc,
            "jobmanager.bind-host": HOST,
            "jobmanager.memory.process.size": "1g",
            "rest.address": HOST,
            "rest.bind-address": HOST,
            "rest.port": self.rest,
            "io.tmp.dirs": folder / "tmp",
            "parallelism.default": SLOTS,
            "heartbeat.interval": 1000,
            "heartbeat.timeout": 10000,
            # Beam keeps its workers from stage to stage only if Flink itself loads it.
            "classloader.resolve-order": "parent-first",
            "restart-strategy.type": "fixed-delay" if restarts else "none",
            "restart-strategy.fixed-delay.attempts": restarts,
            "restart-strategy.fixed-delay.delay": "2 s",
        }

    def __enter__(self) -> "Cluster":
        """Starts all and waits until the slots are there."""
        # What is told to end stops the cluster first, as at Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            for name in ("tmp", "conf", "logs"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            (self.folder / "conf/config.yaml").write_text("{}\n")
            (self.folder / "conf/log4j.properties").write_text(_LOGGING)
            self._start_java("job_manager", _JOB_MANAGER)
            self.start_task_manager()
            self._start(
                "workers",
                *(sys.executable, "-W", "ignore", "-m", _WORKERS),
                f"--service_port={self._pool}",
            )
            self.wait_for(self.free_slots, SLOTS)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.stop()

    def start_task_manager(self) -> None:
        """Starts the process with the slots, as after a loss."""
        self._start_java(
            "task_manager",
            _TASK_MANAGER,
            {
                "taskmanager.host": HOST,
                "taskmanager.bind-host": HOST,
                "taskmanager.numberOfTaskSlots": SLOTS,
                "taskmanager.cpu.cores": SLOTS,
                # For each shuffle; a build has dozens at a time.
                "taskmanager.network.sort-shuffle.min-buffers": 64,
                **{f"taskmanager.memory.{key}": size for key, size in _MEMORY.items()},
            },
        )

    def options(self) -> list[str]:
        """Returns what a build must be told to run here."""
        return [
            "--runner=FlinkRunner",
            f"--flink_master=http://{HOST}:{self.rest}",
            f"--flink_version={self.jars.flink.rpartition('.')[0]}",
            f"--flink_job_server_jar={self.jars.job_server}",
            *(f"--job_server_jvm_properties={said}" for said in QUICK),
            f"--parallelism={SLOTS}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{self._pool}",
            f"--sdk_worker_parallelism={SLOTS}",
            "--environment_cache_millis=60000",
        ]

    def ask(self, path: str) -> Any:
        """Returns what the JobManager says of a path of its REST interface."""
        with urllib.request.urlopen(f"http://{HOST}:{self.rest}{path}", timeout=5) as r:
            return json.load(r)

    def tasks(self) -> tuple[int, int]:
        """Returns how many tasks of the last job are finished, and how many it has."""
        jobs = sorted(self.ask("/jobs/overview")["jobs"], key=lambda j: j["start-time"])
        counts = jobs[-1]["tasks"] if jobs else {"finished": 0, "total": 0}
        return counts["finished"], counts["total"]

    def stages(self) -> list[tuple[float, str]]:
        """Returns seconds and name of each stage of Python of the last job, in order.

        Stages that read each other's output overlap.
        """
        jobs = sorted(self.ask("/jobs/overview")["jobs"], key=lambda j: j["start-time"])
        vertices = self.ask(f"/jobs/{jobs[-1]['jid']}")["vertices"]
        found = []
        for vertex in sorted(vertices, key=lambda vertex: vertex["start-time"]):
            said = re.search(
                r"MapPartition at \[\d+\]Build/(.*?)\)(?: ->|$)", vertex["name"]
            )
            if said:
                found.append((vertex["duration"] / 1000, said[1]))
        return found

    def free_slots(self) -> int:
        """Returns how many slots wait for work; 0 while the JobManager starts."""
        try:
            return self.ask("/overview")["slots-available"]
        except (urllib.error.URLError, OSError):
            return 0

    def worker_processes(self) -> list[int]:
        """Returns the ids of the processes of Beam workers that the pool started."""
        pool = str(self.processes["workers"].pid)
        found = subprocess.run(["pgrep", "-P", pool], capture_output=True, check=False)
        return sorted(map(int, found.stdout.split()))

    def wait_for(
        self, look: Callable[[], Any], wanted: Any, seconds: float = START_SECONDS
    ) -> None:
        """Waits until something is as wanted.

        Raises:
          TimeoutError: it did not become so.
        """
        end = time.monotonic() + seconds
        while look() != wanted:
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended; see {self.log(name)}")
            if time.monotonic() > end:
                raise TimeoutError(f"{look.__name__} is {look()}, expected {wanted}")
            time.sleep(0.2)

    def log(self, name: str) -> Path:
        """Returns where a process writes what it says."""
        return self.folder / "logs" / f"{name}.log"

    def kill(self, name: str) -> None:
        """Kills a process as a machine that fails would."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """Ends all processes, and those that they started."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            # The group, for what it has started; none is left if all went well.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()

    def _start_java(
        self, name: str, main: str, more: dict[str, Any] | None = None
    ) -> None:
        settings = {**self._settings, **(more or {})}
        jars = [*self.jars.libraries, self.jars.job_server]
        logging = f"-Dlog4j.configurationFile={self.folder}/conf/log4j.properties"
        self._start(
            name,
            *("java", *JAVA, logging, "-cp", os.pathsep.join(map(str, jars)), main),
            *("--configDir", str(self.folder / "conf")),
            *(f"-D{key}={value}" for key, value in settings.items()),
        )

    def _start(self, name: str, *command: str) -> None:
        """Starts a process in a group of its own, with this code and Python."""
        with self.log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(),
                start_new_session=True,
            )


def environment() -> dict[str, str]:
    """Returns the environment of a process that runs this code with this Python."""
    # The pool starts its workers as `python`.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "PATH": path}


def _free_ports(count: int) -> list[int]:
    """Returns ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind((HOST, 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def main() -> None:
    """Runs a cluster until Ctrl-C."""
    with tempfile.TemporaryDirectory(prefix="synthfilter-flink-") as folder:
        with Cluster(fetch_jars(CACHE), Path(folder)) as cluster:
            print(" ".join(cluster.options()), flush=True)
            print(f"the cluster's page: http://{HOST}:{cluster.rest}", flush=True)
            try:
                signal.pause()
            except KeyboardInterrupt:
                print("stopped")


if __name__ == "__main__":
    main()
