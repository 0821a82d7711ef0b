"""Listeners wake on changes, one by one, and the oldest can be dismissed."""

from tpo.view.change_notifier import ChangeNotifier


def test_changes_before_a_listener_wakes_are_one() -> None:
    changes = ChangeNotifier()
    with changes.listening() as event:
        changes.notify()
        changes.notify()
        assert event.is_set()
        assert changes.version == 2
        event.clear()
        assert changes.includes(event)
    assert len(changes) == 0
    assert not changes.includes(event)


def test_the_oldest_listener_is_dismissed_and_wakes_a_last_time() -> None:
    changes = ChangeNotifier()
    with changes.listening() as first, changes.listening() as second:
        changes.dismiss_oldest()
        assert first.is_set()
        assert not second.is_set()
        assert not changes.includes(first)
        assert changes.includes(second)


def test_closing_wakes_every_listener() -> None:
    changes = ChangeNotifier()
    with changes.listening() as event:
        changes.close()
        assert event.is_set()
        assert not changes.includes(event)
