"""README.md and docs/ speak of what is there: code is tested code, links and flags exist."""

import json
import re
import textwrap
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REPOSITORY = "https://github.com/libams/libams/"
# By python/tests/test_guides.py.
RUN_BY_PYTHON_TESTS = ("README.md", "own-model.md", "predictions.md", "teachers.md")


def blocks(page, language=r"\w*"):
    """Code of every fenced block of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def included(page):
    """The files of which a page shows the code."""
    for name in re.findall(r"^```{literalinclude} (\S+)$", page.read_text(), re.MULTILINE):
        yield (page.parent / name).resolve()


def sources(*patterns):
    paths = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return [path.read_text() for path in paths if path.is_file()]


def flags(*texts):
    """Everything in the texts that looks like a long flag."""
    return {flag for text in texts for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text)}


def commands(page):
    """The shell commands of a page, each on one line, comments left out."""
    for block in blocks(page, "(?:sh)?"):
        for line in block.replace("\\\n", " ").splitlines():
            yield line.split(" #")[0].strip()


class Docs(unittest.TestCase):
    def test_cpp_is_compiled_code(self):
        compiled = sources("examples/**/*.cpp", "tests/**/*.cpp")
        found = 0
        for page in PAGES:
            found += len(list(included(page)))
            for code in blocks(page, "cpp"):
                found += 1
                with self.subTest(page=page.name, code=code[:80]):
                    inside = textwrap.indent(code, "  ")
                    self.assertTrue(any(code == text or inside in text for text in compiled))
        self.assertGreater(found, 5)

    def test_every_primitive_is_shown(self):
        shown = [code for page in PAGES for code in blocks(page, "cpp")]
        shown += [path.read_text() for page in PAGES for path in included(page)]
        for program in sorted((ROOT / "examples" / "primitives").glob("*.cpp")):
            with self.subTest(program=program.name):
                self.assertIn(program.read_text(), shown)

    def test_python_is_run(self):
        for page in PAGES:
            if page.name not in RUN_BY_PYTHON_TESTS:
                self.assertEqual(blocks(page, "python"), [], page.name)

    def test_json_is_json(self):
        for page in PAGES:
            for code in blocks(page, "json"):
                json.loads(code)

    def test_links_lead_somewhere(self):
        for page in PAGES:
            for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
                with self.subTest(page=page.name, target=target):
                    self.check_link(page, target)

    def check_link(self, page, target):
        if target.startswith(REPOSITORY):
            kind, branch, path = target.removeprefix(REPOSITORY).split("/", 2)
            self.assertIn(kind, ("blob", "tree"))
            self.assertEqual(branch, "main")
            self.assertTrue((ROOT / path).exists())
        elif not re.match(r"[a-z]+://", target):
            path, _, anchor = target.partition("#")
            other = page.parent / path if path else page
            self.assertTrue(other.exists())
            if anchor:
                headings = re.findall(r"^#+ (.*)$", other.read_text(), re.MULTILINE)
                anchors = [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings]
                self.assertIn(anchor, anchors)

    def test_flags_exist(self):
        programs = flags(*sources("examples/**/*.cpp", "examples/**/*.hpp"))
        demo = flags(*sources("scripts/demo.py"))
        others = sources("python/ams/experiments/*.py", "scripts/*.sh")
        everything = programs | demo | flags(*others) | {"--no-deps", "--force-reinstall"}
        for page in PAGES:
            for command in commands(page):
                if "DEMO_ARGS=" in command:
                    used, known = flags(command.split("DEMO_ARGS=")[1]), demo
                elif re.match(r"(server=|ams-)", command):
                    used, known = flags(command), programs
                else:
                    continue  # python/tests/test_guides.py parses those of ams.experiments
                self.assertEqual(used - known, set(), f"{page.name}: {command}")
            text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
            used = flags(*re.findall(r"`(--[a-z].*?)`", text, flags=re.DOTALL))
            self.assertEqual(used - everything, set(), page.name)

    def test_names_of_the_build_exist(self):
        build = "\n".join(
            sources("CMakeLists.txt", "Makefile", "cmake/*", "scripts/*", "tests/system/*.py")
        )
        for page in PAGES:
            for name in set(re.findall(r"\bAMS_[A-Z0-9_]*[A-Z0-9]\b", page.read_text())):
                with self.subTest(page=page.name, name=name):
                    self.assertTrue(name in build)


if __name__ == "__main__":
    unittest.main(verbosity=2)
