#!/usr/bin/env bash
# Install the built wheel in an empty environment and run the README's commands from it, in an empty folder.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wheel=$(ls "$root"/dist/tpo-*.whl)

"$root/.venv/bin/python" -m zipfile --list "$wheel" | grep -q 'tpo/tiny/' || { echo "the wheel lacks the embedded pair" >&2; exit 1; }
python3 -m venv "$work/core"
"$work/core/bin/pip" install --quiet --disable-pip-version-check "$wheel"
"$work/core/bin/tpo" --version
"$work/core/bin/tpo" --help >/dev/null
"$work/core/bin/python" -c 'import tpo; [getattr(tpo, name) for name in ("Optimizer", "Policy", "TpoError")]'

python3 -m venv "$work/local"
"$work/local/bin/pip" install --quiet --disable-pip-version-check --constraint "$root/constraints.txt" "$wheel[local,data,report]"
cd "$work"
"$work/local/bin/tpo" run --limit 2 --quiet --out runs/check
"$work/local/bin/tpo" report runs/check
"$work/local/bin/tpo" export runs/check --format results --out answers.csv
"$work/local/bin/tpo" ask --quiet "Write a thank-you note to Mia for the blue scarf." -d 1
test -s answers.csv
echo "release check passed: $(basename "$wheel")"
