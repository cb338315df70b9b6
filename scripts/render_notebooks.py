"""Run the notebooks on the results that exist, and write them with their outputs to docs/notebooks.html.

Run `make study` or `make demo` first. The notebooks themselves stay without outputs.

.venv/bin/python scripts/render_notebooks.py
"""

import os
import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/notebooks.html"

STYLE = """
:root { color-scheme: light dark; --line: #8884; --code: #8881; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }
pre { overflow-x: auto; padding: .6rem .8rem; background: var(--code); font-size: 13px; }
.output pre { background: none; border-left: 3px solid var(--line); }
pre:empty, a.anchor-link { display: none; }
img { max-width: 100%; background: white; }
table { border: 0; border-collapse: collapse; font-size: 13px; display: block; overflow-x: auto; }
td, th { padding: .2rem .6rem; border: solid var(--line); border-width: 0 0 1px; text-align: right; }
section + section { margin-top: 4rem; border-top: 1px solid var(--line); }
"""


def main() -> None:
    """Write the page."""
    # Otherwise, Kedro and MLflow log paths of this machine into the first output.
    os.environ["KEDRO_LOGGING_CONFIG"] = str(ROOT / "conf/logging.yml")
    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    titles, sections = [], []
    for file in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(file, as_version=4)
        NotebookClient(notebook, resources={"metadata": {"path": str(file.parent)}}).execute()
        for cell in notebook.cells:
            kept = [output for output in cell.get("outputs", []) if output.get("name") != "stderr"]
            if cell.cell_type == "code":
                cell.outputs = kept
        body, _ = exporter.from_notebook_node(notebook)
        titles.append(re.findall(r"^# (.*)", notebook.cells[0].source)[0])
        sections.append(f'<section id="{file.stem}">\n{body}\n</section>')
    names = [re.findall(r'id="(.*?)"', section)[0] for section in sections]
    links = "".join(f'<li><a href="#{n}">{t}</a></li>' for n, t in zip(names, titles, strict=True))
    PAGE.write_text(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Notebooks</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<nav><ul>{links}</ul></nav>\n" + "\n".join(sections) + "\n</body>\n</html>\n"
    )


if __name__ == "__main__":
    main()
