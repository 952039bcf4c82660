"""What is said of a folder's code as a whole: the main script, the files that it needs, all Python of the folder."""

from __future__ import annotations

from submission_folders import write_folder

from bytecap.submissions.code import judge_code
from bytecap.submissions.folder import open_folder


def test_only_python_files_are_python(tmp_path):
    files = {"train_gpt.py": "import a\n", "a.py": "x = 1\n", "not_needed.py": "y = 2\n", "README.md": "z = 3\n" * 9}
    folder = write_folder(tmp_path / "folder", files)
    (folder / "link.py").symlink_to(folder / "a.py")
    facts, _ = judge_code(open_folder(folder))
    assert facts.python_bytes == sum(len(text) for name, text in files.items() if name.endswith(".py"))
    assert [file.name for file in facts.files] == ["train_gpt.py", "a.py"]
