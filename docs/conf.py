"""The site: these pages, the C++ reference (Doxygen, Breathe) and the Python reference (AutoAPI).

scripts/docs.sh copies docs/ to build-docs/source, runs Doxygen, and builds from there.
"""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

SOURCE = Path(__file__).resolve().parent  # build-docs/source
ROOT = SOURCE.parents[1]
XML = ROOT / "build-docs" / "doxygen" / "xml"

project = "libams"
html_title = "libams"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",  # for its docstring event alone
    "breathe",
    "autoapi.extension",
    "sphinx_copybutton",
]
myst_heading_anchors = 3
highlight_language = "none"
toc_object_entries_show_parents = "hide"
copybutton_exclude = ".linenos, .gp, .go"
# `namespace ams` is in every header, and Sphinx does not parse every default argument.
suppress_warnings = ["duplicate_declaration.cpp", "source_code_parser.cpp"]

# ---- the way through the pages ----

CHAPTERS = {
    "Guides": ("embed", "experiment", "own-model", "serve", "teachers", "deployment", "device", "c", "detection"),
    "Reference": ("sessions", "format", "predictions", "protocol")
    + ("cpp/index", "Python <python/ams/index>"),
    "Background": ("results", "trials", "hacking"),
}
with (SOURCE / "index.md").open("a") as index_page:
    for chapter, pages in CHAPTERS.items():
        index_page.write(f"\n```{{toctree}}\n:hidden:\n:caption: {chapter}\n\n")
        index_page.write("\n".join(pages) + "\n```\n")

# ---- C++ ----

breathe_projects = {"ams": str(XML)}
breathe_default_project = "ams"
breathe_default_members = ("members",)
breathe_show_include = False
ROOMS = {
    "core": "optimiser, selection, update codec, rates, buffer, holder; header-only",
    "segmentation": "label maps, class subsets, loss, mIoU; header-only",
    "detection": "boxes, loss, average precision; header-only",
    "session": "both state machines, messages, the seams; header-only",
    "policy": "when updates leave, and of what; header-only",
    "runtime": "hosts: threads, turns, stores",
    "torch": "students, teachers and training on libtorch",
    "video": "videos, clips, label tracks, H.264",
    "net": "messages as bytes, WebSocket over TLS",
    "store": "sessions in SQLite",
    "bundle": "student bundles",
    "onnx": "the predictor on ONNX Runtime",
    "executorch": "the predictor on ExecuTorch",
    "device": "a device with its threads, link, encoder and state file",
    "c": "the same behind C functions",
}


def tidy_doxygen() -> None:
    """Leaves out private members and what Doxygen says of the namespace; names files by path."""
    paths = {}
    for file in XML.glob("*.xml"):
        tree = ElementTree.parse(file)
        for compound in tree.getroot().iter("compounddef"):
            if compound.get("kind") == "namespace":
                for part in ("briefdescription", "detaileddescription"):
                    compound.find(part).clear()
            if compound.get("kind") == "file":
                paths[compound.get("id")] = compound.find("location").get("file")
            for section in compound.findall("sectiondef"):
                if section.get("kind").startswith("private"):
                    compound.remove(section)
            for inner in compound.findall("innerclass"):
                if inner.get("prot") == "private":
                    compound.remove(inner)
            for member in compound.iter("memberdef"):
                initializer = member.find("initializer")
                if initializer is not None and "{." in "".join(initializer.itertext()):
                    member.remove(initializer)  # Sphinx does not parse designated initialisers
        tree.write(file)
    index = ElementTree.parse(XML / "index.xml")
    for compound in index.getroot():
        if compound.get("refid") in paths:
            compound.find("name").text = paths[compound.get("refid")]
    index.write(XML / "index.xml")


