"""Shares that everyone may know: a sample master key, and what `kms-cli master-key create` would say of it."""

from __future__ import annotations

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
