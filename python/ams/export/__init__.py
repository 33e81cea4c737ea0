"""Files of your own networks for the programs: what `--student` and `--teacher` take.

bundle() writes all about a student as one file, for servers and for devices with or without torch;
student() and teacher() write a network alone. Each function writes the file, opens it again with
the loader that the programs use, and compares what it computes with the module. It refuses what
could not be trained or served, with the reason. A file is there whole, or not at all.

`python -m ams.export bundle --help` does without a script.
"""

from .networks import ExportedStudent, ExportedTeacher, student, teacher
from .student_bundle import ExportedBundle, bundle

__all__ = ["ExportedBundle", "ExportedStudent", "ExportedTeacher", "bundle", "student", "teacher"]
