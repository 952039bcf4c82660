"""The example folders of every section: what the tests of rules, of the page and of the command go through."""

from __future__ import annotations

import submission_folders
import submission_folders_blobs
import submission_folders_claims
import submission_folders_code
from submission_folders import Example

ALL_EXAMPLES: tuple[Example, ...] = (
    *submission_folders.FOLDER_EXAMPLES,
    *submission_folders_code.EXAMPLES,
    *submission_folders_claims.EXAMPLES,
    *submission_folders_blobs.EXAMPLES,
)
