"""What everyone may know: shares of a sample master key, its check value, and tokens that tools of 2024 made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

#: Any three of the five give one key.
MASTER_SHARES: Final = [
    "AX0/zTf+FLouvPIldi96WnUAPfunNJEeXD+KmWvys4K0",
    "AuZGhgA0qiloj5h4Brrckj4HVcJvaFfyEpFCvWg2TT8O",
    "A7VjcxfTNBAw9SF5DBqRbXyUPFtB7tBgfKEGVdh7hb7v",
    "BAb6YFiczo3Imjr5LVglvCsgPTmKEMFxpfHb8L/8wffJ",
    "BVXflU97ULSQ4IP4J/hoQ2mzVKCklkbjy8GfGA+xCXYo",
]
MASTER_KEY_CHECK_VALUE: Final = "2b71d5c7dce4d4854fa7375719a307d4"

#: Shares of another key, a tenant's root key: foreign to every cluster and tenant of the tests.
FOREIGN_SHARES: Final = [
    "ASRzXqCk2BmDTQNrZb84LTrmGxefjboqTo7WL3tFVqwN",
    "Aqg+5IT7KYHhzIV+n1t8ObGWYsxgoWYEgqBMayt8ojcq",
    "AykO/19ITYxQDSc/1sTHKW8ZTP1ULpcMUUvbwP2oU3tR",
    "BPfNfNW04iUDVwD906sKpbldt/WW4362Ccqj7WArYnJc",
    "BXb9Zw4HhiiylqK8mjSxtWfSmcSibI++2iE0Rrb/kz4n",
]

#: Two public keys in hex, and tokens in the first signature scheme: `cluster_operator`, `tenant_operator`, `tenant`.
SAMPLE_TOKENS: Final[dict[str, str]] = json.loads(
    Path(__file__).with_name("sample_tokens.json").read_text(encoding="utf-8")
)
