"""README.md and docs speak of what is there: quoted programs are the tested ones, and links lead somewhere."""

import re
import textwrap
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Readme(unittest.TestCase):
    def test_quoted_primitives_are_the_tested_programs(self):
        text = (ROOT / "README.md").read_text()
        programs = sorted((ROOT / "examples" / "primitives").glob("*.cpp"))
        self.assertTrue(programs)
        for program in programs:
            with self.subTest(program=program.name):
                self.assertIn("```cpp\n" + program.read_text() + "```", text)

    def test_the_quoted_driver_is_the_tested_one(self):
        text = (ROOT / "docs" / "sessions.md").read_text()
        (driver,) = re.findall(r"```cpp\n(.*?)```", text, re.DOTALL)
        tested = (ROOT / "tests" / "runtime" / "driver_test.cpp").read_text()
        self.assertIn(textwrap.indent(driver, "  "), tested)

    def test_links_lead_somewhere(self):
        for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
                if re.match(r"[a-z]+://", target):
                    continue
                with self.subTest(page=page.name, target=target):
                    self.assertTrue((page.parent / target).exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
