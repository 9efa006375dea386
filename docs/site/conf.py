"""Sphinx's configuration. Nothing is fetched from elsewhere, neither when the site is built nor when it is read."""

from pathlib import Path

from kms_actors import __version__

project = "Clever KMS"
version = release = __version__
author = "Clever KMS"
html_title = "Clever KMS"
language = "en"

extensions = ["myst_parser", "sphinx_copybutton"]
myst_enable_extensions: list[str] = []
myst_heading_anchors = 4
myst_links_external_new_tab = False
suppress_warnings: list[str] = []
nitpicky = True

html_theme = "furo"
html_static_path = [str(Path(__file__).parent / "assets")]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "monokai"
highlight_language = "bash"
copybutton_exclude = ".linenos, .gp, .go"
copybutton_selector = "div:not(.highlight-output) > div.highlight > pre"