def write_cpp_pages() -> None:
    """A page for each room, a section for each header."""
    folder = SOURCE / "cpp"
    folder.mkdir(exist_ok=True)
    include = ROOT / "include"
    if undescribed := {path.name for path in (include / "ams").iterdir()} - set(ROOMS):
        raise SystemExit(f"docs/conf.py: describe in ROOMS: {', '.join(sorted(undescribed))}")
    lines = ["# C++", "", "Everything is in namespace `ams`.", ""]
    lines += ["| room | what it has |", "|---|---|"]
    for room, text in ROOMS.items():
        lines.append(f"| [`ams::{room}`]({room}.md) | {text} |")
        page = [f"# ams::{room}", "", f"{text[0].upper()}{text[1:]}."]
        for header in sorted((include / "ams" / room).rglob("*.hpp")):
            if "codec" not in header.parts:
                path = header.relative_to(include)
                page += ["", f"## {path}", "", f"```{{doxygenfile}} {path}", "```"]
        for header in sorted((include / "ams" / room).glob("*.h")):
            path = header.relative_to(include)
            page += ["", f"## {path}", "", f"```{{literalinclude}} ../../../include/{path}"]
            page += [":language: c", "```"]
        (folder / f"{room}.md").write_text("\n".join(page) + "\n")
    lines += ["", "```{toctree}", ":hidden:", "", *ROOMS, "```"]
    (folder / "index.md").write_text("\n".join(lines) + "\n")


tidy_doxygen()
write_cpp_pages()

# ---- Python: read from the sources and stubs, nothing is imported ----

autoapi_dirs = [str(ROOT / "python" / "ams")]
autoapi_root = "python"
autoapi_file_patterns = ["*.pyi", "*.py"]
autoapi_ignore = ["*/experiments/*"]
autoapi_options = ["members", "undoc-members", "imported-members", "show-inheritance"]
autoapi_add_toctree_entry = False
autoapi_member_order = "groupwise"
autoapi_python_class_content = "both"
MODULES = ("detection", "export", "outputs", "parts", "protocol", "sim", "synthetic", "teachers")
MODULES += ("torch", "video")
PUBLIC = {f"ams.{name}" for name in MODULES}
ITEM = re.compile(r"([a-z]\w*(?:, [a-z]\w*)*): (.*)")


def skip(app, what, name, obj, is_skipped, options):
    """Leaves out the modules whose names the package has."""
    if what in ("module", "package") and name != "ams" and name not in PUBLIC:
        return True
    return is_skipped


def to_rst(app, what, name, obj, options, lines):
    """Docstrings are plain text: indented code, and `name: meaning` lines."""
    result, previous = [], ""
    for number, line in enumerate(lines):
        text = line.strip()
        if text.startswith("Initialize self."):  # Python's own, of exceptions
            continue
        is_indented = line.startswith("    ")
        item = None if what in ("module", "package") and number == 0 else ITEM.fullmatch(text)
        if is_indented and not item and previous in ("", "code"):
            if previous != "code":
                result += ["", ".. code-block:: python", ""]
            kind = "code"
        elif not text:
            kind = previous if previous == "code" else ""
        elif text.startswith("- ") or (previous == "bullet" and line.startswith("  ")):
            kind = "bullet"
        else:
            kind = "item" if item or (previous == "item" and is_indented) else "text"
        if kind == "code" or not text:
            result.append(line)
        elif item:
            if previous != "item":
                result.append("")
            names = ", ".join(f"``{part}``" for part in item[1].split(", "))
            result.append(f"- {names}: {escape(item[2])}")
        elif previous == "item":
            if kind == "text" and not text.endswith(":") and text[0].islower():
                kind = "item"
            result += [f"  {escape(text)}"] if kind == "item" else ["", escape(text)]
        else:
            if previous in ("code", "bullet") and kind == "text":
                result.append("")
            elif kind == "bullet" and not text.startswith("- "):
                text = f"  {text}"
            elif kind == "bullet" and previous == "text":
                result.append("")
            result.append(escape(text))
        previous = kind
    lines[:] = result


def escape(text: str) -> str:
    """Code in single backquotes becomes code; everything else is literal."""
    parts = re.split(r"(``.*?``|`[^`]*`)", text)
    for i, part in enumerate(parts):
        if part.startswith("`"):
            parts[i] = "``" + part.strip("`") + "``"
        else:
            parts[i] = re.sub(r"([*|\\]|_\b)", r"\\\1", part)
    return "".join(parts)


def setup(app):
    app.connect("autoapi-skip-member", skip)
    app.connect("autodoc-process-docstring", to_rst)
