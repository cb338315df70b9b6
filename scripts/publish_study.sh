#!/usr/bin/env bash
# Copy the report of the last study (journal, figures and tables) to docs/study.
#   scripts/publish_study.sh [REPORTS]     REPORTS defaults to data/08_reporting
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
reports=${1:-$root/data/08_reporting}
target=$root/docs/study
[ -f "$reports/journal.md" ] || { echo "$reports has no journal; run the study first" >&2; exit 1; }
rm -rf "$target"
mkdir -p "$target"
cp "$reports/journal.md" "$reports/journal.html" "$reports/study_summary.csv" "$target"
for chapter in "$reports"/*/chapter.json; do
    folder=$(dirname "$chapter")
    experiment=$target/$(basename "$folder")
    mkdir "$experiment"
    cp "$folder"/*.png "$experiment"
    for table in condition_summary trial_metrics verdicts pairs reproduction; do
        cp "$folder/$table.csv" "$experiment"
    done
done
du -sh "$target"
