"""Mutation testing: change one thing in the code, run the tests, and see whether one of them notices.

    python tests/mutants.py                     # layers/, rules.py, methods/; exit 1 below 90 % or with a new survivor
    python tests/mutants.py npgradcam/rules.py  # only these files
    python tests/mutants.py --tests tests/test_rules.py tests/test_layers.py -- npgradcam/rules.py
    python tests/mutants.py --json fates.json   # writes what became of each
    python tests/mutants.py --again fates.json  # tries only those that no test which is still here noticed there

One process imports and collects everything once. Each test then runs once, in a fork of it, and coverage.py notes
which lines it runs. Each mutant is a fork as well: functions of the changed module get the code that the changed source
compiles to, and the tests that run the changed lines run, first those that found the neighbours, then the fastest,
until one fails. `mutants_survivors.txt` names the survivors that are known, below the reason why no test notices; they
count as survivors all the same. Needs `pip install coverage` and a system that forks.
"""

from __future__ import annotations

import argparse
import ast
import gc
import json
import os
import pickle
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from forking import BROKEN, forked
from mutant_fates import PARTS, Fate, judged
from mutations import mutations
from transplanting import replace

ROOT = Path(__file__).resolve().parents[1]
EVERY = [str(path.relative_to(ROOT)) for part in PARTS
         for path in ([ROOT / part] if part.endswith(".py") else sorted((ROOT / part).glob("*.py")))]
# the files of tests about these parts
TESTS = ("axes", "axes_batch", "axes_refused", "broadcasting", "cam_heads", "default_layer", "default_layer_edges",
         "kinks", "layers", "methods", "moved_channels", "normalisation", "passed_on", "peer_traps", "pointwise",
         "records", "relatives", "resize", "room_for_constants", "rules", "single_layers", "spatial", "steps",
         "study_trace", "target", "topology_and_layout", "why", "wiring")
BUDGET = 30.0  # seconds of tests, by their CPU time without a change, that a mutant has to survive
ONE_THREAD = {"NUMBA_NUM_THREADS": "1", "NUMBA_THREADING_LAYER": "workqueue", "OPENBLAS_NUM_THREADS": "1"}  # to fork


