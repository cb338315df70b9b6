#!/usr/bin/env bash
# Copy the report of the last study (journal, figures, tables, histories and looks) to docs/study, with those
# of other studies in folders of their own.
#   scripts/publish_study.sh [DATA]     DATA is the folder of results and defaults to data; data/variants/NAME
#                                       is that of a run whose settings differ from conf
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
data=${1:-$root/data}
reports=$data/08_reporting
outputs=$data/07_model_output
looks=$outputs
[ -f "$looks/looks.json" ] || looks=$data/../../07_model_output  # Variants share those of conf.
target=$root/docs/study
[ -f "$reports/journal.md" ] || { echo "$reports has no journal; run the study first" >&2; exit 1; }
rm -rf "$target"
mkdir -p "$target"
cp "$reports/journal.md" "$reports/journal.html" "$reports/study_summary.csv" "$looks/looks.json" "$target"
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
for journal in "$reports"/*/journal.md; do
    [ -f "$journal" ] || continue # no other study
    folder=$(dirname "$journal")
    name=$(basename "$folder")
    mkdir "$target/$name"
    cp "$journal" "$folder/journal.html" "$folder/study_summary.csv" "$looks/$name/looks.json" "$target/$name"
done
du -sh "$target"
