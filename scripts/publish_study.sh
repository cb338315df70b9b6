#!/usr/bin/env bash
# Copy the reports of the last runs (journals, figures, tables, histories and looks) to docs/study, each chapter and
# each study other than the main one to a folder of its own. What is there stays, unless the same was run again.
#   scripts/publish_study.sh [DATA]     DATA is the folder of results and defaults to data; data/variants/NAME
#                                       is that of a run whose settings differ from conf
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
data=${1:-$root/data}
reports=$data/08_reporting
outputs=$data/07_model_output
target=$root/docs/study
shopt -s nullglob

publish() { # FOLDER FILE...: replace docs/study/FOLDER by the files
    local folder=$target/$1
    shift
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "$@" "$folder"
}

looks() { # FOLDER: the looks of a study, which variants share with conf
    local own=$outputs/$1looks.json
    [ -f "$own" ] && echo "$own" || echo "$data/../../07_model_output/$1looks.json"
}

[ -n "$(find "$reports" -maxdepth 2 -name journal.md 2>/dev/null)" ] || { echo "$reports has no journal; run a study first" >&2; exit 1; }
if [ -f "$reports/journal.md" ]; then
    mkdir -p "$target"
    cp "$reports/journal.md" "$reports/journal.html" "$reports/study_summary.csv" "$(looks "")" "$target"
fi
for chapter in "$reports"/*/chapter.json; do
    folder=$(dirname "$chapter")
    name=$(basename "$folder")
    tables=()
    for table in condition_summary trial_metrics verdicts pairs noise_budget reproduction; do
        tables+=("$folder/$table.csv")
    done
    publish "$name" "$folder"/*.png "${tables[@]}" "$outputs/$name/histories.csv"
done
for journal in "$reports"/*/journal.md; do
    folder=$(dirname "$journal")
    name=$(basename "$folder")
    publish "$name" "$journal" "$folder/journal.html" "$folder/study_summary.csv" "$(looks "$name/")"
done
du -sh "$target"
