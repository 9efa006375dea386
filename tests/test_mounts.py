"""Settings of mounts as they are changed."""

from __future__ import annotations

from kms_actors.mounts import LockoutConfig, MountConfig, tuned

LOCKOUT = LockoutConfig(threshold=7)


def test_of_lockouts_what_was_sent_changes_and_nothing_else() -> None:
    config = MountConfig(user_lockout_config=LOCKOUT)
    changed = tuned(config, {"user_lockout_config": {"duration": 60}})
    assert changed.user_lockout_config == LockoutConfig(threshold=7, duration=60)
    assert tuned(MountConfig(), {"user_lockout_config": {"duration": 60}}).user_lockout_config == LockoutConfig(
        duration=60
    )


def test_no_setting_of_lockouts_changes_none() -> None:
    for before in (MountConfig(), MountConfig(user_lockout_config=LOCKOUT)):
        assert tuned(before, {"user_lockout_config": {}}) == before
        assert tuned(before, {}) == before
