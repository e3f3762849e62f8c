"""What is measured: every line of the benchmark's table, as data.

A driver is a program that measures one thing in one run (driver.h). A case takes one figure of one
run, mostly of the library, and another to compare it with, mostly the same figure of a plain
program. Cases share runs: each different run is made once a round.
"""

import dataclasses

THOUSAND = 1000
MILLION = 1000 * THOUSAND
MIB = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Run:
    """One measurement: a driver and its arguments."""

    driver: str
    arguments: tuple = ()

    def __str__(self):
        return " ".join((self.driver, *self.arguments))


@dataclasses.dataclass(frozen=True)
class Measure:
    """A figure of a run."""

    run: Run
    figure: str

    @property
    def more_is_better(self):
        return self.figure.endswith("_per_second") or self.figure == "fairness"


@dataclasses.dataclass(frozen=True)
class Target:
    """What a case should reach: a bound for its ratio, here / there, or for its own value."""

    bound: float
    at_least: bool
    of_ratio: bool

    def is_met(self, value):
        return value >= self.bound if self.at_least else value <= self.bound


def ratio_at_least(bound):
    return Target(bound, at_least=True, of_ratio=True)


def ratio_at_most(bound):
    return Target(bound, at_least=False, of_ratio=True)


def at_least(bound):
    return Target(bound, at_least=True, of_ratio=False)


def at_most(bound):
    return Target(bound, at_least=False, of_ratio=False)


@dataclasses.dataclass(frozen=True)
class Case:
    heading: str
    label: str
    here: Measure
    there: Measure
    plain_program: str
    target: Target | None = None


@dataclasses.dataclass(frozen=True)
class Scale:
    """How large a suite is."""

    rounds: int
    sizes: tuple  # images of a job, for what is measured at several sizes
    status_sizes: tuple  # the smallest and the largest job that is asked for its status
    workers: tuple  # numbers of workers that share a database
    contention_seconds: int
    loop_images: int  # that run_job works on
    tool_items: int
    in_process_seconds: float  # of a benchmark of Google Benchmark
    held_out_of: int  # images of the job that is opened again
    largest: tuple = ()  # a size at which what is too slow there is not measured


NORMAL = Scale(
    rounds=3,
    sizes=(100 * THOUSAND, MILLION),
    status_sizes=(10 * THOUSAND, MILLION),
    workers=(1, 2, 4, 8, 16),
    contention_seconds=1,
    loop_images=200 * THOUSAND,
    tool_items=3 * THOUSAND,
    in_process_seconds=0.3,
    held_out_of=MILLION,
)
LARGE = dataclasses.replace(
    NORMAL,
    status_sizes=(10 * THOUSAND, 10 * MILLION),
    contention_seconds=3,
    tool_items=20 * THOUSAND,
    held_out_of=10 * MILLION,
    largest=(10 * MILLION,),
)
QUICK = Scale(
    rounds=1,
    sizes=(100 * THOUSAND,),
    status_sizes=(10 * THOUSAND, 100 * THOUSAND),
    workers=(1, 4, 16),
    contention_seconds=1,
    loop_images=20 * THOUSAND,
    tool_items=500,
    in_process_seconds=0.05,
    held_out_of=100 * THOUSAND,
)
# Every kind of case once, as small as can be: to see that they still work.
SMOKE = Scale(
    rounds=1,
    sizes=(2 * THOUSAND,),
    status_sizes=(10 * THOUSAND, 20 * THOUSAND),
    workers=(2,),
    contention_seconds=1,
    loop_images=2 * THOUSAND,
    tool_items=20,
    in_process_seconds=0.001,
    held_out_of=2 * THOUSAND,
)


def count(number):
    """1000000 is "1 M"."""
    if number % MILLION == 0:
        return f"{number // MILLION} M"
    return f"{number // THOUSAND} k" if number % THOUSAND == 0 else str(number)


def run(driver, case, **arguments):
    return Run(driver, (case, *(f"{key}={value}" for key, value in arguments.items())))


def compared(heading, label, figure, here, there, plain_program, target=None):
    return Case(heading, label, Measure(here, figure), Measure(there, figure), plain_program,
                target)


def job(case, program="library", **arguments):
    return run("job_benchmark", case, program=program, **arguments)


def create(images, program="library", order="sorted", per_directory=THOUSAND, **arguments):
    return job("create", program, images=images, order=order, per_directory=per_directory,
               **arguments)


def mark(images, program="library", **arguments):
    return job("mark", program, images=images, **arguments)


