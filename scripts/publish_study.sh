#!/usr/bin/env bash
# Copy the report of the last study (journal, figures, tables, histories and looks) to docs/study.
#   scripts/publish_study.sh [DATA]     DATA is the folder of results and defaults to data; data/variants/NAME
#                                       is that of a run whose settings differ from conf
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
data=${1:-$root/data}
reports=$data/08_reporting
outputs=$data/07_model_output
looks=$outputs/looks.json
[ -f "$looks" ] || looks=$data/../../07_model_output/looks.json  # Variants share those of conf.
target=$root/docs/study
[ -f "$reports/journal.md" ] || { echo "$reports has no journal; run the study first" >&2; exit 1; }
rm -rf "$target"
mkdir -p "$target"
cp "$reports/journal.md" "$reports/journal.html" "$reports/study_summary.csv" "$looks" "$target"
for chapter in "$reports"/*/chapter.json; do
    folder=$(dirname "$chapter")
    name=$(basename "$folder")
    experiment=$target/$name
    mkdir "$experiment"
    cp "$folder"/*.png "$experiment"
    for table in condition_summary trial_metrics verdicts pairs noise_budget reproduction; do
        cp "$folder/$table.csv" "$experiment"
    done
    cp "$outputs/$name/histories.csv" "$experiment"
done
du -sh "$target"
