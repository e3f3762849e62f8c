"""From measurements to the table: medians, ratios, and whether a target is met.

Nothing here runs a program or reads a file.
"""

import dataclasses
import statistics

from cases import Case

COLUMNS = (38, 24, 9, 9, 7, 9)  # and the outcome: 110 with the gaps
EVEN = 1.05  # a ratio up to this is no difference


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of a case. `trouble` says why there are no figures."""

    case: Case
    here: float | None = None
    there: float | None = None
    trouble: str = ""

    @property
    def ratio(self):
        """None: not measured, or compared with nothing at all."""
        return self.here / self.there if self.there else None

    @property
    def met(self):
        """None: the case has no target, or was not measured."""
        target = self.case.target
        if target is None or self.here is None:
            return None
        value = self.ratio if target.of_ratio else self.here
        return value is not None and target.is_met(value)

    @property
    def loses(self):
        """Whether the plain program is better, by more than measurements differ anyway."""
        if self.ratio is None:
            return False
        return (1 / self.ratio if self.case.here.more_is_better else self.ratio) > EVEN


def median(samples, figure):
    """Of a figure in several samples; None if one of them lacks it."""
    values = [sample.get(figure) for sample in samples]
    return statistics.median(values) if values and None not in values else None


def result_of(case, samples, troubles):
    """`samples` has a list of figures for each run, `troubles` why there are none."""
    values = []
    for measure in (case.here, case.there):
        if measure.run in troubles:
            return Result(case, trouble=troubles[measure.run])
        value = median(samples[measure.run], measure.figure)
        if value is None:
            return Result(case, trouble=f"failed: {measure.run.driver} gave no {measure.figure}")
        values.append(value)
    return Result(case, *values)


def three_digits(number):
    """1234.5 is "1234", 12.345 is "12.3", 0.012345 is "0.012"."""
    if number >= 100:
        return f"{number:.0f}"
    if number >= 10:
        return f"{number:.1f}"
    return f"{number:.2f}" if number >= 0.1 else f"{number:.2g}"


TIME_UNITS = ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
BYTE_UNITS = ((2**20, "MiB"), (2**10, "KiB"), (1, "B"))
RATE_UNITS = ((1e6, "M/s"), (1e3, "k/s"), (1, "/s"))
# By the end of a figure's name: the size of its unit, and the units it is shown in.
UNITS = (
    ("_per_second", 1, RATE_UNITS),
    ("seconds", 1, TIME_UNITS),
    ("_ms", 1e-3, TIME_UNITS),
    ("us_per_image", 1e-6, TIME_UNITS),
    ("us_per_item", 1e-6, TIME_UNITS),
    ("_us", 1e-6, TIME_UNITS),
    ("_ns", 1e-9, TIME_UNITS),
    ("bytes_per_image", 1, ((1, "B"),)),
    ("_bytes", 1, BYTE_UNITS),
    ("_kib", 2**10, BYTE_UNITS),
)


def in_unit(figure, value):
    """The value of a figure and its unit: the largest one that is no larger than it."""
    for ending, size, units in UNITS:
        if figure.endswith(ending):
            fitting = (unit for unit in units if value * size >= unit[0])
            unit, name = next(fitting, units[-1])
            return value * size / unit, " " + name
    return value, ""


def shown(figure, value):
    number, unit = in_unit(figure, value)
    return three_digits(number) + unit


def target_shown(case):
    target = case.target
    if target is None:
        return ""
    number, unit = (target.bound, "x") if target.of_ratio else in_unit(case.here.figure,
                                                                       target.bound)
    return f"{'≥' if target.at_least else '≤'} {number:.3g}{unit}"


def verdict(result):
    if result.met is None:
        return "loses" if result.loses else ""
    return "met" if result.met else "NOT MET"


def row(cells):
    label, plain_program, *numbers, outcome = cells
    left = f"{label:<{COLUMNS[0]}} {plain_program:<{COLUMNS[1]}}"
    right = " ".join(f"{cell:>{width}}" for cell, width in zip(numbers, COLUMNS[2:], strict=True))
    return f"{left} {right}  {outcome}".rstrip()


def result_row(result):
    case = result.case
    if result.trouble:
        return f"{case.label:<{COLUMNS[0]}} {result.trouble}"
    ratio = three_digits(result.ratio) if result.ratio is not None else ""
    return row((case.label, case.plain_program, shown(case.here.figure, result.here),
                shown(case.there.figure, result.there), ratio, target_shown(case),
                verdict(result)))


def summary(results):
    targets = [result for result in results if result.case.target is not None]
    met = sum(result.met is True for result in targets)
    unmeasured = sum(result.met is None for result in targets)
    loses = sum(result.met is None and result.loses for result in results)
    line = f"{met} of {len(targets)} targets are met"
    if unmeasured:
        line += f", {unmeasured} were not measured"
    return line + f"; without a target, {loses} cases lose to what they are compared with."


def table(results):
    """The lines of the table."""
    lines = [row(("case", "compared with", "here", "there", "ratio", "target", ""))]
    heading = None
    for result in results:
        if result.case.heading != heading:
            heading = result.case.heading
            lines += ["", heading, "-" * len(heading)]
        lines.append(result_row(result))
    return lines + ["", summary(results)]
