"""The documentation as a site: `make docs`. A link that leads nowhere fails it."""

project = "Préau"
author = "Préau’s authors"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "docs/index"
include_patterns = [
    "*.md", "docs/**.md", "deploy/README.md", "tenants/README.md", "benchmarks/README.md",
    "examples/*/README.md", "core/platform/web/templates/README.md", "core/locale/README.md",
]  # fmt: skip
myst_heading_anchors = 4
myst_links_external_new_tab = True
suppress_warnings = ["toc.not_included", "misc.highlighting_failure"]
html_theme = "furo"
html_title = "Préau"
html_copy_source = False