class Hunt:
    """A pytest plugin: in place of running the tests once, it runs them for each mutant."""

    def __init__(self, files: list[str], jobs: int, fates: Path | None, noticed: list[Fate], examples: int) -> None:
        self.files, self.jobs, self.fates, self.examples = files, jobs, fates, examples
        self.noticed = {(fate.file, fate.where, fate.says): fate for fate in noticed}
        self.failed, self.skipped = False, False
        self.note: Path | None = None  # where a mutant's process says which test failed
        self.results: list[Fate] = []

    def pytest_configure(self) -> None:
        from hypothesis import Phase, settings

        phases = [Phase.explicit, Phase.generate]  # never shrink; what few drawn cases notice, more would as well
        settings.register_profile("mutants", settings(), phases=phases, max_examples=self.examples)
        settings.load_profile("mutants")

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        """Of a mutant's process: the first exception ends it, before anybody writes a report."""
        import pytest

        excused = (pytest.skip.Exception, pytest.xfail.Exception)
        if self.note and call.excinfo and not call.excinfo.errisinstance(excused):
            self.note.write_text(item.nodeid)
            os._exit(1)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.failed |= report.failed
        self.skipped |= report.skipped

    def pytest_runtestloop(self, session: Any) -> bool:
        from warm import compile_all

        self.items = {item.nodeid: item for item in session.items}
        self.noticed = {k: fate for k, fate in self.noticed.items() if fate.how == "timeout" or fate.test in self.items}
        for dtype in ("float32", "float64"):
            compile_all(dtype)
        gc.collect()
        gc.freeze()
        self.took, self.reached = self.coverage()
        self.idle = set(self.took) - {t for lines in self.reached.values() for ts in lines.values() for t in ts}
        print(f"\n{len(self.took)} of {len(self.items)} tests: {sum(self.took.values()):.0f} s", flush=True)
        for name in self.files:
            self.results += self.of_file(name)
            if self.fates:
                self.fates.write_text(json.dumps([fate._asdict() for fate in self.results], indent=1))
        return True

    def run(self, nodeid: str) -> bool:
        """Run one test; return whether it passed. Session fixtures stay for the next."""
        self.failed = self.skipped = False
        item = self.items[nodeid]
        of_the_session = SimpleNamespace(listchain=lambda: [item.session])  # fixtures of a module or class end here
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=of_the_session)
        return not self.failed

    def coverage(self) -> tuple[dict[str, float], dict[str, dict[int, list[str]]]]:
        """Run every test once, in `jobs` processes; return its seconds if it passes, and what runs each line."""
        with tempfile.TemporaryDirectory() as folder:
            shares = [list(self.items)[k :: self.jobs] for k in range(self.jobs)]
            pids = [forked(lambda k=k, s=s: self.trace(s, Path(folder, str(k)))) for k, s in enumerate(shares)]
            for pid in pids:
                if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
                    raise SystemExit("the tests without a change crash")
            took, reached = {}, dict[str, dict[int, list[str]]]()
            for k in range(self.jobs):
                some, lines = pickle.loads(Path(folder, str(k)).read_bytes())
                took.update(some)
                for name, by_line in lines.items():
                    for line, tests in by_line.items():
                        reached.setdefault(name, {}).setdefault(line, []).extend(t for t in tests if t in some)
        return took, reached

    def trace(self, nodeids: list[str], result: Path) -> int:
        import coverage

        tool = coverage.Coverage(data_file=None, include=[str(ROOT / name) for name in EVERY], config_file=False)
        took = {}
        for nodeid in nodeids:
            tool.start()
            tool.switch_context(nodeid)
            start = time.process_time()
            passed = self.run(nodeid)
            tool.stop()
            if passed and not self.skipped:
                took[nodeid] = time.process_time() - start
        data = tool.get_data()
        reached = {name: data.contexts_by_lineno(str(ROOT / name)) for name in EVERY}
        result.write_bytes(pickle.dumps((took, reached)))
        return 0

    def of_file(self, name: str) -> list[Fate]:
        """Try every mutant of a file, `jobs` at a time."""
        source = (ROOT / name).read_text()
        module = import_module(name.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        mutants = mutations(ast.parse(source))
        before = [self.noticed.get((name, mutant.where, mutant.says)) for mutant in mutants]
        left = [k for k, fate in enumerate(before) if fate is None]
        killers: dict[str, Counter[str]] = defaultdict(Counter)
        running: dict[int, tuple[int, Path]] = {}
        results, start = [fate for fate in before if fate], time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            while left or running:
                if left and len(running) < self.jobs:
                    k, note = left[0], Path(folder, str(left.pop(0)))
                    tests = self.tests_of(name, mutants[k], killers)
                    running[forked(lambda k=k, t=tests, n=note: self.attempt(source, module, k, t, n))] = k, note
                    continue
                pid, status = os.wait()
                k, note = running.pop(pid)
                mutant, test = mutants[k], note.read_text() if note.exists() else ""
                code = os.waitstatus_to_exitcode(status)
                how = {0: "survived", BROKEN: "broken", -signal.SIGPROF: "timeout"}.get(code, "killed")  # or it crashed
                if how == "killed":
                    killers[mutant.where][test] += 1
                    killers[""][test] += 1
                results.append(Fate(name, mutant.lines.start, mutant.where, mutant.says, how, test))
        results = self.believed(name, source, module, results)
        by = Counter(fate.how for fate in results)
        print(f"{name}: {len(results)} mutants, {by['killed']} killed, {by['timeout']} timeouts, {by['survived']} "
              f"survived, {by['broken']} broken ({time.perf_counter() - start:.0f} s)", flush=True)
        return sorted(results, key=lambda fate: fate.line)

    def believed(self, name: str, source: str, module: ModuleType, results: list[Fate]) -> list[Fate]:
        """Put the file in unchanged: a test that fails then notices nothing, and what it noticed is not believed."""
        noticed = sorted({fate.test for fate in results if fate.test in self.items})
        with tempfile.TemporaryDirectory() as folder:
            note = Path(folder, "note")
            while noticed:
                pid = forked(lambda: self.attempt(source, module, None, noticed, note))
                if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
                    break
                wrong = note.read_text()
                print(f"{name}: {wrong} fails without a change")
                noticed.remove(wrong)
                results = [fate._replace(how="broken") if fate.test == wrong else fate for fate in results]
        return results

    def tests_of(self, name: str, mutant: Any, killers: dict[str, Counter[str]]) -> list[str]:
        """Return the tests that run the mutant's lines, the most promising first, as many as the budget allows."""
        lines = self.reached.get(name, {})
        found = {test for line in mutant.lines for test in lines.get(line, ())}
        if not mutant.inside:  # a constant of a class or module is read by functions elsewhere, and by tests themselves
            found = {test for tests in lines.values() for test in tests if test} | self.idle
        order = sorted(found, key=lambda t: (-killers[mutant.where][t], -killers[""][t], self.took[t], t))
        kept, seconds = [], 0.0
        for test in order:
            seconds += self.took[test]
            if kept and seconds > BUDGET:
                break
            kept.append(test)
        return kept

    def attempt(self, source: str, module: ModuleType, number: int | None, tests: list[str], note: Path) -> int:
        """In the mutant's process: change the module (or not) and run the tests; 1 as soon as one fails."""
        tree = ast.parse(source)
        if number is not None:
            mutations(tree)[number].change.make()
        signal.setitimer(signal.ITIMER_PROF, 60)  # of the processor: other processes do not make it late
        try:
            replace(module, compile(ast.fix_missing_locations(tree), str(module.__file__), "exec"))
        except Exception:  # the changed module cannot even be imported
            note.write_text("import")
            return 1
        self.note = note
        for test in tests:
            signal.setitimer(signal.ITIMER_PROF, 30 + 20 * self.took[test])
            self.run(test)
        return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", help="what to change")
    parser.add_argument("--tests", nargs="*", help="test files that may notice")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="where to write what became of each mutant")
    parser.add_argument("--again", type=Path, help="try only those that no test which is still here noticed there")
    parser.add_argument("--examples", type=int, default=10, help="how many cases Hypothesis draws for a test")
    options = parser.parse_args()
    files = options.files or EVERY
    tests = options.tests or [str(ROOT / "tests" / f"test_{name}.py") for name in TESTS]
    before = [Fate(**fate) for fate in json.loads(options.again.read_text())] if options.again else []
    noticed = [fate for fate in before if fate.how in ("killed", "timeout")]
    os.environ.update(ONE_THREAD)
    import pytest

    hunt = Hunt(files, options.jobs, options.json, noticed, options.examples)
    pytest.main(["-q", "-x", "-s", "-p", "no:faulthandler", "--rootdir", str(ROOT), *tests], plugins=[hunt])
    return 0 if hunt.results and judged(hunt.results) else 1


if __name__ == "__main__":
    sys.exit(main())
