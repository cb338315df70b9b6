"""Start-up time of a command, compared with an empty Kedro project.

.venv/bin/python benchmarks/startup.py           # kedro registry list in both projects, alternating
.venv/bin/python benchmarks/startup.py --demo    # also kedro run on the finished demo; needs `make demo`
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
KEDRO = [sys.executable, "-m", "kedro"]
BARE = {
    "pyproject.toml": '[tool.kedro]\npackage_name = "bare"\nproject_name = "bare"\n'
    'kedro_init_version = "1.7.0"\nsource_dir = "src"\n',
    "src/bare/__init__.py": "",
    "src/bare/settings.py": "",
    "src/bare/pipeline_registry.py": "from kedro.pipeline import Pipeline\n\n\n"
    'def register_pipelines():\n    return {"__default__": Pipeline([])}\n',
    "conf/base/catalog.yml": "",
    "conf/local/.gitkeep": "",
}
"""Files of an empty Kedro project, which uses the same installed plugins."""


def seconds(project: Path, *command: str) -> float:
    """Run a Kedro command in a project; return its duration in seconds."""
    start = time.perf_counter()
    subprocess.run([*KEDRO, *command], cwd=project, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure times and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="number of alternations")
    parser.add_argument("--demo", action="store_true", help="also measure a run of the finished demo")
    options = parser.parse_args()

    with TemporaryDirectory() as folder:
        bare = Path(folder)
        for name, content in BARE.items():
            file = bare / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        rounds = [
            (seconds(bare, "registry", "list"), seconds(ROOT, "registry", "list"))
            for _ in range(options.rounds)
        ]
    theirs, ours = (statistics.median(times) for times in zip(*rounds, strict=True))
    print(f"kedro registry list: empty project {theirs:.2f}, here {ours:.2f} s, {ours - theirs:+.2f} s")
    if options.demo:
        times = [seconds(ROOT, "run", "--env=demo") for _ in range(3)]
        print(f"kedro run --env=demo, all reused: {statistics.median(times):.1f} s")


if __name__ == "__main__":
    main()
