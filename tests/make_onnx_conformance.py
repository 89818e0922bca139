"""Write the table of the official ONNX suite's verdicts: python tests/make_onnx_conformance.py.

Made with onnx 1.23.2. The table may only grow: tests/test_onnx_conformance.py says where it shrank.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import onnx
from onnx_backend import counted, suite, verdicts
from onnx_skeletons import DATA

OUT = DATA / "conformance.json"


def main():
    table, counts, wrong = {}, {}, []
    for category in suite():
        rows = defaultdict(list)
        for name, said in verdicts(category):
            rows[said].append(name)
        wrong += [(name, said) for said, names in rows.items() if said.startswith("failed") for name in names]
        table[category] = {said: sorted(names) for said, names in sorted(rows.items()) if not said.startswith("failed")}
        kinds = Counter({said: len(names) for said, names in rows.items()})
        passed = sum(n for said, n in kinds.items() if said.startswith("passed"))
        counts[category] = {"passed": passed, "of": sum(kinds.values())}
    names = {name for said, names in table["node"].items() if said.startswith("passed") for name in names}
    counts["one operator on float32"] = {"passed": len(names & counted()), "of": len(counted())}
    OUT.write_text(json.dumps({"onnx": onnx.__version__, "counts": counts, "tests": table}, indent=1) + "\n")
    print(json.dumps(counts, indent=1))
    for name, said in wrong:
        print(f"{name}: {said}")


if __name__ == "__main__":
    main()