def loading(scale):
    heading = "Loading a list: create_job"
    lists = {
        "sorted, 1000 a directory": ({}, ratio_at_least(2.5)),
        "shuffled, 1000 a directory": ({"order": "shuffled"}, ratio_at_least(1.5)),
        "sorted, all in one directory": ({"per_directory": 0}, None),
        "sorted, a directory each": ({"per_directory": 1}, None),
    }
    for images in scale.sizes:
        for label, (arguments, target) in lists.items():
            if arguments.get("per_directory") == 0:
                arguments = {"per_directory": images}
            yield compared(heading, f"{label}, {count(images)}", "images_per_second",
                           create(images, **arguments), create(images, "original", **arguments),
                           "original design", target)
    for images in scale.largest:
        whole = {"pieces": images // MILLION}
        yield compared(heading, f"sorted, a million at a time, {count(images)}",
                       "images_per_second", create(images, **whole),
                       create(images, "original", **whole), "original design",
                       ratio_at_least(2.5))


WAYS = {
    "outcomes": "claim, mark_outcomes",
    "buffer": "claim, buffered marks",
    "get_buffer": "get, buffered marks",
    "get_start_buffer": "get, start, buffered marks",
    "committed": "get, every mark committed",
}


def marking(scale):
    heading = "Working through a job: 500 images, then a checkpoint"
    for images in scale.sizes:
        times_original = {100 * THOUSAND: 5, MILLION: 15}.get(images)
        for way, label in WAYS.items():
            target, some = None, {}
            if way in ("outcomes", "buffer") and times_original:
                target = ratio_at_least(times_original)
            if way == "committed":
                target = ratio_at_least(1) if images == MILLION else None
                some = {"limit": images // 5}  # its rate is the same from beginning to end
            yield compared(heading, f"{label}, {count(images)}", "images_per_second",
                           mark(images, way=way, **some), mark(images, "original"),
                           "original design", target)
    for images in scale.sizes:
        for way in ("outcomes", "buffer"):
            yield compared(heading, f"{WAYS[way]}, {count(images)}", "images_per_second",
                           mark(images, way=way), mark(images, "original_counters"),
                           "original with counters", ratio_at_least(3))
    for images in (*scale.sizes, *scale.largest):
        for way in ("outcomes", "buffer"):
            yield compared(heading, f"{WAYS[way]}, {count(images)}", "seconds",
                           mark(images, way=way), mark(images, "floor"), "floor",
                           ratio_at_most(1.25))
    most = scale.sizes[-1]
    yield compared(heading, f"a claim near the job's end, {count(most)}", "last_claim_us",
                   mark(most, way="outcomes"), mark(most, "floor"), "floor")
    yield compared(heading, f"with one chained job, {count(most)}", "seconds",
                   mark(most, way="outcomes", chained=1), mark(most, way="outcomes"),
                   "itself, not chained", ratio_at_most(2.5))
    fewest = scale.sizes[0]
    for images in (*scale.sizes[1:], *scale.largest):
        yield compared(heading, f"{WAYS['outcomes']}, {count(images)}", "images_per_second",
                       mark(images, way="outcomes"), mark(fewest, way="outcomes"),
                       f"itself at {count(fewest)}", ratio_at_least(1 / 1.2))


def status(scale):
    heading = "How far is the job?"
    few, many = scale.status_sizes
    calls = {
        "checkpoint": at_most(30),
        "get_status_counts": at_most(10),
        "get_progress": None,
        "get_progress_by_split": None,
    }
    for call, target in calls.items():
        yield compared(heading, f"{call}, {count(many)}", f"{call}_us",
                       job("status", images=many), job("status", "original", images=many),
                       "original design", target)
    for call in ("checkpoint", "get_status_counts"):
        yield compared(heading, f"{call}, {count(many)}", f"{call}_us",
                       job("status", images=many), job("status", images=few),
                       f"itself at {count(few)}", ratio_at_most(1.5))


def space(scale):
    heading = "Disk, memory, locks"
    images = scale.sizes[-1]
    size = count(images)
    created, created_original = create(images), create(images, "original")
    marked, marked_original = mark(images, way="outcomes"), mark(images, "original")

    def against_original(label, figure, here, there, target):
        return compared(heading, f"{label}, {size}", figure, here, there, "original design", target)

    yield against_original("an image in the file, loaded", "bytes_per_image", created,
                           created_original, at_most(75))
    yield against_original("an image in the file, completed", "bytes_per_image", marked,
                           marked_original, at_most(110))
    yield against_original("largest log, create_job", "wal_peak_bytes", created, created_original,
                           at_most(16 * MIB))
    yield against_original("largest log, mark_outcomes", "wal_peak_bytes", marked, marked_original,
                           at_most(16 * MIB))
    yield compared(heading, f"memory beyond list and cache, {size}", "beyond_kib", created,
                   create(images, "floor"), "floor", at_most(16 * MIB / 1024))
    yield against_original("longest lock, create_job", "longest_lock_ms",
                           create(images, watch_lock=1), create(images, "original", watch_lock=1),
                           at_most(100))


def starting_again(scale):
    images = scale.held_out_of
    yield compared("Starting again after a kill", f"open and reset, 1000 of {count(images)} held",
                   "total_ms", job("reopen", images=images),
                   job("reopen", "original", images=images), "original design", at_most(30))


def contention(program, workers, kind, seconds, **arguments):
    return run("contention_benchmark", "mark", program=program, workers=workers, kind=kind,
               seconds=seconds, **arguments)


def sharing(scale):
    most, seconds = scale.workers[-1], scale.contention_seconds

    def against_busy_timeout(heading, label, figure, target=None, **arguments):
        return compared(heading, label, figure, contention("library", **arguments),
                        contention("busy_timeout", **arguments), "busy_timeout", target)

    paused = {"workers": most, "kind": "processes", "pause_us": 1000, "seconds": 3 * seconds}
    heading = f"{most} processes, a commit a mark, 1 ms between marks"
    for label, figure, target in (
        ("marks", "marks_per_second", ratio_at_least(1.2)),
        ("a mark's time, median", "p50_us", None),
        ("a mark's time, 99.9 %", "p999_us", ratio_at_most(0.4)),
        ("largest log", "wal_peak_bytes", at_most(16 * MIB)),
    ):
        yield against_busy_timeout(heading, label, figure, target, **paused)

    heading = f"{most} processes, a commit a mark, no pause"
    for label, figure, target in (
        ("marks", "marks_per_second", None),
        ("a mark's time, longest", "max_us", ratio_at_most(0.2)),
        ("slowest worker / fastest worker", "fairness", at_least(0.4)),
        ("largest log", "wal_peak_bytes", at_most(16 * MIB)),
    ):
        yield against_busy_timeout(heading, label, figure, target, **{**paused, "pause_us": 0})

    heading = "A commit a mark, no pause, beside a reader"
    for kind, one in (("threads", "thread"), ("processes", "process")):
        for workers in scale.workers:
            label = f"marks, {workers} {kind if workers > 1 else one}"
            yield against_busy_timeout(heading, label, "marks_per_second",
                                       workers=workers, kind=kind, pause_us=0, seconds=seconds,
                                       reader=1)
        for label, figure in (("median", "reader_p50_us"), ("longest", "reader_max_us")):
            yield against_busy_timeout(heading, f"a reader's call, {label}, {most} {kind}", figure,
                                       workers=most, kind=kind, pause_us=0, seconds=seconds,
                                       reader=1)

    yield against_busy_timeout("Every mark on the disk: Synchronous::kFull",
                               f"marks, {most} threads", "marks_per_second", ratio_at_least(3),
                               workers=most, kind="threads", pause_us=0, seconds=seconds,
                               synchronous="full")


def worker_loop(scale):
    heading = "The worker loop: run_job on 2 threads"
    loop = {"threads": 2}

    def against_plain(label, figure, **arguments):
        return compared(heading, label, figure,
                        run("run_job_benchmark", "run", program="library", **arguments),
                        run("run_job_benchmark", "run", program="plain", **arguments),
                        "nothing recorded")

    nothing = {**loop, "images": scale.loop_images}
    busy = {**loop, "images": scale.loop_images // 10, "busy_us": 100}
    asleep = {**loop, "images": scale.loop_images // 1000, "sleep_us": 10_000}
    most = scale.sizes[-1]
    yield compared(heading, f"images that need no work, {count(scale.loop_images)}",
                   "images_per_second",
                   run("run_job_benchmark", "run", program="library", **nothing),
                   mark(most, way="outcomes"), f"by hand, 1 thread, {count(most)}")
    yield against_plain("a thread's time for such an image", "us_per_image", **nothing)
    yield against_plain("100 µs of a core an image", "us_per_image", **busy)
    yield against_plain("10 ms of waiting an image", "us_per_image", **asleep)


def tool(scale):
    heading = "The tool: /bin/true, 2 at a time"

    def program(name):
        return run("tool_benchmark.py", "run", program=name, items=scale.tool_items, jobs=2)

    for other, label, target in (("parallel", "GNU parallel --joblog", 0.25),
                                 ("xargs", "xargs -P", 1.3)):
        yield compared(heading, f"an item, of {count(scale.tool_items)}", "us_per_item",
                       program("tool"), program(other), label, ratio_at_most(target))


def in_process(scale):
    benchmarks = Run("in_process_benchmark",
                     (f"--benchmark_min_time={scale.in_process_seconds}",))
    for label, figure, plain, plain_program, target in (
        ("a trace scope that is off", "trace_scope_off_ns", "empty_loop_ns", "an empty loop",
         at_most(5)),
        ("a run of a prepared statement", "query_ns", "query_plain_ns", "sqlite3_step", None),
        ("get_status_counts", "get_status_counts_ns", "get_status_counts_plain_ns",
         "SELECT of one row", None),
        ("claim one, complete it", "claim_and_complete_ns", "claim_and_complete_plain_ns",
         "UPDATE twice", None),
    ):
        yield Case("Single calls", label, Measure(benchmarks, figure), Measure(benchmarks, plain),
                   plain_program, target)


PARTS = (loading, marking, status, space, starting_again, sharing, worker_loop, tool, in_process)


def suite(scale):
    return [case for part in PARTS for case in part(scale)]
